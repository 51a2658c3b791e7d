//! The reference's open-ended policy for images, programs and tools: some data for every single error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misplaced;
use crate::gym::plan::Allocation;
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};
use crate::gym::rng::CounterRng;

/// Asks for so many data per error, one question to the engine each, in the order of the errors. With a limit
/// the errors are taken in random order, and the last one taken gets what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerError {
    /// Data for each error.
    pub data_per_error: u32,
    /// Most data asked for in each plan; 0 means no limit.
    pub limit: u32,
}

impl Default for PerError {
    fn default() -> Self {
        Self { data_per_error: 3, limit: 0 }
    }
}

impl Policy for PerError {
    fn name(&self) -> &'static str {
        "per_error"
    }

    fn about(&self) -> &'static str {
        "some data for every single error, up to a limit"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::OpenEnded]
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::OpenEnded(examples) = state else { return Err(misplaced(self, state)) };
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let mut left = u32::MAX;
        if self.limit > 0 {
            CounterRng::keyed(context.seed, "per error").shuffle(&mut order);
            left = self.limit;
        }
        let mut allocations = Vec::new();
        for place in order {
            let count = self.data_per_error.min(left);
            if count == 0 {
                break;
            }
            left -= count;
            let shown = vec![examples[place].instance.id.clone()];
            allocations.push(Allocation { skill: String::new(), subskill: String::new(), count, shown });
        }
        Ok(Decision::Allocations(allocations))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Alone, instances};
    use super::*;
    use crate::gym::ports::Example;

    fn planned(policy: &PerError, errors: u32, seed: u64) -> Vec<(u32, String)> {
        let instances = instances("s", errors);
        let examples = instances.iter().map(|instance| Example { instance, prediction: None }).collect();
        let context = PlanContext { iteration: 1, round: 0, seed };
        let decision = policy.plan(&State::OpenEnded(examples), context, &mut Alone::default()).unwrap();
        let Decision::Allocations(allocations) = decision else { panic!() };
        allocations.into_iter().map(|a| (a.count, a.shown.join(","))).collect()
    }

    #[test]
    fn every_error_in_order_or_some_at_random() {
        let all = planned(&PerError::default(), 3, 0);
        assert_eq!(all, [(3, "s-0".to_owned()), (3, "s-1".to_owned()), (3, "s-2".to_owned())]);
        let limited = PerError { data_per_error: 3, limit: 7 };
        let some = planned(&limited, 50, 1);
        assert_eq!(some.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [3, 3, 1]);
        assert_ne!(some, planned(&limited, 50, 2));
        assert!(planned(&limited, 0, 1).is_empty());
    }
}
