//! Models that answer: folders on disk, mistral.rs, endpoints, and a scripted stand-in.
//!
//! Owns the check of model folders, the choice of tokens and the back ends. Knows no process, store or
//! screen; a back end runs wherever it is constructed.

pub mod embedded;
pub mod folder;
pub mod gguf;
pub mod hub;
#[cfg(feature = "mistralrs")]
pub mod mistral;
pub mod openai;
pub mod random;
pub mod sampler;
pub mod scripted;
pub mod source;

use crate::gym::ports::{Allowance, BatchTest, Served, Student};

/// A student that is asked from within this process.
pub trait LocalStudent: Student {
    /// Requests kept in flight since the last refresh: what was asked for, or 1 when the batch
    /// self-test failed.
    fn in_flight(&self) -> u32;

    /// The batch self-test of the last refresh, where one was made.
    fn batch_test(&self) -> Option<BatchTest>;

    /// What the next answers may cost. Models of this machine cost nothing.
    fn allow(&mut self, _allowance: Allowance) {}

    /// What was paid for that no answer tells, since this was asked last: trials, answers of no use.
    fn unbilled(&mut self) -> Vec<Served> {
        Vec::new()
    }

    /// What a person should know about how it answers, in sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
