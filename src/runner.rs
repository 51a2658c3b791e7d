//! The process that owns a run.
//!
//! Loads no model and has no terminal: models and trainer live in worker processes.

/// Worker processes as a student and as a trainer.
pub mod pool;
