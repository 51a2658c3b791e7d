//! Ports of the agent: policies, proposals of subskills, data generation engines.

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
    /// Errors, or random training instances where the state is hidden, in a fixed order.
    pub examples: Vec<Example<'a>>,
}

/// What the skill-tree environment shows a policy about one skill.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillState<'a> {
    /// The tree with its history.
    pub tree: &'a SkillTree,
    /// Validation accuracy now, in `0..=1`.
    pub accuracy: f64,
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

/// Chooses what to ask the engine for.
pub trait Policy: Send + Sync {
    /// Name used in configuration and records.
    fn name(&self) -> &'static str;
    /// Environments it can act in; a state of another one is never shown to it.
    fn environments(&self) -> &'static [EnvironmentKind];
    /// The decision; the same for the same state and context.
    fn plan(&self, state: &State<'_>, context: PlanContext) -> Result<Decision, PortError>;
}

/// Names the subskills that an explore action adds.
pub trait SubskillProposal: Send + Sync {
    /// Up to `count` names the tree does not have.
    fn propose(&self, tree: &SkillTree, count: u32) -> Vec<String>;
    /// How many names are left to propose.
    fn remaining(&self, tree: &SkillTree) -> usize;
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
pub trait EngineAids {
    /// Whether a pool instance was selected before in this run.
    fn used(&self, instance: &str) -> bool;
    /// An instance an allocation shows, with the student's answer.
    fn shown(&self, instance: &str) -> Option<Example<'_>>;
    /// Asks the teacher, in parallel as far as it can; answers come in the order of the questions. A
    /// question that was answered before in this run is answered from the ledger.
    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError>;
    /// Notes that an answer could not be used.
    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError>;
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
