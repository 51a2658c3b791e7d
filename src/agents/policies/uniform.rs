//! The same share for every skill, whatever the student can do: a baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::{BY_SKILL, share_out};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};

/// Shares the data out evenly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {
    /// Data asked for in each plan, over all skills.
    pub data: u32,
}

impl Default for Uniform {
    fn default() -> Self {
        Self { data: 400 }
    }
}

impl Policy for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn about(&self) -> &'static str {
        "the same share for every skill: a baseline"
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
        share_out(self, state, context, self.data, |skills| vec![1.0; skills.len()])
    }
}
