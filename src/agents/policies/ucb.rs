//! A bandit over skills: upper confidence bounds on discounted learning progress.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{Arm, BY_SKILL, best, share_out};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};

/// Every skill is an arm; its reward is by how much its validation accuracy moved when it got data. Old
/// rewards fade (discounted UCB: Garivier and Moulines, arXiv 0805.3415), because a skill that was learned
/// stops paying. A skill that never got data comes first, among those the one with most errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ucb {
    /// Data asked for in each plan, shared evenly by the chosen skills.
    pub data: u32,
    /// Skills chosen in each plan.
    pub skills: u32,
    /// What a reward still counts one iteration later, in `(0, 1]`.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub discount: f64,
    /// Weight of the confidence bound, in accuracy: higher values look at neglected skills sooner.
    #[schemars(range(min = 0))]
    pub width: f64,
}

impl Default for Ucb {
    fn default() -> Self {
        Self { data: 400, skills: 4, discount: 0.8, width: 0.02 }
    }
}

impl Ucb {
    fn index(&self, arms: &[Arm<'_>], iteration: u32) -> Vec<f64> {
        let plays: Vec<Vec<(f64, f64)>> =
            arms.iter().map(|arm| arm.plays(iteration, self.discount)).collect();
        let weight = |plays: &Vec<(f64, f64)>| plays.iter().map(|(weight, _)| weight).sum::<f64>();
        let all: f64 = plays.iter().map(weight).sum();
        let index = |plays: &Vec<(f64, f64)>| {
            let n = weight(plays);
            if n == 0.0 {
                return f64::INFINITY;
            }
            let mean = plays.iter().map(|(weight, reward)| weight * reward).sum::<f64>() / n;
            mean + self.width * ((1.0 + all).ln() / n).sqrt()
        };
        plays.iter().map(index).collect()
    }
}

impl Policy for Ucb {
    fn name(&self) -> &'static str {
        "ucb"
    }

    fn about(&self) -> &'static str {
        "a bandit: the skills whose accuracy moves most, with a bonus for neglected ones"
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
        share_out(self, state, context, self.data, |arms| {
            best(arms, &self.index(arms, context.iteration), self.skills)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Learner, learn};
    use super::*;

    #[test]
    fn every_skill_is_tried_and_the_one_that_learns_is_kept() {
        let policy = Ucb { data: 100, skills: 2, ..Ucb::default() };
        let given = learn(&policy, &Learner::ONE_CAN_LEARN, 12);
        assert!(given.iter().all(|n| *n > 0), "{given:?}");
        let most = given.iter().max().unwrap();
        assert_eq!(given[Learner::WEAK], *most, "{given:?}");
        let mean = f64::from(given.iter().sum::<u32>()) / given.len() as f64;
        assert!(f64::from(given[Learner::WEAK]) > 1.5 * mean, "{given:?}");
    }
}
