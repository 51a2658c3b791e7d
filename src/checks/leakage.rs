//! Leakage: no datum may ask a validation or test question again, in whatever wording.

use std::collections::{HashMap, HashSet};

use super::{LEAKAGE, OVERLAP};
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{Check, Task};
use crate::gym::words::{normalised, passages, words};

/// Words of a passage.
const PASSAGE: usize = 8;

fn held_out(task: &dyn Task) -> impl Iterator<Item = &TaskInstance> {
    [Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split))
}

/// Rejects data with the words of a held-out question, or with its leakage key.
#[derive(Debug)]
pub struct Leakage {
    keys: HashSet<String>,
    questions: HashSet<String>,
}

impl Leakage {
    /// Holds out the validation and test instances of a task.
    pub fn new(task: &dyn Task) -> Self {
        Self {
            keys: held_out(task).map(|instance| instance.key.clone()).collect(),
            questions: held_out(task).map(|instance| normalised(instance.content.question())).collect(),
        }
    }
}

impl Check for Leakage {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let same_key = self.keys.contains(&datum.key);
        // The same words about another picture are another question.
        let same_words = datum.images.is_empty() && self.questions.contains(&normalised(datum.question()));
        let reason = match (same_key, same_words) {
            (_, true) => "a validation or test question has the same words".to_owned(),
            (true, false) => format!("a validation or test question has the key `{}`", datum.key),
            (false, false) => "no validation or test question asks the same".to_owned(),
        };
        let passed = !same_key && !same_words;
        Some(CheckResult { check: LEAKAGE.to_owned(), passed, filters: true, score: None, reason })
    }
}

/// Grades data by the share of their passages that stand in one held-out question. Questions of less than
/// eight words have no passages.
#[derive(Debug)]
pub struct Overlap {
    limit: f64,
    places: HashMap<u64, Vec<u32>>,
}

impl Overlap {
    /// Fails from the share `limit` on.
    pub fn new(task: &dyn Task, limit: f64) -> Self {
        let mut places: HashMap<u64, Vec<u32>> = HashMap::new();
        for (place, instance) in held_out(task).enumerate() {
            let words = words(instance.content.question());
            if words.len() >= PASSAGE {
                for passage in passages(&words, PASSAGE) {
                    places.entry(passage).or_default().push(place as u32);
                }
            }
        }
        Self { limit, places }
    }
}

impl Check for Overlap {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let words = words(datum.question());
        if words.len() < PASSAGE || !datum.images.is_empty() {
            return None;
        }
        let passages = passages(&words, PASSAGE);
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for place in passages.iter().filter_map(|passage| self.places.get(passage)).flatten() {
            *shared.entry(*place).or_default() += 1;
        }
        let most = shared.into_values().max().unwrap_or(0);
        let share = f64::from(most) / passages.len() as f64;
        Some(CheckResult {
            check: OVERLAP.to_owned(),
            passed: share < self.limit,
            filters: true,
            score: Some(share),
            reason: format!(
                "{most} of its {} passages of {PASSAGE} words stand in one validation or test question",
                passages.len()
            ),
        })
    }
}
