//! Teacher calls: every question put to a teacher, with its answer. Answers that the student is asked for besides its
//! evaluation, for checks and policies, are kept in the same way.

use serde::{Deserialize, Serialize};

use super::episode::Phase;
use super::ports::ChatRequest;
use super::prediction::FinishReason;

/// What a teacher call is for, and which one it is among those with the same purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallContext {
    /// Iteration the call belongs to.
    pub iteration: u32,
    /// Round within the iteration.
    pub round: u32,
    /// Phase that made it.
    pub phase: Phase,
    /// Which prompt was used, as `name@version`.
    pub prompt: String,
    /// Index of the allocation it serves, where it serves one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<u32>,
}

/// How a teacher call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CallOutcome {
    /// The answer could be used.
    Used,
    /// The answer broke its form. It is kept for a person to see, and asked again or given up.
    Malformed {
        /// What was wrong with it.
        reason: String,
    },
}

/// A call and its answer, committed before the answer is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeacherCall {
    /// Hash of model, request and sample ordinal: the same question is answered from the store.
    pub id: String,
    /// Who was asked.
    pub model: String,
    /// The question.
    pub request: ChatRequest,
    /// What it was for when it was made.
    pub context: CallContext,
    /// The whole answer.
    pub reply: String,
    /// Tokens of the question, as the model counts them.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub reply_tokens: u32,
    /// Why the answer ended.
    pub finish: FinishReason,
    /// Whether the answer could be used.
    #[serde(flatten)]
    pub outcome: CallOutcome,
}
