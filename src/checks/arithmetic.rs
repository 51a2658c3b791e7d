//! The oracle of plain arithmetic: a question that is nothing but a calculation is evaluated, exactly.

mod expression;
mod ratio;

use self::expression::evaluate;
use self::ratio::Ratio;
use super::ARITHMETIC;
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::ports::Check;

/// What evaluation says of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is right.
    Right,
    /// It is not; the value as text.
    Wrong(String),
}

/// Verifies answers to plain arithmetic; has nothing to say about other questions.
#[derive(Debug, Default, Clone, Copy)]
pub struct Arithmetic;

impl Check for Arithmetic {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let verdict = verify(datum.question(), datum.answer.as_deref()?)?;
        let (passed, reason) = match verdict {
            Verdict::Right => (true, "evaluation comes to the same answer".to_owned()),
            Verdict::Wrong(value) => (false, format!("evaluation comes to {value}")),
        };
        Some(CheckResult { check: ARITHMETIC.to_owned(), passed, filters: true, score: None, reason })
    }
}

/// Whether an answer is the value of the calculation a question consists of; `None` where the question is
/// something else, or where the answer is not a number. A quotient may be given with its remainder, and a
/// number with at least two digits behind the point may be rounded.
pub fn verify(question: &str, answer: &str) -> Option<Verdict> {
    let calculation = expression::of_question(question)?;
    if let Some((quotient, rest)) = answer.split_once("remainder") {
        let (a, b) = expression::division(&calculation)?;
        let (quotient, rest): (i128, i128) = (quotient.trim().parse().ok()?, rest.trim().parse().ok()?);
        let right = (a.checked_div_euclid(b)?, a.checked_rem_euclid(b)?);
        let value = || Verdict::Wrong(format!("{} remainder {}", right.0, right.1));
        return Some(if (quotient, rest) == right { Verdict::Right } else { value() });
    }
    let value = evaluate(&calculation)?;
    let (given, digits) = Ratio::read(answer)?;
    let right = given == value || (digits >= 2 && given.rounds(value, digits)?);
    Some(if right { Verdict::Right } else { Verdict::Wrong(value.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worlds::arithmetic::{Skill, Split, sample};
    use proptest::prelude::*;

    #[test]
    fn plain_calculations_are_verified_and_others_are_left_alone() {
        let rows = [
            ("What is 2 + 3?", "5", Some(true)),
            ("What is 2 + 3?", "6", Some(false)),
            ("Calculate 2 + 3 * 4 - (1 + 1).", "12", Some(true)),
            ("Compute 2^10", "1,024", Some(true)),
            ("Subtract 7 from 10.", "3", Some(true)),
            ("Subtract 7 from 10.", "-3", Some(false)),
            ("What is 7 divided by 2?", "3.5", Some(true)),
            ("What is 7 divided by 2?", "3 remainder 1", Some(true)),
            ("What is 7 divided by 2?", "3 remainder 2", Some(false)),
            ("Evaluate 1/3 + 1/6", "1/2", Some(true)),
            ("Evaluate 1 ÷ 3", "0.33", Some(true)),
            ("Evaluate 1 ÷ 3", "0.3", Some(false)),
            ("What is -3 × 4?", "-12", Some(true)),
            ("What is $2 \\times 3$?", "6", Some(true)),
            ("Add 5 and 6, then double it.", "22", None),
            ("Tom has 5 apples. How many is that?", "5", None),
            ("What is 5?", "5", None),
            ("What is 1 / 0?", "0", None),
            ("What is 2 + 3?", "five", None),
            ("What is 9^99 * 9^99?", "1", None),
        ];
        for (question, answer, expected) in rows {
            let verdict = verify(question, answer);
            assert_eq!(verdict.map(|v| v == Verdict::Right), expected, "{question} {answer}");
        }
    }

    #[test]
    fn the_embedded_world_is_right_about_itself() {
        let mut judged = 0;
        for skill in Skill::ALL {
            for index in 0..200 {
                let problem = sample(skill, None, Split::Pool, 1, index).unwrap();
                let verdict = verify(&problem.question, &problem.answer);
                assert!(verdict.as_ref().is_none_or(|v| *v == Verdict::Right), "{problem:?}");
                judged += usize::from(verdict.is_some());
            }
        }
        assert!(judged > 600, "{judged}");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(question in "[0-9+*/^() .a-z-]{0,40}", answer in ".{0,12}") {
            verify(&question, &answer);
        }

        #[test]
        fn sums_and_products_agree_with_machine_arithmetic(a in -999_i64..999, b in 0_i64..999, c in 1_i64..99) {
            let right = (a + b * c).to_string();
            prop_assert_eq!(verify(&format!("What is {a} + {b} * {c}?"), &right), Some(Verdict::Right));
            let wrong = (a + b * c + 1).to_string();
            prop_assert_eq!(verify(&format!("What is {a} + {b} * {c}?"), &wrong), Some(Verdict::Wrong(right)));
        }
    }
}
