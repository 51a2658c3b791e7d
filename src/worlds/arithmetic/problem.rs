//! Problems, their operand keys and the splits.

use super::{Skill, drafts, reading};
use crate::gym::rng::{CounterRng, hash_text, mix};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Which use a problem is reserved for; a function of its operand key alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The mix the base student is made from (half of all keys).
    Pretrain,
    /// What training data may be generated from (three tenths).
    Pool,
    /// What steers a run (a sixteenth part, about).
    Validation,
    /// What a run is judged by (an eighth part, about).
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Pretrain, Self::Pool, Self::Validation, Self::Test];

    /// The split of an operand key (see [`operand_key`]).
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        match mix(hash_text(key)) % 100 {
            0..50 => Self::Pretrain,
            50..80 => Self::Pool,
            80..87 => Self::Validation,
            _ => Self::Test,
        }
    }

    /// The name used in files and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Pool => "pool",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// One problem with its worked answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it exercises.
    pub skill: Skill,
    /// One of [`Skill::subskills`].
    pub subskill: &'static str,
    /// The order-free operand key, for example `div:4,9`.
    pub key: String,
    /// What the student is asked.
    pub question: String,
    /// The response to learn: the working, then `#### ` and the answer.
    pub response: String,
    /// The reference answer.
    pub answer: String,
}

/// A subskill that the skill does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the skill `{skill}` has no subskill `{subskill}`; it has {}", skill.subskills().join(", "))]
pub struct UnknownSubskill {
    /// The skill asked for.
    pub skill: Skill,
    /// The name nobody knows.
    pub subskill: String,
}

/// The operand key of a question: the skill and every number in the text, sorted. Independent of template
/// and order, and computable from text that somebody else wrote.
#[must_use]
pub fn operand_key(skill: Skill, question: &str) -> String {
    let mut numbers: Vec<&str> = question
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.trim_start_matches('0'))
        .map(|digits| if digits.is_empty() { "0" } else { digits })
        .collect();
    numbers.sort_unstable_by_key(|digits| (digits.len(), *digits));
    format!("{}:{}", skill.name(), numbers.join(","))
}

/// The text after the last `####`, trimmed; `None` when the response has no such mark.
#[must_use]
pub fn extract_answer(response: &str) -> Option<&str> {
    response.rsplit_once("####").map(|(_, answer)| answer.trim())
}

/// The `index`-th problem of a skill (or of one of its subskills) in a split, under a seed. Neighbouring
/// indices are independent draws, so operand keys repeat now and then.
pub fn sample(
    skill: Skill,
    subskill: Option<&str>,
    split: Split,
    seed: u64,
    index: u64,
) -> Result<Problem, UnknownSubskill> {
    if let Some(name) = subskill
        && !skill.subskills().contains(&name)
    {
        return Err(UnknownSubskill { skill, subskill: name.to_owned() });
    }
    let item = format!("arithmetic/{}/{}/{}", skill.name(), subskill.unwrap_or("*"), split.name());
    let stream = CounterRng::keyed(seed, &item).child(index);
    Ok(drawn(skill, subskill, split, &stream))
}

/// Redraws until split and subskill fit. Every combination is populated (held to by a test), the rarest
/// about once in six hundred draws.
fn drawn(skill: Skill, subskill: Option<&str>, split: Split, stream: &CounterRng) -> Problem {
    let mut attempt = 0;
    loop {
        let draft = drafts::draw(skill, &mut stream.child(attempt));
        attempt += 1;
        let drawn = reading::subskill(skill, &draft.question);
        if subskill.is_some_and(|name| name != drawn) {
            continue;
        }
        let key = operand_key(skill, &draft.question);
        if Split::of_key(&key) == split {
            let response = format!("{} #### {}", draft.working, draft.answer);
            let drafts::Draft { question, answer, .. } = draft;
            return Problem { skill, subskill: drawn, key, question, response, answer };
        }
    }
}

/// The fixed evaluation set of a split: `per_skill` problems of every skill with distinct operand keys, in
/// the order of [`Skill::ALL`]. The first `n` problems of a skill do not depend on `per_skill`. The usual
/// sizes are 40 per skill for validation and 150 for test; no split holds fewer distinct keys than that.
#[must_use]
pub fn evaluation_set(split: Split, per_skill: usize) -> Vec<Problem> {
    let mut out = Vec::with_capacity(per_skill * Skill::ALL.len());
    for skill in Skill::ALL {
        let stream =
            CounterRng::keyed(0, &format!("arithmetic/evaluation/{}/{}", skill.name(), split.name()));
        let mut seen = HashSet::new();
        // The bound only matters to a caller who asks for more keys than there are.
        for index in 0..per_skill as u64 * 200 {
            if seen.len() == per_skill {
                break;
            }
            let problem = drawn(skill, None, split, &stream.child(index));
            if seen.insert(problem.key.clone()) {
                out.push(problem);
            }
        }
    }
    out
}
