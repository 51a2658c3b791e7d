//! Ports of training.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Checkpoint, Device, PortError};

/// How the student is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum TrainingMethod {
    /// Every parameter; the result is a model folder.
    Full,
    /// Low-rank adapters on all linear layers; the result is a PEFT adapter folder.
    Lora {
        /// Rank of the update.
        rank: u32,
        /// Scale numerator: the update is multiplied by `alpha / rank`.
        alpha: f64,
    },
}

/// Hyper-parameters of one training. They and the order decide the result; machines and threads do not. Devices do:
/// every number of them has its own order of sums.
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
    /// Largest gradient norm; 0 for no clipping.
    pub clip: f64,
    /// Longest example in tokens; longer ones are cut.
    pub max_length: u32,
    /// Most tokens in one forward and backward pass, one example at least: a batch with more is split into
    /// micro-batches, whose gradients are added up.
    #[serde(default = "micro_tokens")]
    pub micro_tokens: u32,
    /// Whether layers are computed again in the backward pass instead of kept: less memory, more work.
    #[serde(default)]
    pub checkpointing: bool,
    /// Share of every epoch that is drawn from [`TrainingOrder::replay`], in `0..1`.
    #[serde(default)]
    pub replay: f64,
    /// Share of the examples that is held out to measure the loss after every epoch, in `0..1`.
    #[serde(default)]
    pub held_out: f64,
    /// Epochs in a row without a lower held-out loss after which training ends with the best weights; 0
    /// for never.
    #[serde(default)]
    pub patience: u32,
    /// Seconds between two savings of the state that a killed training resumes from.
    #[serde(default = "save_seconds")]
    pub save_seconds: u32,
    /// Where it computes; several share the training of an adapter. The processor where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
}

fn micro_tokens() -> u32 {
    4096
}

fn save_seconds() -> u32 {
    60
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
            micro_tokens: micro_tokens(),
            checkpointing: false,
            replay: 0.0,
            held_out: 0.0,
            patience: 0,
            save_seconds: save_seconds(),
            devices: Vec::new(),
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
    /// Older turns of which `settings.replay` takes its share, so that what was learned stays learned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay: Vec<(String, String)>,
    /// Hyper-parameters.
    pub settings: TrainingSettings,
    /// Seed of initialisation and order.
    pub seed: u64,
    /// Folder to create; it appears whole or not at all. The state of an unfinished training lies beside it.
    pub output: PathBuf,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
    /// Seconds until the last step, by the pace so far.
    #[serde(default)]
    pub seconds_left: f64,
    /// Loss on the held-out examples, after the last step of an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f64>,
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
    /// What the trainer can say beyond that.
    #[serde(default)]
    pub account: TrainingAccount,
}

/// The books of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingAccount {
    /// Parameters that moved.
    pub parameters: u64,
    /// Response tokens learned, all epochs.
    pub response_tokens: u64,
    /// Examples that were cut at the longest length.
    pub cut_examples: u32,
    /// Examples left out because nothing of their response was left.
    pub skipped_examples: u32,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Lowest held-out loss after an epoch. With patience its weights were kept, otherwise those of the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_loss: Option<f64>,
    /// Whether it ended before its last epoch.
    pub stopped_early: bool,
}

/// Called after every optimiser step.
pub type TrainingSink<'a> = dyn FnMut(TrainingProgress) -> ControlFlow<()> + 'a;

/// Updates the student.
pub trait Trainer: Send {
    /// Trains to the end, unless the sink breaks or the call fails. The same order again after a break or
    /// the end of the process goes on from the last saved state, to the same result.
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError>;
}
