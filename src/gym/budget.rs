//! Budgets: what a run may spend, and the splitting of a number of data over weights.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When validation accuracy counts as no longer rising.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// Iterations in a row without a gain before the run ends; at least 1.
    #[schemars(range(min = 1))]
    pub patience: u32,
    /// Smallest rise of the best validation accuracy that counts as a gain, as a share in `0..=1`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub gain: f64,
}

/// Limits of a run. A missing limit does not bind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Iterations after iteration 0.
    pub iterations: u32,
    /// Accepted training data, cumulative over the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_data: Option<u32>,
    /// Tokens of all models: teacher questions and answers, student answers, tokens trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Tokens of the teacher's and the verifier's questions and answers in one phase. No further question is sent once they are
    /// spent: the run pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_tokens: Option<u64>,
    /// What endpoints may be paid, in the currency of their prices. Nothing is sent that could go beyond it:
    /// the run pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<f64>,
    /// Milliseconds of finished phases, pauses and repeated work excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Iterations without a gain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
}

/// What endpoints were paid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spending {
    /// Answers that were used.
    pub answers: u64,
    /// Tokens of questions and answers, failed tries included as far as they were told.
    pub tokens: u64,
    /// Their cost, in the currency of the prices.
    pub cost: f64,
    /// The same by the endpoint's name: answers, tokens, cost.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, (u64, u64, f64)>,
}

impl Spending {
    /// So many more answers.
    pub fn add(&mut self, endpoint: &str, answers: u64, tokens: u64, cost: f64) {
        self.answers += answers;
        self.tokens += tokens;
        self.cost += cost;
        let own = self.endpoints.entry(endpoint.to_owned()).or_default();
        *own = (own.0 + answers, own.1 + tokens, own.2 + cost);
    }

    /// In words: `1.2345 for 100000 tokens of endpoints`; nothing where nothing was asked.
    pub fn words(&self) -> Option<String> {
        match (self.tokens, self.cost > 0.0) {
            (0, _) => None,
            (_, true) => Some(format!("{:.4} for {} tokens of endpoints", self.cost, self.tokens)),
            (_, false) => Some(format!("{} tokens of endpoints", self.tokens)),
        }
    }
}

/// Which limit ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// [`Budget::iterations`].
    Iterations,
    /// [`Budget::training_data`].
    TrainingData,
    /// [`Budget::tokens`].
    Tokens,
    /// [`Budget::time_ms`].
    Time,
    /// [`Budget::plateau`].
    Plateau,
}

impl Limit {
    /// The words used on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iterations => "all iterations are done",
            Self::TrainingData => "the training data are spent",
            Self::Tokens => "the tokens are spent",
            Self::Time => "the time is over",
            Self::Plateau => "validation accuracy has stopped rising",
        }
    }
}

/// Splits `total` over `weights` in proportion, by largest remainder; ties go to the earlier entry.
/// Weights that are negative or not finite count as 0; all-zero weights are split evenly.
pub fn split_by_weight(total: u32, weights: &[f64]) -> Vec<u32> {
    if weights.is_empty() {
        return Vec::new();
    }
    let clean: Vec<f64> = weights.iter().map(|w| if w.is_finite() { w.max(0.0) } else { 0.0 }).collect();
    let sum: f64 = clean.iter().sum();
    let share = |w: f64| if sum > 0.0 { w / sum } else { 1.0 / clean.len() as f64 };
    let exact: Vec<f64> = clean.iter().map(|&w| f64::from(total) * share(w)).collect();
    let mut parts: Vec<u32> = exact.iter().map(|e| e.floor() as u32).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())));
    let missing = total.saturating_sub(parts.iter().sum());
    for &i in order.iter().cycle().take(missing as usize) {
        parts[i] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn largest_remainder() {
        assert_eq!(split_by_weight(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(split_by_weight(3, &[0.0, 0.0]), [2, 1]);
        assert_eq!(split_by_weight(7, &[f64::NAN, 2.0, -1.0]), [0, 7, 0]);
        assert_eq!(split_by_weight(5, &[]), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_total(total in 0_u32..10_000, w in proptest::collection::vec(0.0_f64..100.0, 1..40)) {
            prop_assert_eq!(split_by_weight(total, &w).iter().sum::<u32>(), total);
        }
    }
}
