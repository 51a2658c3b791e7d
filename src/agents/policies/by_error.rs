//! Data in proportion to error: the skills the student fails at get the most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{Arm, BY_SKILL, share_out};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};

/// Weight of a skill is its error in percent plus one, so that a solved skill keeps a floor of replay.
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

impl Policy for ByError {
    fn name(&self) -> &'static str {
        "by_error"
    }

    fn about(&self) -> &'static str {
        "shares the data out in proportion to the error of each skill"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        BY_SKILL
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let weight = |arm: &Arm<'_>| 100.0 * arm.error() + 1.0;
        share_out(self, state, context, self.data, |arms| arms.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Alone;
    use super::*;
    use crate::gym::plan::{Action, SkillAction};
    use crate::gym::ports::SkillState;
    use crate::gym::skill_forest::SkillForest;

    fn plan(forest: &SkillForest, accuracies: &[f64]) -> Vec<SkillAction> {
        let skill = |(tree, &accuracy)| SkillState { tree, accuracy, questions: 40, unexplored: 2 };
        let state = State::SkillTree(forest.trees.iter().zip(accuracies).map(skill).collect());
        let context = PlanContext { iteration: 1, round: 0, seed: 0 };
        let policy = ByError { data: 102 };
        let Ok(Decision::Actions(actions)) = policy.plan(&state, context, &mut Alone::default()) else {
            panic!()
        };
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
