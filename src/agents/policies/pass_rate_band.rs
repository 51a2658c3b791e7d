//! The band of middling difficulty: questions that the student solves sometimes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::low_pass_rate::unmeasured;
use super::shares::{Arm, questions, share_out};
use crate::gym::plan::Allocation;
use crate::gym::ports::{
    Decision, EnvironmentKind, PassRate, PlanAids, PlanContext, Policy, PortError, State,
};
use crate::gym::rng::CounterRng;

/// Measures every validation question anew in each plan and builds on those whose pass rate lies in the band:
/// neither solved nor out of reach (after arXiv 2504.03380). When no question does, the nearest ones are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PassRateBand {
    /// Data asked for in each plan.
    pub data: u32,
    /// Lower end of the band, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub low: f64,
    /// Upper end of the band, in `0..=1`.
    #[schemars(range(min = 0, max = 1))]
    pub high: f64,
    /// Answers of the student sampled per question, at least 1.
    #[schemars(range(min = 1))]
    pub samples: u32,
    /// Data per question to the engine.
    pub data_per_question: u32,
    /// Instances each question to the engine shows.
    pub shown: u32,
}

impl Default for PassRateBand {
    fn default() -> Self {
        Self { data: 400, low: 0.2, high: 0.8, samples: 5, data_per_question: 10, shown: 3 }
    }
}

impl PassRateBand {
    /// How far a pass rate is from the band; 0 inside.
    fn distance(&self, rate: &PassRate) -> f64 {
        (self.low - rate.rate()).max(rate.rate() - self.high).max(0.0)
    }

    /// The questions in the band, or those nearest to it.
    fn inside<'r>(&self, rates: &'r [PassRate]) -> Vec<&'r PassRate> {
        let nearest = rates.iter().map(|rate| self.distance(rate)).fold(f64::INFINITY, f64::min);
        rates.iter().filter(|rate| self.distance(rate) <= nearest).collect()
    }

    /// Questions to the engine for `data` about some of the instances.
    fn ask(&self, skill: &str, data: u32, inside: &[&PassRate], context: PlanContext) -> Vec<Allocation> {
        let ids: Vec<&str> = inside.iter().map(|rate| rate.instance.as_str()).collect();
        let rng = CounterRng::keyed(context.seed, skill);
        questions(skill, data, self.data_per_question, &ids, self.shown, &rng)
    }
}

impl Policy for PassRateBand {
    fn name(&self) -> &'static str {
        "pass_rate_band"
    }

    fn about(&self) -> &'static str {
        "builds on questions that the student solves sometimes, neither always nor never"
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
        let measured = aids.pass_rates(self.samples.max(1))?;
        let rates = if measured.is_empty() { unmeasured(state) } else { measured };
        let inside = self.inside(&rates);
        let mut by_skill: BTreeMap<&str, Vec<&PassRate>> = BTreeMap::new();
        for rate in &inside {
            by_skill.entry(&rate.skill).or_default().push(rate);
        }
        match state {
            State::OpenEnded(_) if inside.is_empty() => Ok(Decision::Allocations(Vec::new())),
            State::OpenEnded(_) => Ok(Decision::Allocations(self.ask("", self.data, &inside, context))),
            State::SkillList(_) => {
                let weights: Vec<f64> = by_skill.values().map(|rates| rates.len() as f64).collect();
                let quotas = crate::gym::budget::split_by_weight(self.data, &weights);
                let ask = |((skill, rates), quota): ((&&str, &Vec<&PassRate>), u32)| {
                    self.ask(skill, quota, rates, context)
                };
                Ok(Decision::Allocations(by_skill.iter().zip(quotas).flat_map(ask).collect()))
            }
            State::SkillTree(_) => {
                let weight = |arm: &Arm<'_>| by_skill.get(arm.skill).map_or(0.0, |r| r.len() as f64);
                share_out(self, state, context, self.data, |arms| arms.iter().map(weight).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Alone, Learner, learn, rates};
    use super::*;

    fn allocations(counts: &[(&str, u32)]) -> Vec<Allocation> {
        let policy = PassRateBand { data: 12, data_per_question: 10, shown: 2, ..PassRateBand::default() };
        let mut aids = Alone { rates: rates(counts, 5), ..Alone::default() };
        let context = PlanContext { iteration: 1, round: 0, seed: 3 };
        let state = State::OpenEnded(Vec::new());
        let Ok(Decision::Allocations(plan)) = policy.plan(&state, context, &mut aids) else { panic!() };
        plan
    }

    #[test]
    fn only_questions_of_the_band_are_shown() {
        let plan = allocations(&[("a", 0), ("b", 2), ("c", 5), ("d", 4), ("e", 1)]);
        assert_eq!(plan.iter().map(|a| a.count).collect::<Vec<_>>(), [10, 2]);
        let known = ["b-1", "d-3", "e-4"];
        assert!(plan.iter().flat_map(|a| &a.shown).all(|id| known.contains(&id.as_str())), "{plan:?}");
    }

    #[test]
    fn without_a_question_in_the_band_the_nearest_are_shown() {
        let plan = allocations(&[("a", 0), ("b", 5), ("c", 5)]);
        assert!(!plan.is_empty() && plan.iter().all(|a| a.shown.len() == 2), "{plan:?}");
        assert!(allocations(&[]).is_empty());
    }

    #[test]
    fn in_the_tree_solved_skills_get_nothing() {
        let policy = PassRateBand { data: 100, ..PassRateBand::default() };
        let given = learn(&policy, &Learner::ONE_CAN_LEARN, 3);
        assert_eq!(given[Learner::WEAK], *given.iter().max().unwrap(), "{given:?}");
    }
}
