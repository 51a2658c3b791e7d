//! Scoring of mathematical answers: finding the answer in a response and deciding whether it is right.
//!
//! Owns the two modes and everything they share: a tolerant reader of LaTeX, exact canonical forms, evaluation
//! at fixed points, and the comparison of sets, intervals, matrices and equations. Works within fixed limits on
//! length, depth and size, so that no response can stop it; never calls a model and reads no file.

mod canonical;
mod compare;
mod expression;
mod extract;
mod lexer;
mod number;
mod numeric;
mod parity;
mod parser;
mod strict;
mod units;

use compare::Rules;

/// How answers are found and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scoring {
    /// The verdicts of the reference's scorer of MATH, its blemishes included: its answer line, its
    /// normalisation, its parser. For comparison with published figures.
    Parity,
    /// Answers are read as mathematics: numbers, units, sets, intervals, matrices, equations. Words are spelled,
    /// not multiplied, and lists stay lists.
    #[default]
    Strict,
}

/// The final answer in a response; `None` when there is none.
///
/// Strict mode looks behind "final answer", into the last box, behind "answer", and at the last formula or
/// number, in this order. Parity mode wants the reference's answer line, and returns the text as the reference
/// does, before normalisation.
pub fn extract(mode: Scoring, response: &str) -> Option<String> {
    match mode {
        Scoring::Parity => parity::extract(response),
        Scoring::Strict => extract::extract(response),
    }
}

/// Whether the answer `given` is the answer `expected`. Never panics; what cannot be read as mathematics is
/// compared as text.
pub fn equal(mode: Scoring, expected: &str, given: &str) -> bool {
    match mode {
        Scoring::Parity => parity::equal(&parity::normalise(expected), &parity::normalise(given)),
        Scoring::Strict => strict::equal(expected, given, Rules::default()),
    }
}

/// The reference answer of a worked solution: what stands in its last box. `None` when there is no box, or it is not
/// closed.
///
/// Parity mode normalises it as the reference does. That makes `1,2,3` one number and `\infty` no command any more, so
/// strict mode, and whoever reads or learns the answer, gets it as it was written.
pub fn reference_answer(mode: Scoring, solution: &str) -> Option<String> {
    let written = parity::reference(solution)?;
    Some(match mode {
        Scoring::Parity => parity::normalise(written),
        Scoring::Strict => written.trim().to_owned(),
    })
}

/// Whether a response ends in the right answer.
pub fn score(mode: Scoring, expected: &str, response: &str) -> bool {
    extract(mode, response).is_some_and(|given| equal(mode, expected, &given))
}

#[cfg(test)]
mod tests;
