//! Data generation policies, one file each, behind [`Policy`].
//!
//! A new policy is a file in this folder and one line in the table of [`PolicyChoice`].

mod alternating;
mod by_error;
mod errors;
mod fill_balanced;
mod fixed;
mod hypotheses;
mod low_pass_rate;
mod pass_rate_band;
mod per_error;
mod planner;
mod random;
mod shares;
#[cfg(test)]
pub(crate) mod tests;
mod thompson;
mod threshold;
mod trend;
mod ucb;
mod uniform;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alternating::Alternating;
pub use by_error::ByError;
pub use errors::Errors;
pub use fill_balanced::FillBalanced;
pub use fixed::Fixed;
pub use hypotheses::Hypotheses;
pub use low_pass_rate::LowPassRate;
pub use pass_rate_band::PassRateBand;
pub use per_error::PerError;
pub use planner::{Planner, View};
pub use random::Random;
pub use thompson::Thompson;
pub use threshold::Threshold;
pub use trend::Trend;
pub use ucb::Ucb;
pub use uniform::Uniform;

use crate::gym::plan::{Action, SkillAction};
use crate::gym::ports::{Decision, EnvironmentKind, Policy, PortError, SkillState, State};
use crate::gym::skill_forest::Subskill;

/// Makes the choice among policies from its table.
macro_rules! choices {
    ($($(#[$about:meta])* $policy:ident),+ $(,)?) => {
        /// A policy with its parameters, as a configuration names it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum PolicyChoice {
            $($(#[$about])* $policy($policy),)+
        }

        impl PolicyChoice {
            /// The policy.
            pub fn build(&self) -> Arc<dyn Policy> {
                match self.clone() {
                    $(Self::$policy(policy) => Arc::new(policy),)+
                }
            }

            /// Every policy with its defaults, in the order of the table.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$policy($policy::default()),)+]
            }
        }
    };
}

choices! {
    /// The same share for every skill.
    Uniform,
    /// Data in proportion to error.
    ByError,
    /// By error, with emphasis on skills that do not improve.
    Trend,
    /// A bandit by confidence bounds.
    Ucb,
    /// A bandit by Thompson sampling.
    Thompson,
    /// Seeds of the lowest pass rate.
    LowPassRate,
    /// Seeds of a middling pass rate.
    PassRateBand,
    /// A few errors per question to the engine.
    Errors,
    /// Some data for every error.
    PerError,
    /// Data for every skill with errors.
    Hypotheses,
    /// Explore, then nothing, then explore again.
    Alternating,
    /// Explore up to a number of subskills, then fill them evenly.
    FillBalanced,
    /// Explore or exploit by fair coin.
    Random,
    /// Exploit after a gain, explore otherwise.
    Threshold,
    /// The same explore action for ever.
    Fixed,
    /// A teacher decides.
    Planner,
}

/// An explore action as policies are configured with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explore {
    /// Subskills to add.
    pub new_subskills: u32,
    /// Data for each of them.
    pub data_per_subskill: u32,
}

impl Default for Explore {
    /// The explore action of the reference's examples.
    fn default() -> Self {
        Self { new_subskills: 2, data_per_subskill: 30 }
    }
}

impl Explore {
    /// As an action.
    pub fn action(self) -> Action {
        let Self { new_subskills, data_per_subskill } = self;
        Action::Explore { new_subskills, data_per_subskill }
    }
}

/// Where policies act that decide skill by skill.
const SKILL_TREE: &[EnvironmentKind] = &[EnvironmentKind::SkillTree];

/// One action for every skill of a skill-tree state.
fn per_skill(
    policy: &dyn Policy,
    state: &State<'_>,
    action: impl Fn(&SkillState<'_>) -> Action,
) -> Result<Decision, PortError> {
    let State::SkillTree(skills) = state else { return Err(misplaced(policy, state)) };
    let act = |s: &SkillState<'_>| SkillAction { skill: s.tree.skill.clone(), action: action(s) };
    Ok(Decision::Actions(skills.iter().map(act).collect()))
}

/// A policy was shown a state it cannot read.
fn misplaced(policy: &dyn Policy, state: &State<'_>) -> PortError {
    let fits: Vec<&str> = policy.environments().iter().map(|kind| kind.as_str()).collect();
    PortError::fatal(format!(
        "policy `{}` does not act in the environment `{}`; it acts in `{}`",
        policy.name(),
        state.kind().as_str(),
        fits.join("`, `")
    ))
}

/// The exploit action that gives every subskill the allocation `wanted`.
fn exploit_to(state: &SkillState<'_>, wanted: impl Fn(&Subskill) -> u32) -> Action {
    let delta = |s: &Subskill| (s.name.clone(), i64::from(wanted(s)) - i64::from(s.allocation));
    Action::Exploit { deltas: state.tree.subskills.iter().map(delta).collect() }
}
