//! Holm's correction: many skills, one family of tests.

/// Adjusted p-values in the order given: reject those at or below the level and the chance of any false
/// rejection stays below it, whatever the dependence (Holm, Scand. J. Stat. 6, 1979). What is no
/// probability (NaN) counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let value = |index: usize| {
        let p: f64 = p_values[index];
        if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
    };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut floor: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        floor = floor.max((value(index) * (p_values.len() - rank) as f64).min(1.0));
        adjusted[index] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The fifteen p-values of Neuhaus et al. (1992) as worked by Benjamini and Hochberg (J. R. Stat. Soc. B
    /// 57, 1995, section 3.2): control of the family-wise error rejects the three smallest at 0.05.
    #[test]
    fn three_of_fifteen_published_p_values_survive() {
        let published = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        let adjusted = holm(&published);
        assert_eq!(adjusted.iter().filter(|&&p| p <= 0.05).count(), 3);
        for (got, expected) in adjusted.iter().zip([0.0015, 0.0056, 0.0247, 0.114, 0.2211]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    /// The textbook table of four: 0.01, 0.04, 0.03, 0.005.
    #[test]
    fn adjusted_values_keep_their_places() {
        for (got, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }

    proptest! {
        #[test]
        fn never_smaller_never_above_bonferroni_and_in_the_same_order(
            p_values in proptest::collection::vec(0.0_f64..=1.0, 1..40)
        ) {
            let adjusted = holm(&p_values);
            let count = p_values.len() as f64;
            for (i, &p) in p_values.iter().enumerate() {
                prop_assert!(p <= adjusted[i] && adjusted[i] <= (p * count).min(1.0) + 1e-12);
                for (j, &other) in p_values.iter().enumerate() {
                    prop_assert!(p > other || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
