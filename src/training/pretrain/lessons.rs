//! What an embedded model is taught: turns of a question and its answer, each a pure function of its number.

use crate::gym::rng::CounterRng;
use crate::prompts::{PromptSet, Prompts};
use crate::worlds::arithmetic::{Problem, Skill, Split, sample};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The kind of lessons with its shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lessons {
    /// A student's: questions and their worked answers, from the pre-training split alone.
    Answering {
        /// Share of each weak skill, in the order of the weak skills of [`Skill::ALL`]; the strong skills share
        /// the rest evenly.
        weak_shares: [f64; 6],
    },
    /// A teacher's: the compact prompts and their answers in JSON, from the pre-training split and the pool.
    /// Skills come alike often, and so do the subskills of a skill.
    Teaching {
        /// How the prompts share the lessons.
        prompt_shares: PromptShares,
    },
}

/// Shares of the prompts that a teacher learns; an exercise for nothing in particular gets the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PromptShares {
    /// An exercise for a subskill.
    pub subskill: f64,
    /// An exercise for a skill.
    pub skill: f64,
    /// An exercise of the subskill of an example.
    pub example: f64,
    /// The solution of a question.
    pub solve: f64,
    /// The names of subskills that are not known yet.
    pub proposal: f64,
}

/// A prompt and the answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// What the model is told.
    pub prompt: String,
    /// What it is to say.
    pub response: String,
}

// The fields of the answers in the order in which they are written: the working comes before what follows from it.

#[derive(Serialize)]
struct Exercises<'a> {
    data: [Exercise<'a>; 1],
}

#[derive(Serialize)]
struct Exercise<'a> {
    question: &'a str,
    reasoning: &'a str,
    answer: &'a str,
}

#[derive(Serialize)]
struct Solution<'a> {
    reasoning: &'a str,
    answer: &'a str,
}

#[derive(Serialize)]
struct Proposal {
    subskills: Vec<&'static str>,
}

fn json_text(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

/// The working of a problem without the answer behind it.
fn working(problem: &Problem) -> &str {
    problem.response.rsplit_once(" #### ").map_or("", |(working, _)| working)
}

impl Lessons {
    /// The `index`-th lesson under a seed.
    pub fn lesson(&self, seed: u64, index: u64) -> Option<Lesson> {
        match self {
            Self::Answering { weak_shares } => {
                let Problem { question, response, .. } = answered(weak_shares, seed, index)?;
                Some(Lesson { prompt: question, response })
            }
            Self::Teaching { prompt_shares } => taught(*prompt_shares, seed, index),
        }
    }

    /// Tokens that a row of packed lessons holds.
    pub(super) fn row(&self) -> usize {
        match self {
            Self::Answering { .. } => 128,
            Self::Teaching { .. } => 256,
        }
    }
}

/// The `index`-th problem of a student's mix.
pub(in crate::training) fn answered(weak_shares: &[f64; 6], seed: u64, index: u64) -> Option<Problem> {
    let mut rng = CounterRng::keyed(seed, "pretrain/mix").child(index);
    let mut draw = rng.unit();
    let weak = Skill::ALL.into_iter().filter(|skill| !skill.is_strong());
    for (skill, share) in weak.zip(weak_shares) {
        if draw < *share {
            return sample(skill, None, Split::Pretrain, seed, index).ok();
        }
        draw -= share;
    }
    let strong: Vec<Skill> = Skill::ALL.into_iter().filter(|skill| skill.is_strong()).collect();
    sample(*rng.pick(&strong)?, None, Split::Pretrain, seed, index).ok()
}

fn taught(shares: PromptShares, seed: u64, index: u64) -> Option<Lesson> {
    let mut rng = CounterRng::keyed(seed, "pretrain/teaching").child(index);
    let draw = rng.unit();
    let skill = *rng.pick(&Skill::ALL)?;
    let subskill = *rng.pick(skill.subskills())?;
    // Both splits as often as they have keys.
    let split = if rng.below(8) < 5 { Split::Pretrain } else { Split::Pool };
    let problem = |subskill, of: &str| {
        let seed = CounterRng::keyed(seed, of).bits();
        sample(skill, subskill, split, seed, index).ok()
    };
    let prompts = Prompts::of(PromptSet::Compact);
    let prompt = |name, values| Some(prompts.render(name, &values).ok()?.text);
    let exercise = |named: [&str; 2], shown: &[&str], problem: Problem| {
        let shown: Vec<_> = shown.iter().map(|question| json!({"question": question})).collect();
        let values = json!({"skill": named[0], "subskill": named[1], "shown": shown});
        let Problem { question, answer, .. } = &problem;
        let data = [Exercise { question, reasoning: working(&problem), answer }];
        Some(Lesson { prompt: prompt("mathematics", values)?, response: json_text(&Exercises { data })? })
    };
    let PromptShares { subskill: by_subskill, skill: by_skill, example, solve, proposal } = shares;
    let bounds = [by_subskill, by_skill, example, solve, proposal];
    let mut sum = 0.0;
    let kind = bounds.iter().position(|share| {
        sum += share;
        draw < sum
    });
    let one = "exercise";
    match kind {
        Some(0) => exercise([skill.name(), subskill], &[], problem(Some(subskill), one)?),
        Some(1) => exercise([skill.name(), ""], &[], problem(None, one)?),
        Some(2) => {
            let shown = problem(Some(subskill), "example")?;
            exercise(["", ""], &[&shown.question], problem(Some(subskill), one)?)
        }
        Some(3) => {
            let problem = problem(Some(subskill), "solve")?;
            let solution = Solution { reasoning: working(&problem), answer: &problem.answer };
            let values = json!({"question": problem.question});
            Some(Lesson { prompt: prompt("solve", values)?, response: json_text(&solution)? })
        }
        Some(4) => {
            let (mut names, known) = (skill.subskills().to_vec(), rng.below(skill.subskills().len() as u64));
            rng.shuffle(&mut names);
            let subskills = names.split_off(known as usize);
            let prompt = prompt("subskills", json!({"skill": skill.name(), "known": names}))?;
            Some(Lesson { prompt, response: json_text(&Proposal { subskills })? })
        }
        _ => exercise(["", ""], &[], problem(None, one)?),
    }
}
