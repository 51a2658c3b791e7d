//! What a paired comparison can detect, before it is made.

use super::normal::quantile;

/// Pairs needed to find a difference `effect` between two shares on the same instances when a share
/// `discordance` of instances changes: Connor's formula (Biometrics 43, 1987) for `McNemar`'s test, two-sided
/// at level `alpha` with probability `power`. `None` outside `0 < effect <= discordance <= 1`,
/// `0 < alpha < 1` and `0.5 <= power < 1`.
pub fn detection_size(effect: f64, discordance: f64, alpha: f64, power: f64) -> Option<f64> {
    let sensible = effect > 0.0
        && effect <= discordance
        && discordance <= 1.0
        && alpha > 0.0
        && alpha < 1.0
        && (0.5..1.0).contains(&power);
    sensible.then(|| {
        let null = quantile(1.0 - alpha / 2.0) * discordance.sqrt();
        let alternative = quantile(power) * (discordance - effect * effect).max(0.0).sqrt();
        ((null + alternative) / effect).powi(2)
    })
}

/// The smallest difference that `pairs` instances (keys, where instances share them) show with probability
/// `power`; the inverse of [`detection_size`]. `None` when not even a change of all discordant instances
/// in one direction would show, or an argument is out of range.
pub fn minimum_detectable_effect(pairs: u32, discordance: f64, alpha: f64, power: f64) -> Option<f64> {
    let shows = |effect| detection_size(effect, discordance, alpha, power).map(|n| n <= f64::from(pairs));
    if !shows(discordance)? {
        return None;
    }
    let (mut low, mut high) = (0.0, discordance);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if shows(middle).unwrap_or(false) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The worked example after Connor (1987) of powerandsamplesize.com, "Compare paired proportions,
    /// `McNemar`'s Z-test": 5 % against 45 % discordant pairs need 23 pairs, two-sided at 0.05 with power 0.8,
    /// and one-sided at 0.05 with power 0.9.
    #[test]
    fn sizes_match_published_ones() {
        for (alpha, power) in [(0.05, 0.8), (0.1, 0.9)] {
            let n = detection_size(0.4, 0.5, alpha, power).unwrap();
            assert!((n.ceil() - 23.0).abs() < 1e-9, "{n}");
            let effect = minimum_detectable_effect(23, 0.5, alpha, power).unwrap();
            assert!(effect <= 0.4 && minimum_detectable_effect(22, 0.5, alpha, power).unwrap() > 0.4);
        }
    }

    #[test]
    fn what_cannot_be_found_or_makes_no_sense_is_none() {
        assert_eq!(minimum_detectable_effect(3, 0.1, 0.05, 0.8), None);
        for bad in
            [(0.2, 0.05, 0.3), (0.2, 1.5, 0.8), (0.0, 0.05, 0.8), (1.2, 0.05, 0.8), (f64::NAN, 0.05, 0.8)]
        {
            assert_eq!(minimum_detectable_effect(100, bad.0, bad.1, bad.2), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_effect_is_the_inverse_of_the_size(pairs in 20_u32..20_000, discordance in 0.02_f64..1.0) {
            if let Some(effect) = minimum_detectable_effect(pairs, discordance, 0.05, 0.8) {
                let n = detection_size(effect, discordance, 0.05, 0.8).unwrap();
                prop_assert!(n <= f64::from(pairs) && n > f64::from(pairs) * 0.999_999, "{} {}", n, pairs);
                let more = minimum_detectable_effect(pairs + 1, discordance, 0.05, 0.8).unwrap();
                prop_assert!(more < effect);
            }
        }
    }
}
