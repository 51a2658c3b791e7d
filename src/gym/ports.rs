//! Ports: what the gym needs of the world outside, as traits.
//!
//! Calls block; whoever needs concurrency calls from a thread of its own. Errors are texts made for a
//! person: the implementor knows what happened and where.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::datum::{CheckResult, JudgedDatum, TrainingDatum};
use super::instance::{ImageRef, ProgramTest, Split, TaskInstance};
use super::plan::{Allocation, Plan, SkillAction};
use super::prediction::{FinishReason, Prediction};
use super::report::Report;
use super::skill_forest::{SkillForest, SkillTree};
use super::teacher_call::TeacherCall;

/// What went wrong behind a port, and whether the same call may succeed when made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What happened, where, and what to do.
    pub message: String,
    /// Whether a retry can help (a worker died) or cannot (a file is damaged).
    pub transient: bool,
    /// Whether the call ended because it was asked to.
    pub cancelled: bool,
}

impl PortError {
    /// A failure that a retry will not mend.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, cancelled: false }
    }

    /// A failure that a retry may mend.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, cancelled: false }
    }

    /// The call was cancelled.
    pub fn cancelled() -> Self {
        Self { message: "cancelled".to_owned(), transient: false, cancelled: true }
    }
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Sampling {
    /// The most likely token.
    Greedy,
    /// A draw from the tempered distribution.
    Sampled {
        /// Divides the logits; above 0.
        temperature: f64,
        /// Keeps the smallest set of tokens with at least this probability; in `(0, 1]`.
        top_p: f64,
        /// Names the random numbers of this request.
        seed: u64,
    },
}

/// One prompt for a model: a single user turn, rendered with the model's chat template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Text of the user turn.
    pub prompt: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Upper limit of generated tokens; clamped to the model's context.
    pub max_tokens: u32,
    /// JSON schema the answer must obey; free text without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// Images the user turn shows, before its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageRef>,
}

impl ChatRequest {
    /// A question of plain text with an answer of plain text.
    pub fn text(prompt: impl Into<String>, sampling: Sampling, max_tokens: u32) -> Self {
        Self { prompt: prompt.into(), sampling, max_tokens, schema: None, images: Vec::new() }
    }
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatReply {
    /// Generated text without special tokens.
    pub text: String,
    /// Tokens of the rendered question, as far as the model says.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Generated tokens.
    pub tokens: u32,
    /// Why it ended.
    pub finish: FinishReason,
}

/// Where a model or a trainer computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The host's processor.
    #[default]
    Cpu,
    /// A CUDA device by its index among the visible ones.
    Cuda(u32),
    /// The Apple GPU.
    Metal,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// Outcome of the batch self-test: the same prompts alone and together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTest {
    /// Prompts compared.
    pub prompts: u32,
    /// Prompts whose tokens differed.
    pub differing: u32,
}

/// Where a student's weights are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Checkpoint {
    /// A whole model folder.
    Full {
        /// The folder.
        folder: PathBuf,
    },
    /// A PEFT adapter for a base folder.
    Adapter {
        /// The base model's folder.
        base: PathBuf,
        /// The adapter's folder.
        adapter: PathBuf,
    },
}

/// Called with `(index into the requests, reply)` as replies arrive, in any order.
pub type ReplySink<'a> = dyn FnMut(usize, ChatReply) -> ControlFlow<()> + 'a;

/// A language model that answers prompts.
pub trait ChatModel: Send {
    /// Answers every request exactly once, unless the sink breaks or the call fails.
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError>;
}

/// The model that learns: a chat model whose weights can be exchanged.
pub trait Student: ChatModel {
    /// Serves the checkpoint from now on.
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError>;
}

/// How the student is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum TrainingMethod {
    /// Every parameter.
    Full,
    /// Low-rank adapters on all linear layers.
    Lora {
        /// Rank of the update.
        rank: u32,
        /// Scale numerator: the update is multiplied by `alpha / rank`.
        alpha: f64,
    },
}

/// Hyper-parameters of one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// Which parameters are trained.
    #[serde(flatten)]
    pub method: TrainingMethod,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: u32,
    /// Examples per optimiser step.
    pub batch_size: u32,
    /// Share of the steps with rising learning rate, in `0..1`.
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest gradient norm.
    pub clip: f64,
    /// Longest example in tokens; longer ones are cut.
    pub max_length: u32,
}

/// One training: from a checkpoint, on examples, into a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingOrder {
    /// Weights to start from.
    pub start: Checkpoint,
    /// User and assistant turns, in the order of their data's ids.
    pub examples: Vec<(String, String)>,
    /// Hyper-parameters.
    pub settings: TrainingSettings,
    /// Seed of initialisation and order.
    pub seed: u64,
    /// Folder to create; it appears whole or not at all.
    pub output: PathBuf,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingProgress {
    /// Optimiser steps done.
    pub step: u32,
    /// Optimiser steps in all.
    pub steps: u32,
    /// Mean loss per response token of this step, in nats.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Training tokens per second so far.
    pub tokens_per_second: f64,
}

