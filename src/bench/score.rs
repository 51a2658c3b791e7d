//! `bench score`: how many pairs of mathematical answers each judge compares per second, on one core.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Figure, Sink, Times};
use crate::tasks::math::{Scoring, equal};

/// Short answers in many notations, of our own wording.
const ANSWERS: &str = include_str!("../../tests/fixtures/answers/reference_vectors.jsonl");
/// With how many answers every one is compared: its own, and so many of others.
const OTHERS: usize = 4;

/// Compares for `seconds`, half of them with each judge.
pub fn run(seconds: f64, sink: &mut Sink<'_>) {
    let pairs = pairs();
    let conditions = format!("{}; {} pairs, one thread", crate::probes::processor_name(), pairs.len());
    for (name, scoring) in [("strict", Scoring::Strict), ("parity", Scoring::Parity)] {
        let (began, mut compared, mut times) = (Instant::now(), 0_u64, Times::new());
        while began.elapsed() < Duration::from_secs_f64((seconds / 2.0).max(0.1)) {
            times = Times::new();
            for (expected, given) in &pairs {
                times.take(|| std::hint::black_box(equal(scoring, expected, given)));
            }
            compared += pairs.len() as u64;
        }
        let rate = compared as f64 / began.elapsed().as_secs_f64();
        sink(Figure::new(format!("score.{name}.pairs_per_second"), rate, "pairs/s", &conditions));
        let slowest = 1000.0 * times.quantile(1.0);
        sink(Figure::new(format!("score.{name}.slowest_us"), slowest, "us", &conditions));
    }
}

/// Every answer that was expected with the one that was given, and with those given to others.
fn pairs() -> Vec<(String, String)> {
    let records = ANSWERS.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let texts = |record: Value| {
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        Some((text("expected")?, text("given")?))
    };
    let answers: Vec<(String, String)> = records.filter_map(texts).collect();
    let expected = answers.iter().map(|(expected, _)| expected);
    let given = |n: usize| answers.iter().cycle().skip(n).take(1 + OTHERS).map(|(_, given)| given);
    expected
        .enumerate()
        .flat_map(|(n, expected)| given(n).map(move |given| (expected.clone(), given.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_and_different_pairs_are_compared() {
        let pairs = pairs();
        assert_eq!((pairs.len(), &pairs[0]), (47 * 5, &("1/2".to_owned(), "\\frac12".to_owned())));
        let equal = pairs.iter().filter(|(a, b)| equal(Scoring::Strict, a, b)).count();
        assert!((30..200).contains(&equal), "{equal}");
        let mut figures = Vec::new();
        run(0.0, &mut |figure| figures.push(figure));
        assert!(figures.len() == 4 && figures.iter().all(|figure| figure.value > 0.0), "{figures:?}");
    }
}
