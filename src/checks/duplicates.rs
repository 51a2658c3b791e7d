//! Duplicates: what asks the same, or nearly the same, as anything generated before in the run.

use std::collections::{HashMap, HashSet};

use super::{DUPLICATE, NEAR_DUPLICATE};
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::ports::Check;
use crate::gym::rng::mix;
use crate::gym::words::{normalised, passages, words};

/// What makes a question: its words, and the pictures they are about.
fn identity(datum: &TrainingDatum) -> String {
    let mut identity = normalised(datum.question());
    for image in &datum.images {
        identity.push(' ');
        identity.push_str(&image.sha256);
    }
    identity
}

/// Rejects data whose question was asked before, in the same words up to case, spaces and punctuation.
#[derive(Debug, Default)]
pub struct Duplicates {
    seen: HashSet<String>,
}

impl Duplicates {
    /// Knows the data generated so far.
    pub fn new<'a>(earlier: impl IntoIterator<Item = &'a TrainingDatum>) -> Self {
        Self { seen: earlier.into_iter().map(identity).collect() }
    }
}

impl Check for Duplicates {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let passed = self.seen.insert(identity(datum));
        let reason = if passed { "new in this run" } else { "the run has this question already" };
        let reason = reason.to_owned();
        Some(CheckResult { check: DUPLICATE.to_owned(), passed, filters: true, score: None, reason })
    }
}

/// Words of a shingle.
const SHINGLE: usize = 3;
/// Values of a signature. The standard error of a similarity of 0.8 is 0.05.
const SIGNATURE: usize = 64;
/// Values of a band: two texts are compared when all values of one band agree. At a similarity of 0.8 that
/// happens with a probability above 0.999, at 0.3 in one case of eight.
const BAND: usize = 4;

type Signature = [u32; SIGNATURE];

/// Grades data by their similarity to the most similar one before: the Jaccard index of the sets of three
/// words, estimated by `MinHash` (Broder 1997).
#[derive(Debug, Default)]
pub struct NearDuplicates {
    limit: f64,
    signatures: Vec<Signature>,
    bands: HashMap<(u8, u64), Vec<u32>>,
}

impl NearDuplicates {
    /// Knows the data generated so far; fails from the similarity `limit` on.
    pub fn new<'a>(earlier: impl IntoIterator<Item = &'a TrainingDatum>, limit: f64) -> Self {
        let mut near = Self { limit, ..Self::default() };
        for datum in earlier.into_iter().filter(|datum| datum.images.is_empty()) {
            if let Some(signature) = signature(datum.question()) {
                near.keep(signature);
            }
        }
        near
    }

    fn keep(&mut self, signature: Signature) {
        let place = self.signatures.len() as u32;
        for band in bands(&signature) {
            self.bands.entry(band).or_default().push(place);
        }
        self.signatures.push(signature);
    }

    fn most_similar(&self, signature: &Signature) -> f64 {
        let places = bands(signature).filter_map(|band| self.bands.get(&band)).flatten();
        let candidates: HashSet<u32> = places.copied().collect();
        let similarity = |place: u32| {
            let other = &self.signatures[place as usize];
            signature.iter().zip(other).filter(|(a, b)| a == b).count() as f64 / SIGNATURE as f64
        };
        candidates.into_iter().map(similarity).fold(0.0, f64::max)
    }
}

/// The least hash of all shingles under every permutation; nothing for a text without words.
fn signature(text: &str) -> Option<Signature> {
    let shingles = passages(&words(text), SHINGLE);
    if shingles.is_empty() {
        return None;
    }
    let least = |n: usize| {
        shingles.iter().map(|shingle| (mix(shingle ^ mix(n as u64 + 1)) >> 32) as u32).min().unwrap_or(0)
    };
    Some(std::array::from_fn(least))
}

fn bands(signature: &Signature) -> impl Iterator<Item = (u8, u64)> {
    let hash = |(n, band): (usize, &[u32])| {
        (n as u8, band.iter().fold(0, |hash: u64, value| mix(hash ^ u64::from(*value))))
    };
    signature.chunks(BAND).enumerate().map(hash)
}

impl Check for NearDuplicates {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        if !datum.images.is_empty() {
            return None;
        }
        let signature = signature(datum.question())?;
        let similarity = self.most_similar(&signature);
        self.keep(signature);
        Some(CheckResult {
            check: NEAR_DUPLICATE.to_owned(),
            passed: similarity < self.limit,
            filters: true,
            score: Some(similarity),
            reason: format!("{:.0} % of its wording stands in the most similar question", 100.0 * similarity),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_near_the_jaccard_index() {
        let text = |from: u32, to: u32| (from..to).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let mut near = NearDuplicates { limit: 0.8, ..NearDuplicates::default() };
        near.keep(signature(&text(0, 102)).unwrap());
        // 100 shingles each; 90, 50 and 0 of them shared.
        for (from, expected) in [(10, 90.0 / 110.0), (50, 50.0 / 150.0), (200, 0.0)] {
            let found = near.most_similar(&signature(&text(from, from + 102)).unwrap());
            assert!((found - expected).abs() < 0.15, "{found} for {expected}");
        }
        assert!((near.most_similar(&signature(&text(0, 102)).unwrap()) - 1.0).abs() < 1e-12);
    }
}
