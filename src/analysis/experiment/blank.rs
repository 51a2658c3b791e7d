//! The blank: the same arm against itself, to show how often nothing is called a difference.

use serde::{Deserialize, Serialize};

use super::results::{Finished, paired};
use crate::gym::rng::CounterRng;
use crate::gym::statistics::{Discordance, accuracy, mcnemar, over_seeds, over_seeds_and_questions};

/// Level at which a difference is called one.
const LEVEL: f64 = 0.05;
/// Draws of two groups of runs for the test over seeds.
const DRAWS: u32 = 2000;
/// The first of them are put to the interval over seeds and questions as well, which costs a bootstrap each.
const DRAWS_OF_QUESTIONS: u32 = 200;
/// Runs in a group: as many as an arm has in the experiments.
const SIZE: usize = 10;

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
    /// Runs in each of two groups that are compared as two arms would be.
    pub size: u32,
    /// Draws of two groups that were compared.
    pub draws: u32,
    /// Share of them that the test over seeds calls different, at 5 %.
    pub over_seeds: f64,
    /// The first draws, which were compared by the interval over seeds and questions as well.
    pub draws_of_questions: u32,
    /// Share of them whose 95 % interval leaves out no difference.
    pub over_questions: f64,
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
        .map(|run| {
            let answers = run.facts.test.iter().map(|a| (a.instance.key.as_str(), a.after.correct));
            accuracy(answers).map_or(0.0, |accuracy| accuracy.mean)
        })
        .collect();
    let groups = groups(runs.len());
    let called = groups.iter().filter(|groups| called(groups, &scores)).count();
    let asked = &groups[..(DRAWS_OF_QUESTIONS as usize).min(groups.len())];
    let outside = asked.iter().filter(|(one, other)| {
        let pairs: Vec<_> =
            one.iter().zip(other).map(|(a, b)| paired(&runs[*a].facts, &runs[*b].facts)).collect();
        over_seeds_and_questions(&pairs, 1).is_some_and(|e| e.low > 0.0 || e.high < 0.0)
    });
    Some(Blank {
        runs: runs.len() as u32,
        pairs,
        single_runs: f64::from(different) / f64::from(pairs.max(1)),
        size: groups.first().map_or(0, |(one, _)| one.len() as u32),
        draws: DRAWS,
        over_seeds: called as f64 / f64::from(DRAWS),
        draws_of_questions: asked.len() as u32,
        over_questions: outside.count() as f64 / asked.len().max(1) as f64,
        deviation: over_seeds(&scores).map_or(0.0, |effect| effect.deviation),
    })
}

/// Places of the runs of two groups that share none; the first of one is compared with the first of the other.
type Groups = (Vec<usize>, Vec<usize>);

/// Random groups out of so many runs, halves of fewer than twenty.
fn groups(runs: usize) -> Vec<Groups> {
    let draws = CounterRng::keyed(1, "blank");
    let size = SIZE.min(runs / 2);
    let draw = |n: u32| {
        let mut order: Vec<usize> = (0..runs).collect();
        draws.child(u64::from(n)).shuffle(&mut order);
        (order[..size].to_vec(), order[size..2 * size].to_vec())
    };
    (0..DRAWS).map(draw).collect()
}

/// Whether the test over seeds calls two groups different.
fn called((one, other): &Groups, scores: &[f64]) -> bool {
    let differences: Vec<f64> = one.iter().zip(other).map(|(a, b)| scores[*a] - scores[*b]).collect();
    over_seeds(&differences).is_some_and(|effect| effect.p <= LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test over seeds keeps its level on normal scores that differ by chance alone.
    #[test]
    fn the_test_over_seeds_keeps_its_level() {
        let mut rng = CounterRng::keyed(4, "scores");
        let mut count = 0;
        for _ in 0..20 {
            let scores: Vec<f64> = (0..40).map(|_| 0.7 + 0.01 * rng.normal()).collect();
            count += groups(scores.len()).iter().filter(|groups| called(groups, &scores)).count();
        }
        let rate = count as f64 / (20.0 * f64::from(DRAWS));
        assert!((0.035..0.065).contains(&rate), "{rate}");
    }
}
