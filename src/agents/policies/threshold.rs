//! The reference's configurable policy: exploit after a gain, explore otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explore, SKILL_TREE, exploit_to, per_skill};
use crate::gym::plan::Action;
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, SkillState, State,
};
use crate::gym::skill_forest::SkillExperience;

/// After a reward above the threshold every subskill gets more data; otherwise new subskills are explored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Rise of a skill's validation accuracy that counts as a gain, as a share in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub gain: f64,
    /// Data more for every subskill after a gain.
    pub increase: u32,
    /// The explore action.
    pub explore: Explore,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { gain: 0.01, increase: 10, explore: Explore { new_subskills: 5, data_per_subskill: 10 } }
    }
}

impl Policy for Threshold {
    fn name(&self) -> &'static str {
        "threshold"
    }

    fn about(&self) -> &'static str {
        "more of the same after a gain, otherwise new subskills"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        SKILL_TREE
    }

    fn plan(
        &self,
        state: &State<'_>,
        _context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let gained = |skill: &SkillState<'_>| {
            skill
                .tree
                .history
                .last()
                .and_then(SkillExperience::reward)
                .is_some_and(|reward| reward > self.gain)
        };
        let action = |skill: &SkillState<'_>| -> Action {
            if gained(skill) {
                exploit_to(skill, |s| s.allocation.saturating_add(self.increase))
            } else {
                self.explore.action()
            }
        };
        per_skill(self, state, action)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simulate;
    use super::*;

    #[test]
    fn a_gain_is_followed_by_more_of_the_same() {
        let accuracy = |call| if call < 2 { 0.1 * f64::from(call) } else { 0.2 };
        let (forest, trace) = simulate(&Threshold::default(), 4, accuracy);
        assert_eq!(trace, [50, 100, 150, 200]);
        let kinds: Vec<&str> = forest.trees[0].history.iter().map(|e| e.action.kind()).collect();
        assert_eq!(kinds, ["explore", "exploit", "exploit", "explore"]);
    }
}
