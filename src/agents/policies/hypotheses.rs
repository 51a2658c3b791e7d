//! The skill-list policy: for every skill with errors, hypotheses of what is weak, each with data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::misplaced;
use crate::gym::plan::Allocation;
use crate::gym::ports::{Decision, EnvironmentKind, PlanContext, Policy, PortError, State};
use crate::gym::rng::CounterRng;

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

    fn environments(&self) -> &'static [EnvironmentKind] {
        &[EnvironmentKind::SkillList]
    }

    fn plan(&self, state: &State<'_>, context: PlanContext) -> Result<Decision, PortError> {
        let State::SkillList(skills) = state else { return Err(misplaced(self, state)) };
        let weak = skills.iter().filter(|skill| !skill.examples.is_empty());
        let allocation = |skill: &crate::gym::ports::SkillErrors<'_>| {
            let mut order: Vec<usize> = (0..skill.examples.len()).collect();
            CounterRng::keyed(context.seed, skill.skill).shuffle(&mut order);
            order.truncate(self.shown as usize);
            // In the order of the split, whatever was drawn.
            order.sort_unstable();
            Allocation {
                skill: skill.skill.to_owned(),
                subskill: String::new(),
                count: self.hypotheses.saturating_mul(self.specifications),
                shown: order.into_iter().map(|n| skill.examples[n].instance.id.clone()).collect(),
            }
        };
        Ok(Decision::Allocations(weak.map(allocation).collect()))
    }
}
