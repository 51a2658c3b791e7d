//! Explore or exploit by fair coin: the paper's skill-tree agent without the state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SKILL_TREE, exploit_to, per_skill};
use crate::gym::plan::Action;
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, SkillState, State,
};
use crate::gym::rng::CounterRng;

/// The reference's random policy. It looks at the tree, never at the student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Random {
    /// Most data an exploit action gives to a subskill.
    pub max_data_per_subskill: u32,
    /// Most subskills an explore action adds.
    pub max_new_subskills: u32,
    /// Most data for each of them.
    pub max_data_for_new_subskill: u32,
    /// Most subskills with an allocation at a time.
    pub max_active_subskills: u32,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            max_data_per_subskill: 30,
            max_new_subskills: 3,
            max_data_for_new_subskill: 10,
            max_active_subskills: 10,
        }
    }
}

impl Random {
    fn action(&self, state: &SkillState<'_>, mut rng: CounterRng) -> Action {
        let subskills = &state.tree.subskills;
        if subskills.is_empty() || (state.unexplored > 0 && rng.below(2) == 0) {
            return Action::Explore {
                new_subskills: rng.between(1, u64::from(self.max_new_subskills.max(1))) as u32,
                data_per_subskill: rng.between(1, u64::from(self.max_data_for_new_subskill.max(1))) as u32,
            };
        }
        let (mut active, mut idle): (Vec<usize>, Vec<usize>) =
            (0..subskills.len()).partition(|&n| subskills[n].allocation > 0);
        rng.shuffle(&mut active);
        rng.shuffle(&mut idle);
        active.extend(idle);
        active.truncate(self.max_active_subskills as usize);
        let wanted: Vec<(&str, u32)> = active
            .iter()
            .map(|&n| {
                (subskills[n].name.as_str(), rng.between(0, u64::from(self.max_data_per_subskill)) as u32)
            })
            .collect();
        exploit_to(state, |s| wanted.iter().find(|(name, _)| *name == s.name).map_or(0, |(_, count)| *count))
    }
}

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn about(&self) -> &'static str {
        "explores or exploits by fair coin: the agent without a state"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        SKILL_TREE
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let rng = |skill: &SkillState<'_>| CounterRng::keyed(context.seed, &skill.tree.skill);
        per_skill(self, state, |skill| self.action(skill, rng(skill)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simulate;
    use super::*;

    #[test]
    fn both_actions_come_and_every_limit_is_kept() {
        let policy = Random { max_active_subskills: 4, ..Random::default() };
        let (forest, _) = simulate(&policy, 200, |_| 0.5);
        let history = &forest.trees[0].history;
        let explored = history.iter().filter(|e| e.action.kind() == "explore").count();
        assert!((70..130).contains(&explored), "{explored}");
        for experience in history {
            if let Action::Explore { new_subskills, data_per_subskill } = experience.action {
                assert!((1..=3).contains(&new_subskills) && (1..=10).contains(&data_per_subskill));
            }
        }
        let exploited = simulate(&policy, 199, |_| 0.5).0;
        assert!(exploited.allocations().iter().all(|a| a.count <= 30));
    }

    #[test]
    fn the_student_makes_no_difference() {
        let policy = Random::default();
        assert_eq!(simulate(&policy, 30, |_| 0.0).1, simulate(&policy, 30, |n| f64::from(n) / 30.0).1);
    }
}
