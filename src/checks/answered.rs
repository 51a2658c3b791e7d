//! Checks by what models answered: the teacher's second thoughts, and what the student knows already.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{AGREEMENT, KNOWN};
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::instance::{Domain, TaskInstance};
use crate::gym::ports::{ChatRequest, Check, PortError, Question, Sampling, Task, Teacher};
use crate::gym::rng::CounterRng;
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

/// Longest vote of the teacher, in tokens.
pub const LONGEST_VOTE: u32 = 2048;
/// How the teacher solves a problem anew: temperature and nucleus with enough variety that its votes are not one
/// vote.
const VOTE: (f64, f64) = (0.7, 0.95);

#[derive(Debug, Deserialize)]
struct Solution {
    answer: Value,
}

/// A question to solve, without its written solution; `vote` counts the tries.
pub fn solve(
    question: &str,
    allocation: Option<u32>,
    (seed, vote): (u64, u64),
    teacher: &dyn Teacher,
) -> Result<Question, PortError> {
    let rendered = teacher.render("solve", &json!({"question": question}))?;
    let (temperature, top_p) = VOTE;
    let seed = CounterRng::keyed(seed, &format!("vote/{question}")).child(vote).bits();
    let sampling = Sampling::drawn(temperature, top_p, seed);
    let schema = json!({
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": 4000},
            "answer": {"type": "string", "maxLength": 200},
        },
        "required": ["reasoning", "answer"],
        "additionalProperties": false,
    });
    let request =
        ChatRequest { schema: Some(schema), ..ChatRequest::text(rendered.text, sampling, LONGEST_VOTE) };
    Ok(Question { prompt: rendered.name, allocation, request })
}

/// The answer of a vote.
///
/// # Errors
/// What is wrong with one that cannot be read.
pub fn vote(reply: &str, domain: Domain) -> Result<String, String> {
    let reply = &reply::with_texts(reply, "answer");
    let read = match domain {
        Domain::Mathematics => reply::object::<Solution>(&reply::with_latex(reply)),
        _ => reply::object::<Solution>(reply),
    };
    match read?.answer {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("the answer is neither a text nor a number".to_owned()),
    }
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
    /// Counts a vote on `instance`, whose truth is the claimed answer. One that could not be read, `None`, does
    /// not agree.
    pub fn count(&mut self, vote: Option<&str>, instance: &TaskInstance, task: &dyn Task) {
        self.votes += 1;
        match vote.map(str::trim) {
            None => self.unreadable += 1,
            Some(answer) if answer.eq_ignore_ascii_case("none") => self.unsolvable += 1,
            Some(answer) => {
                let own = task.member(&instance.task).unwrap_or(task);
                self.same += u32::from(task.score(instance, &own.response("", answer)).1);
            }
        }
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
