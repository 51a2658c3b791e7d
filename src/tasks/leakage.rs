//! Leakage: whether a question stands in other ones, in the same words, with the same operands, or passage by
//! passage.

use std::collections::{HashMap, HashSet};

use super::Splits;
use crate::gym::instance::TaskInstance;
use crate::gym::leakage::{Contamination, Shared};
use crate::gym::words::{normalised, passages, words};

/// Words of a passage.
pub const PASSAGE: usize = 8;
/// Share of a question's passages in one other question from which it counts as standing there.
const MOST: f64 = 0.8;

/// Questions that others are looked for in.
#[derive(Debug, Default)]
pub struct HeldOut {
    keys: HashSet<String>,
    questions: HashSet<String>,
    places: HashMap<u64, Vec<u32>>,
}

impl HeldOut {
    /// The questions of instances.
    pub fn new<'a>(instances: impl IntoIterator<Item = &'a TaskInstance>) -> Self {
        let mut held = Self::default();
        for (place, instance) in instances.into_iter().enumerate() {
            let question = instance.content.question();
            held.keys.insert(instance.key.clone());
            held.questions.insert(normalised(question));
            let words = words(question);
            if words.len() >= PASSAGE {
                for passage in passages(&words, PASSAGE) {
                    held.places.entry(passage).or_default().push(place as u32);
                }
            }
        }
        held
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

    /// Notes an instance that stands among them; whether it does.
    fn note(&self, instance: &TaskInstance, found: &mut Shared) -> bool {
        // The same words about another picture are another question.
        if !instance.content.images().is_empty() {
            return false;
        }
        let question = instance.content.question();
        let mostly = |(shared, all): (u32, usize)| f64::from(shared) >= MOST * all as f64;
        if self.words(question) {
            found.words += 1;
        } else if self.key(&instance.key) {
            found.operands += 1;
        } else if self.passages(question).is_some_and(mostly) {
            found.passages += 1;
        } else {
            return false;
        }
        true
    }
}

/// The splits without the pool questions that stand in validation or test, and what was found.
pub fn cleaned(mut splits: Splits) -> (Splits, Contamination) {
    let mut found = Contamination::default();
    let held = HeldOut::new(splits.validation.iter().chain(&splits.test));
    splits.pool.retain(|instance| !held.note(instance, &mut found.pool));
    let test = HeldOut::new(&splits.test);
    for instance in &splits.validation {
        test.note(instance, &mut found.validation);
    }
    (splits, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::instance::{Content, Split};

    fn instance(id: &str, key: &str, question: &str) -> TaskInstance {
        TaskInstance {
            id: id.into(),
            task: "t".into(),
            split: Split::Pool,
            skill: None,
            subskill: None,
            key: key.into(),
            facets: std::collections::BTreeMap::new(),
            content: Content::Mathematics {
                question: question.into(),
                options: Vec::new(),
                answer: "1".into(),
                solution: None,
            },
        }
    }

    #[test]
    fn each_kind_is_counted_once_and_only_the_pool_loses_questions() {
        let story =
            "On Monday morning Ann bought seven red apples and gave her brother two of them after lunch";
        let changed = story.replace("lunch", "dinner");
        let splits = Splits {
            pool: vec![
                instance("words", "k1", "How  MANY are there?"),
                instance("operands", "k2", "Another wording of the same"),
                instance("passages", "k3", &changed),
                instance("free", "k4", "On Monday morning Ann bought a car and a house by the sea"),
            ],
            validation: vec![instance("v1", "k1", "How many are there"), instance("v2", "k9", "Twice")],
            test: vec![
                instance("t1", "k2", "Two"),
                instance("t2", "k5", story),
                instance("t3", "k8", "twice!"),
            ],
        };
        let (cleaned, found) = cleaned(splits);
        assert_eq!(cleaned.pool.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["free"]);
        assert_eq!(found.pool, Shared { words: 1, operands: 1, passages: 1 });
        assert_eq!((found.validation.total(), cleaned.validation.len(), cleaned.test.len()), (1, 2, 3));
        let said = found.to_string();
        assert!(said.starts_with("3 pool questions were left out (1 with the same words, 1 with"), "{said}");
        assert!(said.contains("1 validation questions stand in test and were kept"), "{said}");
    }
}
