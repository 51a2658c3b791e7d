//! Weakness as a trend: what was never good and does not get better.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{Arm, BY_SKILL, share_out};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};

/// Shares the data out by error, and counts a skill several times whose accuracy never passed `good` and does
/// not rise any more: a weakness is judged over the iterations, not at one point in time (after `SwS`,
/// arXiv 2506.08989). Before there is a trend every skill below `good` counts as weak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trend {
    /// Data asked for in each plan, over all skills.
    pub data: u32,
    /// Accuracy that a weak skill never passed, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub good: f64,
    /// Mean rise per iteration, newest iterations counting most, up to which a skill does not improve.
    pub rise: f64,
    /// What an older rise still counts one iteration later, in `(0, 1]`.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub discount: f64,
    /// How many times the error of a weak skill counts.
    #[schemars(range(min = 1))]
    pub emphasis: f64,
}

impl Default for Trend {
    fn default() -> Self {
        Self { data: 400, good: 0.5, rise: 0.02, discount: 0.6, emphasis: 4.0 }
    }
}

impl Trend {
    fn weak(&self, arm: &Arm<'_>) -> bool {
        let reached = arm.trials.iter().flat_map(|trial| [Some(trial.before), trial.after]);
        let highest = reached.chain([arm.accuracy]).flatten().fold(0.0, f64::max);
        let (mut sum, mut weights) = (0.0, 0.0);
        let gains = arm.trials.iter().rev().filter_map(crate::gym::ports::Trial::gain);
        for (age, gain) in gains.enumerate() {
            let weight = self.discount.powi(age as i32);
            sum += weight * gain;
            weights += weight;
        }
        highest <= self.good && (weights == 0.0 || sum / weights <= self.rise)
    }
}

impl Policy for Trend {
    fn name(&self) -> &'static str {
        "trend"
    }

    fn about(&self) -> &'static str {
        "by error, with emphasis on skills that were never good and do not improve"
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
        let weight = |arm: &Arm<'_>| {
            let emphasis = if self.weak(arm) { self.emphasis } else { 1.0 };
            emphasis * (100.0 * arm.error() + 1.0)
        };
        share_out(self, state, context, self.data, |arms| arms.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Learner, learn};
    use super::*;
    use crate::gym::ports::Trial;

    fn arm(accuracies: &[f64]) -> Arm<'static> {
        let trial = |(n, pair): (usize, &[f64])| Trial {
            iteration: n as u32 + 1,
            data: 10,
            before: pair[0],
            after: Some(pair[1]),
        };
        let trials = accuracies.windows(2).enumerate().map(trial).collect();
        Arm { skill: "s", accuracy: accuracies.last().copied(), questions: 40, trials }
    }

    #[test]
    fn weak_is_what_was_never_good_and_does_not_rise() {
        let weak = |accuracies: &[f64]| Trend::default().weak(&arm(accuracies));
        assert!(weak(&[0.3]) && weak(&[0.3, 0.31, 0.3]) && weak(&[0.2, 0.4, 0.4, 0.3]));
        assert!(!weak(&[0.6]) && !weak(&[0.6, 0.3, 0.3]), "it was good once");
        assert!(!weak(&[0.2, 0.3, 0.4]), "it rises");
    }

    #[test]
    fn the_weak_skill_gets_the_most() {
        let given = learn(&Trend { data: 100, ..Trend::default() }, &Learner::ONE_CAN_LEARN, 6);
        assert_eq!(given[Learner::WEAK], *given.iter().max().unwrap(), "{given:?}");
    }
}
