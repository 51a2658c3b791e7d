//! The budget of training data, kept exactly: runs that are compared are to spend the same.

use std::collections::BTreeSet;

use super::BUDGET;
use crate::gym::datum::{CheckResult, JudgedDatum, Verdict};
use crate::gym::rng::CounterRng;

/// Rejects what is accepted beyond `room` data. A draw by `seed` and id decides which, so that the skills keep
/// their shares; what a person accepted comes first, and stays accepted whatever the room.
pub fn within_budget(judged: Vec<JudgedDatum>, room: usize, seed: u64) -> Vec<JudgedDatum> {
    let accepted = judged.iter().enumerate().filter(|(_, d)| d.verdict == Verdict::Accepted);
    let mut drawn: Vec<(bool, u64, usize)> = accepted
        .map(|(place, d)| {
            let by_checks = d.review.as_ref().is_none_or(|review| review.verdict.is_none());
            (by_checks, CounterRng::keyed(seed, &d.datum.id).bits(), place)
        })
        .collect();
    drawn.sort_unstable();
    let beyond: BTreeSet<usize> = drawn.into_iter().skip(room).map(|(_, _, place)| place).collect();
    let held = |(place, datum)| if beyond.contains(&place) { left_out(datum) } else { datum };
    judged.into_iter().enumerate().map(held).collect()
}

fn left_out(mut datum: JudgedDatum) -> JudgedDatum {
    datum.checks.push(CheckResult {
        check: BUDGET.to_owned(),
        passed: false,
        filters: true,
        score: None,
        reason: "beyond the training data that the run may take; a draw left it out".to_owned(),
    });
    datum.settled()
}
