//! The runs there are and new ones, as the screen knows them. The doing is the caller's.

use std::path::PathBuf;

use crate::gym::statistics::Estimate;

/// One run on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// A word or two: `running`, `finished`.
    pub state: String,
    /// Iterations after iteration 0.
    pub iterations: usize,
    /// The newest validation accuracy.
    pub accuracy: Option<Estimate>,
    /// Milliseconds since it was made.
    pub age_ms: u64,
}

/// Lists, makes and deletes runs. Called on a thread of its own; an error is a sentence for a person.
pub trait Runs: Send + Sync {
    /// Every run that can be read, newest first.
    fn list(&self) -> Vec<RunRow>;
    /// Names of the configurations compiled in, with what each is.
    fn ready(&self) -> Vec<(String, String)>;
    /// Makes a run of a ready configuration and starts it; returns its folder.
    fn create(&self, configuration: &str) -> Result<PathBuf, String>;
    /// Deletes a run that nothing works on.
    fn delete(&self, name: &str) -> Result<(), String>;
}

/// A caller that keeps no runs.
#[derive(Debug, Clone, Copy)]
pub struct NoRuns;

impl Runs for NoRuns {
    fn list(&self) -> Vec<RunRow> {
        Vec::new()
    }

    fn ready(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn create(&self, _: &str) -> Result<PathBuf, String> {
        Err("runs cannot be made from here; use `dataenvgym run`".into())
    }

    fn delete(&self, _: &str) -> Result<(), String> {
        Err("runs cannot be deleted from here".into())
    }
}

/// What is asked of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunsOrder {
    List,
    Ready,
    Create(String),
    Delete(String),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunsNews {
    Listed(Vec<RunRow>),
    Ready(Vec<(String, String)>),
    Created(Result<PathBuf, String>),
    Deleted(String, Result<(), String>),
}

impl RunsOrder {
    pub(crate) fn carry_out(self, runs: &dyn Runs) -> RunsNews {
        match self {
            Self::List => RunsNews::Listed(runs.list()),
            Self::Ready => RunsNews::Ready(runs.ready()),
            Self::Create(name) => RunsNews::Created(runs.create(&name)),
            Self::Delete(name) => {
                let done = runs.delete(&name);
                RunsNews::Deleted(name, done)
            }
        }
    }
}
