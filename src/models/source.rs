//! Where a model comes from: a folder in the Hugging Face layout, or a GGUF file.

use std::path::Path;

use super::folder::{self, FolderError, ModelFolder, ModelSize, Tokens};
use super::gguf::{self, GgufFile};

/// A model on disk that passed every check of its kind.
#[derive(Debug, Clone)]
pub enum Source {
    /// Safetensors with tokenizer and configuration.
    Folder(Box<ModelFolder>),
    /// One quantised file. It can be asked, and not trained.
    Gguf(Box<GgufFile>),
}

/// Checks what lies at `path`: a file is a GGUF, anything else a folder.
///
/// # Errors
/// The first fault found.
pub fn check(path: &Path) -> Result<Source, FolderError> {
    if path.is_file() {
        return gguf::check(path).map(|file| Source::Gguf(Box::new(file)));
    }
    folder::check(path).map(|folder| Source::Folder(Box::new(folder)))
}

impl Source {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => &folder.path,
            Self::Gguf(file) => &file.path,
        }
    }

    /// Its tokens.
    pub fn tokens(&self) -> &Tokens {
        match self {
            Self::Folder(folder) => &folder.tokens,
            Self::Gguf(file) => &file.tokens,
        }
    }

    /// How large it is.
    pub fn size(&self) -> ModelSize {
        match self {
            Self::Folder(folder) => folder.size(),
            Self::Gguf(file) => file.size,
        }
    }
}
