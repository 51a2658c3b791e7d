//! Robustness and speed: whatever is fed in, an answer comes back, and soon.

use std::time::Instant;

use proptest::prelude::*;

use super::answers;
use crate::gym::rng::CounterRng;
use crate::tasks::math::{Scoring, equal, extract};

/// What answers are made of, and what breaks their readers.
const PIECES: [&str; 96] = [
    "\\frac",
    "\\dfrac",
    "\\sqrt",
    "\\sqrt[3]",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\\{",
    "\\}",
    "|",
    "^",
    "_",
    "+",
    "-",
    "*",
    "/",
    "=",
    "<",
    ">",
    "\\le",
    "\\geq",
    "\\ne",
    "!",
    ",",
    ";",
    ":",
    "&",
    "\\\\",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "\\begin{array}{cc}",
    "\\end{array}",
    "\\left",
    "\\right",
    "\\text{",
    "\\text{ cm}",
    "\\boxed{",
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\pi",
    "e",
    "i",
    "x",
    "y",
    "f(",
    "ab",
    "0",
    "1",
    "2",
    "12",
    "1,000",
    "0.5",
    ".5",
    "10^",
    "e5",
    "99999999999999999999",
    "\\infty",
    "\\cup",
    "\\in",
    "\\pm",
    "\\mp",
    "\\sin",
    "\\log_2",
    "\\binom",
    "\\%",
    "%",
    "^\\circ",
    "\\overline{3}",
    "0.\\overline{36}",
    "\\mid",
    "\\lfloor",
    "\\rfloor",
    "\\langle",
    "\\rangle",
    "and",
    "or",
    " ",
    "\n",
    "\\",
    "\\,",
    "{,}",
    "\\!",
    "°",
    "−",
    "∞",
    "√",
    "\u{301}",
    "😀",
    "final answer is",
];

/// A soup of pieces, or a fixture with some of its characters cut, doubled, swapped or replaced.
fn input(rng: &mut CounterRng, seeds: &[String]) -> String {
    if rng.below(2) == 0 {
        return (0..rng.between(1, 24)).filter_map(|_| rng.pick(&PIECES).copied()).collect();
    }
    let seed = rng.pick(seeds).map_or("", String::as_str);
    let mut text: Vec<char> = seed.chars().take(300).collect();
    for _ in 0..rng.between(1, 6) {
        let at = rng.below(text.len() as u64 + 1) as usize;
        match rng.below(4) {
            0 if at < text.len() => {
                text.remove(at);
            }
            1 if at < text.len() => text.insert(at, text[at]),
            2 if at + 1 < text.len() => text.swap(at, at + 1),
            _ => {
                let piece = rng.pick(&PIECES).copied().unwrap_or_default();
                text.splice(at..at, piece.chars());
            }
        }
    }
    text.into_iter().collect()
}

/// Feeds inputs, by their numbers, through both modes; the verdict on an answer and itself must not depend on chance.
fn feed(numbers: std::ops::Range<u64>) {
    let seeds = answers();
    let mut before = String::new();
    for index in numbers {
        let text = input(&mut CounterRng::keyed(index, "soup"), &seeds);
        for mode in [Scoring::Parity, Scoring::Strict] {
            let answer = extract(mode, &text).unwrap_or_default();
            let verdict = equal(mode, &before, &text);
            assert_eq!(verdict, equal(mode, &before, &text));
            equal(mode, &text, &answer);
        }
        before = text;
    }
}

#[test]
fn soup_and_mutations_are_survived() {
    feed(0..3_000);
}

/// `cargo test --release -- --ignored a_million_inputs_are_survived`
#[test]
#[ignore = "takes most of a minute; `.ci/run` runs it"]
fn a_million_inputs_are_survived() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || feed(core * 1_000_000 / cores..(core + 1) * 1_000_000 / cores));
        }
    });
}

#[test]
fn hostile_inputs_are_answered_quickly() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(900), close.repeat(900));
    let started = Instant::now();
    for text in [
        deep("(", ")"),
        deep("{", "}"),
        deep("\\sqrt{", "}"),
        deep("|", "|"),
        deep("2^{", "}"),
        "-".repeat(3000),
        "9".repeat(3000),
        "1,".repeat(1500),
        "\\pm1".repeat(400),
        "9^9^9^9^9".to_owned(),
        "(a+b+c+d+e+f)^{39}".to_owned(),
        "10000!".to_owned(),
        "\\binom{99999}{399}".to_owned(),
        "\\sqrt{18446744073709551557}".to_owned(),
        "(x+y)^{9}".repeat(30),
        format!("\\begin{{pmatrix}}{}\\end{{pmatrix}}", "1&".repeat(900)),
        "\\boxed{".repeat(500),
        "$".repeat(3001),
        "1 1/".repeat(700),
        "5\\text{m}^x".repeat(300),
        "a".repeat(100_000),
    ] {
        for mode in [Scoring::Parity, Scoring::Strict] {
            let answer = extract(mode, &text).unwrap_or_default();
            equal(mode, &text, "x+1");
            equal(mode, &text, &answer);
            equal(mode, &text, &format!("{text}+1"));
        }
    }
    // Unoptimised and on a busy machine; optimised it is a fraction of a second.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_survived(a in "\\PC{0,40}", b in "[0-9a-z\\\\{}()\\[\\]^_+*/=<>|,.$ -]{0,40}") {
        for mode in [Scoring::Parity, Scoring::Strict] {
            let verdict = equal(mode, &a, &b);
            prop_assert_eq!(verdict, equal(mode, &a, &b));
            extract(mode, &a);
            extract(mode, &b);
        }
    }

    #[test]
    fn whole_numbers_equal_themselves_only(n in -1_000_000_i64..1_000_000, m in -1_000_000_i64..1_000_000) {
        let (a, b) = (n.to_string(), m.to_string());
        prop_assert_eq!(equal(Scoring::Strict, &a, &b), n == m);
        prop_assert_eq!(equal(Scoring::Parity, &a, &b), n == m);
        let spelled = format!("\\frac{{{}}}{{3}}", 3 * n);
        prop_assert!(equal(Scoring::Strict, &a, &spelled) && equal(Scoring::Parity, &a, &spelled));
    }

    #[test]
    fn expanding_a_product_changes_nothing(a in -9_i64..9, b in -9_i64..9, c in 1_i64..9) {
        let product = format!("({c}x+({a}))(x+({b}))");
        let sum = format!("{c}x^2+({})x+({})", a + c * b, a * b);
        let other = format!("{c}x^2+({})x+({})", a + c * b, a * b + 1);
        for mode in [Scoring::Parity, Scoring::Strict] {
            prop_assert!(equal(mode, &product, &sum), "{product} {sum}");
            prop_assert!(!equal(mode, &product, &other), "{product} {other}");
        }
    }
}
