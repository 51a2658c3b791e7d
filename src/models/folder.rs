//! The check of a model folder before anything loads it.
//!
//! Libraries answer a damaged folder with a panic, with a request to the network, or not at all; here
//! each fault has a name, a place and a remedy. Nothing is changed on disk.

mod adapter;
mod config;
mod error;
mod size;
mod tokenizer;
mod weights;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::checksums;

pub use adapter::{AdapterFolder, check_adapter};
pub(super) use config::LARGEST;
pub use config::ModelConfig;
pub use error::FolderError;
pub use size::ModelSize;
pub use tokenizer::Tokens;
#[cfg(feature = "mistralrs")]
pub(super) use weights::{INDEX, chosen};
pub use weights::{TensorEntry, Weights};

/// A model folder that passed every check.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// What `config.json` says.
    pub config: ModelConfig,
    /// The tokenizer and the tokens that end an answer.
    pub tokens: Tokens,
    /// Name, type and shape of every tensor.
    pub weights: Weights,
}

/// Checks a Hugging Face model folder: `config.json`, `tokenizer.json`, `tokenizer_config.json` (or a
/// chat template file) and every `*.safetensors`; the bytes too, where a list of checksums lies beside them.
///
/// # Errors
/// The first fault found, in that order.
pub fn check(path: &Path) -> Result<ModelFolder, FolderError> {
    if !path.is_dir() {
        return Err(FolderError::Missing { folder: path.to_owned() });
    }
    checksums::verify(path)?;
    let config = config::check(path)?;
    let tokens = tokenizer::check(path, config.vocabulary)?;
    let weights = weights::check(path)?;
    config::check_against(path, &config, &weights)?;
    Ok(ModelFolder { path: path.to_owned(), config, tokens, weights })
}

/// Checks tokenizer and chat template of a folder alone, for a model with so many rows of embeddings.
///
/// # Errors
/// The first fault found.
pub(super) fn check_tokens(path: &Path, vocabulary: usize) -> Result<Tokens, FolderError> {
    tokenizer::check(path, vocabulary)
}

impl ModelFolder {
    /// How large it is.
    pub fn size(&self) -> ModelSize {
        ModelSize::of_folder(&self.config, &self.weights)
    }
}

/// A file that has to be there and has to be a JSON object.
fn object(file: &Path) -> Result<Map<String, Value>, FolderError> {
    let text = fs::read_to_string(file)
        .map_err(|source| FolderError::Unreadable { file: file.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| FolderError::NotJson { file: file.to_owned(), source })
}
