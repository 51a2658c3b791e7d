//! `tokenizer.json`, `tokenizer_config.json` and the chat template.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::{FolderError, object};

/// The tokenizer of a folder and its special tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    tokenizer: Tokenizer,
    special: Vec<u32>,
    count: usize,
}

impl Tokens {
    /// The tokens of a tokenizer.
    pub(in crate::models) fn new(tokenizer: Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special).map(|(id, _)| id).collect();
        let count = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
        Self { tokenizer, special, count }
    }

    /// The text of generated tokens without special tokens, not trimmed.
    ///
    /// # Errors
    /// What the library said.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        self.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
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
    check_template(folder)?;
    let generation = folder.join("generation_config.json");
    if generation.exists() {
        object(&generation)?;
    }
    Ok(tokens)
}

fn check_template(folder: &Path) -> Result<(), FolderError> {
    let file = folder.join("tokenizer_config.json");
    let config = object(&file)?;
    check_end_token(&file, &config)?;
    let (place, template) = if let Some(template) = template_of(&config) {
        (file, template)
    } else {
        let jinja = folder.join("chat_template.jinja");
        if !jinja.exists() {
            let remedy =
                "Add the template there or as chat_template.jinja; instruction-tuned models have one";
            return Err(FolderError::key(&file, "chat_template", "is missing", remedy));
        }
        let template = fs::read_to_string(&jinja)
            .map_err(|source| FolderError::Unreadable { file: jinja.clone(), source })?;
        (jinja, template)
    };
    if template.contains("<|start|>") && template.contains("<|channel|>") && template.contains("<|message|>")
    {
        let remedy = "The library would fetch its vocabulary from the network: choose another model";
        return Err(FolderError::key(&place, "chat_template", "uses the Harmony format", remedy));
    }
    Ok(())
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

/// A template written as text, or the one named `default` of a list.
fn template_of(config: &Map<String, Value>) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|entry| entry.get("template")?.as_str())
            .map(str::to_owned),
        _ => None,
    }
}
