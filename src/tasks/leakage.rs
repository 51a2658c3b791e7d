//! Leakage between the splits of a task.

use super::Splits;
use crate::gym::instance::TaskInstance;
use crate::gym::leakage::{Contamination, HeldOut, Shared};

/// Notes an instance that stands among held-out ones; whether it does.
fn note(held: &HeldOut, instance: &TaskInstance, found: &mut Shared) -> bool {
    // The same words about another picture are another question.
    if !instance.content.images().is_empty() {
        return false;
    }
    let question = instance.content.question();
    if held.words(question) {
        found.words += 1;
    } else if held.key(&instance.key) {
        found.operands += 1;
    } else if held.mostly(question) {
        found.passages += 1;
    } else {
        return false;
    }
    true
}

/// Who said which question is of validation and which of test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// We did, from a file: a validation question that stands in test can go.
    Here,
    /// Others, who compare figures by these splits: it is counted and kept.
    Published,
}

/// The splits without the pool questions that stand in validation or test, and the validation questions that stand in
/// test as far as they can go; and what was found.
pub fn cleaned(mut splits: Splits, drawn: Drawn) -> (Splits, Contamination) {
    let mut found = Contamination::default();
    let test = HeldOut::new(&splits.test);
    match drawn {
        Drawn::Here => splits.validation.retain(|instance| !note(&test, instance, &mut found.left_out)),
        Drawn::Published => splits.validation.iter().for_each(|instance| {
            note(&test, instance, &mut found.validation);
        }),
    }
    let held = HeldOut::new(splits.validation.iter().chain(&splits.test));
    splits.pool.retain(|instance| !note(&held, instance, &mut found.pool));
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
    fn each_kind_is_counted_once_and_published_splits_lose_none() {
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
        let (ours, here) = cleaned(splits.clone(), Drawn::Here);
        assert_eq!(ours.validation.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["v1"]);
        assert_eq!(
            (here.validation, here.left_out),
            (Shared::default(), Shared { words: 1, ..Shared::default() })
        );
        assert!(
            here.to_string().contains("1 validation questions stand in test and were left out"),
            "{here}"
        );
        let (cleaned, found) = cleaned(splits, Drawn::Published);
        assert_eq!(cleaned.pool.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["free"]);
        assert_eq!(found.pool, Shared { words: 1, operands: 1, passages: 1 });
        assert_eq!((found.validation.total(), cleaned.validation.len(), cleaned.test.len()), (1, 2, 3));
        let said = found.to_string();
        assert!(said.starts_with("3 pool questions were left out (1 with the same words, 1 with"), "{said}");
        assert!(said.contains("1 validation questions stand in test and were kept"), "{said}");
    }
}
