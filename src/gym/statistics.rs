//! Estimates with 95 % intervals, clustered by item key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Two-sided 95 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Observed mean; an accuracy lies in `0..=1`, a paired gain in `-1..=1`.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of instances.
    pub n: u32,
}

/// Accuracy of `(key, correct)` outcomes: Wilson's interval (J. Am. Stat. Assoc. 22, 1927) at the
/// effective sample size, which is `n` over the design effect of clusters that share a key.
/// `None` when there are no outcomes.
pub fn accuracy<'a>(outcomes: impl IntoIterator<Item = (&'a str, bool)>) -> Option<Estimate> {
    let mut clusters: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (key, correct) in outcomes {
        let cluster = clusters.entry(key).or_default();
        cluster.0 += f64::from(u8::from(correct));
        cluster.1 += 1.0;
    }
    let n: f64 = clusters.values().map(|c| c.1).sum();
    if n == 0.0 {
        return None;
    }
    let mean = clusters.values().map(|c| c.0).sum::<f64>() / n;
    let binomial = mean * (1.0 - mean) / n;
    let effect =
        if binomial > 0.0 { (cluster_variance(&clusters, mean, n) / binomial).max(1.0) } else { 1.0 };
    let (low, high) = wilson(mean, n / effect);
    Some(Estimate { mean, low, high, n: n as u32 })
}

/// Mean difference `after - before` over pairs `(key, before, after)` on the same instances, with the
/// normal interval of a mean clustered by key. `None` when there are no pairs.
pub fn paired_gain<'a>(pairs: impl IntoIterator<Item = (&'a str, bool, bool)>) -> Option<Estimate> {
    let mut clusters: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (key, before, after) in pairs {
        let cluster = clusters.entry(key).or_default();
        cluster.0 += f64::from(i8::from(after) - i8::from(before));
        cluster.1 += 1.0;
    }
    let n: f64 = clusters.values().map(|c| c.1).sum();
    if n == 0.0 {
        return None;
    }
    let mean = clusters.values().map(|c| c.0).sum::<f64>() / n;
    let half = Z * cluster_variance(&clusters, mean, n).sqrt();
    Some(Estimate { mean, low: mean - half, high: mean + half, n: n as u32 })
}

/// Variance of the ratio estimate `sum / n` over clusters of `(sum, size)`, with the small-sample factor.
fn cluster_variance(clusters: &BTreeMap<&str, (f64, f64)>, mean: f64, n: f64) -> f64 {
    let count = clusters.len() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let squares: f64 = clusters.values().map(|(sum, size)| (sum - mean * size).powi(2)).sum();
    squares / (n * n) * count / (count - 1.0)
}

fn wilson(p: f64, n: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(outcomes: &[bool]) -> Vec<(String, bool)> {
        outcomes.iter().enumerate().map(|(i, &c)| (i.to_string(), c)).collect()
    }

    /// 81 of 263: Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 0.2553 to 0.3662.
    #[test]
    fn wilson_matches_a_published_value() {
        let outcomes: Vec<bool> = (0..263).map(|i| i < 81).collect();
        let items = numbered(&outcomes);
        let e = accuracy(items.iter().map(|(k, c)| (k.as_str(), *c))).unwrap();
        assert!((e.low - 0.2553).abs() < 2e-4 && (e.high - 0.3662).abs() < 2e-4, "{e:?}");
    }

    #[test]
    fn repeated_items_do_not_narrow_the_interval() {
        let once = accuracy((0..40).map(|i| (["a", "b", "c", "d"][i % 4], i % 2 == 0))).unwrap();
        let four = accuracy([("a", true), ("b", false), ("c", true), ("d", false)]).unwrap();
        assert!(once.high - once.low > 0.9 * (four.high - four.low), "{once:?} {four:?}");
    }

    #[test]
    fn a_sure_gain_excludes_zero() {
        let keys: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        let e = paired_gain(keys.iter().enumerate().map(|(i, k)| (k.as_str(), i < 50, i < 70))).unwrap();
        assert!((e.mean - 0.2).abs() < 1e-12 && e.low > 0.1 && e.n == 100, "{e:?}");
    }

    #[test]
    fn nothing_has_no_estimate() {
        assert_eq!(accuracy(std::iter::empty()), None);
        assert_eq!(paired_gain(std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean(outcomes in proptest::collection::vec(any::<bool>(), 1..200)) {
            let items = numbered(&outcomes);
            let e = accuracy(items.iter().map(|(k, c)| (k.as_str(), *c))).unwrap();
            prop_assert!(0.0 <= e.low && e.low <= e.mean + 1e-12 && e.mean <= e.high + 1e-12 && e.high <= 1.0);
        }
    }
}
