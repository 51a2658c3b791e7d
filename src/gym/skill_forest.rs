//! The skill forest: one tree of subskills per skill, and the history of actions on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Action, Allocation};
use super::shared::Shared;

mod change;

pub use change::{ForestChange, TreeChange};

/// One subskill with what was asked for and what was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subskill {
    /// Name, unique within its tree.
    pub name: String,
    /// Data allocated to it per round.
    pub allocation: u32,
    /// Accepted training data over the whole run.
    pub produced: u32,
}

/// What happened to a skill in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillExperience {
    /// Iteration, counted from 1.
    pub iteration: u32,
    /// The action taken.
    pub action: Action,
    /// Validation accuracy when the action was chosen.
    pub accuracy_before: f64,
    /// Validation accuracy after training, once it is known.
    pub accuracy_after: Option<f64>,
    /// Accepted data it led to.
    pub produced: u32,
}

impl SkillExperience {
    /// The paper's reward: change of the skill's validation accuracy.
    pub fn reward(&self) -> Option<f64> {
        self.accuracy_after.map(|after| after - self.accuracy_before)
    }
}

/// The tree of one skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillTree {
    /// Name of the skill.
    pub skill: String,
    /// Subskills in the order in which they were explored.
    pub subskills: Vec<Subskill>,
    /// Everything that was done to it.
    pub history: Shared<SkillExperience>,
}

impl SkillTree {
    /// A tree without subskills.
    fn new(skill: &str) -> Self {
        Self { skill: skill.to_owned(), subskills: Vec::new(), history: Shared::default() }
    }

    /// Data allocated over all subskills.
    pub fn allocated(&self) -> u32 {
        self.subskills.iter().map(|s| s.allocation).sum()
    }

    /// Accepted data over all subskills and the whole run.
    pub fn produced(&self) -> u32 {
        self.subskills.iter().map(|s| s.produced).sum()
    }
}

/// Why an action cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The forest has no such skill.
    #[error("no skill `{0}` in the forest")]
    UnknownSkill(String),
    /// A delta names a subskill the tree does not have.
    #[error("skill `{skill}` has no subskill `{subskill}`")]
    UnknownSubskill {
        /// The skill.
        skill: String,
        /// The name that was given.
        subskill: String,
    },
    /// An exploit action leaves a subskill out.
    #[error("the exploit action for `{skill}` does not name subskill `{subskill}`")]
    MissingSubskill {
        /// The skill.
        skill: String,
        /// The subskill left out.
        subskill: String,
    },
    /// An allocation would fall below zero.
    #[error("subskill `{subskill}` of `{skill}` would be allocated {value} data")]
    NegativeAllocation {
        /// The skill.
        skill: String,
        /// The subskill.
        subskill: String,
        /// The allocation that would result.
        value: i64,
    },
    /// A skill is given two actions.
    #[error("skill `{0}` is given more than one action")]
    DuplicateSkill(String),
    /// A proposed subskill exists already, or one is named twice.
    #[error("subskill `{subskill}` of skill `{skill}` is named twice")]
    DuplicateSubskill {
        /// The skill.
        skill: String,
        /// The name proposed twice.
        subskill: String,
    },
}

/// One tree per skill, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SkillForest {
    /// The trees.
    pub trees: Vec<SkillTree>,
}

