//! Verdicts against recorded ones, speed, and robustness.

mod parity;
mod soup;
mod strict;

use serde_json::Value;

pub(super) const REFERENCE: &str = include_str!("../../../tests/fixtures/answers/reference_vectors.jsonl");
pub(super) const MINERVA: &str = include_str!("../../../tests/fixtures/answers/minerva_scoring.jsonl");
pub(super) const REAL_PAIRS: &str = include_str!("../../../tests/fixtures/answers/real_pairs_minerva.jsonl");
pub(super) const HENDRYCKS: &str = include_str!("../../../tests/fixtures/answers/hendrycks_minerva.jsonl");
pub(super) const HENDRYCKS_OWN: &str =
    include_str!("../../../tests/fixtures/answers/hendrycks_is_equiv.jsonl");
pub(super) const MATH_VERIFY: &str =
    include_str!("../../../tests/fixtures/answers/math_verify_test_all.jsonl");

/// The records of a file of JSON lines.
fn records(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {record}"))
}

/// Every text of every fixture that somebody once wrote as an answer.
fn answers() -> Vec<String> {
    let mut all = Vec::new();
    for (file, keys) in [
        (REFERENCE, ["text", "expected", "given", "response"].as_slice()),
        (MINERVA, &["gold", "unnormalized", "candidate"]),
        (REAL_PAIRS, &["gold", "pred"]),
        (HENDRYCKS, &["a", "b"]),
        (MATH_VERIFY, &["gold", "pred"]),
    ] {
        for record in records(file) {
            all.extend(keys.iter().filter_map(|key| record[key].as_str()).map(str::to_owned));
        }
    }
    all
}
