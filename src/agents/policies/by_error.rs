//! Data in proportion to error: the skills the student fails at get the most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{exploit_to, misplaced};
use crate::gym::budget::split_by_weight;
use crate::gym::plan::{Action, Allocation, SkillAction};
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanContext, Policy, PortError, SkillErrors, SkillState, State,
};

/// Weight of a skill is its error in percent plus one, so that a solved skill keeps a floor of replay.
/// In the skill tree the first plan explores every subskill a skill has; later plans shift the allocations
/// by exploit. In the skill list every skill gets its share and its errors are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ByError {
    /// Data asked for in each plan, over all skills.
    pub data: u32,
}

impl Default for ByError {
    fn default() -> Self {
        Self { data: 400 }
    }
}

impl ByError {
    fn quotas(&self, accuracies: impl Iterator<Item = f64>) -> Vec<u32> {
        let weights: Vec<f64> = accuracies.map(|accuracy| 100.0 * (1.0 - accuracy) + 1.0).collect();
        split_by_weight(self.data, &weights)
    }
}

impl Policy for ByError {
    fn name(&self) -> &'static str {
        "by_error"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::SkillTree, EnvironmentKind::SkillList]
    }

    fn plan(&self, state: &State<'_>, _context: PlanContext) -> Result<Decision, PortError> {
        match state {
            State::SkillTree(skills) => {
                let quotas = self.quotas(skills.iter().map(|s| s.accuracy));
                let act = |(s, quota): (&SkillState<'_>, u32)| SkillAction {
                    skill: s.tree.skill.clone(),
                    action: action(s, quota),
                };
                Ok(Decision::Actions(skills.iter().zip(quotas).map(act).collect()))
            }
            State::SkillList(skills) => {
                // Where the state is hidden every skill counts the same.
                let quotas = self.quotas(skills.iter().map(|s| s.accuracy.unwrap_or(0.0)));
                let allocation = |(s, count): (&SkillErrors<'_>, u32)| Allocation {
                    skill: s.skill.to_owned(),
                    subskill: String::new(),
                    count,
                    shown: s.examples.iter().map(|e| e.instance.id.clone()).collect(),
                };
                Ok(Decision::Allocations(skills.iter().zip(quotas).map(allocation).collect()))
            }
            State::OpenEnded(_) => Err(misplaced(self, state)),
        }
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
    let place = |name: &str| subskills.iter().position(|s| s.name == name);
    exploit_to(state, |s| place(&s.name).map_or(0, |n| parts[n]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::skill_forest::SkillForest;

    fn plan(forest: &SkillForest, accuracies: &[f64]) -> Vec<SkillAction> {
        let skill = |(tree, &accuracy)| SkillState { tree, accuracy, unexplored: 2 };
        let state = State::SkillTree(forest.trees.iter().zip(accuracies).map(skill).collect());
        let context = PlanContext { iteration: 1, round: 0, seed: 0 };
        let Ok(Decision::Actions(actions)) = ByError { data: 102 }.plan(&state, context) else { panic!() };
        actions
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
