//! Estimates with 95 % intervals, tests on paired outcomes, and what a sample can detect.
//!
//! Everything here is a pure function of its arguments; the bootstrap draws from the counter generator
//! under a seed it is handed. Outcomes carry the item key they belong to: instances that share a key (the
//! same numbers in another wording) are one cluster and count as such in every interval. Nothing here
//! decides: thresholds belong to the callers.

mod bootstrap;
mod holm;
mod mcnemar;
mod normal;
mod power;
mod seeds;
mod student;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decimal::decimal;

pub use bootstrap::{PairedBootstrap, REPLICATES, bootstrap_accuracy, bootstrap_gain};
pub use holm::holm;
pub use mcnemar::{Discordance, McNemar, mcnemar};
pub use power::{detection_size, minimum_detectable_effect};
pub use seeds::{SeedEffect, over_seeds, over_seeds_and_questions};

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

impl Estimate {
    /// Of decimals, so that a report reads from its file as it was written ([`decimal`]).
    fn new(mean: f64, (low, high): (f64, f64), n: f64) -> Self {
        Self { mean: decimal(mean), low: decimal(low), high: decimal(high), n: n as u32 }
    }
}

/// Sum and size of the outcomes that share a key. Sorted by key, so that every result is the same in
/// whatever order the outcomes come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cluster {
    sum: f64,
    size: f64,
}

fn clusters<'a>(values: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<Cluster> {
    let mut by_key: BTreeMap<&str, Cluster> = BTreeMap::new();
    for (key, value) in values {
        let cluster = by_key.entry(key).or_default();
        cluster.sum += value;
        cluster.size += 1.0;
    }
    by_key.into_values().collect()
}

/// Total size and mean; `None` of nothing.
fn size_and_mean(clusters: &[Cluster]) -> Option<(f64, f64)> {
    let n: f64 = clusters.iter().map(|c| c.size).sum();
    (n > 0.0).then(|| (n, clusters.iter().map(|c| c.sum).sum::<f64>() / n))
}

fn correctness(correct: bool) -> f64 {
    f64::from(u8::from(correct))
}

fn change(before: bool, after: bool) -> f64 {
    f64::from(i8::from(after) - i8::from(before))
}

/// Accuracy of `(key, correct)` outcomes: Wilson's interval (J. Am. Stat. Assoc. 22, 1927) at the
/// effective sample size, which is `n` over the design effect of clusters that share a key. Where the
/// design effect cannot be estimated (all right, all wrong, or one key only), every key counts once.
/// `None` when there are no outcomes.
pub fn accuracy<'a>(outcomes: impl IntoIterator<Item = (&'a str, bool)>) -> Option<Estimate> {
    let clusters = clusters(outcomes.into_iter().map(|(key, correct)| (key, correctness(correct))));
    let (n, mean) = size_and_mean(&clusters)?;
    let binomial = mean * (1.0 - mean) / n;
    let effective = if binomial > 0.0 && clusters.len() > 1 {
        n / (cluster_variance(&clusters, mean, n) / binomial).max(1.0)
    } else {
        clusters.len() as f64
    };
    Some(Estimate::new(mean, wilson(mean, effective), n))
}

/// Mean difference `after - before` over pairs `(key, before, after)` on the same instances. The interval
/// is that of a mean clustered by key, after half an observation was added to each of the four cells
/// (Agresti and Min, Stat. Med. 24, 2005): without it, a sample in which nothing changed would claim a gain
/// of exactly nought. `None` when there are no pairs.
pub fn paired_gain<'a>(pairs: impl IntoIterator<Item = (&'a str, bool, bool)>) -> Option<Estimate> {
    let mut clusters = clusters(pairs.into_iter().map(|(key, before, after)| (key, change(before, after))));
    let (n, mean) = size_and_mean(&clusters)?;
    // The two concordant cells and the two discordant ones.
    for sum in [0.0, 0.0, 0.5, -0.5] {
        clusters.push(Cluster { sum, size: 0.5 });
    }
    let (padded, centre) = size_and_mean(&clusters)?;
    // Half observations spread half as far from the mean as whole ones; what they lack is added.
    let missing = 0.25 * [0.0, 0.0, 1.0, -1.0].iter().map(|v: &f64| (v - centre).powi(2)).sum::<f64>();
    let variance = cluster_variance(&clusters, centre, padded) + missing / (padded * padded);
    let half = normal::TWO_SIDED_95 * variance.sqrt();
    Some(Estimate::new(mean, ((centre - half).max(-1.0), (centre + half).min(1.0)), n))
}

/// Variance of the ratio estimate `sum / n` over clusters, with the small-sample factor.
fn cluster_variance(clusters: &[Cluster], mean: f64, n: f64) -> f64 {
    let count = clusters.len() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let squares: f64 = clusters.iter().map(|c| (c.sum - mean * c.size).powi(2)).sum();
    squares / (n * n) * count / (count - 1.0)
}

fn wilson(p: f64, n: f64) -> (f64, f64) {
    let z = normal::TWO_SIDED_95;
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests;
