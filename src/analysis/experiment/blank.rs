//! The blank: the same arm against itself, to show how often nothing is called a difference.

use serde::{Deserialize, Serialize};

use super::results::{Finished, paired};
use crate::gym::rng::CounterRng;
use crate::gym::statistics::{Discordance, accuracy, mcnemar, over_seeds};

/// Level at which a difference is called one.
const LEVEL: f64 = 0.05;
/// Divisions of the seeds into two halves.
const DIVISIONS: u64 = 2000;

/// How often an arm differs from itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blank {
    /// Finished runs of the arm.
    pub runs: u32,
    /// Pairs of single runs compared.
    pub pairs: u32,
    /// Share of them that a test on the questions of one pair calls different (`McNemar`, at 5 %). It knows the
    /// chance of the questions and not that of the training, and is therefore the rate to be wary of.
    pub single_runs: f64,
    /// Divisions of the runs into two halves that were compared.
    pub divisions: u32,
    /// Share of them that the test over seeds calls different, at 5 %.
    pub over_seeds: f64,
    /// Standard deviation of test accuracy between runs that differ in the seed alone.
    pub deviation: f64,
}

/// Of the first arm's runs; `None` of fewer than four.
pub(super) fn blank(seeds: &[u32], finished: &[Finished]) -> Option<Blank> {
    let runs: Vec<&Finished> = seeds
        .iter()
        .filter_map(|seed| finished.iter().find(|run| run.arm == 0 && run.seed == *seed))
        .collect();
    if runs.len() < 4 {
        return None;
    }
    let (mut pairs, mut different) = (0_u32, 0_u32);
    for (n, run) in runs.iter().enumerate() {
        for other in &runs[..n] {
            let answers = paired(&other.facts, &run.facts);
            let counted = Discordance::count(answers.iter().map(|(key, b, a)| (key.as_str(), *b, *a)));
            pairs += 1;
            different += u32::from(mcnemar(counted.gained, counted.lost).p <= LEVEL);
        }
    }
    let scores: Vec<f64> = runs
        .iter()
        .filter_map(|run| {
            let answers = run.facts.test.iter().map(|a| (a.instance.key.as_str(), a.after.correct));
            Some(accuracy(answers)?.mean)
        })
        .collect();
    let (divisions, called) = halves(&scores);
    Some(Blank {
        runs: runs.len() as u32,
        pairs,
        single_runs: f64::from(different) / f64::from(pairs.max(1)),
        divisions,
        over_seeds: f64::from(called) / f64::from(divisions.max(1)),
        deviation: over_seeds(&scores).map_or(0.0, |effect| effect.deviation),
    })
}

/// Random divisions into two halves that are compared pair by pair, as two arms under the same seeds would
/// be: how many there were, and how many were called different.
fn halves(scores: &[f64]) -> (u32, u32) {
    let draws = CounterRng::keyed(1, "blank");
    let mut called = 0;
    for division in 0..DIVISIONS {
        let mut order = scores.to_vec();
        draws.child(division).shuffle(&mut order);
        let half = order.len() / 2;
        let differences: Vec<f64> = order[..half].iter().zip(&order[half..]).map(|(a, b)| a - b).collect();
        called += u32::from(over_seeds(&differences).is_some_and(|effect| effect.p <= LEVEL));
    }
    (DIVISIONS as u32, called)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test over seeds keeps its level on normal scores that differ by chance alone.
    #[test]
    fn the_test_over_seeds_keeps_its_level() {
        let mut rng = CounterRng::keyed(4, "scores");
        let mut called = 0;
        for _ in 0..20 {
            let scores: Vec<f64> = (0..40).map(|_| 0.7 + 0.01 * rng.normal()).collect();
            called += halves(&scores).1;
        }
        let rate = f64::from(called) / (20.0 * DIVISIONS as f64);
        assert!((0.035..0.065).contains(&rate), "{rate}");
    }
}
