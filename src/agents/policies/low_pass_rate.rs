//! Seeds of low pass rate: the questions the student is least likely to get right.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{Arm, share_out};
use crate::gym::plan::Allocation;
use crate::gym::ports::{
    Decision, EnvironmentKind, PassRate, PlanAids, PlanContext, Policy, PortError, State,
};
use crate::gym::rng::CounterRng;

/// Measures every validation question anew in each plan and builds on those with the lowest pass rate, in the
/// place of the seeds of high loss of arXiv 2512.00884: the loss of the reference answer under the student is not
/// measured. The weight of a question is the negative logarithm of its pass rate, with half a right and half a
/// wrong answer added. Lists of errors get a few data for each of the hardest questions; the skill
/// tree gets data in proportion to the mean weight of a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LowPassRate {
    /// Data asked for in each plan.
    pub data: u32,
    /// Data for each seed question.
    pub data_per_seed: u32,
    /// Answers of the student sampled per question; with 0 the greedy answer decides.
    pub samples: u32,
}

impl Default for LowPassRate {
    fn default() -> Self {
        Self { data: 400, data_per_seed: 5, samples: 4 }
    }
}

/// In nats.
fn surprise(rate: &PassRate) -> f64 {
    -((f64::from(rate.right) + 0.5) / (f64::from(rate.answers) + 1.0)).ln()
}

impl LowPassRate {
    /// One allocation per seed, hardest first; equals in random order.
    fn seeds(&self, rates: &[PassRate], by_skill: bool, context: PlanContext) -> Vec<Allocation> {
        let each = self.data_per_seed.max(1);
        let mut order: Vec<usize> = (0..rates.len()).collect();
        CounterRng::keyed(context.seed, "low pass rate").shuffle(&mut order);
        order.sort_by(|&a, &b| surprise(&rates[b]).total_cmp(&surprise(&rates[a])));
        order.truncate(self.data.div_ceil(each) as usize);
        let allocation = |(n, place): (usize, usize)| Allocation {
            skill: if by_skill { rates[place].skill.clone() } else { String::new() },
            subskill: String::new(),
            count: each.min(self.data - n as u32 * each),
            shown: vec![rates[place].instance.clone()],
        };
        order.into_iter().enumerate().map(allocation).collect()
    }
}

impl Policy for LowPassRate {
    fn name(&self) -> &'static str {
        "low_pass_rate"
    }

    fn about(&self) -> &'static str {
        "builds on the questions with the lowest pass rate of sampled answers"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::OpenEnded, EnvironmentKind::SkillList, EnvironmentKind::SkillTree]
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let mut rates = aids.pass_rates(self.samples)?;
        if matches!(state, State::SkillTree(_)) {
            let mut surprises: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
            for rate in &rates {
                let sum = surprises.entry(&rate.skill).or_default();
                *sum = (sum.0 + surprise(rate), sum.1 + 1.0);
            }
            let weight = |arm: &Arm<'_>| surprises.get(arm.skill).map_or(0.0, |(sum, n)| sum / n);
            return share_out(self, state, context, self.data, |arms| arms.iter().map(weight).collect());
        }
        if rates.is_empty() {
            rates = unmeasured(state);
        }
        let by_skill = matches!(state, State::SkillList(_));
        Ok(Decision::Allocations(self.seeds(&rates, by_skill, context)))
    }
}

/// Where the state is hidden every question it shows is as hard as any other.
pub(super) fn unmeasured(state: &State<'_>) -> Vec<PassRate> {
    let rate = |example: &crate::gym::ports::Example<'_>| PassRate {
        instance: example.instance.id.clone(),
        skill: example.instance.skill.clone().unwrap_or_default(),
        right: 0,
        answers: 1,
    };
    match state {
        State::OpenEnded(examples) => examples.iter().map(rate).collect(),
        State::SkillList(skills) => skills.iter().flat_map(|s| &s.examples).map(rate).collect(),
        State::SkillTree(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Alone, Learner, learn, rates};
    use super::*;

    #[test]
    fn the_hardest_questions_are_the_seeds() {
        let policy = LowPassRate { data: 11, data_per_seed: 5, samples: 4 };
        let mut aids = Alone {
            rates: rates(&[("easy", 4), ("hard", 0), ("half", 2), ("hard", 1)], 4),
            ..Alone::default()
        };
        let context = PlanContext { iteration: 1, round: 0, seed: 3 };
        let state = State::OpenEnded(Vec::new());
        let Ok(Decision::Allocations(plan)) = policy.plan(&state, context, &mut aids) else { panic!() };
        let seeds: Vec<(u32, &str)> = plan.iter().map(|a| (a.count, a.shown[0].as_str())).collect();
        assert_eq!(seeds, [(5, "hard-1"), (5, "hard-3"), (1, "half-2")]);
    }

    #[test]
    fn in_the_tree_the_weak_skill_gets_the_most() {
        let given = learn(&LowPassRate { data: 100, ..LowPassRate::default() }, &Learner::ONE_CAN_LEARN, 6);
        assert_eq!(given[Learner::WEAK], *given.iter().max().unwrap(), "{given:?}");
    }
}
