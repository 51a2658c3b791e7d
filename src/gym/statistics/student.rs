//! Student's t distribution, for means over a handful of seeds.

use std::f64::consts::FRAC_2_PI;

/// Probability of a value farther from nought than `t` in either direction, with `degrees` of freedom, at
/// least 1: the finite series for whole degrees (Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 1964, 26.7.3 and 26.7.4).
pub(super) fn two_sided_tail(t: f64, degrees: u32) -> f64 {
    let angle = (t.abs() / f64::from(degrees).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    // Terms cos^k with k = 1, 3, 5, ... for odd degrees and 0, 2, 4, ... for even ones, up to degrees - 2.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut power = u32::from(odd);
    while power + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * f64::from(power + 1) / f64::from(power + 2);
        power += 2;
    }
    let within = if odd { FRAC_2_PI * (angle + sine * sum) } else { sine * sum };
    (1.0 - within).clamp(0.0, 1.0)
}

/// The distance from nought that is exceeded in either direction with probability `alpha` in `0 < alpha < 1`.
pub(super) fn critical(alpha: f64, degrees: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1e9);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if two_sided_tail(middle, degrees) > alpha { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun (1964), table 26.10, two-sided 0.05 and 0.01.
    #[test]
    fn critical_values_match_published_ones() {
        for (degrees, five, one) in [
            (1, 12.706, 63.657),
            (2, 4.303, 9.925),
            (3, 3.182, 5.841),
            (9, 2.262, 3.250),
            (10, 2.228, 3.169),
            (30, 2.042, 2.750),
            (120, 1.980, 2.617),
        ] {
            assert!((critical(0.05, degrees) - five).abs() < 6e-4, "{degrees}");
            assert!((critical(0.01, degrees) - one).abs() < 6e-4, "{degrees}");
        }
        assert!((two_sided_tail(0.0, 4) - 1.0).abs() < 1e-15);
    }
}
