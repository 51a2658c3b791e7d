//! Quality checks: leakage, duplicates, answer verification.
//!
//! Owns the verdict on a training datum. Every check's result is kept; here every check filters.

use std::collections::{BTreeSet, HashSet};

use crate::gym::datum::{CheckResult, JudgedDatum, TrainingDatum};
use crate::gym::instance::Split;
use crate::gym::ports::{Check, Task};
use crate::tasks::{marked_answer, numbers};

/// Rejects data whose operand key belongs to a validation or test instance.
#[derive(Debug)]
pub struct Leakage {
    held_out: HashSet<String>,
}

impl Leakage {
    /// Holds out the validation and test instances of a task.
    pub fn new(task: &dyn Task) -> Self {
        let splits = [Split::Validation, Split::Test];
        let keys = splits.into_iter().flat_map(|s| task.instances(s)).map(|i| i.key.clone());
        Self { held_out: keys.collect() }
    }
}

impl Check for Leakage {
    fn check(&mut self, datum: &TrainingDatum) -> CheckResult {
        let passed = !self.held_out.contains(&datum.key);
        let reason = if passed {
            "its operands are not those of a held-out question".to_owned()
        } else {
            format!("a validation or test question has the operands `{}`", datum.key)
        };
        CheckResult { check: "leakage".to_owned(), passed, filters: true, score: None, reason }
    }
}

/// Rejects data whose instruction was accepted before in the run.
#[derive(Debug, Default)]
pub struct Duplicates {
    seen: HashSet<String>,
}

impl Duplicates {
    /// Knows the data accepted so far.
    pub fn new<'a>(accepted: impl IntoIterator<Item = &'a TrainingDatum>) -> Self {
        Self { seen: accepted.into_iter().map(|d| normalised(&d.instruction)).collect() }
    }
}

fn normalised(instruction: &str) -> String {
    instruction.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Check for Duplicates {
    fn check(&mut self, datum: &TrainingDatum) -> CheckResult {
        let passed = self.seen.insert(normalised(&datum.instruction));
        let reason = if passed { "new in this run" } else { "the run has this instruction already" };
        CheckResult {
            check: "duplicate".to_owned(),
            passed,
            filters: true,
            score: None,
            reason: reason.to_owned(),
        }
    }
}

/// Rejects data whose response does not end in the answer they claim.
#[derive(Debug, Default)]
pub struct AnswerStated;

impl Check for AnswerStated {
    fn check(&mut self, datum: &TrainingDatum) -> CheckResult {
        let stated = marked_answer(&datum.response);
        let passed = match (&datum.answer, stated) {
            (Some(answer), Some(stated)) => answer == stated || numbers::equal(answer, stated),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let reason = match (&datum.answer, stated) {
            (None, _) => "no answer is claimed".to_owned(),
            (Some(_), _) if passed => "the response states the claimed answer".to_owned(),
            (Some(answer), Some(stated)) => format!("the response states `{stated}`, claimed is `{answer}`"),
            (Some(answer), None) => format!("the response states no answer, claimed is `{answer}`"),
        };
        CheckResult { check: "answer".to_owned(), passed, filters: true, score: None, reason }
    }
}

/// Names of the checks, in the order in which they run.
pub const NAMES: &[&str] = &["leakage", "duplicate", "answer"];

/// Runs every check on one datum. Of those that fail, the ones named in `filters` reject; a person's verdict
/// from before stands.
pub fn judge(
    judged: JudgedDatum,
    checks: &mut [Box<dyn Check + '_>],
    filters: &BTreeSet<String>,
) -> JudgedDatum {
    let results = checks.iter_mut().map(|check| {
        let result = check.check(&judged.datum);
        CheckResult { filters: filters.contains(&result.check), ..result }
    });
    JudgedDatum { checks: results.collect(), ..judged }.settled()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::datum::{Provenance, Verdict};

    fn datum(instruction: &str, response: &str, answer: Option<&str>, key: &str) -> TrainingDatum {
        TrainingDatum {
            id: "d".into(),
            instruction: instruction.into(),
            response: response.into(),
            answer: answer.map(str::to_owned),
            rejected_response: None,
            images: Vec::new(),
            skill: "s".into(),
            subskill: "t".into(),
            key: key.into(),
            provenance: Provenance {
                iteration: 1,
                round: 0,
                engine: "e".into(),
                allocation: 0,
                draw: 0,
                source_errors: Vec::new(),
                source_instance: None,
                teacher_call: None,
            },
        }
    }

    #[test]
    fn each_check_rejects_what_it_is_for() {
        let judged = |d: TrainingDatum| {
            let mut checks: Vec<Box<dyn Check>> = vec![
                Box::new(Leakage { held_out: ["2 3".to_owned()].into() }),
                Box::new(Duplicates::new([&datum("Old  question", "", None, "")])),
                Box::new(AnswerStated),
            ];
            let filters = NAMES.iter().map(|&name| name.to_owned()).collect();
            let judged = judge(JudgedDatum::pending(d), &mut checks, &filters);
            let failed: Vec<String> =
                judged.checks.iter().filter(|c| !c.passed).map(|c| c.check.clone()).collect();
            (judged.verdict, failed.join(","))
        };
        let cases = [
            (datum("2+4?", "2+4=6. #### 6", Some("6"), "2 4"), Verdict::Accepted, ""),
            (datum("2+4?", "#### 6", Some("6.0"), "2 4"), Verdict::Accepted, ""),
            (datum("2+3?", "#### 5", Some("5"), "2 3"), Verdict::Rejected, "leakage"),
            (datum("old question", "#### 5", Some("5"), "5"), Verdict::Rejected, "duplicate"),
            (datum("2+5?", "#### 8", Some("7"), "2 5"), Verdict::Rejected, "answer"),
            (datum("2+5?", "seven", Some("7"), "2 5"), Verdict::Rejected, "answer"),
            (datum("Say hello", "hello", None, "say hello"), Verdict::Accepted, ""),
        ];
        for (datum, verdict, failed) in cases {
            assert_eq!(judged(datum.clone()), (verdict, failed.to_owned()), "{datum:?}");
        }
    }
}
