//! Predictions: what the student answered and how it was scored.

use serde::{Deserialize, Serialize};

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model wrote its end token or a stop string.
    Stop,
    /// The token limit was reached.
    Length,
}

/// The scored answer to one task instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// [`crate::gym::instance::TaskInstance::id`].
    pub instance_id: String,
    /// The student's whole text.
    pub response: String,
    /// The answer extracted from it, where one was found.
    pub answer: Option<String>,
    /// The evaluator's verdict.
    pub correct: bool,
    /// Generated tokens.
    pub tokens: u32,
    /// Why the generation ended.
    pub finish: FinishReason,
}
