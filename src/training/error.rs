//! What can go wrong in training, each with what to do about it.

use super::config::Family;
use crate::checksums::ChecksumError;
use std::path::{Path, PathBuf};

/// A failed training, load or export. Messages name the file and the key.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A file is not what was written.
    #[error(transparent)]
    Damaged(#[from] ChecksumError),
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{} is not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// A configuration field is missing or has a value that the trainer cannot use.
    #[error("{}: field `{field}` {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A model family this trainer does not know.
    #[error("{}: architecture `{found}` cannot be trained here (supported: {})", path.display(), families())]
    Architecture {
        /// The configuration file.
        path: PathBuf,
        /// What it names.
        found: String,
    },
    /// A damaged safetensors file.
    #[error("{} is not a whole safetensors file: {source}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that the configuration calls for is missing or unusable.
    #[error("{}: tensor `{key}` {problem}", path.display())]
    Tensor {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokenizer cannot be loaded, trained or applied.
    #[error("{}: {problem}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The chat template cannot be rendered.
    #[error("{}: the chat template cannot be rendered: {problem}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What the renderer says.
        problem: String,
    },
    /// The order itself makes no sense.
    #[error("the training order is not usable: {0}")]
    Job(String),
    /// A trained tensor got no gradient on the first step.
    #[error("`{name}` is to be trained but got no gradient")]
    NoGradient {
        /// The variable.
        name: String,
    },
    /// Loss or gradients are no longer finite.
    #[error("training diverged at step {step}: {what} is not finite")]
    Diverged {
        /// Optimiser step, from 1.
        step: usize,
        /// The loss or a variable.
        what: String,
    },
    /// The caller asked to stop; the state was saved, the output was not written.
    #[error("training was stopped at step {step}")]
    Stopped {
        /// Optimiser steps done.
        step: usize,
    },
    /// A device is not there or not compiled in.
    #[error("cannot train on {device}: {problem}")]
    Device {
        /// The device.
        device: String,
        /// What the library says.
        problem: String,
    },
    /// The training thread could not be started or died.
    #[error("the training thread failed: {0}")]
    Thread(String),
    /// A tensor operation failed.
    #[error("a tensor operation failed: {0}")]
    Operation(#[from] candle_core::Error),
}

/// The class names of the families that can be trained.
fn families() -> String {
    Family::ALL.map(|(_, name)| name).join(", ")
}

impl TrainingError {
    /// A stop after a known number of steps; anything else as it is.
    pub(super) fn at(self, step: usize) -> Self {
        if matches!(self, Self::Stopped { .. }) { Self::Stopped { step } } else { self }
    }

    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn field(path: &Path, field: &str, problem: impl Into<String>) -> Self {
        Self::Field { path: path.to_owned(), field: field.to_owned(), problem: problem.into() }
    }

    pub(super) fn tensor(path: &Path, key: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { path: path.to_owned(), key: key.to_owned(), problem: problem.into() }
    }

    pub(super) fn tokenizer(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Tokenizer { path: path.to_owned(), problem: format!("{problem}") }
    }

    /// What the reader can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "a checkpoint can be copied back, or trained again from the one before",
            Self::Read { .. } => "check the path and its permissions",
            Self::Write { .. } => "check free space and permissions of the folder",
            Self::Json { .. } | Self::Safetensors { .. } => "the file is damaged: copy or download it again",
            Self::Field { .. } | Self::Tensor { .. } => {
                "the folder does not describe a model this trainer knows: use an unmodified Hugging Face folder"
            }
            Self::Architecture { .. } => "choose a student of one of these families",
            Self::Tokenizer { .. } => "the folder needs a tokenizer.json of the `tokenizers` library",
            Self::Template { .. } => "use a model whose template renders a plain user message",
            Self::Job(_) => "correct the training settings",
            Self::NoGradient { .. } | Self::Operation(_) | Self::Thread(_) => {
                "this is a defect: please report it"
            }
            Self::Device { .. } => "name another device, or build the program for this one",
            Self::Diverged { .. } => "lower the learning rate",
            Self::Stopped { .. } => "start the same training again to go on from there",
        }
    }
}
