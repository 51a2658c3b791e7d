//! Leakage: no datum may ask a validation or test question again, in whatever wording.

use super::{LEAKAGE, OVERLAP};
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::instance::Split;
use crate::gym::leakage::{HeldOut, PASSAGE};
use crate::gym::ports::{Check, Task};

fn held_out(task: &dyn Task) -> HeldOut {
    HeldOut::new([Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split)))
}

/// Rejects data with the words of a held-out question, or with its leakage key.
#[derive(Debug)]
pub struct Leakage(HeldOut);

impl Leakage {
    /// Holds out the validation and test instances of a task.
    pub fn new(task: &dyn Task) -> Self {
        Self(held_out(task))
    }
}

impl Check for Leakage {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let same_key = self.0.key(&datum.key);
        // The same words about another picture are another question.
        let same_words = datum.images.is_empty() && self.0.words(datum.question());
        let reason = match (same_key, same_words) {
            (_, true) => "a validation or test question has the same words".to_owned(),
            (true, false) => format!("a validation or test question has the key `{}`", datum.key),
            (false, false) => "no validation or test question asks the same".to_owned(),
        };
        let passed = !same_key && !same_words;
        Some(CheckResult { check: LEAKAGE.to_owned(), passed, filters: true, score: None, reason })
    }
}

/// Grades data by the share of their passages that stand in one held-out question. Questions of less than
/// eight words have no passages.
#[derive(Debug)]
pub struct Overlap {
    limit: f64,
    held: HeldOut,
}

impl Overlap {
    /// Fails from the share `limit` on.
    pub fn new(task: &dyn Task, limit: f64) -> Self {
        Self { limit, held: held_out(task) }
    }
}

impl Check for Overlap {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        if !datum.images.is_empty() {
            return None;
        }
        let (most, passages) = self.held.passages(datum.question())?;
        let share = f64::from(most) / passages as f64;
        Some(CheckResult {
            check: OVERLAP.to_owned(),
            passed: share < self.limit,
            filters: true,
            score: Some(share),
            reason: format!(
                "{most} of its {passages} passages of {PASSAGE} words stand in one validation or test question"
            ),
        })
    }
}
