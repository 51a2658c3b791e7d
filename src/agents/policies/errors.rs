//! The open-ended policy: each question to the engine shows a few errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misplaced;
use super::shares::questions;
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
}

impl Default for Errors {
    fn default() -> Self {
        Self { data: 120, data_per_question: 10, shown: 3 }
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
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::OpenEnded(examples) = state else { return Err(misplaced(self, state)) };
        if examples.is_empty() {
            return Ok(Decision::Allocations(Vec::new()));
        }
        let ids: Vec<&str> = examples.iter().map(|e| e.instance.id.as_str()).collect();
        let rng = CounterRng::keyed(context.seed, "errors");
        Ok(Decision::Allocations(questions("", self.data, self.data_per_question, &ids, self.shown, &rng)))
    }
}
