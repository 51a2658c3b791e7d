//! The choice of the next token: a pure function of the logits, the settings and the position.
//!
//! Random numbers come from a counter generator keyed by the request's seed and the position in the
//! answer, so neither the order of requests nor what else is in flight can change a draw.

use crate::gym::ports::Sampling;
use crate::gym::rng::CounterRng;

/// Below this temperature the choice is greedy.
const COLD: f64 = 1e-6;

/// Why no token could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// The row was empty.
    #[error("the model returned no logits")]
    Empty,
    /// The row held something that is not a number, or nothing finite.
    #[error("the model returned logits that are not numbers: its weights are damaged or training diverged")]
    NotANumber,
}

/// Chooses the token at `position` (0 is the first of the answer) from a row of logits, one per token.
///
/// # Errors
/// [`SamplerError`] when the row holds no usable number.
pub fn choose(logits: &[f32], sampling: Sampling, position: u64) -> Result<u32, SamplerError> {
    let best = argmax(logits)?;
    match sampling {
        Sampling::Greedy => Ok(best),
        Sampling::Sampled { temperature, .. } if temperature < COLD => Ok(best),
        Sampling::Sampled { temperature, top_p, seed } => {
            let draw = CounterRng::keyed(seed, &format!("token {position}")).unit();
            let peak = f64::from(logits[best as usize]);
            let weights: Vec<f64> =
                logits.iter().map(|logit| ((f64::from(*logit) - peak) / temperature).exp()).collect();
            Ok(pick(&weights, top_p, draw).unwrap_or(best))
        }
    }
}

/// Index of the largest logit; the lowest index among equals, as PyTorch does it.
fn argmax(logits: &[f32]) -> Result<u32, SamplerError> {
    if logits.is_empty() {
        return Err(SamplerError::Empty);
    }
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return Err(SamplerError::NotANumber);
        }
        if *logit > logits[best] {
            best = index;
        }
    }
    if logits[best].is_finite() { Ok(best as u32) } else { Err(SamplerError::NotANumber) }
}

/// Draws an index from unnormalised weights, restricted to the smallest set of the likeliest that holds
/// at least `top_p` of the mass. `draw` is uniform in `[0, 1)`.
fn pick(weights: &[f64], top_p: f64, draw: f64) -> Option<u32> {
    let total: f64 = weights.iter().sum();
    if top_p >= 1.0 {
        return walk(weights.iter().copied().enumerate(), draw * total);
    }
    // Tokens this unlikely cannot be needed to reach top_p: together they hold less than 1 - top_p.
    let floor = (1.0 - top_p) * total / weights.len() as f64;
    let mut likely: Vec<(usize, f64)> =
        weights.iter().copied().enumerate().filter(|(_, weight)| *weight >= floor).collect();
    likely.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut kept = 0.0;
    let mut count = 0;
    for (_, weight) in &likely {
        kept += weight;
        count += 1;
        if kept >= top_p * total {
            break;
        }
    }
    walk(likely.into_iter().take(count), draw * kept)
}

/// The entry in whose stretch of the running sum the target falls; the last with weight at the end.
fn walk(entries: impl Iterator<Item = (usize, f64)>, target: f64) -> Option<u32> {
    let mut sum = 0.0;
    let mut last = None;
    for (index, weight) in entries {
        if weight <= 0.0 {
            continue;
        }
        sum += weight;
        last = Some(index as u32);
        if target < sum {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(temperature: f64, top_p: f64, seed: u64) -> Sampling {
        Sampling::Sampled { temperature, top_p, seed }
    }

    fn shares(logits: &[f32], temperature: f64, top_p: f64) -> Vec<f64> {
        let draws = 20_000;
        let mut counts = vec![0_u32; logits.len()];
        for seed in 0..draws {
            counts[choose(logits, sampled(temperature, top_p, seed), 3).unwrap() as usize] += 1;
        }
        counts.iter().map(|count| f64::from(*count) / draws as f64).collect()
    }

    fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
        let weights: Vec<f64> = logits.iter().map(|l| (f64::from(*l) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        // 20,000 draws: the standard error is at most 0.0036.
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 0.015, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        assert_eq!(choose(&[0.0, 2.0, -1.0, 2.0], Sampling::Greedy, 0), Ok(1));
        assert_eq!(choose(&[0.0, 2.0, 3.0], sampled(0.0, 1.0, 9), 0), Ok(2));
    }

    #[test]
    fn draws_follow_the_tempered_distribution() {
        let logits = [1.0, 0.0, -1.0, 2.0, f32::NEG_INFINITY];
        for temperature in [0.7, 1.0, 1.6] {
            assert_near(&shares(&logits, temperature, 1.0), &softmax(&logits, temperature));
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_sufficient_set() {
        // Probabilities 0.5, 0.3, 0.15, 0.05 in shuffled order.
        let logits = [0.15_f32.ln(), 0.5_f32.ln(), 0.05_f32.ln(), 0.3_f32.ln()];
        assert_near(&shares(&logits, 1.0, 0.79), &[0.0, 0.625, 0.0, 0.375]);
        assert_near(&shares(&logits, 1.0, 0.9), &[0.15 / 0.95, 0.5 / 0.95, 0.0, 0.3 / 0.95]);
        assert_near(&shares(&logits, 1.0, 0.1), &[0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn top_p_agrees_with_a_plain_sort_over_the_whole_row() {
        let mut rng = CounterRng::keyed(5, "rows");
        for _ in 0..300 {
            let weights: Vec<f64> = (0..50).map(|_| (8.0 * rng.unit()).exp()).collect();
            let (top_p, draw) = (rng.unit().max(0.01), rng.unit());
            let total: f64 = weights.iter().sum();
            let mut order: Vec<usize> = (0..weights.len()).collect();
            order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
            let mut kept = vec![];
            for index in order {
                kept.push(index);
                if kept.iter().map(|i| weights[*i]).sum::<f64>() >= top_p * total {
                    break;
                }
            }
            let mass: f64 = kept.iter().map(|i| weights[*i]).sum();
            let mut sum = 0.0;
            let expected = kept.iter().find(|i| {
                sum += weights[**i];
                draw * mass < sum
            });
            assert_eq!(pick(&weights, top_p, draw), expected.map(|i| *i as u32));
        }
    }

    #[test]
    fn a_draw_depends_on_seed_and_position_only() {
        let logits: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
        let draw = |seed, position| choose(&logits, sampled(1.0, 0.95, seed), position).unwrap();
        assert_eq!(draw(4, 7), draw(4, 7));
        let by_position: std::collections::BTreeSet<u32> = (0..50).map(|p| draw(4, p)).collect();
        let by_seed: std::collections::BTreeSet<u32> = (0..50).map(|s| draw(s, 7)).collect();
        assert!(by_position.len() > 20 && by_seed.len() > 20);
    }

    #[test]
    fn damaged_logits_are_named() {
        assert_eq!(choose(&[], Sampling::Greedy, 0), Err(SamplerError::Empty));
        assert_eq!(choose(&[0.0, f32::NAN], Sampling::Greedy, 0), Err(SamplerError::NotANumber));
        assert_eq!(choose(&[f32::NEG_INFINITY], sampled(1.0, 1.0, 1), 0), Err(SamplerError::NotANumber));
        assert_eq!(choose(&[0.0, f32::INFINITY], Sampling::Greedy, 0), Err(SamplerError::NotANumber));
    }
}
