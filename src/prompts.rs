//! Prompts: every text that is put to a model, as a versioned template.
//!
//! Owns the built-in templates, the folder with which a person replaces them, and the reading of answers.
//! Never asks a model.
//!
//! A template names its variables; one that names a variable it is not given is refused when it is read,
//! because a blank in the middle of a question is the kind of fault that nobody sees.

pub mod asking;
mod library;
pub mod reply;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::{Environment, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use library::{BUILT_IN, BuiltIn, COMPACT, Compact};

use crate::gym::hex::hex;
use crate::gym::ports::{PortError, Rendered};

/// Why a prompt cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The folder cannot be read.
    #[error("cannot read the prompts in {path}: {source}")]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file stands for no prompt.
    #[error("{path} replaces no prompt; a file can be named {}", names().join(", "))]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A template is wrong.
    #[error("{path}: {message}\n  it is given: {given}")]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
        /// Variables it may use.
        given: String,
    },
}

/// Which of the built-in texts a teacher is asked with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptSet {
    /// Whole instructions, for any language model.
    #[default]
    Standard,
    /// One line where there is one ([`COMPACT`]), for the embedded teachers.
    Compact,
}

/// The prompts of a run: the built-in ones, some of them replaced. By name, version and text of the replacements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    replaced: BTreeMap<String, (String, String)>,
}

impl Prompts {
    /// The built-in prompts of a set.
    pub fn of(set: PromptSet) -> Self {
        let compact = match set {
            PromptSet::Standard => &[],
            PromptSet::Compact => COMPACT,
        };
        let entry = |prompt: &Compact| {
            (prompt.name.to_owned(), (format!("compact-{}", prompt.version), prompt.text.to_owned()))
        };
        Self { replaced: compact.iter().map(entry).collect() }
    }

    /// The built-in prompts of a set, and for each file `NAME.txt` in a folder its text in the place of the
    /// built-in one. A folder that does not exist replaces nothing.
    pub fn with(set: PromptSet, folder: &Path) -> Result<Self, PromptError> {
        let unreadable = |path: &Path, source| PromptError::Unreadable { path: path.to_owned(), source };
        let Self { mut replaced } = Self::of(set);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self { replaced }),
            entries => entries.map_err(|e| unreadable(folder, e))?,
        };
        for entry in entries {
            let path = entry.map_err(|e| unreadable(folder, e))?.path();
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(built_in) = BUILT_IN.iter().find(|prompt| prompt.name == name) else {
                return Err(PromptError::Unknown { path });
            };
            let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            let sample = built_in.sample();
            if let Err(error) = fill(&text, &sample) {
                let given: Vec<&str> = sample.as_object().into_iter().flatten().map(|(k, _)| &**k).collect();
                let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
                let (message, given) = (format!("{line}{}", said(&error)), given.join(", "));
                return Err(PromptError::Template { path, message, given });
            }
            let digest = Sha256::digest(&text);
            let version = hex(&digest[..4]);
            replaced.insert(name, (version, text));
        }
        Ok(Self { replaced })
    }

    /// Fills in a prompt. A replaced one has the start of its text's hash as version.
    pub fn render(&self, name: &str, values: &Value) -> Result<Rendered, PortError> {
        let (version, text) = match (self.replaced.get(name), BUILT_IN.iter().find(|p| p.name == name)) {
            (Some((version, text)), _) => (version.clone(), text.as_str()),
            (None, Some(built_in)) => (built_in.version.to_string(), built_in.text),
            (None, None) => return Err(PortError::fatal(format!("there is no prompt `{name}`"))),
        };
        let named = format!("{name}@{version}");
        match fill(text, values) {
            Ok(text) => Ok(Rendered { name: named, text }),
            Err(error) => Err(PortError::fatal(format!("prompt `{named}`: {}", said(&error)))),
        }
    }
}

fn names() -> Vec<String> {
    BUILT_IN.iter().map(|prompt| format!("{}.txt", prompt.name)).collect()
}

/// What a template's error says, without the place.
fn said(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn fill(text: &str, values: &Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.render_str(text, values)
}
