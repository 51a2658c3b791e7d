//! The test after `McNemar` (Psychometrika 12, 1947): did more instances turn right than wrong, on the same instances?

use super::{change, clusters, normal};

/// Up to this many discordant keys the p-value is the exact binomial one.
const EXACT: u32 = 1000;

/// How many keys changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discordance {
    /// Keys that were wrong and are right.
    pub gained: u32,
    /// Keys that were right and are wrong.
    pub lost: u32,
    /// All keys.
    pub keys: u32,
}

impl Discordance {
    /// Counts pairs `(key, before, after)`. Instances that share a key are not independent, therefore a key
    /// counts once, by the sign of its net change; keys that gain as much as they lose did not change.
    pub fn count<'a>(pairs: impl IntoIterator<Item = (&'a str, bool, bool)>) -> Self {
        let clusters = clusters(pairs.into_iter().map(|(key, before, after)| (key, change(before, after))));
        let count = |which: fn(f64) -> bool| clusters.iter().filter(|c| which(c.sum)).count() as u32;
        Self { gained: count(|sum| sum > 0.0), lost: count(|sum| sum < 0.0), keys: clusters.len() as u32 }
    }

    /// Share of keys that changed; nought of nothing.
    pub fn share(&self) -> f64 {
        if self.keys == 0 { 0.0 } else { f64::from(self.gained + self.lost) / f64::from(self.keys) }
    }
}

/// Two-sided p-values of no change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Exact conditional (binomial) up to 1,000 discordant keys, chi-squared with continuity correction
    /// (Edwards, Psychometrika 13, 1948) above. Never rejects too often.
    pub p: f64,
    /// Mid-p: the exact one less half the probability of the observed split. Closer to its nominal level on
    /// small samples (Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13:91, 2013).
    pub mid_p: f64,
}

/// Tests `gained` against `lost`. Without a discordant key both p-values are 1.
pub fn mcnemar(gained: u32, lost: u32) -> McNemar {
    let discordant = gained.saturating_add(lost);
    if discordant == 0 {
        return McNemar { p: 1.0, mid_p: 1.0 };
    }
    let n = f64::from(discordant);
    let distance = (f64::from(gained) - f64::from(lost)).abs();
    if discordant > EXACT {
        let corrected = (distance - 1.0).max(0.0);
        return McNemar {
            p: normal::chi_squared_tail(corrected * corrected / n),
            mid_p: normal::chi_squared_tail(distance * distance / n),
        };
    }
    // Probabilities of 0, 1, ... up to the smaller count out of n fair coins. The first may be as small as
    // 2^-1000, which a double still holds.
    let smaller = gained.min(lost);
    let mut probability = 0.5_f64.powi(discordant as i32);
    let mut tail = probability;
    for k in 1..=smaller {
        probability *= f64::from(discordant - k + 1) / f64::from(k);
        tail += probability;
    }
    // An even split is the middle of the distribution; doubling would count it twice.
    if gained == lost {
        return McNemar { p: 1.0, mid_p: 1.0 - 0.5 * probability };
    }
    McNemar { p: (2.0 * tail).min(1.0), mid_p: (2.0 * tail - probability).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The two examples of Fagerland, Lydersen and Laake (2013): airway hyper-responsiveness before and
    /// after a transplantation (1 against 7), and complete response before and after (6 against 16).
    #[test]
    fn p_values_match_published_ones() {
        for (counts, p, mid_p) in [((1, 7), 0.0703, 0.0391), ((6, 16), 0.0525, 0.0347)] {
            for test in [mcnemar(counts.0, counts.1), mcnemar(counts.1, counts.0)] {
                assert!((test.p - p).abs() < 5.1e-5 && (test.mid_p - mid_p).abs() < 5.1e-5, "{test:?}");
            }
        }
    }

    /// Agresti, Categorical Data Analysis (2nd edition, 2002), section 10.1: 86 against 150, z = -4.17.
    #[test]
    fn the_exact_value_is_near_the_published_score() {
        let score = normal::chi_squared_tail(4.17 * 4.17);
        let test = mcnemar(86, 150);
        assert!((test.mid_p / score - 1.0).abs() < 0.1 && test.p > test.mid_p, "{test:?} {score}");
    }

    #[test]
    fn the_large_sample_form_joins_the_exact_one() {
        // One discordant key more lies beyond the limit: on either side it must bracket the exact value.
        let (more_gained, exact, more_lost) = (mcnemar(550, 451), mcnemar(550, 450), mcnemar(551, 450));
        assert!(more_lost.p < exact.p && exact.p < more_gained.p, "{more_lost:?} {exact:?} {more_gained:?}");
        assert!(more_lost.mid_p < exact.mid_p && exact.mid_p < more_gained.mid_p);
        assert!(mcnemar(0, u32::MAX).p < 1e-300 && mcnemar(0, 1000).p > 0.0);
    }

    #[test]
    fn a_key_counts_once() {
        let counted = Discordance::count([
            ("a", false, true),
            ("a", false, true),
            ("b", false, true),
            ("b", true, false),
            ("c", true, false),
            ("d", true, true),
        ]);
        assert_eq!(counted, Discordance { gained: 1, lost: 1, keys: 4 });
        assert!((counted.share() - 0.5).abs() < 1e-12);
        assert!(Discordance::count([]).share().abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn p_values_are_probabilities_and_fall_with_distance(n in 1_u32..1500, a in 0_u32..1500) {
            let gained = a % (n + 1);
            let test = mcnemar(gained, n - gained);
            prop_assert!(0.0 <= test.mid_p && test.mid_p <= test.p + 1e-12 && test.p <= 1.0, "{:?}", test);
            if gained * 2 > n && gained < n {
                prop_assert!(mcnemar(gained + 1, n - gained - 1).p <= test.p + 1e-12);
            }
        }
    }
}
