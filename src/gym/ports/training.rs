//! Ports of training.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Checkpoint, PortError};

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

impl Default for TrainingSettings {
    /// The house's LoRA: rank 16, alpha 32, all linear layers, 1e-4, 3 epochs.
    fn default() -> Self {
        Self {
            method: TrainingMethod::Lora { rank: 16, alpha: 32.0 },
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
