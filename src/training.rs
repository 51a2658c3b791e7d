//! Our own trainer: decoder, fused operations, adapters and full training, optimiser, export.
//!
//! Owns the way from a model folder and examples to an adapter or model folder, and the recipe of the
//! embedded student. Blocking, deterministic (same bits on any number of threads of one machine), and
//! free of global state: a worker process calls [`train`] and passes what it reports on. The records it takes and
//! returns are those of `gym::ports`. Never samples
//! from a model for a run (the inference room does), and never decides what to learn.

mod batch;
mod chat;
mod composed;
mod config;
mod control;
mod data;
mod decode;
mod error;
mod export;
mod gradients;
mod lora;
mod model;
mod ops;
mod pretrain;
mod rehearsal;
mod schedule;
mod session;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod thread;
mod tokenizer;
mod trainer;
mod weights;

pub use chat::ChatFormat;
pub use composed::LOGITS;
pub use config::{DecoderConfig, Family, RopeScaling};
pub use control::Control;
pub use decode::GreedyDecoder;
pub use error::TrainingError;
pub use export::{MergedAs, merge_adapter, publish};
pub use model::SLAB;
pub use pretrain::{Lesson, Lessons, Making, PretrainRecipe, PromptShares, RECIPES, pretrain, score};
pub use rehearsal::{Rehearsal, rehearse};
pub use start::check;
pub use trainer::{Resources, train};
