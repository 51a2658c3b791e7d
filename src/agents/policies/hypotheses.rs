//! The skill-list policy: for every skill with errors, hypotheses of what is weak, each with data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misplaced;
use super::shares::shown;
use crate::gym::plan::Allocation;
use crate::gym::ports::{
    Decision, EnvironmentKind, PlanAids, PlanContext, Policy, PortError, SkillErrors, State,
};

/// Asks for `hypotheses * specifications` data for every skill with at least one error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hypotheses {
    /// Guesses of what is weak, per skill.
    pub hypotheses: u32,
    /// Data per guess.
    pub specifications: u32,
    /// Most errors of a skill that are shown, drawn at random; the question to the engine grows with them.
    pub shown: u32,
}

impl Default for Hypotheses {
    fn default() -> Self {
        Self { hypotheses: 5, specifications: 5, shown: 20 }
    }
}

impl Policy for Hypotheses {
    fn name(&self) -> &'static str {
        "hypotheses"
    }

    fn about(&self) -> &'static str {
        "asks for data on every skill with errors, and shows them"
    }

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::SkillList]
    }

    fn plan(
        &self,
        state: &State<'_>,
        context: PlanContext,
        _aids: &mut dyn PlanAids,
    ) -> Result<Decision, PortError> {
        let State::SkillList(skills) = state else { return Err(misplaced(self, state)) };
        let weak = skills.iter().filter(|skill| !skill.examples.is_empty());
        let allocation = |skill: &SkillErrors<'_>| Allocation {
            skill: skill.skill.to_owned(),
            subskill: String::new(),
            count: self.hypotheses.saturating_mul(self.specifications),
            shown: shown(skill, context, self.shown as usize),
        };
        Ok(Decision::Allocations(weak.map(allocation).collect()))
    }
}
