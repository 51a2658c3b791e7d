//! Intervals against published values and their own laws.

use super::*;
use proptest::prelude::*;

fn numbered(outcomes: &[bool]) -> Vec<(String, bool)> {
    outcomes.iter().enumerate().map(|(i, &c)| (i.to_string(), c)).collect()
}

/// Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score without continuity correction).
#[test]
fn wilson_matches_published_values() {
    let table =
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)];
    for (right, n, low, high) in table {
        let outcomes: Vec<bool> = (0..n).map(|i| i < right).collect();
        let items = numbered(&outcomes);
        let e = accuracy(items.iter().map(|(k, c)| (k.as_str(), *c))).unwrap();
        // Singletons have a design effect of n / (n - 1), which the table does not know.
        let slack = 0.5 / f64::from(n);
        assert!((e.low - low).abs() < slack && (e.high - high).abs() < slack, "{right}/{n} {e:?}");
        let plain = wilson(f64::from(right) / f64::from(n), f64::from(n));
        assert!((plain.0 - low).abs() < 5.1e-5 && (plain.1 - high).abs() < 5.1e-5, "{right}/{n} {plain:?}");
    }
}

/// Agresti, Categorical Data Analysis (2nd edition, 2002), section 10.1: approval of a prime minister by
/// 1,600 people at two times, 150 of whom lost and 86 of whom gained confidence; -0.04 with standard error
/// 0.0095, interval -0.06 to -0.02.
#[test]
fn paired_gain_matches_a_published_value() {
    let keys: Vec<String> = (0..1600).map(|i| i.to_string()).collect();
    let pairs = keys.iter().enumerate().map(|(i, k)| match i {
        0..150 => (k.as_str(), true, false),
        150..236 => (k.as_str(), false, true),
        _ => (k.as_str(), i % 2 == 0, i % 2 == 0),
    });
    let e = paired_gain(pairs).unwrap();
    assert!((e.mean + 0.04).abs() < 1e-12, "{e:?}");
    assert!((e.low + 0.04 + 1.96 * 0.0095).abs() < 2e-4, "{e:?}");
    assert!((e.high + 0.04 - 1.96 * 0.0095).abs() < 2e-4, "{e:?}");
}

#[test]
fn no_change_is_not_a_sure_nought() {
    let e = paired_gain([("a", true, true), ("b", false, false), ("c", true, true)]).unwrap();
    assert!(e.mean.abs() < 1e-12 && e.low < -0.2 && e.high > 0.2, "{e:?}");
    let e = paired_gain([("a", false, true); 3]).unwrap();
    assert!(e.mean > 1.0 - 1e-12 && e.high > 1.0 - 1e-12 && e.low < 0.9, "{e:?}");
}

#[test]
fn one_key_a_hundred_times_is_one_observation() {
    assert_eq!(
        accuracy([("a", true); 100]).map(|e| (e.low, e.high)),
        accuracy([("a", true)]).map(|e| (e.low, e.high))
    );
}

#[test]
fn repeated_items_do_not_narrow_the_interval() {
    let once = accuracy((0..40).map(|i| (["a", "b", "c", "d"][i % 4], i % 2 == 0))).unwrap();
    let four = accuracy([("a", true), ("b", false), ("c", true), ("d", false)]).unwrap();
    assert!(once.high - once.low > 0.9 * (four.high - four.low), "{once:?} {four:?}");
}

#[test]
fn a_sure_gain_excludes_zero() {
    let keys: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let e = paired_gain(keys.iter().enumerate().map(|(i, k)| (k.as_str(), i < 50, i < 70))).unwrap();
    assert!((e.mean - 0.2).abs() < 1e-12 && e.low > 0.1 && e.n == 100, "{e:?}");
}

#[test]
fn nothing_has_no_estimate() {
    assert_eq!(accuracy(std::iter::empty()), None);
    assert_eq!(paired_gain(std::iter::empty()), None);
}

proptest! {
    #[test]
    fn an_interval_holds_its_mean(outcomes in proptest::collection::vec(any::<bool>(), 1..200)) {
        let items = numbered(&outcomes);
        let e = accuracy(items.iter().map(|(k, c)| (k.as_str(), *c))).unwrap();
        prop_assert!(0.0 <= e.low && e.low <= e.mean + 1e-12 && e.mean <= e.high + 1e-12 && e.high <= 1.0);
    }

    #[test]
    fn a_gain_lies_in_its_interval_and_mirrors(
        pairs in proptest::collection::vec((0_u8..20, any::<bool>(), any::<bool>()), 1..200)
    ) {
        let keyed: Vec<_> = pairs.iter().map(|(k, b, a)| (k.to_string(), *b, *a)).collect();
        let there = paired_gain(keyed.iter().map(|(k, b, a)| (k.as_str(), *b, *a))).unwrap();
        let back = paired_gain(keyed.iter().map(|(k, b, a)| (k.as_str(), *a, *b))).unwrap();
        prop_assert!(-1.0 <= there.low && there.low <= there.mean + 1e-12);
        prop_assert!(there.mean <= there.high + 1e-12 && there.high <= 1.0);
        prop_assert!((there.low + back.high).abs() < 1e-12 && (there.mean + back.mean).abs() < 1e-12);
    }
}

