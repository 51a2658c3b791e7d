//! Subskills from a fixed list.

use std::collections::BTreeMap;

use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{PortError, SubskillProposal, Task, Teacher};
use crate::gym::skill_forest::SkillTree;
use crate::tasks::WHOLE_SKILL;
use crate::worlds::arithmetic::Skill;

/// Proposes subskills from a fixed list per skill, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListProposal {
    names: BTreeMap<String, Vec<String>>,
    others: Vec<String>,
}

impl ListProposal {
    /// From `(skill, subskills)`.
    pub fn new(names: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self { names: names.into_iter().collect(), others: Vec::new() }
    }

    /// The subskills of the embedded world of arithmetic.
    pub fn of_arithmetic() -> Self {
        let names = |skill: Skill| skill.subskills().iter().map(|&s| s.to_owned()).collect();
        Self::new(Skill::ALL.into_iter().map(|skill| (skill.name().to_owned(), names(skill))))
    }

    /// The gold subskills of a task's pool, in the order in which they appear.
    pub fn from_pool(task: &dyn Task) -> Self {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for TaskInstance { skill, subskill, .. } in task.instances(Split::Pool) {
            if let (Some(skill), Some(subskill)) = (skill, subskill) {
                let known = names.entry(skill.clone()).or_default();
                if !known.contains(subskill) {
                    known.push(subskill.clone());
                }
            }
        }
        Self { names, others: Vec::new() }
    }

    /// The same, and for every skill the list does not name one subskill: the skill as a whole.
    #[must_use]
    pub fn or_whole(mut self) -> Self {
        self.others = vec![WHOLE_SKILL.to_owned()];
        self
    }

    fn unexplored<'a>(&'a self, tree: &'a SkillTree) -> impl Iterator<Item = &'a String> {
        let known = self.names.get(&tree.skill).map_or(self.others.as_slice(), Vec::as_slice);
        known.iter().filter(|name| tree.subskills.iter().all(|s| s.name != **name))
    }
}

impl SubskillProposal for ListProposal {
    fn propose(
        &self,
        wanted: &[(&SkillTree, u32)],
        _teacher: &mut dyn Teacher,
    ) -> Result<Vec<Vec<String>>, PortError> {
        let of = |(tree, count): &(&SkillTree, u32)| {
            self.unexplored(tree).take(*count as usize).cloned().collect::<Vec<_>>()
        };
        Ok(wanted.iter().map(of).collect())
    }

    fn remaining(&self, tree: &SkillTree) -> usize {
        self.unexplored(tree).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::plan::Action;
    use crate::gym::skill_forest::SkillForest;
    use crate::skills::tests::Heart;

    #[test]
    fn proposals_follow_the_list_and_never_repeat() {
        let names = [("add".to_owned(), vec!["a".to_owned(), "b".into(), "c".into()])];
        let proposal = ListProposal::new(names);
        let mut heart = Heart::new(&|_, _| String::new());
        let mut forest = SkillForest::new(["add", "other"]);
        let first = proposal.propose(&[(&forest.trees[0], 2)], &mut heart).unwrap().remove(0);
        assert_eq!(first, ["a", "b"]);
        let explore = Action::Explore { new_subskills: 2, data_per_subskill: 1 };
        forest.apply("add", &explore, &first).unwrap();
        let rest = proposal.propose(&[(&forest.trees[0], 9)], &mut heart).unwrap().remove(0);
        assert_eq!((rest, proposal.remaining(&forest.trees[0])), (vec!["c".to_owned()], 1));
        assert_eq!(proposal.remaining(&forest.trees[1]), 0);
        assert_eq!(proposal.or_whole().remaining(&forest.trees[1]), 1);
    }
}
