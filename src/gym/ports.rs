//! Ports: what the gym needs of the world outside, as traits.
//!
//! Calls block; whoever needs concurrency calls from a thread of its own. Errors are texts made for a
//! person: the implementor knows what happened and where.

mod agent;
mod endpoint;
mod ledger;
mod model;
mod training;

use serde::{Deserialize, Serialize};

use super::datum::{CheckResult, TrainingDatum};
use super::instance::{Domain, ImageRef, ProgramTest, Split, TaskInstance};
use super::leakage::Contamination;

pub use agent::*;
pub use endpoint::*;
pub use ledger::*;
pub use model::*;
pub use training::*;

/// What went wrong behind a port, and whether the same call may succeed when made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What happened, where, and what to do.
    pub message: String,
    /// Whether a retry can help (a worker died) or cannot (a file is damaged).
    pub transient: bool,
    /// Whether the call ended because it was asked to.
    pub cancelled: bool,
}

impl PortError {
    /// A failure that a retry will not mend.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, cancelled: false }
    }

    /// A failure that a retry may mend.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, cancelled: false }
    }

    /// The call was cancelled.
    pub fn cancelled() -> Self {
        Self { message: "cancelled".to_owned(), transient: false, cancelled: true }
    }
}

/// Leakage key of a question of which nothing but its words is known.
pub fn words_key(question: &str) -> String {
    question.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A benchmark: instances, prompt, extraction and scoring.
pub trait Task: Send + Sync {
    /// Name used in records.
    fn name(&self) -> &str;
    /// The domain of its instances.
    fn domain(&self) -> Domain {
        Domain::Mathematics
    }
    /// The instances of a split, in a fixed order.
    fn instances(&self, split: Split) -> &[TaskInstance];
    /// What was found between the splits when the task was read, where they were compared.
    fn contamination(&self) -> Option<Contamination> {
        None
    }
    /// Names of the skills, in display order.
    fn skills(&self) -> Vec<String>;
    /// The student's user turn; the same for the base and the trained student.
    fn prompt(&self, instance: &TaskInstance) -> String;
    /// Leakage key of a question that somebody wrote: comparable with [`TaskInstance::key`].
    fn key(&self, question: &str) -> String {
        words_key(question)
    }
    /// What the student should answer to be scored right.
    fn response(&self, reasoning: &str, answer: &str) -> String {
        format!("{reasoning}\n#### {answer}").trim_start().to_owned()
    }
    /// A response to the instance that is scored right, as short as it can be.
    fn solution(&self, instance: &TaskInstance) -> String {
        self.response("", &instance.content.truth())
    }
    /// Name of the task that an instance comes from, by the instance's id: another one where several are one.
    fn origin(&self, _instance: &str) -> &str {
        self.name()
    }
    /// The task of a name that [`Task::origin`] gives, where several are one: what is written for its questions has its
    /// prompt, its answer line and its key.
    fn member(&self, _origin: &str) -> Option<&dyn Task> {
        None
    }
    /// The bytes of an instance's image, where the task has images.
    fn image(&self, _image: &ImageRef) -> Option<Vec<u8>> {
        None
    }
    /// Upper limit of the student's answer in tokens.
    fn max_tokens(&self) -> u32;
    /// Texts that end the student's answer: what a model that only continues text writes next.
    fn stop(&self, _instance: &TaskInstance) -> Vec<String> {
        Vec::new()
    }
    /// The instance as it is put to the student, to be answered greedily.
    fn request(&self, instance: &TaskInstance) -> ChatRequest {
        ChatRequest {
            images: instance.content.images().to_vec(),
            stop: self.stop(instance),
            ..ChatRequest::text(self.prompt(instance), Sampling::Greedy, self.max_tokens())
        }
    }
    /// Extracts the answer from a response and judges it.
    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool);
}

/// Judges one datum.
pub trait Check: Send + Sync {
    /// Result for a datum, or nothing where the check has nothing to say about it. Data are handed over in
    /// the order of their ids.
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult>;
}

/// Runs a program that a model wrote. No implementor yet: programming comes with its sandbox.
pub trait Sandbox: Send {
    /// Whether each test passed, in order.
    fn run(&mut self, program: &str, tests: &[ProgramTest]) -> Result<Vec<bool>, PortError>;
}
