//! Data generation engines.

mod procedural;
mod selection;
mod taught;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use procedural::Procedural;
pub use selection::Selection;
pub use taught::{Layout, Taught, TaughtSettings};

use crate::gym::datum::Provenance;
use crate::gym::plan::Allocation;
use crate::gym::ports::{Engine, EngineAids, EngineJob, Task};

/// An engine with its parameters, as a configuration names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EngineChoice {
    /// The embedded world's own generator: always right.
    Procedural {},
    /// Instances of the task's pool with their solutions.
    Selection {},
    /// A teacher writes the data.
    Taught(TaughtSettings),
}

impl EngineChoice {
    /// The engine for a task.
    pub fn build(&self, task: &Arc<dyn Task>) -> Arc<dyn Engine> {
        match self {
            Self::Procedural {} => Arc::new(Procedural),
            Self::Selection {} => Arc::new(Selection::new(Arc::clone(task))),
            Self::Taught(settings) => Arc::new(Taught::new(settings.clone(), Arc::clone(task))),
        }
    }

    /// Every engine with its defaults.
    pub fn all() -> Vec<Self> {
        vec![Self::Procedural {}, Self::Selection {}, Self::Taught(TaughtSettings::default())]
    }

    /// One line for a person who chooses among engines.
    pub fn about(&self) -> &'static str {
        match self {
            Self::Procedural {} => "problems of the embedded world from its own generator: always right",
            Self::Selection {} => "instances of the task's pool with their solutions, each at most once",
            Self::Taught(_) => "a teacher writes the data, in the form the student is asked in",
        }
    }

    /// Whether it asks a teacher.
    pub fn asks(&self) -> bool {
        matches!(self, Self::Taught(_))
    }
}

/// The skill and subskill a draw is for. An allocation without them takes those of the shown instances in
/// turn; what no instance tells stays open.
fn target(allocation: &Allocation, aids: &dyn EngineAids, draw: u64) -> (Option<String>, Option<String>) {
    let given = |name: &String| (!name.is_empty()).then(|| name.clone());
    let (skill, subskill) = (given(&allocation.skill), given(&allocation.subskill));
    if subskill.is_some() || allocation.shown.is_empty() {
        return (skill, subskill);
    }
    let place = draw as usize % allocation.shown.len();
    let shown = aids.shown(&allocation.shown[place]).map(|example| example.instance);
    (skill.or_else(|| shown?.skill.clone()), shown.and_then(|instance| instance.subskill.clone()))
}

/// Where the datum of a draw comes from.
fn provenance(engine: &str, job: &EngineJob<'_>, allocation: usize, draw: u64) -> Provenance {
    Provenance {
        iteration: job.iteration,
        round: job.round,
        engine: engine.to_owned(),
        allocation: allocation as u32,
        draw,
        source_errors: job.allocations[allocation].shown.clone(),
        source_instance: None,
        teacher_call: None,
    }
}
