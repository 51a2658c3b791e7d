//! Configuration of a run: what a TOML file may say, and where things lie on disk.
//!
//! Owns the keys, their defaults and their error messages. Never starts anything.

mod benchmark;
mod check;
mod document;
mod endpoints;
mod environment;
mod files;
mod flags;
mod kinds;
mod layers;
mod mistake;
mod origin;
mod paths;
mod presets;
mod ready;
mod schema;
mod shape;
mod socket;
mod sources;
mod suggest;
#[cfg(test)]
mod tests;
mod trainer;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::engines::EngineChoice;
use crate::agents::policies::{ByError, PolicyChoice, Random};
use crate::checks::CheckSettings;
use crate::gym::budget::{Budget, Plateau};
use crate::gym::episode::{EpisodeRules, Phase};
use crate::gym::instance::Domain;
use crate::gym::ports::{Endpoint, EnvironmentKind, Precision, Quantisation, Serving};
use crate::prompts::PromptSet;
use crate::skills::{SkillsChoice, SubskillsChoice};

pub use benchmark::{BenchmarkConfig, BenchmarkSource, PromptStyle, ScoringConfig};
pub use endpoints::{ENDPOINT, Member, endpoint_names};
pub use files::{PROJECT_FILE, project_file};
pub use layers::{Resolved, check, read, resolve};
pub use mistake::{ConfigError, Mistake, Mistakes};
pub use origin::Origin;
pub use paths::{Paths, PathsError, run_key};
pub use presets::PRESETS;
pub use ready::{READY, about, ready};
use schema::{DEVICE, DEVICE_RULE, NAME, NAME_RULE};
pub use schema::{choices, text as schema};
pub use socket::{private_folder, socket};
pub use sources::{Flag, Layer, Sources};
pub(crate) use suggest::nearest;
pub use trainer::{Method, TrainerConfig, Update};

/// Names of the embedded teachers, the better one first.
pub const EMBEDDED_TEACHERS: [&str; 2] = ["embedded", "embedded-weak"];

/// Everything a run is made from. `configs/quickstart.toml` shows every key of the embedded world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the run, unless the command line gives one.
    #[schemars(regex(pattern = NAME), extend("patternErrorMessage" = NAME_RULE))]
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
    /// What the agent sees and does.
    #[serde(default)]
    pub environment: EnvironmentConfig,
    /// Where the task's skills come from.
    #[serde(default)]
    pub skills: SkillsChoice,
    /// The data generation policy.
    #[serde(default = "by_error")]
    pub policy: PolicyChoice,
    /// The data generation engine.
    #[serde(default = "procedural")]
    pub engine: EngineChoice,
    /// Whom the engine asks.
    #[serde(default)]
    pub teacher: TeacherConfig,
    /// A second model that solves data anew for the check `agreement` (`checks.votes`), with the keys of `teacher`; with
    /// `model = "none"` the teacher does.
    #[serde(default)]
    pub verifier: TeacherConfig,
    /// Models behind an OpenAI-compatible interface, by name: `model = "endpoint:NAME"` asks one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Endpoint>,
    /// How data are checked, and which checks reject.
    #[serde(default)]
    pub checks: CheckSettings,
    /// When to end and where to wait.
    #[serde(default)]
    pub episode: EpisodeConfig,
}

/// What the student is tested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// A small world of one domain without meaning, for scripted models: it exercises everything but skill.
    Scripted {
        /// The domain.
        domain: Domain,
        /// Skills of the world.
        #[serde(default = "four")]
        skills: u32,
        /// Instances per skill and split.
        #[serde(default = "ten")]
        per_skill: u32,
    },
    /// Any file of JSON lines with a question and an answer.
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
        /// How an answer is found and compared.
        #[serde(default)]
        scoring: AnswerScoring,
        /// What is around the question, for the base and the trained student alike.
        #[serde(default = "bare")]
        prompt: PromptStyle,
        /// Worked examples of a `few_shot` prompt.
        #[serde(default = "four")]
        shots: u32,
    },
    /// A published benchmark of mathematics from its own files.
    Benchmark(Box<BenchmarkConfig>),
    /// Several benchmarks at once; reports keep them apart.
    Several {
        /// The benchmarks. Data that an engine writes have the form of the one whose question it was shown first.
        benchmarks: Vec<BenchmarkConfig>,
    },
}

