//! The same action for ever: a baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explore, SKILL_TREE, per_skill};
use crate::gym::ports::{Decision, EnvironmentKind, PlanContext, Policy, PortError, State};

/// Explores every skill in every call, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// The explore action.
    pub explore: Explore,
}

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        SKILL_TREE
    }

    fn plan(&self, state: &State<'_>, _context: PlanContext) -> Result<Decision, PortError> {
        per_skill(self, state, |_| self.explore.action())
    }
}
