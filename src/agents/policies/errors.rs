//! The open-ended policy: each question to the engine shows a few errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misplaced;
use super::shares::questions;
use crate::gym::instance::TaskInstance;
use crate::gym::plan::Allocation;
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};
use crate::gym::rng::CounterRng;

/// Asks for a fixed number of data, some per question; every question shows errors drawn at random. A
/// student without errors is asked nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// Data asked for in each plan.
    pub data: u32,
    /// Data per question; the last one asks for the rest.
    pub data_per_question: u32,
    /// Errors each question shows.
    pub shown: u32,
    /// Questions of the pool each question shows besides, drawn at random: what the task is like where the student is
    /// not wrong. The reference shows 3.
    pub examples: u32,
}

impl Default for Errors {
    fn default() -> Self {
        Self { data: 120, data_per_question: 10, shown: 3, examples: 0 }
    }
}

impl Policy for Errors {
    fn name(&self) -> &'static str {
        "errors"
    }

    fn about(&self) -> &'static str {
        "shows the engine a few errors per question"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::OpenEnded]
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::OpenEnded(examples) = state else { return Err(misplaced(self, state)) };
        if examples.is_empty() {
            return Ok(Decision::Allocations(Vec::new()));
        }
        let ids: Vec<&str> = examples.iter().map(|e| e.instance.id.as_str()).collect();
        let rng = CounterRng::keyed(context.seed, "errors");
        let mut asked = questions("", self.data, self.data_per_question, &ids, self.shown, &rng);
        if self.examples > 0 {
            let rng = CounterRng::keyed(context.seed, "examples");
            asked.iter_mut().enumerate().for_each(|(n, a)| self.mix(a, aids.pool(), rng.child(n as u64)));
        }
        Ok(Decision::Allocations(asked))
    }
}

impl Errors {
    /// Puts questions of the pool before the errors of an allocation. The prompts call what begins with such a question
    /// exercises of the kind the student meets, and say of each error what the student answered.
    fn mix(&self, allocation: &mut Allocation, pool: &[TaskInstance], mut rng: CounterRng) {
        let mut order: Vec<usize> = (0..pool.len()).collect();
        rng.shuffle(&mut order);
        let errors = std::mem::take(&mut allocation.shown);
        let drawn = order.into_iter().map(|n| &pool[n].id).filter(|id| !errors.contains(id));
        allocation.shown = drawn.take(self.examples as usize).cloned().collect();
        allocation.shown.extend(errors);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Alone, instances};
    use super::*;
    use crate::gym::ports::Example;

    #[test]
    fn questions_of_the_pool_stand_before_the_errors_when_asked_for() {
        let wrong = instances("wrong", 9);
        let planned = |policy: &Errors| {
            let examples = wrong.iter().map(|instance| Example { instance, prediction: None }).collect();
            let context = PlanContext { iteration: 1, round: 0, seed: 4 };
            let mut aids = Alone { pool: instances("pool", 40), ..Alone::default() };
            let Ok(Decision::Allocations(plan)) =
                policy.plan(&State::OpenEnded(examples), context, &mut aids)
            else {
                panic!()
            };
            plan
        };
        let plain = planned(&Errors::default());
        let mixed = planned(&Errors { examples: 3, ..Errors::default() });
        assert_eq!((plain.len(), mixed.len()), (12, 12));
        for (plain, mixed) in plain.iter().zip(&mixed) {
            assert_eq!((plain.shown.len(), mixed.shown.len()), (3, 6));
            assert_eq!(mixed.shown[3..], plain.shown);
            assert!(mixed.shown[..3].iter().all(|id| id.starts_with("pool-")), "{mixed:?}");
        }
        assert_ne!(mixed[0].shown[..3], mixed[1].shown[..3]);
    }
}
