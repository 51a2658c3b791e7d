//! Ports of the agent: policies, proposals of subskills, data generation engines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChatRequest, PortError};
use crate::gym::datum::TrainingDatum;
use crate::gym::instance::{ImageRef, TaskInstance};
use crate::gym::plan::{Allocation, SkillAction};
use crate::gym::prediction::Prediction;
use crate::gym::skill_forest::SkillTree;
use crate::gym::teacher_call::TeacherCall;

/// The three environments of the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentKind {
    /// The state is a list of errors.
    OpenEnded,
    /// The state is the errors by skill.
    SkillList,
    /// The state is a forest of skills and subskills with its history.
    #[default]
    SkillTree,
}

impl EnvironmentKind {
    /// The word used in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenEnded => "open_ended",
            Self::SkillList => "skill_list",
            Self::SkillTree => "skill_tree",
        }
    }
}

/// An instance with the student's answer to it; without one it is an example in an error's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Example<'a> {
    /// The question and the truth.
    pub instance: &'a TaskInstance,
    /// What the student answered.
    pub prediction: Option<&'a Prediction>,
}

/// Which plan is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanContext {
    /// Iteration being planned, counted from 1.
    pub iteration: u32,
    /// Round within the iteration, counted from 0.
    pub round: u32,
    /// Belongs to this plan alone.
    pub seed: u64,
}

/// A skill with what the student got wrong in it.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillErrors<'a> {
    /// Name of the skill.
    pub skill: &'a str,
    /// Validation accuracy now, in `0..=1`; `None` where the state is hidden.
    pub accuracy: Option<f64>,
    /// Validation questions behind the accuracy.
    pub questions: u32,
    /// Errors, or random training instances where the state is hidden, in a fixed order.
    pub examples: Vec<Example<'a>>,
    /// What the student got right in it, in the order of the split; empty where the state is hidden.
    pub solved: Vec<Example<'a>>,
    /// What was tried on it so far, oldest first; empty where the state is hidden.
    pub trials: Vec<Trial>,
}

/// What one iteration did to a skill: data in, accuracy before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Iteration, counted from 1.
    pub iteration: u32,
    /// Training data the skill got in it.
    pub data: u32,
    /// Validation accuracy before it, in `0..=1`.
    pub before: f64,
    /// Validation accuracy after its training, once it is known.
    pub after: Option<f64>,
}

impl Trial {
    /// Change of the skill's validation accuracy, once it is known.
    pub fn gain(&self) -> Option<f64> {
        self.after.map(|after| after - self.before)
    }
}

/// What the skill-tree environment shows a policy about one skill.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillState<'a> {
    /// The tree with its history.
    pub tree: &'a SkillTree,
    /// Validation accuracy now, in `0..=1`.
    pub accuracy: f64,
    /// Validation questions behind the accuracy.
    pub questions: u32,
    /// Subskills an explore action could still add.
    pub unexplored: usize,
}

/// What an environment shows a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum State<'a> {
    /// Errors in the order of the validation split, or random training instances in their place.
    OpenEnded(Vec<Example<'a>>),
    /// The skills of the validation split, each with its errors.
    SkillList(Vec<SkillErrors<'a>>),
    /// The forest.
    SkillTree(Vec<SkillState<'a>>),
}

impl State<'_> {
    /// Whose state it is.
    pub fn kind(&self) -> EnvironmentKind {
        match self {
            Self::OpenEnded(_) => EnvironmentKind::OpenEnded,
            Self::SkillList(_) => EnvironmentKind::SkillList,
            Self::SkillTree(_) => EnvironmentKind::SkillTree,
        }
    }
}

/// What a policy decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Data asked for directly: open-ended and skill-list.
    Allocations(Vec<Allocation>),
    /// One action per skill: skill-tree.
    Actions(Vec<SkillAction>),
}

/// A prompt with its values filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Which prompt it is, as `name@version`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// The teacher of a run, behind the run's prompts and the cache of its calls.
pub trait Teacher {
    /// Fills in a prompt of the run's library.
    fn render(&self, prompt: &str, values: &serde_json::Value) -> Result<Rendered, PortError>;
    /// Asks, in parallel as far as it can; answers come in the order of the questions. A question that was
    /// answered before in this run is answered from the ledger.
    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError>;
    /// Asks, and says how far the work is while answers come: `holds` tells how many items of it the answer to
    /// the question of an index holds.
    fn ask_counted(
        &mut self,
        questions: Vec<Question>,
        holds: &dyn Fn(usize, &str) -> u64,
    ) -> Result<Vec<TeacherCall>, PortError> {
        let _ = holds;
        self.ask(questions)
    }
    /// Notes that an answer could not be used.
    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError>;
}

