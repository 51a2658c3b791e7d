//! The run database: the only source of truth of a run.
//!
//! Owns the schema, the journal, and the queries of the screen. One process writes ([`Store`], held by the
//! runner), any number read ([`Reader`]). Never decides what a run does next.

mod access;
mod artifacts;
mod check;
pub mod copies;
mod filters;
mod full;
mod index;
mod journal;
mod listing;
mod members;
mod place;
mod reader;
mod scan;
mod schema;
mod shelves;
mod snapshot;
pub mod spending;
mod wal;
mod words;
mod writer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gym::episode::{EpisodeRules, Event};
use crate::gym::instance::TaskInstance;
use crate::gym::ports::PortError;
use crate::gym::prediction::Prediction;

pub use artifacts::{artifact_folder, artifact_path, put_artifact, read_artifact};
pub use filters::{CallFilter, DataFilter, PredictionFilter};
pub use index::Kind;
pub use listing::{At, COUNTED_HITS, Count, Patience, Slice};
pub use place::Place;
pub use reader::Reader;
pub use writer::Store;

#[cfg(test)]
mod tests;

/// Name of the database file in a run folder.
pub const DATABASE: &str = "run.db";

/// Version of the database engine.
pub fn engine_version() -> &'static str {
    rusqlite::version()
}

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

/// A prediction with its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPrediction {
    /// The question and the truth.
    pub instance: TaskInstance,
    /// The student's answer.
    pub prediction: Prediction,
}

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseTiming {
    /// Iteration.
    pub iteration: u32,
    /// Round within the iteration.
    pub round: u32,
    /// Word of the phase.
    pub phase: String,
    /// Word of the split, empty unless it is an evaluation.
    pub split: String,
    /// Milliseconds since the Unix epoch.
    pub began_ms: i64,
    /// Milliseconds since the Unix epoch; `None` while it runs.
    pub ended_ms: Option<i64>,
}

/// A command as one client asked for it, once however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Unique among all requests of the run.
    pub id: String,
    /// Who asked, in words.
    pub origin: String,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Number of the entry.
    pub seq: i64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who asked for it, where somebody did.
    pub request: Option<Request>,
    /// What happened.
    pub event: Event,
}

/// What to do about a damaged file.
const RESTORE: &str =
    "put a copy of the run's folder in its place, or remove the folder and start the run again";

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
    /// It is a database, but not of a run.
    #[error("{path} is a database of another program or of an unreleased version; {RESTORE}")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// An older database is in use, so that it cannot be brought to the current schema.
    #[error(
        "{path} has the older schema {found} and is open elsewhere; end the run and its terminals, then try again"
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// Commits in the write-ahead log cannot be read.
    #[error(
        "{path}: commits of this log cannot be read, they are damaged; {RESTORE}; or give up what follows the \
         damage: remove the `-shm` file beside it, then `truncate -s {keep} {path}`"
    )]
    Log {
        /// The log.
        path: PathBuf,
        /// Bytes of it that can be read.
        keep: u64,
    },
    /// The database engine failed.
    #[error("{path}: {source}; {}", remedy(source))]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A file or folder could not be read or made.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row holds something this program did not write.
    #[error("{path}: table `{table}` is damaged: {message}; {RESTORE}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A number is beyond what a place can hold.
    #[error(
        "{path}: record {ordinal} of round {round} of iteration {iteration} has no place; a run holds 16384 \
         iterations of 1024 rounds of 8388608 records"
    )]
    Full {
        /// The database.
        path: PathBuf,
        /// Iteration of the record.
        iteration: u32,
        /// Its round.
        round: u32,
        /// Its number in the round.
        ordinal: usize,
    },
    /// A prediction is for an instance the run does not have.
    #[error(
        "{path} has no {split} instance `{id}`; the run was created with other instances, start a new one"
    )]
    NoInstance {
        /// The database.
        path: PathBuf,
        /// The split.
        split: &'static str,
        /// The instance.
        id: String,
    },
}

/// What a person can do about an error of the database engine.
fn remedy(source: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match source.sqlite_error_code() {
        Some(Code::DiskFull) => "make room on the disk and resume the run",
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            "another program holds it: end that one and try again"
        }
        Some(Code::CannotOpen | Code::ReadOnly | Code::PermissionDenied) => {
            "make sure that you may read and write this file and its folder"
        }
        Some(Code::SystemIoFailure) => "look at the disk; the run can be resumed when it works again",
        Some(Code::ConstraintViolation) => "an id is used twice; report this as a defect of the engine",
        _ => RESTORE,
    }
}

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        Self::fatal(error.to_string())
    }
}