/// How the answers of a JSON-lines task are found and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerScoring {
    /// Answers are plain numbers: the one behind the last `####`, else the last one.
    #[default]
    Numeric,
    /// Answers are mathematics in LaTeX or plain text.
    Strict,
    /// As the reference scores MATH, with its answer line and its blemishes.
    Parity,
}

/// Columns of a JSON-lines task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Unique name of an item; its line number when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns whose texts, joined by a space, are the question.
    pub question: Vec<String>,
    /// Column of the answer.
    pub answer: String,
    /// Column of the gold skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Column of the subject: reports are divided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Column of the level, a number or a name: reports are divided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// Shares of items per split; they need not sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Items an engine may select.
    #[schemars(range(min = 0))]
    pub pool: f64,
    /// Items that steer the agent.
    #[schemars(range(min = 0))]
    pub validation: f64,
    /// Items that are measured at the end.
    #[schemars(range(min = 0))]
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { pool: 0.5, validation: 0.25, test: 0.25 }
    }
}

/// The model that learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StudentConfig {
    /// `embedded`, `scripted`, a Hugging Face model folder, a model of the hub as `hub:organisation/name` (with
    /// `@revision`, otherwise the run keeps the commit it begins with), or `endpoint:NAME`; `endpoint:A*3,B` asks
    /// several by weight. A GGUF file can be asked, but not trained.
    pub model: String,
    /// The same weights as a model of this machine, for the trainer, where `model` is an endpoint.
    pub weights: String,
    /// `cpu`, `cuda:0`, `cuda:0,cuda:1`, `metal`: several GPUs share the questions.
    #[schemars(regex(pattern = DEVICE), extend("patternErrorMessage" = DEVICE_RULE))]
    pub device: String,
    /// Worker processes; 0 means one per core, and on GPUs one per device.
    pub workers: u32,
    /// Threads of each worker on the processor: 1 is fastest for a small model, with a worker per core; 0 shares the
    /// cores among the workers, for a model too large to be held once per core.
    pub threads: u32,
    /// Requests in flight per worker. Above 1 the worker proves first that batches change nothing.
    #[schemars(range(min = 1))]
    pub in_flight: u32,
    /// Numbers it computes with.
    pub precision: Precision,
    /// Quantisation of its linear layers while loading.
    pub quantisation: Quantisation,
    /// Longest question and answer together, in tokens, that memory is planned for; the model's own limit where
    /// that is smaller.
    #[schemars(range(min = 1))]
    pub context: u32,
    /// Whether its workers stay loaded while the trainer works; otherwise they end, and their memory is the
    /// trainer's.
    pub keep_while_training: bool,
    /// Upper limit of an answer in tokens.
    #[schemars(range(min = 1))]
    pub max_tokens: u32,
    /// What a `scripted` student does; other models ignore it.
    pub script: ScriptConfig,
}

impl StudentConfig {
    /// How its workers serve it.
    pub fn serving(&self) -> Serving {
        let &Self { in_flight, precision, quantisation, context, .. } = self;
        Serving { in_flight, precision, quantisation, context }
    }
}

impl TeacherConfig {
    /// How its workers serve it.
    pub fn serving(&self) -> Serving {
        let &Self { in_flight, precision, quantisation, context, .. } = self;
        Serving { in_flight, precision, quantisation, context }
    }

    /// The built-in texts that it is asked with.
    pub fn prompt_set(&self) -> PromptSet {
        match self.prompts {
            TeacherPrompts::Auto if EMBEDDED_TEACHERS.contains(&self.model.as_str()) => PromptSet::Compact,
            TeacherPrompts::Auto | TeacherPrompts::Standard => PromptSet::Standard,
            TeacherPrompts::Compact => PromptSet::Compact,
        }
    }
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            model: "embedded".into(),
            weights: "embedded".into(),
            device: "cpu".into(),
            workers: 0,
            threads: 1,
            in_flight: 1,
            precision: Precision::Auto,
            quantisation: Quantisation::None,
            context: Serving::default().context,
            keep_while_training: false,
            max_tokens: 64,
            script: ScriptConfig::default(),
        }
    }
}

