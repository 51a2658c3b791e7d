//! Parity mode: every recorded verdict of the reference, exactly.

use super::{HENDRYCKS, MINERVA, REAL_PAIRS, REFERENCE, records, text};
use crate::tasks::math::{Scoring, equal, extract, parity, reference_answer, score};

#[test]
fn the_vectors_of_the_reference_hold() {
    let mut wrong = Vec::new();
    for record in records(REFERENCE) {
        let holds = match text(&record, "kind") {
            "normalise" => parity::normalise(text(&record, "text")) == text(&record, "result"),
            "extract" => {
                let found = extract(Scoring::Parity, text(&record, "text"));
                found.map(|found| parity::normalise(&found)).as_deref() == record["result"].as_str()
            }
            "equal" => {
                let verdict = equal(Scoring::Parity, text(&record, "expected"), text(&record, "given"));
                Some(verdict) == record["result"].as_bool()
            }
            "score" => {
                let verdict = score(Scoring::Parity, text(&record, "expected"), text(&record, "response"));
                Some(u64::from(verdict)) == record["result"].as_u64()
            }
            other => panic!("unknown kind {other}"),
        };
        if !holds {
            wrong.push(record.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_scores_hold() {
    let mut wrong = Vec::new();
    for record in records(MINERVA) {
        let found = extract(Scoring::Parity, text(&record, "candidate"));
        let normalised = found.as_deref().map_or("[invalidanswer]".to_owned(), parity::normalise);
        let verdict = score(Scoring::Parity, text(&record, "gold"), text(&record, "candidate"));
        if normalised != text(&record, "normalized")
            || found.is_some_and(|found| found != text(&record, "unnormalized"))
            || Some(u64::from(verdict)) != record["score"].as_u64()
        {
            wrong.push(format!("{record}: {normalised} {verdict}"));
        }
    }
    for record in records(REAL_PAIRS) {
        let (gold, given) = (text(&record, "gold"), text(&record, "pred"));
        if parity::normalise(gold) != text(&record, "norm_gold")
            || parity::normalise(given) != text(&record, "norm_pred")
            || Some(equal(Scoring::Parity, gold, given)) != record["equal_minerva"].as_bool()
        {
            wrong.push(record.to_string());
        }
    }
    for record in records(HENDRYCKS) {
        let (a, b) = (text(&record, "a"), text(&record, "b"));
        if parity::normalise(a) != text(&record, "norm_a")
            || parity::normalise(b) != text(&record, "norm_b")
            || Some(equal(Scoring::Parity, a, b)) != record["equal"].as_bool()
        {
            wrong.push(record.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn reference_answers_are_read_from_solutions() {
    let reference = |solution: &str| reference_answer(Scoring::Parity, solution);
    assert_eq!(
        reference("so $x=\\boxed{\\frac{1}{2}}$ or \\boxed{3\\sqrt{2}}.").as_deref(),
        Some("3\\sqrt{2}")
    );
    assert_eq!(reference("thus $\\boxed 5$ follows").as_deref(), Some("5"));
    for (written, normalised) in [
        ("1,2,3", "123"),
        ("(-\\infty,5]", "(-\\iny,5]"),
        ("\\left(3,\\frac{\\pi}{2}\\right)", "\\le(3,\\frac{\\pi}{2}\\right)"),
        ("\\text{no solution}", "nosolution"),
    ] {
        let solution = format!("It is $\\boxed{{ {written} }}$.");
        assert_eq!(reference(&solution).as_deref(), Some(normalised));
        assert_eq!(reference_answer(Scoring::Strict, &solution).as_deref(), Some(written));
    }
    for mode in [Scoring::Parity, Scoring::Strict] {
        assert_eq!(reference_answer(mode, "no box"), None);
        assert_eq!(reference_answer(mode, "\\boxed{{open"), None);
    }
}