/// How often the student answers one question rightly.
#[derive(Debug, Clone, PartialEq)]
pub struct PassRate {
    /// The question, by [`TaskInstance::id`].
    pub instance: String,
    /// Its skill.
    pub skill: String,
    /// Right answers.
    pub right: u32,
    /// Answers, at least 1.
    pub answers: u32,
}

impl PassRate {
    /// Share of right answers, in `0..=1`.
    pub fn rate(&self) -> f64 {
        f64::from(self.right) / f64::from(self.answers.max(1))
    }
}

/// What a policy may use while it plans.
pub trait PlanAids: Teacher {
    /// The pass rate of every validation question, in the order of the split, from so many sampled answers of
    /// the student as it is now; with 0 from the one greedy answer of the evaluation. Nothing where the state
    /// is hidden.
    fn pass_rates(&mut self, samples: u32) -> Result<Vec<PassRate>, PortError>;
    /// Questions of the pool with their answers, to show what the task is like.
    fn pool(&self) -> &[TaskInstance] {
        &[]
    }
    /// Share of its training data that the student solved before it was trained on them, by
    /// `(skill, subskill)`, as far as that was checked; the mean over the newest round of each.
    fn training_accuracy(&self) -> Result<BTreeMap<(String, String), f64>, PortError>;
}

/// Chooses what to ask the engine for.
pub trait Policy: Send + Sync {
    /// Name used in configuration and records.
    fn name(&self) -> &'static str;
    /// One line for a person who chooses among policies.
    fn about(&self) -> &'static str;
    /// Environments it can act in; a state of another one is never shown to it.
    fn environments(&self) -> &'static [EnvironmentKind];
    /// Whether it asks the teacher.
    fn asks(&self) -> bool {
        false
    }
    /// The decision; the same for the same state, context and answers.
    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError>;
}

/// Names the subskills that an explore action adds.
pub trait SubskillProposal: Send + Sync {
    /// For every tree up to as many names as are wanted, none of which the tree has, each once.
    fn propose(
        &self,
        wanted: &[(&SkillTree, u32)],
        teacher: &mut dyn Teacher,
    ) -> Result<Vec<Vec<String>>, PortError>;
    /// How many names are left to propose.
    fn remaining(&self, tree: &SkillTree) -> usize;
}

/// Finds the skills of a task's instances, once, before the first phase does anything.
pub trait SkillDiscovery: Send + Sync {
    /// Whether they are found.
    fn found(&self) -> bool;
    /// Finds them. What the teacher answered is asked only once in a run.
    fn discover(&self, teacher: &mut dyn Teacher) -> Result<(), PortError>;
}

/// The work of an engine: one round's allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineJob<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Iteration, counted from 1.
    pub iteration: u32,
    /// Round within the iteration, counted from 0.
    pub round: u32,
    /// What is asked for, in order.
    pub allocations: &'a [Allocation],
}

/// A question to the teacher.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Which prompt asks, as `name@version`.
    pub prompt: String,
    /// Index of the allocation it serves.
    pub allocation: Option<u32>,
    /// The question itself.
    pub request: ChatRequest,
}

/// What an engine may use while it works.
pub trait EngineAids: Teacher {
    /// Whether a pool instance was selected before in this run.
    fn used(&self, instance: &str) -> bool;
    /// An instance an allocation shows, with the student's answer.
    fn shown(&self, instance: &str) -> Option<Example<'_>>;
    /// Draws an image and keeps it.
    fn draw(&mut self, description: &str, seed: u64) -> Result<ImageRef, PortError>;
    /// Says how many data are written so far.
    fn wrote(&mut self, data: u64);
}

/// Turns a round's allocations into training data.
pub trait Engine: Send + Sync {
    /// Name used in configuration and provenance.
    fn name(&self) -> &'static str;
    /// At most `count` data per allocation, in the order of the allocations; the same for the same job.
    /// Ids are set by the caller.
    fn generate(
        &self,
        job: &EngineJob<'_>,
        aids: &mut dyn EngineAids,
    ) -> Result<Vec<TrainingDatum>, PortError>;
}
