//! Effects over repeated runs: a difference per seed, and whether it holds for other seeds and questions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Estimate, REPLICATES, student};
use crate::gym::rng::CounterRng;

/// Probability with which [`SeedEffect::detectable`] would have been found.
const POWER: f64 = 0.8;

/// A mean difference over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedEffect {
    /// Mean over the seeds with its 95 % interval (Student's t); `n` counts seeds.
    pub effect: Estimate,
    /// Standard deviation of a single seed's difference.
    pub deviation: f64,
    /// Two-sided p-value of no difference (paired t test).
    pub p: f64,
    /// The mean difference that as many seeds would have shown at the 5 % level four times out of five.
    pub detectable: f64,
}

/// The effect of `differences`, one per seed, each in `-1..=1`. `None` of fewer than two, and of any that is
/// not finite.
pub fn over_seeds(differences: &[f64]) -> Option<SeedEffect> {
    let count = u32::try_from(differences.len()).ok()?;
    if count < 2 || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let n = f64::from(count);
    let mean = differences.iter().sum::<f64>() / n;
    let deviation = (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let error = deviation / n.sqrt();
    let half = student::critical(0.05, count - 1) * error;
    let p = if error > 0.0 {
        student::two_sided_tail(mean / error, count - 1)
    } else {
        // Every seed says the same: all equal is no evidence, all moved alike is as much as there can be.
        f64::from(u8::from(mean == 0.0))
    };
    let detectable =
        (student::critical(0.05, count - 1) + student::critical(2.0 * (1.0 - POWER), count - 1)) * error;
    Some(SeedEffect {
        effect: Estimate { mean, low: mean - half, high: mean + half, n: count },
        deviation,
        p,
        detectable,
    })
}

/// The 95 % interval of the mean difference when both other seeds and other questions could have been drawn:
/// seeds and keys are resampled independently, which never claims too much (Owen, Ann. Appl. Stat. 1, 2007).
/// A seed is its pairs `(key, before, after)`; keys that a seed lacks do not count for it. `n` counts
/// pairs. `None` when there is no pair.
pub fn over_seeds_and_questions(seeds: &[Vec<(String, bool, bool)>], draw: u64) -> Option<Estimate> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, _, _) in seeds.iter().flatten() {
        let next = numbers.len();
        numbers.entry(key).or_insert(next);
    }
    // Per seed the keys' sums and sizes.
    let table: Vec<Vec<(usize, f64, f64)>> = seeds
        .iter()
        .map(|pairs| {
            let mut cells: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
            for (key, before, after) in pairs {
                let cell = cells.entry(numbers[key.as_str()]).or_default();
                cell.0 += super::change(*before, *after);
                cell.1 += 1.0;
            }
            cells.into_iter().map(|(key, (sum, size))| (key, sum, size)).collect()
        })
        .collect();
    let pairs: usize = seeds.iter().map(Vec::len).sum();
    if pairs == 0 {
        return None;
    }
    let weighed = |of_seed: &[f64], of_key: &[f64]| {
        let (mut sum, mut size) = (0.0, 0.0);
        for (cells, weight) in table.iter().zip(of_seed).filter(|(_, weight)| **weight > 0.0) {
            for (key, s, n) in cells {
                sum += weight * of_key[*key] * s;
                size += weight * of_key[*key] * n;
            }
        }
        sum / size
    };
    let mean = weighed(&vec![1.0; table.len()], &vec![1.0; numbers.len()]);
    let draws = CounterRng::keyed(draw, "seeds and questions");
    let mut means: Vec<f64> = (0..REPLICATES)
        .map(|replicate| {
            let mut rng = draws.child(u64::from(replicate));
            let of_seed = multinomial(table.len(), &mut rng);
            weighed(&of_seed, &multinomial(numbers.len(), &mut rng))
        })
        // Where every pair drawn is missing from the table there is no mean.
        .filter(|mean| mean.is_finite())
        .collect();
    means.sort_by(f64::total_cmp);
    let cut = means.len() / 40;
    let (low, high) = (*means.get(cut)?, *means.get(means.len() - 1 - cut)?);
    Some(Estimate { mean, low: low.min(mean), high: high.max(mean), n: u32::try_from(pairs).ok()? })
}

/// How often each of `count` things is drawn in `count` draws.
fn multinomial(count: usize, rng: &mut CounterRng) -> Vec<f64> {
    let mut drawn = vec![0.0; count];
    for _ in 0..count {
        drawn[rng.below(count as u64) as usize] += 1.0;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The extra hours of sleep of Student (Biometrika 6, 1908): t = 4.06 with 9 degrees, p = 0.0028,
    /// interval 0.70 to 2.46.
    #[test]
    fn students_own_example_comes_out() {
        let hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let found = over_seeds(&hours).unwrap();
        assert!((found.effect.mean - 1.58).abs() < 1e-12 && (found.p - 0.002_83).abs() < 1e-5, "{found:?}");
        assert!((found.effect.low - 0.700).abs() < 5e-4 && (found.effect.high - 2.460).abs() < 5e-4);
        assert!((found.deviation - 1.2300).abs() < 5e-5 && found.detectable > 1.0);
    }

    #[test]
    fn what_is_no_sample_has_no_effect() {
        assert_eq!(over_seeds(&[0.1]), None);
        assert_eq!(over_seeds(&[0.1, f64::NAN]), None);
        let same = over_seeds(&[0.0, 0.0]).unwrap();
        assert!((same.p - 1.0).abs() < 1e-15 && same.effect.high.abs() < 1e-15);
        assert_eq!(over_seeds_and_questions(&[Vec::new()], 1), None);
    }

    /// The same questions under every seed do not become more questions by asking them more often.
    #[test]
    fn more_seeds_of_the_same_answers_do_not_narrow_the_interval_of_the_questions() {
        let seed: Vec<_> = (0..60).map(|k| (k.to_string(), k % 3 == 0, k % 2 == 0)).collect();
        let few = over_seeds_and_questions(&vec![seed.clone(); 2], 1).unwrap();
        let many = over_seeds_and_questions(&vec![seed; 12], 1).unwrap();
        let (few, many) = (few.high - few.low, many.high - many.low);
        assert!((many / few - 1.0).abs() < 0.1, "{few} {many}");
    }

    proptest! {
        #[test]
        fn a_shift_shifts_and_a_sign_mirrors(d in proptest::collection::vec(-0.5_f64..0.5, 3..12), by in -0.4_f64..0.4) {
            let plain = over_seeds(&d).unwrap();
            let shifted = over_seeds(&d.iter().map(|x| x + by).collect::<Vec<_>>()).unwrap();
            let mirrored = over_seeds(&d.iter().map(|x| -x).collect::<Vec<_>>()).unwrap();
            prop_assert!((shifted.effect.low - plain.effect.low - by).abs() < 1e-9);
            prop_assert!((mirrored.p - plain.p).abs() < 1e-9);
            prop_assert!((mirrored.effect.low + plain.effect.high).abs() < 1e-9);
            prop_assert!((plain.p <= 0.05) == (plain.effect.low > 0.0 || plain.effect.high < 0.0) || (plain.p - 0.05).abs() < 1e-6);
        }
    }
}