/// What scipy, statsmodels and numpy make of the same samples (`tests/peers/statistics_fixture.py`).
mod peers {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Peers {
        wilson: Vec<Share>,
        clustered: Vec<Clustered>,
        paired: Vec<Pairs>,
        mcnemar: Vec<Discordant>,
        holm: Vec<Family>,
        detectable: Vec<Detectable>,
    }

    #[derive(Deserialize)]
    struct Share {
        right: f64,
        n: f64,
        low: f64,
        high: f64,
    }

    #[derive(Deserialize)]
    struct Clustered {
        keys: Vec<u32>,
        right: Vec<u8>,
        low: f64,
        high: f64,
        bootstrap: (f64, f64),
    }

    #[derive(Deserialize)]
    struct Pairs {
        n: u32,
        gained: u32,
        lost: u32,
        low: f64,
        high: f64,
    }

    #[derive(Deserialize)]
    struct Discordant {
        gained: u32,
        lost: u32,
        exact: f64,
        corrected: f64,
        mid: f64,
    }

    #[derive(Deserialize)]
    struct Family {
        p: Vec<f64>,
        adjusted: Vec<f64>,
    }

    #[derive(Deserialize)]
    struct Detectable {
        effect: f64,
        discordance: f64,
        alpha: f64,
        power: f64,
        pairs: f64,
    }

    fn near(ours: f64, theirs: f64, within: f64) {
        assert!((ours - theirs).abs() <= within, "{ours} is not {theirs}");
    }

    #[test]
    fn other_programs_come_to_the_same() {
        let text = include_str!("../../../tests/fixtures/statistics/peers.json");
        let peers: Peers = serde_json::from_str(text).unwrap();
        for of in peers.wilson {
            let (low, high) = wilson(of.right / of.n, of.n);
            near(low, of.low, 1e-12);
            near(high, of.high, 1e-12);
        }
        for of in peers.clustered {
            let keys: Vec<String> = of.keys.iter().map(ToString::to_string).collect();
            let outcomes = || keys.iter().zip(&of.right).map(|(key, right)| (key.as_str(), *right == 1));
            let ours = accuracy(outcomes()).unwrap();
            near(ours.low, of.low, 1e-9);
            near(ours.high, of.high, 1e-9);
            // Percentiles of 4,000 resamples against those of 200,000, in steps of 1/120 at the coarsest.
            let drawn = bootstrap_accuracy(outcomes(), 1).unwrap();
            near(drawn.low, of.bootstrap.0, 0.0125);
            near(drawn.high, of.bootstrap.1, 0.0125);
        }
        for of in peers.paired {
            let keys: Vec<String> = (0..of.n).map(|n| n.to_string()).collect();
            let pairs = keys
                .iter()
                .zip(0..of.n)
                .map(|(key, n)| (key.as_str(), (of.gained..of.gained + of.lost).contains(&n), n < of.gained));
            let drawn = bootstrap_gain(pairs, 1).unwrap();
            near(drawn.gain.low, of.low, 0.0075);
            near(drawn.gain.high, of.high, 0.0075);
        }
        for of in peers.mcnemar {
            let ours = mcnemar(of.gained, of.lost);
            let large = of.gained + of.lost > 1000;
            near(ours.p, if large { of.corrected } else { of.exact }, 1e-9);
            near(ours.mid_p, of.mid, if large { 1e-3 } else { 1e-9 });
        }
        for of in peers.holm {
            for (ours, theirs) in holm(&of.p).into_iter().zip(of.adjusted) {
                near(ours, theirs, 1e-12);
            }
        }
        for of in peers.detectable {
            let size = detection_size(of.effect, of.discordance, of.alpha, of.power).unwrap();
            near(size / of.pairs, 1.0, 1e-9);
            let found = minimum_detectable_effect(of.pairs.ceil() as u32, of.discordance, of.alpha, of.power);
            near(found.unwrap() / of.effect, 1.0, 0.01);
        }
    }
}
