//! Quality checks: form, answers, leakage, duplicates, agreement, what the student knows already.
//!
//! Owns the verdict on a training datum. Every check's result is kept with the datum, with a grade where the
//! check has one; which of them reject is configuration. Never calls a model: what models answered is handed
//! in.

mod answered;
mod arithmetic;
mod budget;
mod duplicates;
mod form;
mod leakage;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use answered::{Agreement, Answered, LONGEST_VOTE, known, solve, vote};
pub use arithmetic::{Arithmetic, Verdict as ArithmeticVerdict, verify};
pub use budget::within_budget;
pub use duplicates::{Duplicates, NearDuplicates};
pub use form::{Form, claimed};
pub use leakage::{Leakage, Overlap};

use crate::gym::datum::{JudgedDatum, TrainingDatum};
use crate::gym::ports::{Check, Task};

/// The response states its answer in the task's form.
pub const FORM: &str = "form";
/// The answer is what the arithmetic in the question comes to.
pub const ARITHMETIC: &str = "arithmetic";
/// The datum asks no validation or test question again.
pub const LEAKAGE: &str = "leakage";
/// The datum shares no long passages with a validation or test question.
pub const OVERLAP: &str = "overlap";
/// Nothing generated before asks the same.
pub const DUPLICATE: &str = "duplicate";
/// Nothing generated before asks nearly the same.
pub const NEAR_DUPLICATE: &str = "near_duplicate";
/// The teacher, or the verifier, comes to the same answer again.
pub const AGREEMENT: &str = "agreement";
/// The student does not know it already.
pub const KNOWN: &str = "known";
/// The run may still take it: `episode.training_data`. Always rejects.
pub const BUDGET: &str = "budget";

/// Names of the checks that configuration chooses from, in the order in which they run.
pub const NAMES: &[&str] = &[FORM, ARITHMETIC, LEAKAGE, OVERLAP, DUPLICATE, NEAR_DUPLICATE, AGREEMENT, KNOWN];

/// How data are checked, and which checks reject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSettings {
    /// Names of the checks that reject; the others only grade. `form`, `arithmetic`, `leakage`, `overlap`,
    /// `duplicate`, `near_duplicate`, `agreement`, `known`.
    #[schemars(schema_with = "check_names")]
    pub filter: BTreeSet<String>,
    /// Whether answers to plain arithmetic are verified by evaluation.
    pub arithmetic: bool,
    /// Share of a datum's passages of eight words in one validation or test question from which `overlap`
    /// fails, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub overlap: f64,
    /// Similarity to an earlier datum from which `near_duplicate` fails, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub similarity: f64,
    /// How often the teacher, or the model of `verifier`, solves each datum anew for `agreement`; 0 leaves the check out.
    pub votes: u32,
    /// Answers of the student sampled per datum for `known`; 0 leaves the check out.
    pub known_samples: u32,
}

/// Names of the checks that may reject, as a schema.
fn check_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "enum": NAMES },
        "uniqueItems": true,
    })
}

impl Default for CheckSettings {
    fn default() -> Self {
        let filter = [FORM, ARITHMETIC, LEAKAGE, OVERLAP, DUPLICATE];
        Self {
            filter: filter.map(str::to_owned).into(),
            arithmetic: true,
            overlap: 0.8,
            similarity: 0.8,
            votes: 0,
            known_samples: 0,
        }
    }
}

/// The checks that need no model, for data that come after `earlier`.
pub fn pure<'a>(
    settings: &CheckSettings,
    task: &'a dyn Task,
    earlier: &'a [TrainingDatum],
) -> Vec<Box<dyn Check + 'a>> {
    let mut checks: Vec<Box<dyn Check + 'a>> = vec![Box::new(Form::new(task))];
    if settings.arithmetic {
        checks.push(Box::new(Arithmetic));
    }
    checks.push(Box::new(Leakage::new(task)));
    checks.push(Box::new(Overlap::new(task, settings.overlap)));
    checks.push(Box::new(Duplicates::new(earlier)));
    checks.push(Box::new(NearDuplicates::new(earlier, settings.similarity)));
    checks
}

/// Adds the verdicts of checks to a datum's. Of those that fail, the ones named in `filters` reject; a
/// person's verdict from before stands.
pub fn judge(
    mut judged: JudgedDatum,
    checks: &mut [Box<dyn Check + '_>],
    filters: &BTreeSet<String>,
) -> JudgedDatum {
    for check in checks {
        if let Some(mut result) = check.check(&judged.datum) {
            result.filters = filters.contains(&result.check);
            judged.checks.push(result);
        }
    }
    judged.settled()
}
