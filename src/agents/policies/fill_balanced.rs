//! The reference's growth-and-fill policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explore, SKILL_TREE, exploit_to, per_skill};
use crate::gym::plan::Action;
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, SkillState, State,
};
use crate::gym::skill_forest::Subskill;

/// Explores, alternating with calls that ask for nothing, until a skill has enough subskills; then fills
/// each of them up, a bounded number of data per call. The limit of subskills may be overshot by one explore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FillBalanced {
    /// The explore action.
    pub explore: Explore,
    /// Subskills per skill.
    pub max_subskills: u32,
    /// Data per subskill in all.
    pub max_data_per_subskill: u32,
    /// Data per subskill and call.
    pub max_allocation_per_subskill: u32,
}

impl Default for FillBalanced {
    fn default() -> Self {
        Self {
            explore: Explore::default(),
            max_subskills: 10,
            max_data_per_subskill: 60,
            max_allocation_per_subskill: 30,
        }
    }
}

impl FillBalanced {
    fn action(&self, state: &SkillState<'_>) -> Action {
        let Some(last) = state.tree.history.last() else { return self.explore.action() };
        let growing = (state.tree.subskills.len() as u32) < self.max_subskills && state.unexplored > 0;
        match (&last.action, growing) {
            (_, false) => exploit_to(state, |subskill| self.filled(subskill)),
            (Action::Explore { .. }, true) => exploit_to(state, |_| 0),
            (Action::Exploit { .. }, true) => self.explore.action(),
        }
    }

    /// The allocation that fills a subskill without passing either limit.
    fn filled(&self, subskill: &Subskill) -> u32 {
        let (most, each) =
            (i64::from(self.max_data_per_subskill), i64::from(self.max_allocation_per_subskill));
        let (made, now) = (i64::from(subskill.produced), i64::from(subskill.allocation));
        let delta = if made < most { (most - made - now).min(each - now) } else { -now };
        u32::try_from(now + delta).unwrap_or(0)
    }
}

impl Policy for FillBalanced {
    fn name(&self) -> &'static str {
        "fill_balanced"
    }

    fn about(&self) -> &'static str {
        "explores up to a number of subskills, then fills them evenly"
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
        per_skill(self, state, |skill| self.action(skill))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The delta vectors of the reference's unit tests: data made, allocation, change.
    #[test]
    fn the_reference_deltas() {
        let policy = FillBalanced {
            explore: Explore { new_subskills: 1, data_per_subskill: 1 },
            max_subskills: 3,
            max_data_per_subskill: 10,
            max_allocation_per_subskill: 5,
        };
        let rows = [
            ([5, 3, 2], [1, 1, 1], [4, 4, 4]),
            ([10, 3, 2], [5, 5, 5], [-5, 0, 0]),
            ([8, 7, 9], [1, 1, 1], [1, 2, 0]),
            ([10, 10, 10], [1, 1, 1], [-1, -1, -1]),
        ];
        for (made, now, expected) in rows {
            for ((produced, allocation), delta) in made.into_iter().zip(now).zip(expected) {
                let subskill = Subskill { name: "a".into(), allocation, produced };
                assert_eq!(i64::from(policy.filled(&subskill)) - i64::from(allocation), delta);
            }
        }
    }
}
