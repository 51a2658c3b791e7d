//! Tasks: loading, prompt, answer extraction and scoring.
//!
//! Owns what is special about a benchmark. Never calls a model.

pub mod arithmetic;
mod asked;
pub mod benchmark;
pub mod jsonl;
pub mod leakage;
pub mod math;
pub mod numbers;
pub mod scripted;
pub mod several;

pub use asked::Style;

use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::words_key;

/// Instances by split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Splits {
    /// What an engine may draw on.
    pub pool: Vec<TaskInstance>,
    /// What steers the agent.
    pub validation: Vec<TaskInstance>,
    /// What is measured at the end.
    pub test: Vec<TaskInstance>,
}

impl Splits {
    /// The instances of one split.
    pub fn get(&self, split: Split) -> &[TaskInstance] {
        match split {
            Split::Pool => &self.pool,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

/// The one subskill of a skill that a source does not divide further.
pub const WHOLE_SKILL: &str = "all";

/// The skills of instances, in the order in which they appear: validation, pool, test.
fn skills_of(splits: &Splits) -> Vec<String> {
    let mut skills: Vec<String> = Vec::new();
    for instance in [&splits.validation, &splits.pool, &splits.test].into_iter().flatten() {
        if let Some(skill) = instance.skill.as_ref().filter(|s| !skills.contains(s)) {
            skills.push(skill.clone());
        }
    }
    skills
}

/// Mark before the final answer, the convention of GSM8K and of the embedded world.
pub const ANSWER_MARK: &str = "####";

/// Steps with the answer line of MATH, which both modes of its scoring find.
fn boxed_response(steps: &str, answer: &str) -> String {
    let steps = steps.trim();
    format!("{steps}\nFinal Answer: The final answer is $\\boxed{{ {answer} }}$.").trim_start().to_owned()
}

/// Leakage key: the numbers of a question that has at least three of them, in any order, else its words. Two
/// small numbers alone do not make two stories the same question.
fn story_key(question: &str) -> String {
    match numbers::find(question).len() {
        0..3 => words_key(question),
        _ => numbers::operand_key(question),
    }
}

/// The text after the last answer mark, trimmed; `None` without a mark or with nothing behind it.
pub fn marked_answer(response: &str) -> Option<&str> {
    let (_, answer) = response.rsplit_once(ANSWER_MARK)?;
    Some(answer.trim()).filter(|a| !a.is_empty())
}