impl SkillForest {
    /// An empty tree for every skill, in the order given.
    pub fn new<'a>(skills: impl IntoIterator<Item = &'a str>) -> Self {
        Self { trees: skills.into_iter().map(SkillTree::new).collect() }
    }

    /// The tree of a skill.
    pub fn tree(&self, skill: &str) -> Option<&SkillTree> {
        self.trees.iter().find(|t| t.skill == skill)
    }

    fn tree_mut(&mut self, skill: &str) -> Result<&mut SkillTree, ActionError> {
        let found = self.trees.iter_mut().find(|t| t.skill == skill);
        found.ok_or_else(|| ActionError::UnknownSkill(skill.to_owned()))
    }

    /// Applies an action; `proposed` names the new subskills of an explore action. Data are asked for
    /// by the allocations the tree has afterwards. On an error the forest is unchanged.
    pub fn apply(&mut self, skill: &str, action: &Action, proposed: &[String]) -> Result<(), ActionError> {
        let tree = self.tree_mut(skill)?;
        match action {
            Action::Explore { data_per_subskill, .. } => {
                for (i, name) in proposed.iter().enumerate() {
                    if tree.subskills.iter().any(|s| s.name == *name) || proposed[..i].contains(name) {
                        let (skill, subskill) = (skill.to_owned(), name.clone());
                        return Err(ActionError::DuplicateSubskill { skill, subskill });
                    }
                }
                tree.subskills.extend(proposed.iter().map(|name| Subskill {
                    name: name.clone(),
                    allocation: *data_per_subskill,
                    produced: 0,
                }));
            }
            Action::Exploit { deltas } => {
                let updated = exploited(tree, deltas)?;
                for (subskill, allocation) in tree.subskills.iter_mut().zip(updated) {
                    subskill.allocation = allocation;
                }
            }
        }
        Ok(())
    }

    /// Every positive allocation, in forest order.
    pub fn allocations(&self) -> Vec<Allocation> {
        let of_tree = |tree: &SkillTree| {
            let skill = tree.skill.clone();
            let to_allocation = move |s: Subskill| Allocation {
                skill: skill.clone(),
                subskill: s.name,
                count: s.allocation,
                shown: Vec::new(),
            };
            tree.subskills.clone().into_iter().filter(|s| s.allocation > 0).map(to_allocation)
        };
        self.trees.iter().flat_map(of_tree).collect()
    }

    /// Adds accepted data to the counts, by `(skill, subskill)`; names the forest lacks are ignored.
    pub fn record_produced(&mut self, counts: &BTreeMap<(String, String), u32>) {
        for tree in &mut self.trees {
            let mut all = 0;
            for subskill in &mut tree.subskills {
                let key = (tree.skill.clone(), subskill.name.clone());
                let made = counts.get(&key).copied().unwrap_or(0);
                subskill.produced += made;
                all += made;
            }
            if all > 0
                && let Some(experience) = tree.history.last_mut()
            {
                experience.produced += all;
            }
        }
    }

    /// Corrects the counts after a review.
    pub fn record_review(&mut self, skill: &str, subskill: &str, iteration: u32, accepted: i64) {
        let Some(tree) = self.trees.iter_mut().find(|t| t.skill == skill) else { return };
        if let Some(subskill) = tree.subskills.iter_mut().find(|s| s.name == subskill) {
            subskill.produced = shifted(subskill.produced, accepted);
        }
        let place = tree.history.iter().rposition(|e| e.iteration == iteration);
        if let Some(experience) = place.and_then(|n| tree.history.get_mut(n)) {
            experience.produced = shifted(experience.produced, accepted);
        }
    }

    /// Sets the allocations; a subskill that is not named gets none.
    ///
    /// # Errors
    /// When a name is unknown or comes twice; the forest is unchanged then.
    pub fn set_allocations(&mut self, allocations: &[Allocation]) -> Result<(), ActionError> {
        for (n, wanted) in allocations.iter().enumerate() {
            let (skill, subskill) = (wanted.skill.clone(), wanted.subskill.clone());
            let tree = self.tree(&skill).ok_or_else(|| ActionError::UnknownSkill(skill.clone()))?;
            if tree.subskills.iter().all(|s| s.name != subskill) {
                return Err(ActionError::UnknownSubskill { skill, subskill });
            }
            if allocations[..n].iter().any(|a| (&a.skill, &a.subskill) == (&skill, &subskill)) {
                return Err(ActionError::DuplicateSubskill { skill, subskill });
            }
        }
        for tree in &mut self.trees {
            for subskill in &mut tree.subskills {
                let of = |a: &&Allocation| a.skill == tree.skill && a.subskill == subskill.name;
                subskill.allocation = allocations.iter().find(of).map_or(0, |a| a.count);
            }
        }
        Ok(())
    }

    /// Completes the open experiences with the validation accuracies after training.
    pub fn record_accuracy(&mut self, accuracy: impl Fn(&str) -> Option<f64>) {
        for tree in &mut self.trees {
            let after = accuracy(&tree.skill);
            if after.is_some() {
                tree.history.change(|e| e.accuracy_after.is_none(), |e| e.accuracy_after = after);
            }
        }
    }
}