/// What a training left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingOutcome {
    /// The new weights.
    pub checkpoint: Checkpoint,
    /// Optimiser steps done.
    pub steps: u32,
    /// Loss of the last step, in nats per response token.
    pub final_loss: f64,
    /// Tokens trained on, padding excluded, all epochs.
    pub tokens: u64,
}

/// Called after every optimiser step.
pub type TrainingSink<'a> = dyn FnMut(TrainingProgress) -> ControlFlow<()> + 'a;

/// Updates the student.
pub trait Trainer: Send {
    /// Trains to the end, unless the sink breaks or the call fails.
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError>;
}

/// A benchmark: instances, prompt, extraction and scoring.
pub trait Task: Send + Sync {
    /// Name used in records.
    fn name(&self) -> &str;
    /// The instances of a split, in a fixed order.
    fn instances(&self, split: Split) -> &[TaskInstance];
    /// Names of the skills, in display order.
    fn skills(&self) -> Vec<String>;
    /// The student's user turn; the same for the base and the trained student.
    fn prompt(&self, instance: &TaskInstance) -> String;
    /// Upper limit of the student's answer in tokens.
    fn max_tokens(&self) -> u32;
    /// Extracts the answer from a response and judges it.
    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool);
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

/// The state of the skill-tree environment.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillTreeState<'a> {
    /// Iteration being planned, counted from 1.
    pub iteration: u32,
    /// Round within the iteration, counted from 0.
    pub round: u32,
    /// One entry per skill, in forest order.
    pub skills: Vec<SkillState<'a>>,
}

/// Chooses actions from the state.
pub trait Policy: Send + Sync {
    /// Name used in configuration and records.
    fn name(&self) -> &'static str;
    /// One action per skill of the state. `seed` belongs to this plan alone.
    fn plan(&self, state: &SkillTreeState<'_>, seed: u64) -> Vec<SkillAction>;
}

/// Names the subskills that an explore action adds.
pub trait SubskillProposal: Send + Sync {
    /// Up to `count` names the tree does not have.
    fn propose(&self, tree: &SkillTree, count: u32) -> Vec<String>;
    /// How many names are left to propose.
    fn remaining(&self, tree: &SkillTree) -> usize;
}

/// What an engine is told beside the allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineContext {
    /// Seed of the run.
    pub seed: u64,
    /// Iteration, counted from 1.
    pub iteration: u32,
    /// Round within the iteration, counted from 0.
    pub round: u32,
    /// Index of the allocation in the plan.
    pub allocation: u32,
}

/// Turns one allocation into training data.
pub trait Engine: Send + Sync {
    /// Name used in configuration and provenance.
    fn name(&self) -> &'static str;
    /// At most `allocation.count` data; the same for the same context. Ids are set by the caller.
    /// `used` says whether a pool instance was selected before in this run.
    fn generate(
        &self,
        allocation: &Allocation,
        context: EngineContext,
        used: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<TrainingDatum>, PortError>;
}

/// Judges one datum.
pub trait Check: Send + Sync {
    /// Result for a datum; data are handed over in the order of their ids.
    fn check(&mut self, datum: &TrainingDatum) -> CheckResult;
}

/// The durable memory of a run. The runner's is a database; the library's lies in memory.
pub trait Ledger {
    /// Predictions already committed for an iteration and split.
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError>;
    /// Commits predictions; one that exists already is replaced.
    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError>;
    /// Every datum of the run, in the order of their ids.
    fn data(&self) -> Result<Vec<JudgedDatum>, PortError>;
    /// Replaces the data of one round.
    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError>;
    /// Every datum of one round, in the order of their ids.
    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError>;
    /// The answered teacher call of this id.
    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError>;
    /// Commits teacher calls; one that exists already is replaced.
    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError>;
    /// Keeps an image and returns its reference; the same bytes are kept once.
    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError>;
    /// Appends a point of a training curve.
    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError>;
}

/// What a finished phase adds to the facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A student was evaluated.
    Evaluated {
        /// The scores.
        report: Report,
    },
    /// A policy planned.
    Planned {
        /// What is asked for.
        plan: Plan,
        /// The forest after the actions.
        forest: SkillForest,
    },
    /// The engine wrote data.
    Generated {
        /// Number of data.
        count: u32,
    },
    /// Data were checked.
    Checked {
        /// Data that will be trained on.
        accepted: u32,
        /// Data that will not.
        rejected: u32,
        /// The forest with the new counts.
        forest: SkillForest,
    },
    /// The student was trained, or there was nothing to train on.
    Trained {
        /// The outcome; `None` when no data had been accepted so far.
        outcome: Option<TrainingOutcome>,
    },
}

/// Runs a program that a model wrote. No implementor yet: programming comes with its sandbox.
pub trait Sandbox: Send {
    /// Whether each test passed, in order.
    fn run(&mut self, program: &str, tests: &[ProgramTest]) -> Result<Vec<bool>, PortError>;
}

/// An encoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// MIME type, for example `image/png`.
    pub media_type: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// Draws an image from a description.
pub trait TextToImage: Send {
    /// The image; the same for the same description and seed.
    fn draw(&mut self, description: &str, seed: u64) -> Result<Drawing, PortError>;
}
