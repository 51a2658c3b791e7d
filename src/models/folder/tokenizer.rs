//! `tokenizer.json`, `tokenizer_config.json` and the chat template.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::{FolderError, object};
use crate::chat_template::{self, ChatTemplate};

/// The tokenizer of a folder and its special tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    tokenizer: Tokenizer,
    special: Vec<u32>,
    count: usize,
    template: Option<Arc<ChatTemplate>>,
}

impl Tokens {
    /// The tokens of a tokenizer.
    pub(in crate::models) fn new(tokenizer: Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special).map(|(id, _)| id).collect();
        let count = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
        Self { tokenizer, special, count, template: None }
    }

    /// The text of generated tokens without special tokens, not trimmed.
    ///
    /// # Errors
    /// What the library said.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        self.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
    }

    /// A question as the folder's chat template renders it; `None` where the template is not known here.
    pub fn render(&self, prompt: &str) -> Option<Result<String, String>> {
        self.template.as_ref().map(|template| template.question(prompt))
    }

    /// One more than the largest token. The model's rows beyond it are padding and mean nothing.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether a token is special: a marker of the format and no text.
    pub fn is_special(&self, token: u32) -> bool {
        self.special.contains(&token)
    }
}

pub(super) fn check(folder: &Path, vocabulary: usize) -> Result<Tokens, FolderError> {
    let file = folder.join("tokenizer.json");
    let written = object(&file)?;
    let tokenizer = Tokenizer::from_file(&file)
        .map_err(|error| FolderError::Tokenizer { file: file.clone(), problem: error.to_string() })?;
    for key in ["truncation", "padding"] {
        if written.get(key).is_some_and(|value| !value.is_null()) {
            let remedy = "Set it to null: prompts are neither cut nor padded here";
            return Err(FolderError::key(&file, key, "is set", remedy));
        }
    }
    let tokens = Tokens::new(tokenizer);
    if tokens.count > vocabulary {
        let problem =
            format!("holds token {}, but the model has {vocabulary} (vocab_size)", tokens.count - 1);
        let remedy = "Tokenizer and model do not belong together: copy the whole folder again";
        return Err(FolderError::key(&file, "model.vocab", problem, remedy));
    }
    let tokens = Tokens { template: check_template(folder)?, ..tokens };
    let generation = folder.join("generation_config.json");
    if generation.exists() {
        object(&generation)?;
    }
    Ok(tokens)
}

/// The template, where our engine knows it; what it does not know is the library's to render.
fn check_template(folder: &Path) -> Result<Option<Arc<ChatTemplate>>, FolderError> {
    let file = folder.join("tokenizer_config.json");
    let config = object(&file)?;
    check_end_token(&file, &config)?;
    let config = Value::Object(config);
    let jinja = folder.join(chat_template::FILE);
    let (place, template) = if jinja.exists() {
        let template = fs::read_to_string(&jinja)
            .map_err(|source| FolderError::Unreadable { file: jinja.clone(), source })?;
        (jinja, template)
    } else if let Some(template) = chat_template::written(&config) {
        (file, template.to_owned())
    } else {
        let remedy = "Add the template there or as chat_template.jinja; instruction-tuned models have one";
        return Err(FolderError::key(&file, "chat_template", "is missing", remedy));
    };
    if template.contains("<|start|>") && template.contains("<|channel|>") && template.contains("<|message|>")
    {
        let remedy = "The library would fetch its vocabulary from the network: choose another model";
        return Err(FolderError::key(&place, "chat_template", "uses the Harmony format", remedy));
    }
    let template = ChatTemplate::new(template, &config);
    Ok(template.ok().filter(|template| template.question("A question?").is_ok()).map(Arc::new))
}

fn check_end_token(file: &Path, config: &Map<String, Value>) -> Result<(), FolderError> {
    match config.get("eos_token") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Object(token)) if token.get("content").is_some_and(Value::is_string) => Ok(()),
        Some(other) => {
            let remedy = "It must be a text, or an object with a text under `content`";
            Err(FolderError::key(file, "eos_token", format!("is {other}"), remedy))
        }
    }
}
