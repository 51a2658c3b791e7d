//! What a training is asked for, reports and returns. All of it crosses a process boundary.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One thing to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingExample {
    /// The user message; the model's own chat template is put around it.
    pub prompt: String,
    /// What the model should say.
    pub response: String,
}

/// Which parameters move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mode {
    /// All of them; the result is a model folder.
    Full,
    /// Low-rank adapters on all linear layers; the result is a PEFT adapter folder.
    Lora {
        /// Rank of the adapters.
        rank: usize,
        /// Scale of the adapters times their rank; usually twice the rank.
        alpha: f64,
    },
}

/// One training, start to finish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingJob {
    /// A Hugging Face Llama folder.
    pub base: PathBuf,
    /// An adapter or full checkpoint folder of an earlier training to start from instead of the bare base.
    pub continue_from: Option<PathBuf>,
    /// What to learn, in the order that the seed shuffles.
    pub examples: Vec<TrainingExample>,
    /// Which parameters move.
    pub mode: Mode,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over the examples.
    pub epochs: usize,
    /// Examples per optimiser step.
    pub batch_size: usize,
    /// Fraction of the steps in which the learning rate rises (0 to 1).
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest global gradient norm; 0 for no clipping.
    pub clip: f64,
    /// Longest example in tokens; longer ones are cut there (and counted).
    pub max_length: usize,
    /// Decides order and initial adapter values.
    pub seed: u64,
    /// Threads to use; all of the machine where absent. The result does not depend on it.
    pub threads: Option<usize>,
    /// The folder to write, replaced in one step when the training is done.
    pub output: PathBuf,
}

/// The state after one optimiser step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingProgress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub of: usize,
    /// Mean loss of this step in nats per response token.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Tokens (prompts included) per second of wall time since the first step began.
    pub tokens_per_second: f64,
}

/// What a finished training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingOutcome {
    /// The folder written.
    pub output: PathBuf,
    /// Optimiser steps done.
    pub steps: usize,
    /// Parameters that moved.
    pub trained_parameters: usize,
    /// Tokens seen, prompts included, over all epochs.
    pub tokens: u64,
    /// Tokens learned, over all epochs.
    pub response_tokens: u64,
    /// Examples that were cut at the longest length.
    pub cut_examples: usize,
    /// Examples left out because their prompt alone fills the longest length.
    pub skipped_examples: usize,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Mean loss over the last epoch.
    pub last_loss: f64,
    /// Wall time in seconds, loading and writing included.
    pub seconds: f64,
}
