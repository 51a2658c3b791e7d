//! `[trainer]`: how the student learns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{DEVICE, DEVICE_RULE};
use crate::gym::ports::{TrainingMethod, TrainingSettings};

/// Which weights a training starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// The base student, as in the paper's published runs.
    Retrain,
    /// The last checkpoint: cheaper, and equal at equal updates.
    Continue,
}

/// Which parameters are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every parameter.
    Full,
    /// Low-rank adapters on all linear layers.
    Lora,
}

/// How the student learns. Every training uses all accepted data of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// `full` or `lora`.
    pub method: Method,
    /// `retrain` or `continue`.
    pub update: Update,
    /// Where it computes: `cpu`, or one or several of `cuda:0`, `cuda:1` ... that share the training of an adapter.
    #[schemars(regex(pattern = DEVICE), extend("patternErrorMessage" = DEVICE_RULE))]
    pub device: String,
    /// Rank of the low-rank update.
    #[schemars(range(min = 1))]
    pub rank: u32,
    /// Scale numerator of the low-rank update.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub alpha: f64,
    /// Peak learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Passes over the data.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Examples per optimiser step.
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// Share of steps with rising learning rate.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Largest gradient norm.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub clip: f64,
    /// Longest example in tokens.
    #[schemars(range(min = 1))]
    pub max_length: u32,
    /// Most tokens in one forward and backward pass.
    #[schemars(range(min = 1))]
    pub micro_tokens: u32,
    /// Whether layers are computed again in the backward pass instead of kept.
    pub checkpointing: bool,
    /// Share of a training that replays data of earlier iterations beside the new; 0 trains on all alike.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub replay: f64,
    /// Share of the examples held out to measure the loss after every epoch.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub held_out: f64,
    /// Epochs without a lower held-out loss after which training ends; 0 for never.
    pub patience: u32,
    /// Seconds between two savings of an unfinished training.
    pub save_seconds: u32,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            method: Method::Lora,
            update: Update::Retrain,
            device: "cpu".into(),
            rank: 16,
            alpha: 32.0,
            learning_rate: 1e-4,
            epochs: 3,
            batch_size: 16,
            warmup: 0.1,
            weight_decay: 0.0,
            clip: 1.0,
            max_length: 1024,
            micro_tokens: 4096,
            checkpointing: false,
            replay: 0.0,
            held_out: 0.0,
            patience: 0,
            save_seconds: 60,
        }
    }
}

impl TrainerConfig {
    /// The hyper-parameters as the trainer takes them, on the processor.
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
            micro_tokens: self.micro_tokens,
            checkpointing: self.checkpointing,
            replay: self.replay,
            held_out: self.held_out,
            patience: self.patience,
            save_seconds: self.save_seconds,
            devices: Vec::new(),
        }
    }
}
