//! Checks by what models answered: the teacher's second thoughts, and what the student knows already.

use std::collections::HashMap;

use serde::Deserialize;

use super::{AGREEMENT, KNOWN};
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::instance::TaskInstance;
use crate::gym::ports::{Check, Task};
use crate::prompts::reply;

/// Hands out results that were worked out before, by the id of the datum.
#[derive(Debug, Default)]
pub struct Answered(HashMap<String, CheckResult>);

impl Answered {
    /// Results by datum id.
    pub fn new(results: impl IntoIterator<Item = (String, CheckResult)>) -> Self {
        Self(results.into_iter().collect())
    }
}

impl Check for Answered {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        self.0.remove(&datum.id)
    }
}

#[derive(Debug, Deserialize)]
struct Solution {
    answer: serde_json::Value,
}

/// Counts votes on one datum: answers of a teacher that was shown the question alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreement {
    votes: u32,
    same: u32,
    unsolvable: u32,
    unreadable: u32,
}

impl Agreement {
    /// Counts a vote on `instance`, whose truth is the claimed answer.
    ///
    /// # Errors
    /// What is wrong with a vote that cannot be read. It counts as one that does not agree.
    pub fn count(&mut self, vote: &str, instance: &TaskInstance, task: &dyn Task) -> Result<(), String> {
        self.votes += 1;
        let answer = match reply::object::<Solution>(vote) {
            Ok(Solution { answer: serde_json::Value::String(text) }) => text,
            Ok(Solution { answer: serde_json::Value::Number(number) }) => number.to_string(),
            Ok(_) => {
                self.unreadable += 1;
                return Err("the answer is neither a text nor a number".to_owned());
            }
            Err(reason) => {
                self.unreadable += 1;
                return Err(reason);
            }
        };
        if answer.trim().eq_ignore_ascii_case("none") {
            self.unsolvable += 1;
        } else if task.score(instance, &task.response("", answer.trim())).1 {
            self.same += 1;
        }
        Ok(())
    }

    /// Passes when more than half of the votes agree.
    pub fn result(self) -> CheckResult {
        let Self { votes, same, unsolvable, unreadable } = self;
        let mut reason = format!("{same} of {votes} solutions come to the claimed answer");
        for (count, what) in [(unsolvable, "found no solution"), (unreadable, "could not be read")] {
            if count > 0 {
                reason = format!("{reason}, {count} {what}");
            }
        }
        CheckResult {
            check: AGREEMENT.to_owned(),
            passed: 2 * same > votes,
            filters: true,
            score: Some(f64::from(same) / f64::from(votes.max(1))),
            reason,
        }
    }
}

/// The result of sampled answers of the student: fails when every one of them is right.
pub fn known(answers: &[String], instance: &TaskInstance, task: &dyn Task) -> CheckResult {
    let right = answers.iter().filter(|answer| task.score(instance, answer).1).count();
    CheckResult {
        check: KNOWN.to_owned(),
        passed: right < answers.len(),
        filters: true,
        score: Some(right as f64 / answers.len().max(1) as f64),
        reason: format!("the student solves it in {right} of {} tries", answers.len()),
    }
}
