//! The same action for ever: a baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explore, SKILL_TREE, per_skill};
use crate::gym::ports::{Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, State};

/// Explores every skill in every call, whatever came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fixed {
    /// The explore action.
    pub explore: Explore,
}

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn about(&self) -> &'static str {
        "the same explore action for ever: a baseline"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        SKILL_TREE
    }

    fn plan(
        &self,
        state: &State<'_>,
        _context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        per_skill(self, state, |_| self.explore.action())
    }
}