/// The learning curve of a scripted student: right answers rise from `skill` towards `ceiling`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptConfig {
    /// Share of right answers before training, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub skill: f64,
    /// Share that training can reach.
    #[schemars(range(min = 0, max = 1))]
    pub ceiling: f64,
    /// Examples after which about two thirds of the way are gone.
    #[schemars(range(min = 0))]
    pub examples: f64,
    /// Milliseconds per answer and per optimiser step.
    pub latency_ms: u64,
    /// Share of answers that no scorer understands.
    #[schemars(range(min = 0, max = 1))]
    pub malformed: f64,
    /// Share of first attempts at a prompt that fail; the second succeeds.
    #[schemars(range(min = 0, max = 1))]
    pub failing: f64,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self { skill: 0.4, ceiling: 0.95, examples: 500.0, latency_ms: 0, malformed: 0.0, failing: 0.0 }
    }
}

/// What the agent sees and does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// `open_ended`, `skill_list` or `skill_tree`.
    pub kind: EnvironmentKind,
    /// `with`: the agent sees the student's results; `none`: random training instances in their place, or in
    /// the skill tree explore and exploit by fair coin, whatever the policy.
    pub state: StateConfig,
    /// Who names the subskills of an explore action: `listed`, the source or the file with the skills, or
    /// `taught`, the teacher.
    pub subskills: SubskillsChoice,
}

/// Whether the agent sees the student's results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateConfig {
    /// It does.
    #[default]
    With,
    /// It does not.
    None,
}

/// Whom the engine asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherConfig {
    /// `none`, `scripted`, `embedded`, `embedded-weak`, a Hugging Face model folder, a GGUF file, a model of the hub as
    /// `hub:organisation/name`, or `endpoint:NAME`; `endpoint:A*3,B` asks several by weight.
    pub model: String,
    /// `cpu`, `cuda:0`, `cuda:0,cuda:1`, `metal`: several GPUs share the questions.
    #[schemars(regex(pattern = DEVICE), extend("patternErrorMessage" = DEVICE_RULE))]
    pub device: String,
    /// Worker processes; 0 means one per core, and on GPUs one per device.
    pub workers: u32,
    /// Threads of each worker on the processor: 1 is fastest for a small model, with a worker per core; 0 shares the
    /// cores among the workers, for a model too large to be held once per core.
    pub threads: u32,
    /// Requests in flight per worker. Above 1 the worker proves first that batches change nothing.
    #[schemars(range(min = 1))]
    pub in_flight: u32,
    /// Numbers it computes with.
    pub precision: Precision,
    /// Quantisation of its linear layers while loading.
    pub quantisation: Quantisation,
    /// Longest question and answer together, in tokens, that memory is planned for; the model's own limit where
    /// that is smaller.
    #[schemars(range(min = 1))]
    pub context: u32,
    /// The texts it is asked with; a person's own come before either.
    pub prompts: TeacherPrompts,
    /// Whether its workers stay loaded while the trainer works.
    pub keep_while_training: bool,
    /// What a `scripted` teacher does; other models ignore it.
    pub script: TeacherScript,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            model: "none".into(),
            device: "cpu".into(),
            workers: 0,
            threads: 1,
            in_flight: 1,
            precision: Precision::Auto,
            quantisation: Quantisation::None,
            context: 2 * Serving::default().context,
            prompts: TeacherPrompts::Auto,
            keep_while_training: true,
            script: TeacherScript::default(),
        }
    }
}

/// The texts that a teacher is asked with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeacherPrompts {
    /// Compact ones for the embedded teachers, standard ones for others.
    #[default]
    Auto,
    /// Whole instructions, for any language model.
    Standard,
    /// The single lines that the embedded teachers learned, where there is one.
    Compact,
}

/// What a scripted teacher does. Shares are of its answers, drawn from the run's seed and the question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherScript {
    /// Milliseconds per answer.
    pub latency_ms: u64,
    /// Share of answers that break off.
    #[schemars(range(min = 0, max = 1))]
    pub truncated: f64,
    /// Share of answers that are no JSON.
    #[schemars(range(min = 0, max = 1))]
    pub malformed: f64,
    /// Share of entries that repeat an earlier one.
    #[schemars(range(min = 0, max = 1))]
    pub repeated: f64,
    /// Share of calls that fail and succeed when made again.
    #[schemars(range(min = 0, max = 1))]
    pub failing: f64,
}

