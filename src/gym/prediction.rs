//! Predictions: what the student answered and how it was scored.

use serde::{Deserialize, Serialize};

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model wrote its end token or a stop string.
    Stop,
    /// The token limit or the end of the model's context was reached.
    Length,
    /// There is no answer: the prompt leaves no room for one in the model's context.
    PromptTooLong,
    /// There is no answer: the chat template or the grammar engine refused the request.
    Refused,
    /// There is no answer: the model failed on this prompt, and answered others after it.
    Failed,
}

impl FinishReason {
    /// Whether the prompt was never answered.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::PromptTooLong | Self::Refused | Self::Failed)
    }

    /// What to add to an answer that did not end by itself; empty for one that did.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Stop => "",
            Self::Length => "cut off at the token limit",
            Self::PromptTooLong => "not answered: the prompt is too long for the model",
            Self::Refused => "not answered: the chat template or the schema was refused",
            Self::Failed => "not answered: the model failed on this prompt",
        }
    }
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
