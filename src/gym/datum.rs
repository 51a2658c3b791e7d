//! Training data with the whole of their provenance.

use serde::{Deserialize, Serialize};

use super::instance::ImageRef;

/// Where a training datum comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Iteration whose training first uses it, counted from 1.
    pub iteration: u32,
    /// Plan-generate-check round within the iteration, counted from 0.
    pub round: u32,
    /// Name of the data generation engine.
    pub engine: String,
    /// Index of the allocation in the plan.
    pub allocation: u32,
    /// Counter of the draw within the allocation; with the run's seed it names the random numbers used.
    pub draw: u64,
    /// Instances whose errors the engine was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_errors: Vec<String>,
    /// The pool instance it was selected from, for engines that select.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_instance: Option<String>,
    /// The teacher call that wrote it, for engines that ask a teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_call: Option<String>,
}

/// One example to train on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingDatum {
    /// `i001-r0-00042`: unique in the run, the same on every replay.
    pub id: String,
    /// User turn.
    pub instruction: String,
    /// The bare question, where the instruction puts more around it: a form, worked examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Assistant turn.
    pub response: String,
    /// The bare answer in `response`, where the domain has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The worse response of a preference pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_response: Option<String>,
    /// Images the instruction refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageRef>,
    /// Skill it is meant to train.
    pub skill: String,
    /// Subskill it is meant to train.
    pub subskill: String,
    /// Leakage key, comparable with [`super::instance::TaskInstance::key`].
    pub key: String,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl TrainingDatum {
    /// The bare question.
    pub fn question(&self) -> &str {
        self.question.as_deref().unwrap_or(&self.instruction)
    }
}

/// What one quality check says of one datum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check.
    pub check: String,
    /// Whether the datum passed.
    pub passed: bool,
    /// Whether a datum that does not pass is rejected; other checks only grade.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub filters: bool,
    /// The grade behind the verdict, where the check has one: a pass rate, a similarity, in `0..=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// One sentence for a person.
    pub reason: String,
}

fn yes() -> bool {
    true
}

/// Whether a datum is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Written, not yet checked.
    Pending,
    /// Passed every filtering check, or accepted by a person.
    Accepted,
    /// Failed a filtering check, or rejected by a person.
    Rejected,
}

impl Verdict {
    /// The word used in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// The words of a datum that a person may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// User turn.
    pub instruction: String,
    /// Assistant turn.
    pub response: String,
    /// The bare answer in `response`, where the domain has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What a person decided about a datum. It outlives a repeated check: the person has the last word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The person's verdict, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The engine's words, where a person changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Wording>,
    /// The person's remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A datum with what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedDatum {
    /// The datum.
    pub datum: TrainingDatum,
    /// Whether it is trained on.
    pub verdict: Verdict,
    /// Every check's result, in the order they ran.
    pub checks: Vec<CheckResult>,
    /// What a person decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

impl JudgedDatum {
    /// A datum that nobody has judged.
    pub fn pending(datum: TrainingDatum) -> Self {
        Self { datum, verdict: Verdict::Pending, checks: Vec::new(), review: None }
    }

    /// With the verdict that follows: a person's before the checks', and only a filtering check rejects.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let by_checks = match self.checks.as_slice() {
            [] => Verdict::Pending,
            checks if checks.iter().all(|c| c.passed || !c.filters) => Verdict::Accepted,
            _ => Verdict::Rejected,
        };
        self.verdict = self.review.as_ref().and_then(|r| r.verdict).unwrap_or(by_checks);
        self
    }
}
