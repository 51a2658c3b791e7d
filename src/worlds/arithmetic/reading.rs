//! Reading a question that somebody else wrote in the world's words: what it exercises and what is right.
//!
//! By another route than the generator's: from the words and numbers of the question alone.

use super::{Skill, drafts, operand_key, phrases, working};
use crate::gym::rng::CounterRng;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a question of the world is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it exercises.
    pub skill: Skill,
    /// One of [`Skill::subskills`].
    pub subskill: &'static str,
    /// The order-free operand key.
    pub key: String,
    /// The right answer.
    pub answer: String,
}

/// Reads a question. `None` where it has none of the world's wordings, or no answer in the world: a difference below
/// zero, numbers that make no sequence, a mean that is no whole number, more digits than the world has.
#[must_use]
pub fn read(question: &str) -> Option<Reading> {
    let (wording, numbers) = taken_apart(question)?;
    let skill = *WORDINGS.get(&wording)?;
    let answer = answer(skill, question, &numbers)?;
    Some(Reading { skill, subskill: subskill(skill, question), key: operand_key(skill, question), answer })
}

/// Draws after which every wording of a skill has come.
const DRAWS: u64 = 300;

/// The wordings of every skill, as its draws show them.
static WORDINGS: LazyLock<HashMap<String, Skill>> = LazyLock::new(|| {
    let drawn = |skill: Skill| {
        let rng = CounterRng::keyed(0, "arithmetic/wordings");
        (0..DRAWS).filter_map(move |index| {
            let draft = drafts::draw(skill, &mut rng.child(index));
            Some((taken_apart(&draft.question)?.0, skill))
        })
    };
    Skill::ALL.into_iter().flat_map(drawn).collect()
});

/// A question with marks in the place of numbers, the name and the thing, and its numbers. The same name and the same
/// thing are told throughout.
fn taken_apart(question: &str) -> Option<(String, Vec<u64>)> {
    let (mut wording, mut numbers) = (String::new(), Vec::new());
    let (mut name, mut thing) = (None, None);
    let mut rest = question;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| {
            (first.is_ascii_digit() && c.is_ascii_digit())
                || (first.is_ascii_alphabetic() && c.is_ascii_alphabetic())
        };
        let end = rest
            .find(|c| !same(c))
            .filter(|&end| end > 0)
            .unwrap_or_else(|| if same(first) { rest.len() } else { first.len_utf8() });
        let (word, after) = rest.split_at(end);
        rest = after;
        let once = |told: &mut Option<_>| *told.get_or_insert(word) == word;
        if first.is_ascii_digit() {
            if word.len() > 3 || (word.len() > 1 && first == '0') {
                return None;
            }
            numbers.push(word.parse().ok()?);
            wording.push('#');
        } else if phrases::is_name(word) {
            wording.push_str(if once(&mut name) { "@" } else { return None });
        } else if phrases::is_thing(word) {
            wording.push_str(if once(&mut thing) { "%" } else { return None });
        } else {
            wording.push_str(word);
        }
    }
    Some((wording, numbers))
}

fn answer(skill: Skill, question: &str, numbers: &[u64]) -> Option<String> {
    let value = match (skill, numbers) {
        (Skill::Add | Skill::WpAdd, [a, b]) => a + b,
        (Skill::Sub, [b, a]) if question.starts_with("Subtract") => a.checked_sub(*b)?,
        (Skill::Sub | Skill::WpSub, [a, b]) => a.checked_sub(*b)?,
        (Skill::Mul | Skill::WpMul, [a, b]) => a * b,
        (Skill::Cmp, [a, b]) if a == b => return None,
        (Skill::Cmp, [a, b]) if question.contains("smaller") => *a.min(b),
        (Skill::Cmp, [a, b]) => *a.max(b),
        (Skill::Div, [a, b]) => {
            return Some(format!("{} remainder {}", a.checked_div(*b)?, a.checked_rem(*b)?));
        }
        (Skill::Seq, [a, b, c, d]) => {
            let even = a + c == 2 * b && b + d == 2 * c && a != b;
            (2 * d).checked_sub(*c).filter(|_| even)?
        }
        (Skill::Unit, [a, b]) => a * larger_unit(question).1 + b,
        (Skill::TwoStep, [a, b, c]) if question.contains("more") => a * b + c,
        (Skill::TwoStep, [a, b, c]) => (a * b).checked_sub(*c)?,
        (Skill::Avg, [a, b, c]) => Some((a + b + c) / 3).filter(|_| (a + b + c) % 3 == 0)?,
        _ => return None,
    };
    Some(value.to_string())
}

/// The larger unit of a conversion, and how many of the smaller one it has.
fn larger_unit(question: &str) -> (&'static str, u64) {
    let known = [("hours", 60), ("weeks", 7), ("meters", 100)];
    // Every centimeter has a meter in it.
    known.into_iter().find(|(unit, _)| question.contains(unit)).unwrap_or(("meters", 100))
}

/// The subskill of a question of a skill, from its words and numbers.
pub(super) fn subskill(skill: Skill, question: &str) -> &'static str {
    let numbers: Vec<u64> =
        question.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let largest = numbers.iter().copied().max().unwrap_or(0);
    let smallest = numbers.iter().copied().min().unwrap_or(0);
    let choose = |yes, one, other| if yes { one } else { other };
    match skill {
        Skill::Add | Skill::Sub if largest >= 100 => "three_digits",
        Skill::Add | Skill::WpAdd => choose(working::carries(largest, smallest), "carry", "no_carry"),
        Skill::Sub | Skill::WpSub => choose(working::borrows(largest, smallest), "borrow", "no_borrow"),
        Skill::Mul | Skill::WpMul => choose(largest < 100, "two_digits", "three_digits"),
        Skill::Cmp if largest - smallest >= 30 => "far",
        Skill::Cmp => choose(question.contains("smaller"), "close_smaller", "close_larger"),
        Skill::Div => match (numbers.first(), numbers.get(1)) {
            (Some(a), Some(b)) if *b > 0 && a / b < 10 => choose(a % b == 0, "exact", "remainder"),
            _ => "long",
        },
        Skill::Seq if numbers.first() > numbers.last() => "descending",
        Skill::Seq => choose(largest - smallest < 30, "small_step", "large_step"),
        Skill::Unit => larger_unit(question).0,
        Skill::TwoStep => choose(question.contains("more"), "put_together", "take_away"),
        Skill::Avg => choose(numbers.iter().sum::<u64>() < 30, "small_mean", "large_mean"),
    }
}
