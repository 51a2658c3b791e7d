//! How good a teacher is at the embedded world: right labels, asked skills, variety, length.
//!
//! What it wrote is handed in. Nothing was checked before; the judge is the world itself, which reads every question
//! anew ([`read`]).

use std::collections::{BTreeMap, HashSet};

use super::Figure;
use crate::gym::datum::TrainingDatum;
use crate::worlds::arithmetic::{Reading, Skill, Split, read};

/// Exercises of which the repeated ones are counted over all skills.
const TOGETHER: usize = 1000;

/// An exercise and what was asked for.
#[derive(Debug, Clone)]
pub struct Written {
    /// The skill.
    pub skill: Skill,
    /// The subskill.
    pub subskill: &'static str,
    /// What came.
    pub datum: TrainingDatum,
}

/// What the world says of exercises.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    written: usize,
    right: usize,
    unread: usize,
    other_skill: usize,
    other_subskill: usize,
    held_out: usize,
    repeated: usize,
}

impl Tally {
    fn of<'a>(written: impl IntoIterator<Item = &'a Written>) -> Self {
        let (mut tally, mut seen) = (Self::default(), HashSet::new());
        for Written { skill, subskill, datum } in written {
            tally.written += 1;
            let Some(reading) = read(datum.question()) else {
                tally.unread += 1;
                continue;
            };
            let right = datum.answer.as_deref() == Some(reading.answer.as_str());
            tally.right += usize::from(right);
            tally.other_skill += usize::from(reading.skill != *skill);
            tally.other_subskill += usize::from(reading.skill == *skill && reading.subskill != *subskill);
            let Reading { key, .. } = reading;
            let split = Split::of_key(&key);
            tally.held_out += usize::from(matches!(split, Split::Validation | Split::Test));
            tally.repeated += usize::from(!seen.insert(key));
        }
        tally
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The figures of exercises, `way` being how they were asked for; `own` are the world's own generator's for the same
/// plan, which repeats itself too, because a subskill has only so many numbers.
pub fn figures(way: &str, written: &[Written], own: &[Written]) -> Vec<Figure> {
    let mut out = Vec::new();
    let of = |written: &[Written], skill: Skill| -> Vec<Written> {
        written.iter().filter(|one| one.skill == skill).cloned().collect()
    };
    let mut row = |name: &str, ours: &[Written], own: &[Written], subskills: String| {
        let tally = Tally::of(ours);
        let Tally { written, right, unread, other_skill, other_subskill, held_out, .. } = tally;
        let mut tell = |what: &str, part: usize, conditions: String| {
            let value = percent(part, written);
            out.push(Figure::new(format!("teacher.{way}.{what}.{name}"), value, "%", conditions));
        };
        tell("right", right, format!("{written} exercises{subskills}"));
        tell("other_skill", other_skill + unread, format!("{unread} not in the world's words"));
        tell("other_subskill", other_subskill, String::new());
        tell("held_out", held_out, "numbers of a validation or test question".to_owned());
        let first =
            |all: &[Written]| percent(Tally::of(all.iter().take(TOGETHER)).repeated, all.len().min(TOGETHER));
        let peer = (!own.is_empty()).then(|| first(own));
        let conditions = format!(
            "by numbers without their order, in {}; peer: the world's generator",
            ours.len().min(TOGETHER)
        );
        let repeated = format!("teacher.{way}.repeated.{name}");
        out.push(Figure::new(repeated, first(ours), "%", conditions).beside(peer));
    };
    for skill in Skill::ALL {
        let (ours, theirs) = (of(written, skill), of(own, skill));
        let mut by_subskill: BTreeMap<&str, Vec<&Written>> = BTreeMap::new();
        for one in &ours {
            by_subskill.entry(one.subskill).or_default().push(one);
        }
        let part = |(name, members): (&&str, &Vec<&Written>)| {
            let Tally { right, written, .. } = Tally::of(members.iter().copied());
            format!(", {name} {:.1}", percent(right, written))
        };
        let parts: String = by_subskill.iter().map(part).collect();
        row(skill.name(), &ours, &theirs, parts);
    }
    row("all", written, own, String::new());
    out
}

/// The figures of what an exercise costs.
pub fn cost(asked: usize, malformed: usize, tokens: u64, seconds: f64) -> Vec<Figure> {
    let conditions = format!("{asked} questions");
    vec![
        Figure::new("teacher.malformed", percent(malformed, asked), "%", conditions),
        Figure::new(
            "teacher.tokens_per_datum",
            tokens as f64 / asked.max(1) as f64,
            "tokens",
            "prompt and answer",
        ),
        Figure::new(
            "teacher.data_per_second",
            (asked - malformed) as f64 / seconds.max(1e-9),
            "1/s",
            "loading left out",
        ),
    ]
}

/// The share of questions that were solved.
pub fn solved(right: usize, asked: usize) -> Figure {
    let conditions = format!("{asked} validation questions, one vote each");
    Figure::new("teacher.solved", percent(right, asked), "%", conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exercise(question: &str, answer: &str) -> Written {
        Written { skill: Skill::Add, subskill: "carry", datum: datum(question, answer) }
    }

    fn datum(question: &str, answer: &str) -> TrainingDatum {
        serde_json::from_value(serde_json::json!({
            "id": "", "instruction": question, "response": format!("6+5=11. #### {answer}"), "answer": answer,
            "skill": "add", "subskill": "carry", "key": "",
            "provenance": {"iteration": 1, "round": 0, "engine": "taught", "allocation": 0, "draw": 0},
        }))
        .unwrap()
    }

    #[test]
    fn exercises_are_counted_by_what_the_world_says() {
        let written = [
            exercise("What is 6 + 5?", "11"),
            exercise("Add 5 and 6.", "12"),
            exercise("What is 1 + 5?", "6"),
            exercise("What is 6 - 5?", "1"),
            exercise("What is 6 and 5?", "11"),
        ];
        let tally = Tally::of(&written);
        assert_eq!((tally.written, tally.right, tally.unread), (5, 3, 1));
        assert_eq!((tally.other_skill, tally.other_subskill, tally.repeated), (1, 1, 1));
        let figures = figures("named", &written, &[]);
        let value = |name: &str| figures.iter().find(|f| f.figure == name).unwrap().value;
        assert!((value("teacher.named.right.add") - 60.0).abs() < 1e-9);
        assert!((value("teacher.named.repeated.all") - 20.0).abs() < 1e-9);
    }
}
