//! The normal distribution: upper tail and quantile.

use std::f64::consts::{SQRT_2, TAU};

/// Two-sided 95 % point.
pub(super) const TWO_SIDED_95: f64 = 1.959_963_984_540_054;

/// Probability of more than `x`, with relative accuracy also far out in the tail: Marsaglia's series near
/// the centre (J. Stat. Softw. 11(4), 2004), Laplace's continued fraction beyond.
pub(super) fn upper_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - upper_tail(-x);
    }
    let density = (-0.5 * x * x).exp() / TAU.sqrt();
    if x < 3.0 {
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > 1e-17 * sum {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 - density * sum;
    }
    let fraction = (1..=100_u32).rev().fold(x, |tail, k| x + f64::from(k) / tail);
    density / fraction
}

/// The `x` below which a share `p` in `0 < p < 1` lies, by bisection of the tail. Beyond what the tail
/// resolves it stays within 40 standard deviations.
pub(super) fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        // The smaller of the two tails is the exact one.
        let below = if p < 0.5 { upper_tail(-middle) < p } else { upper_tail(middle) > 1.0 - p };
        if below {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Two-sided probability of a chi-squared value with one degree of freedom.
pub(super) fn chi_squared_tail(statistic: f64) -> f64 {
    // The half-normal tail; erfc(sqrt(x / 2)) in other words.
    (2.0 * upper_tail((statistic.max(0.0) / 2.0).sqrt() * SQRT_2)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), tables 26.1, 26.2 and 26.5.
    #[test]
    fn tails_and_quantiles_match_published_values() {
        let tails = [(0.0, 0.5), (1.0, 0.158_655_253_9), (2.0, 0.022_750_131_9), (3.0, 1.349_898_0e-3)];
        for (x, expected) in tails {
            assert!((upper_tail(x) / expected - 1.0).abs() < 1e-7, "{x}: {}", upper_tail(x));
        }
        assert!((upper_tail(5.0) / 2.866_515_72e-7 - 1.0).abs() < 1e-8);
        for (p, expected) in [(0.975, TWO_SIDED_95), (0.8, 0.841_621_233_6), (0.9, 1.281_551_565_5)] {
            assert!((quantile(p) - expected).abs() < 1e-9, "{p}: {}", quantile(p));
            assert!((quantile(1.0 - p) + expected).abs() < 1e-9);
        }
        assert!((chi_squared_tail(3.841_458_8) - 0.05).abs() < 1e-8);
    }
}