/// When to end and where to wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EpisodeConfig {
    /// Iterations after iteration 0.
    pub iterations: u32,
    /// Accepted training data, cumulative, after which the run ends; 0 means no limit. Not one more is accepted,
    /// unless a person does.
    pub training_data: u32,
    /// Tokens of all models after which the run ends: teacher questions and answers, student answers, tokens
    /// trained on; 0 means no limit.
    pub tokens: u64,
    /// Tokens of the teacher's questions and answers in one phase, and of the verifier's, after which no further question
    /// is sent and the run pauses; 0 means no limit.
    pub phase_tokens: u64,
    /// Money that endpoints may be paid, in the currency of their prices; 0 means no limit. Nothing is sent that
    /// could go beyond it.
    #[schemars(range(min = 0))]
    pub money: f64,
    /// Minutes of finished phases after which the run ends; 0 means no limit.
    #[schemars(range(min = 0))]
    pub minutes: f64,
    /// Ends the run when validation accuracy stops rising.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
    /// Plan-generate-check rounds before each training.
    #[schemars(range(min = 1))]
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
            tokens: 0,
            phase_tokens: 0,
            money: 0.0,
            minutes: 0.0,
            plateau: None,
            rounds: 1,
            test_every_iteration: false,
            gates: Vec::new(),
            retries: 3,
        }
    }
}

impl Config {
    /// The rules as the state machine takes them.
    pub fn rules(&self) -> EpisodeRules {
        let episode = &self.episode;
        EpisodeRules {
            environment: self.environment.kind,
            budget: Budget {
                iterations: episode.iterations,
                training_data: (episode.training_data > 0).then_some(episode.training_data),
                tokens: (episode.tokens > 0).then_some(episode.tokens),
                phase_tokens: (episode.phase_tokens > 0).then_some(episode.phase_tokens),
                money: (episode.money > 0.0).then_some(episode.money),
                time_ms: (episode.minutes > 0.0).then_some((episode.minutes * 60_000.0) as u64),
                plateau: episode.plateau,
            },
            rounds: episode.rounds.max(1),
            test_every_iteration: episode.test_every_iteration,
            gates: episode.gates.iter().copied().collect(),
            retries: episode.retries,
        }
    }

    /// Whether anything asks the teacher.
    pub fn asks(&self) -> bool {
        let explores = self.environment.kind == EnvironmentKind::SkillTree;
        self.engine.asks()
            || self.acting_policy().build().asks()
            || (explores && self.environment.subskills == SubskillsChoice::Taught)
            || matches!(self.skills, SkillsChoice::Discovered(_))
            || (self.checks.votes > 0 && !self.verifies())
    }

    /// Whether a model of its own solves data anew, in the teacher's place.
    pub fn verifies(&self) -> bool {
        self.checks.votes > 0 && self.verifier.model != "none"
    }

    /// The built-in texts that the teacher is asked with.
    pub fn prompt_set(&self) -> PromptSet {
        self.teacher.prompt_set()
    }

    /// Whether plans name subskills that no source lists.
    pub fn invents_subskills(&self) -> bool {
        let blind = self.environment.state == StateConfig::None;
        match self.environment.kind {
            EnvironmentKind::SkillTree => self.environment.subskills == SubskillsChoice::Taught,
            _ => !blind && matches!(&self.policy, PolicyChoice::Hypotheses(policy) if policy.ask),
        }
    }

    /// The policy that acts: in the skill tree without a state the fair coin takes the place of another one.
    pub fn acting_policy(&self) -> PolicyChoice {
        let blind = self.environment.state == StateConfig::None;
        match (&self.policy, self.environment.kind) {
            (PolicyChoice::Random(_), _) => self.policy.clone(),
            (_, EnvironmentKind::SkillTree) if blind => PolicyChoice::Random(Random::default()),
            _ => self.policy.clone(),
        }
    }
}

fn by_error() -> PolicyChoice {
    PolicyChoice::ByError(ByError::default())
}

fn procedural() -> EngineChoice {
    EngineChoice::Procedural {}
}

fn one() -> u64 {
    1
}

fn bare() -> PromptStyle {
    PromptStyle::Bare
}

fn four() -> u32 {
    4
}

fn ten() -> u32 {
    10
}

fn forty() -> u32 {
    40
}

fn one_hundred_and_fifty() -> u32 {
    150
}
