//! The runs there are and new ones, as the screen knows them. The doing is the caller's.

use std::path::{Path, PathBuf};

use super::compare::{Named, compare};
pub use super::new_run::Setting;
use crate::analysis::compare::Comparison;
use crate::gym::instance::Split;
use crate::gym::statistics::Estimate;

/// One run on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Where its database lies now.
    pub database: PathBuf,
    /// A word or two: `running`, `finished`.
    pub state: String,
    /// Iterations after iteration 0.
    pub iterations: usize,
    /// The newest validation accuracy.
    pub accuracy: Option<Estimate>,
    /// Milliseconds since it was made.
    pub age_ms: u64,
}

/// How bad a finding on this machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be, or worth knowing.
    Ok,
    /// Works, with a loss.
    Warn,
    /// Runs cannot work.
    Fail,
}

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub remedy: String,
}

/// Values of a configuration that a person changed, by key with dots.
pub type Changes = Vec<(String, String)>;

/// Lists, makes and deletes runs. Called on a thread of its own; an error is a sentence for a person.
pub trait Runs: Send + Sync {
    /// Every run that can be read, newest first.
    fn list(&self) -> Vec<RunRow>;
    /// What a run can be made of, the configurations compiled in first, with what each is.
    fn ready(&self) -> Vec<(String, String)>;
    /// The values of a ready configuration that matter, in the order in which they are asked for.
    fn settings(&self, configuration: &str) -> Result<Vec<Setting>, String>;
    /// Whether the configuration with these changes is sound; makes nothing.
    fn check(&self, configuration: &str, changes: &Changes) -> Result<(), String>;
    /// Makes a run of a ready configuration with changes and starts it; returns its folder.
    fn create(&self, configuration: &str, changes: &Changes) -> Result<PathBuf, String>;
    /// Has a run go on in the background; returns what came of it, in words that follow the run's name.
    fn resume(&self, folder: &Path) -> Result<String, String>;
    /// Deletes a run that nothing works on.
    fn delete(&self, name: &str) -> Result<(), String>;
    /// What this machine has and lacks.
    fn doctor(&self) -> Vec<Finding>;
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

    fn settings(&self, _: &str) -> Result<Vec<Setting>, String> {
        Ok(Vec::new())
    }

    fn check(&self, _: &str, _: &Changes) -> Result<(), String> {
        Ok(())
    }

    fn create(&self, _: &str, _: &Changes) -> Result<PathBuf, String> {
        Err("runs cannot be made from here; use `dataenvgym run`".into())
    }

    fn resume(&self, _: &Path) -> Result<String, String> {
        Err("runs cannot be resumed from here; use `dataenvgym run --name`".into())
    }

    fn delete(&self, _: &str) -> Result<(), String> {
        Err("runs cannot be deleted from here".into())
    }

    fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// What is asked of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunsOrder {
    List,
    Ready,
    Settings(String),
    Check { configuration: String, changes: Changes },
    Create { configuration: String, changes: Changes },
    Resume { name: String, folder: PathBuf },
    Delete(String),
    Doctor,
    Compare { runs: Vec<Named>, split: Split },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunsNews {
    Listed(Vec<RunRow>),
    Ready(Vec<(String, String)>),
    Settings { configuration: String, settings: Result<Vec<Setting>, String> },
    Checked { changes: Changes, result: Result<(), String> },
    Created(Result<PathBuf, String>),
    Resumed { name: String, result: Result<String, String> },
    Deleted(String, Result<(), String>),
    Doctor(Vec<Finding>),
    Compared { runs: Vec<Named>, split: Split, result: Result<Comparison, String> },
}

impl RunsOrder {
    pub(crate) fn carry_out(self, runs: &dyn Runs) -> RunsNews {
        match self {
            Self::List => RunsNews::Listed(runs.list()),
            Self::Ready => RunsNews::Ready(runs.ready()),
            Self::Settings(configuration) => {
                let settings = runs.settings(&configuration);
                RunsNews::Settings { configuration, settings }
            }
            Self::Check { configuration, changes } => {
                let result = runs.check(&configuration, &changes);
                RunsNews::Checked { changes, result }
            }
            Self::Create { configuration, changes } => {
                RunsNews::Created(runs.create(&configuration, &changes))
            }
            Self::Resume { name, folder } => {
                let result = runs.resume(&folder);
                RunsNews::Resumed { name, result }
            }
            Self::Doctor => RunsNews::Doctor(runs.doctor()),
            Self::Compare { runs, split } => {
                let result = compare(&runs, split);
                RunsNews::Compared { runs, split, result }
            }
            Self::Delete(name) => {
                let done = runs.delete(&name);
                RunsNews::Deleted(name, done)
            }
        }
    }
}
