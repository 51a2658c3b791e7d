//! Data in proportion to error: the skills the student fails at get the most.

use crate::gym::budget::split_by_weight;
use crate::gym::plan::{Action, SkillAction};
use crate::gym::ports::{Policy, SkillState, SkillTreeState};

/// Weight of a skill is its error in percent plus one, so that a solved skill keeps a floor of replay.
/// The first plan explores every subskill a skill has; later plans shift the allocations by exploit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByError {
    /// Data asked for in each plan, over all skills.
    pub data: u32,
}

impl Policy for ByError {
    fn name(&self) -> &'static str {
        "by_error"
    }

    fn plan(&self, state: &SkillTreeState<'_>, _seed: u64) -> Vec<SkillAction> {
        let weights: Vec<f64> = state.skills.iter().map(|s| 100.0 * (1.0 - s.accuracy) + 1.0).collect();
        let quotas = split_by_weight(self.data, &weights);
        let act = |(s, quota): (&SkillState<'_>, u32)| SkillAction {
            skill: s.tree.skill.clone(),
            action: action(s, quota),
        };
        state.skills.iter().zip(quotas).map(act).collect()
    }
}

fn action(state: &SkillState<'_>, quota: u32) -> Action {
    let subskills = &state.tree.subskills;
    if subskills.is_empty() {
        let new_subskills = state.unexplored.max(1) as u32;
        // Rounded up: the exact quota is restored by the next plan's exploit.
        return Action::Explore { new_subskills, data_per_subskill: quota.div_ceil(new_subskills) };
    }
    let parts = split_by_weight(quota, &vec![1.0; subskills.len()]);
    let delta = subskills
        .iter()
        .zip(parts)
        .map(|(s, part)| (s.name.clone(), i64::from(part) - i64::from(s.allocation)));
    Action::Exploit { deltas: delta.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::skill_forest::SkillForest;

    fn plan(forest: &SkillForest, accuracies: &[f64]) -> Vec<SkillAction> {
        let skill = |(tree, &accuracy)| SkillState { tree, accuracy, unexplored: 2 };
        let skills = forest.trees.iter().zip(accuracies).map(skill).collect();
        ByError { data: 102 }.plan(&SkillTreeState { iteration: 1, round: 0, skills }, 0)
    }

    #[test]
    fn explores_everything_first_then_follows_the_error() {
        let mut forest = SkillForest::new(["weak", "strong"]);
        let first = plan(&forest, &[0.0, 1.0]);
        assert_eq!(first[0].action, Action::Explore { new_subskills: 2, data_per_subskill: 51 });
        assert_eq!(first[1].action, Action::Explore { new_subskills: 2, data_per_subskill: 1 });
        for (skill, action) in ["weak", "strong"].iter().zip(&first) {
            forest.apply(skill, &action.action, &["a".into(), "b".into()]).unwrap();
        }
        for (skill, action) in ["weak", "strong"].iter().zip(plan(&forest, &[0.5, 0.5])) {
            forest.apply(skill, &action.action, &[]).unwrap();
        }
        let counts: Vec<u32> = forest.allocations().iter().map(|a| a.count).collect();
        assert_eq!(counts, [26, 25, 26, 25]);
    }
}
