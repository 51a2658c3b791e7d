//! What one phase does to the forest: the difference between two forests, small where little changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SkillExperience, SkillForest, SkillTree, Subskill};
use crate::gym::shared::Shared;

/// How one forest becomes another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForestChange {
    /// The skills of all trees in their order, where they are not those there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skills: Option<Vec<String>>,
    /// The trees that are not as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trees: Vec<TreeChange>,
}

/// How one tree becomes another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeChange {
    /// Name of the skill.
    pub skill: String,
    /// All its subskills, where one is not as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subskills: Option<Vec<Subskill>>,
    /// Number of experiences from the first on that stay as they are.
    #[serde(default)]
    pub kept: usize,
    /// The experiences that follow them.
    #[serde(default, skip_serializing_if = "Shared::is_empty")]
    pub history: Shared<SkillExperience>,
}

impl SkillForest {
    /// What makes `self` into `after`. Costs a look at every shared experience and a comparison of the others.
    pub fn change_to(&self, after: &Self) -> ForestChange {
        let same_skills = self.trees.iter().map(|t| &t.skill).eq(after.trees.iter().map(|t| &t.skill));
        let skills = (!same_skills).then(|| after.trees.iter().map(|t| t.skill.clone()).collect());
        let change = |tree: &SkillTree| {
            let empty = SkillTree::new(&tree.skill);
            let before = self.tree(&tree.skill).unwrap_or(&empty);
            let kept = before.history.same_start(&tree.history);
            let same = before.subskills == tree.subskills;
            let whole = kept == tree.history.len() && kept == before.history.len();
            (!same || !whole).then(|| TreeChange {
                skill: tree.skill.clone(),
                subskills: (!same).then(|| tree.subskills.clone()),
                kept,
                history: tree.history.part(kept, tree.history.len()).iter().cloned().collect(),
            })
        };
        ForestChange { skills, trees: after.trees.iter().filter_map(change).collect() }
    }

    /// Applies a change that was found by [`SkillForest::change_to`]. A tree that the forest lacks is added: a
    /// whole forest, as older programs journalled it, is a change too.
    pub fn change(&mut self, change: &ForestChange) {
        if let Some(skills) = &change.skills {
            let mut old: BTreeMap<String, SkillTree> =
                std::mem::take(&mut self.trees).into_iter().map(|tree| (tree.skill.clone(), tree)).collect();
            let tree = |skill: &String| old.remove(skill).unwrap_or_else(|| SkillTree::new(skill));
            self.trees = skills.iter().map(tree).collect();
        }
        for change in &change.trees {
            let known = self.trees.iter().position(|tree| tree.skill == change.skill);
            let place = known.unwrap_or_else(|| {
                self.trees.push(SkillTree::new(&change.skill));
                self.trees.len() - 1
            });
            let tree = &mut self.trees[place];
            if let Some(subskills) = &change.subskills {
                tree.subskills.clone_from(subskills);
            }
            tree.history.truncate(change.kept);
            tree.history.extend(change.history.part(0, change.history.len()).iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gym::plan::Action;

    prop_compose! {
        fn tree(skill: String)(
            subskills in proptest::collection::vec((0_u32..3, 0_u32..3), 0..3),
            history in proptest::collection::vec((0_u32..3, proptest::option::of(0_u8..2)), 0..4),
        ) -> SkillTree {
            let subskill = |(n, (allocation, produced)): (usize, (u32, u32))| Subskill {
                name: format!("s{n}"), allocation, produced,
            };
            let experience = |(iteration, after): (u32, Option<u8>)| SkillExperience {
                iteration,
                action: Action::Exploit { deltas: BTreeMap::new() },
                accuracy_before: 0.25,
                accuracy_after: after.map(f64::from),
                produced: 0,
            };
            SkillTree {
                skill: skill.clone(),
                subskills: subskills.into_iter().enumerate().map(subskill).collect(),
                history: history.into_iter().map(experience).collect(),
            }
        }
    }

    fn forest() -> impl Strategy<Value = SkillForest> {
        let names = Just(vec!["a", "b", "c", "d"]).prop_shuffle();
        (names, 0_usize..5).prop_flat_map(|(names, count)| {
            let trees: Vec<_> = names[..count].iter().map(|name| tree((*name).to_owned())).collect();
            trees.prop_map(|trees| SkillForest { trees })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_change_makes_one_forest_into_the_other(before in forest(), after in forest()) {
            let change = before.change_to(&after);
            let read: ForestChange = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
            prop_assert_eq!(&read, &change);
            let mut changed = before.clone();
            changed.change(&read);
            prop_assert_eq!(&changed, &after);
            prop_assert_eq!(after.change_to(&changed), ForestChange::default());
        }
    }

    #[test]
    fn a_whole_forest_is_a_change() {
        let mut forest = SkillForest::new(["a", "b"]);
        let names = ["x".to_owned()];
        forest.apply("b", &Action::Explore { new_subskills: 1, data_per_subskill: 2 }, &names).unwrap();
        let text = serde_json::to_string(&forest).unwrap();
        for mut before in [SkillForest::default(), SkillForest::new(["a", "b"])] {
            before.change(&serde_json::from_str(&text).unwrap());
            assert_eq!(before, forest);
        }
    }

    #[test]
    fn a_long_history_costs_a_change_nothing() {
        let mut before = SkillForest::new(["a", "b"]);
        let experience = |iteration| SkillExperience {
            iteration,
            action: Action::Exploit { deltas: BTreeMap::new() },
            accuracy_before: 0.5,
            accuracy_after: Some(0.5),
            produced: 0,
        };
        before.trees[0].history.extend((0..1000).map(experience));
        let mut after = before.clone();
        after.trees[0].history.push(experience(1000));
        let change = before.change_to(&after);
        assert_eq!((change.trees.len(), change.trees[0].kept, change.trees[0].history.len()), (1, 1000, 1));
        assert!(serde_json::to_string(&change).unwrap().len() < 200);
    }
}
