//! What can be wrong with files that are exchanged.

use std::path::{Path, PathBuf};

use crate::gym::ports::PortError;
use crate::store::StoreError;

/// Why an export or an import did not happen. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The system refused a file or folder.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One record of a file is not what it should be.
    #[error("{path}, {unit} {number}: {message}")]
    Row {
        /// The file.
        path: PathBuf,
        /// `line` or `row`.
        unit: &'static str,
        /// Counted from 1.
        number: u64,
        /// What is wrong and what to do.
        message: String,
    },
    /// A file or folder as a whole is not what it should be.
    #[error("{path}: {message}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// What was asked for cannot be done.
    #[error("{0}")]
    Asked(String),
    /// A run's database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run's database did not take a record.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ExchangeError {
    /// Names the path in what the system said.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Something about a file as a whole.
    pub(super) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), message: message.into() }
    }
}

/// Where a record stands in its file; turns a message into an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) path: &'a Path,
    pub(super) unit: &'static str,
    pub(super) number: u64,
}

impl Spot<'_> {
    pub(super) fn error(self, message: impl Into<String>) -> ExchangeError {
        let (path, message) = (self.path.to_owned(), message.into());
        ExchangeError::Row { path, unit: self.unit, number: self.number, message }
    }
}
