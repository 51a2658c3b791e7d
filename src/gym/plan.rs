//! Plans: what a data generation policy asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a policy does with the tree of one skill (paper, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Grow the tree by new subskills and allocate data to them.
    Explore {
        /// Number of subskills to add.
        new_subskills: u32,
        /// Data for each new subskill.
        data_per_subskill: u32,
    },
    /// Change the allocations of existing subskills.
    Exploit {
        /// Change of the allocation per subskill. Every subskill of the tree must be named.
        deltas: BTreeMap<String, i64>,
    },
}

impl Action {
    /// The word used in files and on the screen.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Explore { .. } => "explore",
            Self::Exploit { .. } => "exploit",
        }
    }
}

/// The action a policy chose for one skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillAction {
    /// Name of the skill.
    pub skill: String,
    /// What to do with its tree.
    #[serde(flatten)]
    pub action: Action,
}

/// Data asked of the engine: for a subskill, for a skill with its errors, or for a few errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Name of the skill.
    pub skill: String,
    /// Name of the subskill; empty where the environment has none.
    pub subskill: String,
    /// Number of training data.
    pub count: u32,
    /// Evaluated instances the engine is shown, by [`super::instance::TaskInstance::id`]: the student's
    /// errors, or examples in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
}

/// One round's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Iteration it belongs to, counted from 1.
    pub iteration: u32,
    /// Round within the iteration, counted from 0.
    pub round: u32,
    /// Name of the policy.
    pub policy: String,
    /// The chosen actions, one per skill.
    pub actions: Vec<SkillAction>,
    /// What the engine is asked for; in the skill-tree environment every subskill with a positive
    /// allocation, in forest order.
    pub allocations: Vec<Allocation>,
    /// Whether a person changed it or acted in place of the policy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
}

impl Plan {
    /// Data asked for in all.
    pub fn total(&self) -> u32 {
        self.allocations.iter().map(|a| a.count).sum()
    }

    /// Data asked for a skill.
    pub fn allocated_to(&self, skill: &str) -> u32 {
        self.allocations.iter().filter(|a| a.skill == skill).map(|a| a.count).sum()
    }
}
