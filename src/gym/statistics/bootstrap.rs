//! Cluster bootstrap: intervals without a distribution, by drawing whole keys with replacement.

use super::{Cluster, Estimate, change, clusters, correctness, size_and_mean};
use crate::gym::rng::CounterRng;

/// Resamples behind every bootstrap figure: the ends of a 95 % interval then lie on order statistics, and
/// a p-value is known to within half a per cent.
pub const REPLICATES: u32 = 4000;

/// A paired gain with its bootstrap interval and p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedBootstrap {
    /// Mean gain in `-1..=1` with the percentile interval.
    pub gain: Estimate,
    /// Two-sided p-value of no gain: twice the smaller share of resamples on or beyond nought, counted with
    /// the sample itself (Davison and Hinkley, Bootstrap Methods, 1997, section 4.2).
    pub p: f64,
}

/// Accuracy of `(key, correct)` outcomes with the percentile interval over resampled keys (Efron and
/// Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). `None` when there are no outcomes.
///
/// When all outcomes agree the interval has no width; [`super::accuracy`] has no such blind spot.
pub fn bootstrap_accuracy<'a>(
    outcomes: impl IntoIterator<Item = (&'a str, bool)>,
    seed: u64,
) -> Option<Estimate> {
    let clusters = clusters(outcomes.into_iter().map(|(key, correct)| (key, correctness(correct))));
    resampled(&clusters, seed).map(|(estimate, _)| estimate)
}

/// Mean difference `after - before` over pairs `(key, before, after)` on the same instances, resampled by
/// key (the paired bootstrap). `None` when there are no pairs.
pub fn bootstrap_gain<'a>(
    pairs: impl IntoIterator<Item = (&'a str, bool, bool)>,
    seed: u64,
) -> Option<PairedBootstrap> {
    let clusters = clusters(pairs.into_iter().map(|(key, before, after)| (key, change(before, after))));
    let (gain, means) = resampled(&clusters, seed)?;
    let share = |beyond: fn(f64) -> bool| {
        (means.iter().filter(|&&mean| beyond(mean)).count() + 1) as f64 / f64::from(REPLICATES + 1)
    };
    let p = (2.0 * share(|mean| mean <= 0.0).min(share(|mean| mean >= 0.0))).min(1.0);
    Some(PairedBootstrap { gain, p })
}

/// The estimate and the sorted means of the resamples.
fn resampled(clusters: &[Cluster], seed: u64) -> Option<(Estimate, Vec<f64>)> {
    let (n, mean) = size_and_mean(clusters)?;
    let draws = CounterRng::keyed(seed, "bootstrap");
    let mut means: Vec<f64> = (0..REPLICATES)
        .map(|replicate| {
            let mut rng = draws.child(u64::from(replicate));
            let (mut sum, mut size) = (0.0, 0.0);
            for _ in clusters {
                if let Some(cluster) = rng.pick(clusters) {
                    sum += cluster.sum;
                    size += cluster.size;
                }
            }
            sum / size
        })
        .collect();
    means.sort_by(f64::total_cmp);
    // Of 4,000 resamples the 100th from either side.
    let cut = (REPLICATES / 40) as usize - 1;
    let (low, high) = (means[cut], means[means.len() - 1 - cut]);
    // A percentile interval may miss its mean when a handful of keys is very uneven.
    let estimate = Estimate::new(mean, (low.min(mean), high.max(mean)), n);
    Some((estimate, means))
}

#[cfg(test)]
mod tests {
    use super::super::{accuracy, paired_gain};
    use super::*;
    use proptest::prelude::*;

    fn keys(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    /// Large samples: the percentile interval and Wilson's agree.
    #[test]
    fn the_bootstrap_agrees_with_wilson_on_a_large_sample() {
        let keys = keys(800);
        let outcomes = || keys.iter().enumerate().map(|(i, k)| (k.as_str(), i % 3 != 0));
        let (wilson, drawn) = (accuracy(outcomes()).unwrap(), bootstrap_accuracy(outcomes(), 1).unwrap());
        assert!((wilson.low - drawn.low).abs() < 0.005 && (wilson.high - drawn.high).abs() < 0.005);
        assert_eq!(drawn, bootstrap_accuracy(outcomes(), 1).unwrap());
        assert_ne!(drawn, bootstrap_accuracy(outcomes(), 2).unwrap());
    }

    #[test]
    fn repeated_keys_do_not_narrow_the_bootstrap() {
        let keys = keys(30);
        let once = bootstrap_accuracy((0..30).map(|i| (keys[i].as_str(), i % 2 == 0)), 3).unwrap();
        let ten = bootstrap_accuracy((0..300).map(|i| (keys[i % 30].as_str(), i % 2 == 0)), 3).unwrap();
        assert!((once.low - ten.low).abs() < 1e-12 && (once.high - ten.high).abs() < 1e-12);
    }

    #[test]
    fn paired_gains_are_told_from_chance() {
        let keys = keys(200);
        let pairs = |gained: usize, lost: usize| {
            let keys = &keys;
            (0..200).map(move |i| (keys[i].as_str(), i < lost, i >= lost && i < lost + gained))
        };
        let sure = bootstrap_gain(pairs(40, 10), 5).unwrap();
        let plain = paired_gain(pairs(40, 10)).unwrap();
        assert!(sure.p < 0.001 && sure.gain.low > 0.05, "{sure:?}");
        assert!((sure.gain.low - plain.low).abs() < 0.01 && (sure.gain.high - plain.high).abs() < 0.01);
        assert!(bootstrap_gain(pairs(20, 20), 5).unwrap().p > 0.9);
        assert!((bootstrap_gain(pairs(0, 0), 5).unwrap().p - 1.0).abs() < 1e-12);
        assert_eq!(bootstrap_gain(std::iter::empty(), 5), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn order_does_not_matter_and_the_mean_lies_inside(
            pairs in proptest::collection::vec((0_u8..20, any::<bool>(), any::<bool>()), 1..60)
        ) {
            let keyed: Vec<_> = pairs.iter().map(|(k, b, a)| (k.to_string(), *b, *a)).collect();
            let there = bootstrap_gain(keyed.iter().map(|(k, b, a)| (k.as_str(), *b, *a)), 9).unwrap();
            let reversed = bootstrap_gain(keyed.iter().rev().map(|(k, b, a)| (k.as_str(), *b, *a)), 9).unwrap();
            prop_assert_eq!(there, reversed);
            prop_assert!(there.gain.low <= there.gain.mean && there.gain.mean <= there.gain.high);
            prop_assert!(0.0 < there.p && there.p <= 1.0);
        }
    }
}
