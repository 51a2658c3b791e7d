//! Environments: what the agent sees, what it may do, and the phases as code.
//!
//! Owns the performing of one phase over the ports, the same for the runner's durable driver and for
//! [`Environment`] in memory. Never chooses which phase comes next: that is the episode's.

mod lists;
mod memory;
mod perform;
mod review;
mod skill_tree;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::checks::CheckSettings;
use crate::gym::episode::Work;
use crate::gym::ports::{
    Checkpoint, Engine, Policy, SkillDiscovery, Student, SubskillProposal, Task, TextToImage, Trainer,
    TrainingProgress, TrainingSettings,
};
use crate::prompts::Prompts;

pub use memory::{Environment, MemoryLedger};
pub use perform::perform;
pub use review::review;

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
    /// Whom the agent asks, if it asks anybody.
    pub teacher: Option<TeacherSource>,
    /// The prompts it asks with.
    pub prompts: Arc<Prompts>,
    /// Who solves data anew; the teacher where there is none.
    pub verifier: Option<Verifier>,
    /// Who finds the skills of the task, where they are not known beforehand.
    pub discovery: Option<Arc<dyn SkillDiscovery>>,
    /// Whether the agent is shown nothing of the student (`state = "none"`). In the skill-tree environment
    /// the policy sees to that.
    pub hidden: bool,
    /// How data are checked, and which checks reject.
    pub checks: CheckSettings,
    /// The untrained student.
    pub base: Checkpoint,
    /// How it is trained.
    pub training: TrainingSettings,
    /// Whether a training starts from the last checkpoint instead of the base.
    pub continues: bool,
    /// Which models keep their memory while the trainer works.
    pub stays: Stays,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder for checkpoints; every training makes one folder in it.
    pub checkpoints: PathBuf,
}

/// Which models keep their memory while the trainer works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stays {
    /// The student.
    pub student: bool,
    /// The teacher.
    pub teacher: bool,
    /// The verifier.
    pub verifier: bool,
}

/// A teacher's name and weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeacherSource {
    /// Name in records; part of the id of every call.
    pub name: String,
    /// The weights.
    pub checkpoint: Checkpoint,
}

/// A model that solves data anew in the teacher's place.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// Its name and weights.
    pub source: TeacherSource,
    /// The prompts it is asked with.
    pub prompts: Arc<Prompts>,
}

/// The models a run works with.
pub struct Models<'a> {
    /// The student.
    pub student: &'a mut dyn Student,
    /// The trainer.
    pub trainer: &'a mut dyn Trainer,
    /// The teacher, if there is one.
    pub teacher: Option<&'a mut dyn Student>,
    /// The verifier, if there is one.
    pub verifier: Option<&'a mut dyn Student>,
    /// The text-to-image model, if there is one.
    pub painter: Option<&'a mut dyn TextToImage>,
}

impl<'a> Models<'a> {
    /// A student and its trainer, and nobody to ask.
    pub fn new(student: &'a mut dyn Student, trainer: &'a mut dyn Trainer) -> Self {
        Self { student, trainer, teacher: None, verifier: None, painter: None }
    }
}

/// How far the running work is; handed to whoever watches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moment {
    /// Items done.
    pub done: u64,
    /// Items in all.
    pub total: u64,
    /// Whether the items are answers of models that are asked on the way, instead of the phase's own.
    pub asking: bool,
    /// Tokens generated so far.
    pub tokens: u64,
    /// Correct answers so far.
    pub correct: u64,
    /// The last optimiser step.
    pub training: Option<TrainingProgress>,
}

/// Called with the running work's progress; may be called often.
pub type Watch<'a> = dyn FnMut(Work, Moment) + 'a;
