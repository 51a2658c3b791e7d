//! The run database: the only source of truth of a run.
//!
//! Owns the schema, the journal, and the queries of the screen. One process writes ([`Store`], held by the
//! runner), any number read ([`Reader`]). Never decides what a run does next.

mod artifacts;
mod reader;
mod schema;
mod writer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gym::episode::EpisodeRules;
use crate::gym::ports::PortError;

pub use artifacts::{artifact_path, read_artifact};
pub use reader::{DataFilter, JournalEntry, PhaseTiming, PredictionFilter, Reader, ScoredPrediction};
pub use writer::Store;

#[cfg(test)]
mod tests;

/// Name of the database file in a run folder.
pub const DATABASE: &str = "run.db";

/// What is fixed when a run is created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Name of the run; also the name of its folder.
    pub name: String,
    /// Name of the task.
    pub task: String,
    /// Name of the data generation policy.
    pub policy: String,
    /// Name of the data generation engine.
    pub engine: String,
    /// What the student is, in words: folder or `embedded`.
    pub student: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Version of the program that created the run.
    pub version: String,
    /// Rules of the episode.
    pub rules: EpisodeRules,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// Why the run database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database.
    #[error("no run at {0}: there is no {DATABASE} in this folder")]
    NoRun(PathBuf),
    /// There is one already.
    #[error("a run exists already at {0}; choose another name")]
    Exists(PathBuf),
    /// It was written by a newer program.
    #[error("{path} has schema {found}, this program knows {known}; use a newer program")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The database engine failed.
    #[error("{path}: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A folder could not be made.
    #[error("{path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row holds something this program did not write.
    #[error("{path}: a row of `{table}` is damaged: {message}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        Self::fatal(error.to_string())
    }
}

/// Names the file in whatever the database engine says.
#[derive(Debug, Clone)]
struct Context {
    path: PathBuf,
}

impl Context {
    fn new(folder: &Path) -> Self {
        Self { path: folder.join(DATABASE) }
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|source| StoreError::Database { path: self.path.clone(), source })
    }

    fn json<T: serde::de::DeserializeOwned>(&self, table: &'static str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| StoreError::Damaged {
            path: self.path.clone(),
            table,
            message: e.to_string(),
        })
    }

    fn text<T: Serialize>(&self, table: &'static str, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|e| StoreError::Damaged {
            path: self.path.clone(),
            table,
            message: e.to_string(),
        })
    }
}
