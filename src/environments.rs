//! Environments: what the agent sees, what it may do, and the phases as code.
//!
//! Owns the performing of one phase over the ports, the same for the runner's durable driver and for
//! [`Environment`] in memory. Never chooses which phase comes next: that is the episode's.

mod memory;
mod perform;
mod skill_tree;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::gym::episode::Work;
use crate::gym::ports::{
    Checkpoint, Engine, Policy, Student, SubskillProposal, Task, Trainer, TrainingProgress, TrainingSettings,
};

pub use memory::{Environment, MemoryLedger};
pub use perform::perform;
pub use skill_tree::plan_skill_tree;

/// Everything that stays the same during a run, as one thing to hand around.
#[derive(Clone)]
pub struct Scene {
    /// What the student is tested on.
    pub task: Arc<dyn Task>,
    /// Who plans.
    pub policy: Arc<dyn Policy>,
    /// Who names subskills.
    pub proposal: Arc<dyn SubskillProposal>,
    /// Who writes data.
    pub engine: Arc<dyn Engine>,
    /// The untrained student.
    pub base: Checkpoint,
    /// How it is trained.
    pub training: TrainingSettings,
    /// Whether a training starts from the last checkpoint instead of the base.
    pub continues: bool,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder for checkpoints; every training makes one folder in it.
    pub checkpoints: PathBuf,
}

/// The models a run works with.
pub struct Models<'a> {
    /// The student.
    pub student: &'a mut dyn Student,
    /// The trainer.
    pub trainer: &'a mut dyn Trainer,
}

/// How far the running work is; handed to whoever watches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moment {
    /// Items done.
    pub done: u64,
    /// Items in all.
    pub total: u64,
    /// Tokens generated so far.
    pub tokens: u64,
    /// Correct answers so far.
    pub correct: u64,
    /// The last optimiser step.
    pub training: Option<TrainingProgress>,
}

/// Called with the running work's progress; may be called often.
pub type Watch<'a> = dyn FnMut(Work, Moment) + 'a;
