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
    #[error(
        "the model returned logits that are not numbers: its weights are damaged or training diverged. Lower \
         `trainer.learning_rate` and train again, or take other weights"
    )]
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
        Sampling::Sampled { temperature, top_p, top_k, seed } => {
            // A grammar that refuses a draw asks again with the refused tokens masked. The same number again would
            // favour the tokens beside the refused ones; another one leaves exactly the masked distribution.
            let masked = if logits.contains(&f32::NEG_INFINITY) { " of those allowed" } else { "" };
            let draw = CounterRng::keyed(seed, &format!("token {position}{masked}")).unit();
            let peak = f64::from(logits[best as usize]);
            let mut weights: Vec<f64> =
                logits.iter().map(|logit| ((f64::from(*logit) - peak) / temperature).exp()).collect();
            keep_largest(&mut weights, top_k as usize);
            Ok(pick(&weights, top_p, draw).unwrap_or(best))
        }
    }
}

/// Natural logarithm of the sum of `exp(logit)`: a logit minus this is the log-probability of its token.
pub fn log_sum(logits: &[f32]) -> f64 {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !peak.is_finite() {
        return f64::from(peak);
    }
    let peak = f64::from(peak);
    peak + logits.iter().map(|logit| (f64::from(*logit) - peak).exp()).sum::<f64>().ln()
}

/// Leaves the `count` largest weights, the first ones among equals; 0 leaves all.
fn keep_largest(weights: &mut [f64], count: usize) {
    if count == 0 || count >= weights.len() {
        return;
    }
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let by_weight = |a: &usize, b: &usize| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b));
    order.select_nth_unstable_by(count - 1, by_weight);
    for index in &order[count..] {
        weights[*index] = 0.0;
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
        Sampling::drawn(temperature, top_p, seed)
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
    fn top_k_keeps_the_likeliest_and_goes_before_top_p() {
        // Probabilities 0.5, 0.3, 0.15, 0.05.
        let logits = [0.15_f32.ln(), 0.5_f32.ln(), 0.05_f32.ln(), 0.3_f32.ln()];
        let shares = |top_k, top_p| {
            let mut counts = [0_u32; 4];
            for seed in 0..20_000 {
                let sampling = Sampling::Sampled { temperature: 1.0, top_p, top_k, seed };
                counts[choose(&logits, sampling, 0).unwrap() as usize] += 1;
            }
            counts.map(|count| f64::from(count) / 20_000.0)
        };
        assert_near(&shares(2, 1.0), &[0.0, 0.625, 0.0, 0.375]);
        // 0.6 of what top_k left is reached by the likeliest alone.
        assert_near(&shares(2, 0.6), &[0.0, 1.0, 0.0, 0.0]);
        assert_near(&shares(1, 1.0), &[0.0, 1.0, 0.0, 0.0]);
        assert_near(&shares(9, 1.0), &[0.15, 0.5, 0.05, 0.3]);
        let mut equal = [1.0, 2.0, 1.0, 1.0];
        keep_largest(&mut equal, 3);
        assert_near(&equal, &[1.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn a_draw_that_is_refused_and_drawn_again_has_the_masked_distribution() {
        let logits = [1.0, 0.5, 0.0, -0.5, 0.8];
        let allowed = [false, true, false, true, true];
        let masked: Vec<f32> =
            logits.iter().zip(allowed).map(|(l, yes)| if yes { *l } else { f32::NEG_INFINITY }).collect();
        let mut counts = [0_u32; 5];
        for seed in 0..20_000 {
            let first = choose(&logits, sampled(1.0, 1.0, seed), 5).unwrap();
            let token = if allowed[first as usize] {
                first
            } else {
                choose(&masked, sampled(1.0, 1.0, seed), 5).unwrap()
            };
            counts[token as usize] += 1;
        }
        assert_near(&counts.map(|count| f64::from(count) / 20_000.0), &softmax(&masked, 1.0));
    }

    #[test]
    fn log_probabilities_sum_to_one_whatever_the_size_of_the_logits() {
        for shift in [0.0, 300.0, -4000.0] {
            let logits: Vec<f32> = [0.5, -1.0, 2.0, f32::NEG_INFINITY].iter().map(|l| l + shift).collect();
            let total = log_sum(&logits);
            let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - total).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
        assert!((log_sum(&[0.0, 0.0]) - std::f64::consts::LN_2).abs() < 1e-15);
        assert!(log_sum(&[f32::NEG_INFINITY]).is_infinite());
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
