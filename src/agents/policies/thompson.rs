//! A bandit over skills: Thompson sampling of discounted learning progress.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{Arm, BY_SKILL, best, share_out};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};
use crate::gym::rng::CounterRng;

/// Every skill is an arm as for [`super::Ucb`]. Its expected progress is drawn from a normal belief: a prior
/// that expects a tenth of the error to be gained, worth one play, and the discounted plays since. The skills
/// with the highest draws are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thompson {
    /// Data asked for in each plan, shared evenly by the chosen skills.
    pub data: u32,
    /// Skills chosen in each plan.
    pub skills: u32,
    /// What a reward still counts one iteration later, in `(0, 1]`.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub discount: f64,
    /// Standard deviation of one reward, in accuracy: higher values choose more freely.
    #[schemars(range(min = 0))]
    pub spread: f64,
}

impl Default for Thompson {
    fn default() -> Self {
        Self { data: 400, skills: 4, discount: 0.8, spread: 0.05 }
    }
}

/// The prior's expectation as a share of the error.
const HOPE: f64 = 0.1;

impl Thompson {
    fn drawn(&self, arms: &[Arm<'_>], context: PlanContext) -> Vec<f64> {
        let draw = |arm: &Arm<'_>| {
            let plays = arm.plays(context.iteration, self.discount);
            let n = 1.0 + plays.iter().map(|(weight, _)| weight).sum::<f64>();
            let sum = HOPE * arm.error() + plays.iter().map(|(weight, reward)| weight * reward).sum::<f64>();
            sum / n + self.spread / n.sqrt() * CounterRng::keyed(context.seed, arm.skill).normal()
        };
        arms.iter().map(draw).collect()
    }
}

impl Policy for Thompson {
    fn name(&self) -> &'static str {
        "thompson"
    }

    fn about(&self) -> &'static str {
        "a bandit: skills by a draw from what their progress is believed to be"
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
        share_out(self, state, context, self.data, |arms| best(arms, &self.drawn(arms, context), self.skills))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Learner, learn};
    use super::*;

    #[test]
    fn the_skill_that_learns_gets_the_most_but_not_all() {
        let policy = Thompson { data: 100, skills: 2, ..Thompson::default() };
        let given = learn(&policy, &Learner::ONE_CAN_LEARN, 24);
        assert_eq!(given[Learner::WEAK], *given.iter().max().unwrap(), "{given:?}");
        assert!(given.iter().filter(|n| **n > 0).count() > given.len() / 2, "{given:?}");
    }
}