fn shifted(count: u32, change: i64) -> u32 {
    u32::try_from(i64::from(count).saturating_add(change).max(0)).unwrap_or(u32::MAX)
}

fn exploited(tree: &SkillTree, deltas: &BTreeMap<String, i64>) -> Result<Vec<u32>, ActionError> {
    let skill = || tree.skill.clone();
    if let Some(name) = deltas.keys().find(|name| tree.subskills.iter().all(|s| s.name != **name)) {
        return Err(ActionError::UnknownSubskill { skill: skill(), subskill: name.clone() });
    }
    let updated = |s: &Subskill| {
        let delta = deltas
            .get(&s.name)
            .ok_or_else(|| ActionError::MissingSubskill { skill: skill(), subskill: s.name.clone() })?;
        let value = i64::from(s.allocation).saturating_add(*delta);
        u32::try_from(value).map_err(|_| ActionError::NegativeAllocation {
            skill: skill(),
            subskill: s.name.clone(),
            value,
        })
    };
    tree.subskills.iter().map(updated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest() -> SkillForest {
        let mut forest = SkillForest::new(["algebra"]);
        let explore = Action::Explore { new_subskills: 2, data_per_subskill: 10 };
        forest.apply("algebra", &explore, &["roots".into(), "lines".into()]).unwrap();
        forest
    }

    fn exploit(deltas: &[(&str, i64)]) -> Action {
        Action::Exploit { deltas: deltas.iter().map(|(s, d)| ((*s).to_owned(), *d)).collect() }
    }

    #[test]
    fn explore_keeps_old_allocations() {
        let mut forest = forest();
        let explore = Action::Explore { new_subskills: 1, data_per_subskill: 3 };
        forest.apply("algebra", &explore, &["sums".into()]).unwrap();
        let counts: Vec<u32> = forest.allocations().iter().map(|a| a.count).collect();
        assert_eq!(counts, [10, 10, 3]);
    }

    #[test]
    fn bad_actions_are_typed_and_change_nothing() {
        let (skill, roots, lines) = ("algebra".to_owned(), "roots".to_owned(), "lines".to_owned());
        let cases = [
            (
                exploit(&[("roots", 0), ("sets", 1)]),
                ActionError::UnknownSubskill { skill: skill.clone(), subskill: "sets".into() },
            ),
            (
                exploit(&[("roots", 0)]),
                ActionError::MissingSubskill { skill: skill.clone(), subskill: lines.clone() },
            ),
            (
                exploit(&[("roots", 1), ("lines", -11)]),
                ActionError::NegativeAllocation { skill: skill.clone(), subskill: lines, value: -1 },
            ),
        ];
        for (action, expected) in cases {
            let mut changed = forest();
            assert_eq!(changed.apply("algebra", &action, &[]), Err(expected));
            assert_eq!(changed, forest());
        }
        let explore = Action::Explore { new_subskills: 1, data_per_subskill: 1 };
        let duplicate = ActionError::DuplicateSubskill { skill, subskill: roots.clone() };
        assert_eq!(forest().apply("algebra", &explore, &[roots]), Err(duplicate));
        let unknown = ActionError::UnknownSkill("music".into());
        assert_eq!(forest().apply("music", &explore, &[]), Err(unknown));
    }

    #[test]
    fn a_zeroing_exploit_asks_for_nothing() {
        let mut forest = forest();
        forest.apply("algebra", &exploit(&[("roots", -10), ("lines", -10)]), &[]).unwrap();
        assert_eq!(forest.allocations(), []);
    }

    #[test]
    fn the_reward_is_the_change_of_accuracy() {
        let mut forest = forest();
        forest.trees[0].history.push(SkillExperience {
            iteration: 1,
            action: exploit(&[]),
            accuracy_before: 0.25,
            accuracy_after: None,
            produced: 0,
        });
        forest.record_produced(&BTreeMap::from([(("algebra".into(), "roots".into()), 7)]));
        forest.record_accuracy(|_| Some(0.75));
        let experience = &forest.trees[0].history[0];
        assert_eq!((experience.reward(), experience.produced), (Some(0.5), 7));
        assert_eq!(forest.trees[0].produced(), 7);
    }
}
