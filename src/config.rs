//! Configuration of a run: what a TOML file may say, and where things lie on disk.
//!
//! Owns the keys, their defaults and their error messages. Never starts anything.

mod load;
mod paths;
mod suggest;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gym::budget::Budget;
use crate::gym::episode::{EpisodeRules, Phase};
use crate::gym::ports::{TrainingMethod, TrainingSettings};

pub use load::{BUILT_IN, ConfigError, built_in, parse, read};
pub use paths::{Paths, PathsError, socket};

/// Everything a run is made from. `configs/quickstart.toml` shows every key of the embedded world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the run, unless the command line gives one.
    pub name: String,
    /// Seed of everything random.
    #[serde(default = "one")]
    pub seed: u64,
    /// What the student is tested on.
    pub task: TaskConfig,
    /// The model that learns.
    #[serde(default)]
    pub student: StudentConfig,
    /// How it learns.
    #[serde(default)]
    pub trainer: TrainerConfig,
    /// Who writes the training data.
    #[serde(default)]
    pub agent: AgentConfig,
    /// When to end and where to wait.
    #[serde(default)]
    pub episode: EpisodeConfig,
}

/// What the student is tested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskConfig {
    /// The embedded world of arithmetic problems in 12 skills.
    Arithmetic {
        /// Validation instances per skill.
        #[serde(default = "forty")]
        validation_per_skill: u32,
        /// Test instances per skill.
        #[serde(default = "one_hundred_and_fifty")]
        test_per_skill: u32,
    },
    /// Any file of JSON lines with a question and a numeric answer.
    Jsonl {
        /// The file; a relative path starts at the configuration's folder.
        file: PathBuf,
        /// Name of the task; the file's name when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_name: Option<String>,
        /// Which columns hold what.
        columns: Box<Columns>,
        /// What the student is to answer in training, with `{column}` for values.
        response: String,
        /// Shares of the items per split.
        #[serde(default)]
        shares: Shares,
        /// Names to replace in the skill column, for sources that spell one skill in two ways.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        rename_skills: BTreeMap<String, String>,
    },
}

/// Columns of a JSON-lines task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Unique name of an item; its line number when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns whose texts, joined by a space, are the question.
    pub question: Vec<String>,
    /// Column of the numeric answer.
    pub answer: String,
    /// Column of the gold skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
}

/// Shares of items per split; they need not sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Items an engine may select.
    pub pool: f64,
    /// Items that steer the agent.
    pub validation: f64,
    /// Items that are measured at the end.
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { pool: 0.5, validation: 0.25, test: 0.25 }
    }
}

/// The model that learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudentConfig {
    /// `embedded`, `scripted`, or a Hugging Face model folder.
    pub model: String,
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Worker processes; 0 means one per core.
    pub workers: u32,
    /// Requests in flight per worker. Above 1 the worker proves first that batches change nothing.
    pub in_flight: u32,
    /// Upper limit of an answer in tokens.
    pub max_tokens: u32,
    /// What a `scripted` student does; other models ignore it.
    pub script: ScriptConfig,
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            model: "embedded".into(),
            device: "cpu".into(),
            workers: 0,
            in_flight: 1,
            max_tokens: 64,
            script: ScriptConfig::default(),
        }
    }
}

/// The learning curve of a scripted student: right answers rise from `skill` towards `ceiling`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptConfig {
    /// Share of right answers before training, in `0..=1`.
    pub skill: f64,
    /// Share that training can reach.
    pub ceiling: f64,
    /// Examples after which about two thirds of the way are gone.
    pub examples: f64,
    /// Milliseconds per answer and per optimiser step.
    pub latency_ms: u64,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self { skill: 0.4, ceiling: 0.95, examples: 500.0, latency_ms: 0 }
    }
}

/// Which weights a training starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// The base student, as in the paper's published runs.
    Retrain,
    /// The last checkpoint: cheaper, and equal at equal updates.
    Continue,
}

/// Which parameters are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every parameter.
    Full,
    /// Low-rank adapters on all linear layers.
    Lora,
}

/// How the student learns. Every training uses all accepted data of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// `full` or `lora`.
    pub method: Method,
    /// `retrain` or `continue`.
    pub update: Update,
    /// Rank of the low-rank update.
    pub rank: u32,
    /// Scale numerator of the low-rank update.
    pub alpha: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: u32,
    /// Examples per optimiser step.
    pub batch_size: u32,
    /// Share of steps with rising learning rate.
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest gradient norm.
    pub clip: f64,
    /// Longest example in tokens.
    pub max_length: u32,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            method: Method::Lora,
            update: Update::Retrain,
            rank: 16,
            alpha: 32.0,
            learning_rate: 1e-4,
            epochs: 3,
            batch_size: 16,
            warmup: 0.1,
            weight_decay: 0.0,
            clip: 1.0,
            max_length: 1024,
        }
    }
}

impl TrainerConfig {
    /// The hyper-parameters as the trainer takes them.
    pub fn settings(&self) -> TrainingSettings {
        TrainingSettings {
            method: match self.method {
                Method::Full => TrainingMethod::Full,
                Method::Lora => TrainingMethod::Lora { rank: self.rank, alpha: self.alpha },
            },
            learning_rate: self.learning_rate,
            epochs: self.epochs,
            batch_size: self.batch_size,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            clip: self.clip,
            max_length: self.max_length,
        }
    }
}

/// Who writes the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// `by_error` or `alternating`.
    pub policy: String,
    /// `procedural` (the world's generator) or `selection` (from the pool of a file).
    pub engine: String,
    /// Data asked for per iteration; `by_error` divides it over the skills.
    pub data_per_iteration: u32,
    /// Subskills an explore action of `alternating` adds.
    pub explore_subskills: u32,
    /// Data `alternating` asks for each new subskill.
    pub explore_data: u32,
    /// Data per skill and run after which `alternating` asks for no more; 0 means no limit.
    pub max_data_per_skill: u32,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            policy: "by_error".into(),
            engine: "procedural".into(),
            data_per_iteration: 400,
            explore_subskills: 2,
            explore_data: 30,
            max_data_per_skill: 200,
        }
    }
}

/// When to end and where to wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EpisodeConfig {
    /// Iterations after iteration 0.
    pub iterations: u32,
    /// Accepted training data, cumulative, after which the run ends; 0 means no limit.
    pub training_data: u32,
    /// Plan-generate-check rounds before each training.
    pub rounds: u32,
    /// Measure the test split in every iteration.
    pub test_every_iteration: bool,
    /// Phases before which the run waits for a person.
    pub gates: Vec<Phase>,
    /// How often a phase that failed transiently is tried again.
    pub retries: u32,
}

impl Default for EpisodeConfig {
    fn default() -> Self {
        Self {
            iterations: 4,
            training_data: 0,
            rounds: 1,
            test_every_iteration: false,
            gates: Vec::new(),
            retries: 3,
        }
    }
}

impl EpisodeConfig {
    /// The rules as the state machine takes them.
    pub fn rules(&self) -> EpisodeRules {
        EpisodeRules {
            budget: Budget {
                iterations: self.iterations,
                training_data: (self.training_data > 0).then_some(self.training_data),
            },
            rounds: self.rounds.max(1),
            test_every_iteration: self.test_every_iteration,
            gates: self.gates.iter().copied().collect(),
            retries: self.retries,
        }
    }
}

fn one() -> u64 {
    1
}

fn forty() -> u32 {
    40
}

fn one_hundred_and_fifty() -> u32 {
    150
}
