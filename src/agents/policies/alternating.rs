//! The reference's alternating policy: explore, then spend nothing, then explore again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Explore, SKILL_TREE, exploit_to, per_skill};
use crate::gym::plan::Action;
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, SkillState, State,
};

/// Per skill: no history, explore; at the cap, exploit to zero; else the opposite of the last action,
/// where exploit means that every allocation becomes 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alternating {
    /// The explore action.
    pub explore: Explore,
    /// The first action, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Explore>,
    /// Data per skill after which nothing more is asked for, tested on data already produced; 0 means no limit.
    pub max_data_per_skill: u32,
}

impl Default for Alternating {
    fn default() -> Self {
        Self { explore: Explore::default(), first: None, max_data_per_skill: 200 }
    }
}

impl Alternating {
    fn action(&self, state: &SkillState<'_>) -> Action {
        let history = &state.tree.history;
        let produced: u32 = history.iter().map(|e| e.produced).sum();
        let spent = self.max_data_per_skill > 0 && produced >= self.max_data_per_skill;
        match history.last().map(|e| &e.action) {
            None => self.first.unwrap_or(self.explore).action(),
            Some(Action::Exploit { .. }) if !spent => self.explore.action(),
            Some(_) => exploit_to(state, |_| 0),
        }
    }
}

impl Policy for Alternating {
    fn name(&self) -> &'static str {
        "alternating"
    }

    fn about(&self) -> &'static str {
        "explores and asks for nothing in turn, up to a cap per skill"
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
        per_skill(self, state, |skill| self.action(skill))
    }
}
