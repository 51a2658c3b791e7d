//! Faults of a model folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::checksums::ChecksumError;

/// A fault of a model or adapter folder: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file of a checkpoint is not what was written.
    #[error(transparent)]
    Damaged(#[from] ChecksumError),
    /// The folder does not exist.
    #[error(
        "{}: there is no such model folder or GGUF file. Check the path in the configuration. Of a path this program \
         downloads nothing: fetch the folder from its hub first, or write `hub:organisation/name`",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A needed file is missing or cannot be read.
    #[error("{}: cannot be read ({source}). Copy the file again, or choose another folder", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the JSON object it should be.
    #[error("{}: is not valid JSON ({source}). Copy the file again", file.display())]
    NotJson {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A key is missing, wrong or not supported.
    #[error("{}: `{key}` {problem}. {remedy}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The tokenizer cannot be built.
    #[error("{}: is not a tokenizer ({problem}). Copy the file again", file.display())]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// What the library said.
        problem: String,
    },
    /// The folder holds no weights.
    #[error(
        "{}: holds no *.safetensors file. Convert the weights to safetensors, choose another folder, or name a GGUF file \
         by its path",
        folder.display()
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// A safetensors header is damaged.
    #[error("{}: the safetensors header is damaged ({problem}). Copy the file again", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A safetensors file has another length than its header says.
    #[error(
        "{}: the file has {found} bytes, its header says {expected}. It was cut or not fully copied: copy it again",
        file.display()
    )]
    Length {
        /// The file.
        file: PathBuf,
        /// Bytes by the header.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A GGUF file does not follow its format.
    #[error("{}: {problem}. Copy the file again, or choose another one", file.display())]
    Gguf {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Tensor and configuration disagree.
    #[error("{}: tensor `{tensor}` {problem}. The files do not belong together: copy the whole folder again", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
}

impl FolderError {
    /// A fault of one key.
    pub(in crate::models) fn key(
        file: &Path,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Key {
            file: file.to_owned(),
            key: key.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
