//! Our own trainer: decoder, fused operations, adapters and full training, optimiser, export.
//!
//! Owns the way from a model folder and examples to an adapter or model folder, on the CPU, and the recipe
//! of the embedded student. Blocking, deterministic (same bits on any number of threads of one machine), and
//! free of global state: a worker process calls [`train`] and passes what it reports on. Never samples
//! from a model for a run (the inference room does), and never decides what to learn.

mod batch;
mod chat;
mod composed;
mod config;
mod decode;
mod error;
mod export;
mod job;
mod lora;
mod model;
mod ops;
mod pretrain;
mod schedule;
mod session;
#[cfg(test)]
mod tests;
mod thread;
mod tokenizer;
mod trainer;
mod weights;

pub use chat::ChatFormat;
pub use config::LlamaConfig;
pub use decode::GreedyDecoder;
pub use error::TrainingError;
pub use job::{Mode, TrainingExample, TrainingJob, TrainingOutcome, TrainingProgress};
pub use pretrain::{PretrainRecipe, pretrain, score};
pub use trainer::train;
