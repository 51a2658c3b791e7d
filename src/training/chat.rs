//! From text to tokens as the inference side will see them: the folder's own chat template and tokenizer.

use super::batch::Encoded;
use super::error::TrainingError;
use crate::chat_template::{self, ChatTemplate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// Tokenizer, template and end token of a model folder.
#[derive(Debug)]
pub struct ChatFormat {
    tokenizer: Tokenizer,
    tokenizer_path: PathBuf,
    template_path: PathBuf,
    template: ChatTemplate,
    /// Everything that ends a response; what training teaches comes first.
    ends: Vec<u32>,
    /// Tokens with which the template opens the answer, whatever the prompt.
    tail: usize,
}

/// The bytes of a file by name, if there is one.
type FileSource<'source> = dyn Fn(&str) -> Result<Option<Vec<u8>>, TrainingError> + 'source;

/// The ids of an `eos_token_id`, which may be a number or a list.
fn end_ids(json: &Value) -> Vec<u32> {
    let field = json.get("eos_token_id").unwrap_or(&Value::Null);
    let all = field.as_array().map_or(std::slice::from_ref(field), Vec::as_slice);
    all.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect()
}

impl ChatFormat {
    /// Reads `tokenizer.json`, `tokenizer_config.json` (or `chat_template.jinja`) and the end token's id
    /// (`generation_config.json`, then `config.json`, then the name in `tokenizer_config.json`).
    pub fn load(folder: &Path) -> Result<Self, TrainingError> {
        Self::build(folder, &|name: &str| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(TrainingError::read(&path, error)),
            }
        })
    }

    /// From files that are not written yet; `folder` is for messages.
    pub(super) fn from_parts(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<Self, TrainingError> {
        Self::build(folder, &|name: &str| {
            Ok(files.iter().find(|(other, _)| *other == name).map(|(_, bytes)| bytes.clone()))
        })
    }

    fn build(folder: &Path, file: &FileSource<'_>) -> Result<Self, TrainingError> {
        let needed = |name: &str| {
            let absent = || TrainingError::read(&folder.join(name), std::io::ErrorKind::NotFound.into());
            file(name)?.ok_or_else(absent)
        };
        let json = |name: &str, bytes: &[u8]| -> Result<Value, TrainingError> {
            serde_json::from_slice(bytes)
                .map_err(|source| TrainingError::Json { path: folder.join(name), source })
        };
        let tokenizer_path = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::from_bytes(needed("tokenizer.json")?)
            .map_err(|e| TrainingError::tokenizer(&tokenizer_path, e))?;
        let config_path = folder.join("tokenizer_config.json");
        let config = json("tokenizer_config.json", &needed("tokenizer_config.json")?)?;
        let (template_path, template) = match file(chat_template::FILE)? {
            Some(bytes) => (folder.join(chat_template::FILE), String::from_utf8_lossy(&bytes).into_owned()),
            None => match chat_template::written(&config) {
                Some(text) => (config_path.clone(), text.to_owned()),
                None => return Err(TrainingError::field(&config_path, "chat_template", "is missing")),
            },
        };
        let template = ChatTemplate::new(template, &config)
            .map_err(|problem| TrainingError::Template { path: template_path.clone(), problem })?;
        let named = |name: &str| -> Result<Vec<u32>, TrainingError> {
            Ok(file(name)?
                .map(|bytes| json(name, &bytes))
                .transpose()?
                .as_ref()
                .map_or_else(Vec::new, end_ids))
        };
        let mut ends = named("generation_config.json")?;
        if ends.is_empty() {
            ends = named("config.json")?;
        }
        let own = tokenizer.token_to_id(template.eos());
        if ends.is_empty() {
            ends.extend(own);
        }
        if ends.is_empty() {
            return Err(TrainingError::field(&config_path, "eos_token", "is missing"));
        }
        let mut format = Self { tokenizer, tokenizer_path, template_path, template, ends, tail: 0 };
        // Of several ends the one that the template itself puts after an answer is the one to teach.
        let taught = format.after_an_answer().or(own);
        if let Some(at) = format.ends.iter().position(|end| Some(*end) == taught) {
            format.ends.swap(0, at);
        }
        format.tail = format.common_tail()?;
        Ok(format)
    }

    /// The first end that the template puts after an assistant's message; templates that only take a user's
    /// message have none.
    fn after_an_answer(&self) -> Option<u32> {
        let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
        let answer = "An answer.";
        let text =
            self.render_messages(&json!([turn("user", "A question?"), turn("assistant", answer)]), false);
        let text = text.ok()?;
        let (_, after) = text.rsplit_once(answer)?;
        self.ids(after).ok()?.into_iter().find(|id| self.ends.contains(id))
    }

    /// Tokens that two different prompts end with.
    fn common_tail(&self) -> Result<usize, TrainingError> {
        let (one, two) = (self.encode_prompt("What is it?")?, self.encode_prompt("Name 7")?);
        Ok(one.iter().rev().zip(two.iter().rev()).take_while(|(a, b)| a == b).count())
    }

    /// The id that training puts after a response.
    pub fn end(&self) -> u32 {
        self.ends.first().copied().unwrap_or(0)
    }

    /// Every id that ends a response.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Tokens with which the template opens the answer, whatever the prompt.
    pub(super) fn tail(&self) -> usize {
        self.tail
    }

    /// Refuses a tokenizer that knows more tokens than the model.
    pub(super) fn check_fits(&self, vocabulary: usize) -> Result<(), TrainingError> {
        let own = self.tokenizer.get_vocab_size(true);
        if own <= vocabulary {
            return Ok(());
        }
        let problem = format!("it knows {own} tokens, the model only {vocabulary}");
        Err(TrainingError::tokenizer(&self.tokenizer_path, problem))
    }

    /// The template's text for one user message, generation prompt included.
    pub fn render(&self, prompt: &str) -> Result<String, TrainingError> {
        self.render_messages(&json!([{ "role": "user", "content": prompt }]), true)
    }

    fn render_messages(
        &self,
        messages: &Value,
        add_generation_prompt: bool,
    ) -> Result<String, TrainingError> {
        let rendered = self.template.render(messages, add_generation_prompt);
        rendered.map_err(|problem| TrainingError::Template { path: self.template_path.clone(), problem })
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, TrainingError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding = encoding.map_err(|error| TrainingError::tokenizer(&self.tokenizer_path, error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of a token in the vocabulary.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The token of a text in the vocabulary.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Token ids of a rendered prompt.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>, TrainingError> {
        self.ids(&self.render(prompt)?)
    }

    /// The text of response tokens, special ones left out.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, TrainingError> {
        let text = self.tokenizer.decode(tokens, true);
        text.map_err(|error| TrainingError::tokenizer(&self.tokenizer_path, error))
    }

    /// Prompt, response and end token.
    pub(super) fn encode(&self, prompt: &str, response: &str) -> Result<Encoded, TrainingError> {
        let mut tokens = self.encode_prompt(prompt)?;
        let prompt = tokens.len();
        tokens.extend(self.ids(response)?);
        tokens.push(self.end());
        Ok(Encoded { tokens, prompt })
    }
}
