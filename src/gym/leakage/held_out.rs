//! Whether a question stands in held-out ones: in the same words, with the same operands, or passage by passage.

use std::collections::{HashMap, HashSet};

use crate::gym::instance::TaskInstance;
use crate::gym::words::{normalised, passages, words};

/// Words of a passage.
pub const PASSAGE: usize = 8;
/// Share of a question's passages in one other question from which it counts as standing there.
const MOST: f64 = 0.8;

/// Questions that others are looked for in.
#[derive(Debug, Default)]
pub struct HeldOut {
    count: u32,
    keys: HashSet<String>,
    questions: HashSet<String>,
    places: HashMap<u64, Vec<u32>>,
}

impl HeldOut {
    /// The questions of instances.
    pub fn new<'a>(instances: impl IntoIterator<Item = &'a TaskInstance>) -> Self {
        let mut held = Self::default();
        instances.into_iter().for_each(|instance| held.add(instance));
        held
    }

    /// One question more.
    pub fn add(&mut self, instance: &TaskInstance) {
        let place = self.count;
        self.count += 1;
        self.keys.insert(instance.key.clone());
        // The same words about another picture are another question.
        if !instance.content.images().is_empty() {
            return;
        }
        let question = instance.content.question();
        self.questions.insert(normalised(question));
        let words = words(question);
        if words.len() >= PASSAGE {
            for passage in passages(&words, PASSAGE) {
                self.places.entry(passage).or_default().push(place);
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether one of them has the key.
    pub fn key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether one of them has the same words.
    pub fn words(&self, question: &str) -> bool {
        self.questions.contains(&normalised(question))
    }

    /// How many of a question's passages stand in one of them at most, and how many it has; nothing for a
    /// question without passages.
    pub fn passages(&self, question: &str) -> Option<(u32, usize)> {
        let words = words(question);
        if words.len() < PASSAGE {
            return None;
        }
        let passages = passages(&words, PASSAGE);
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for place in passages.iter().filter_map(|passage| self.places.get(passage)).flatten() {
            *shared.entry(*place).or_default() += 1;
        }
        Some((shared.into_values().max().unwrap_or(0), passages.len()))
    }

    /// Whether four fifths of a question's passages stand in one of them.
    pub fn mostly(&self, question: &str) -> bool {
        self.passages(question).is_some_and(|(shared, all)| f64::from(shared) >= MOST * all as f64)
    }
}
