//! Skills and subskills: where their names come from.
//!
//! Owns gold skills, skills from a file, skills that a teacher finds, and the proposal of subskills. A task's
//! questions are given their skills by [`Labelled`], which everything else sees as the task. Never plans.

mod discovery;
mod file;
mod labelled;
mod list;
mod proposal;
#[cfg(test)]
pub(crate) mod tests;
mod written;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use discovery::{Discovery, Found};
pub use file::{Category, CategoryOrName, DiscoveredSkills, Label, LabelledInstruction, SkillsError};
pub use labelled::Labelled;
pub use list::ListProposal;
pub use proposal::TaughtProposal;
pub use written::WrittenSkills;

/// Where a task's skills come from, as a configuration says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SkillsChoice {
    /// The skills the source names.
    #[default]
    Gold,
    /// The skills the source names, some of them of the wrong question: what a poor discovery costs can be studied
    /// with it.
    Mislabelled {
        /// Share of the questions, in `0..=1`, that get skill and subskill of a random question of another skill.
        #[schemars(range(min = 0, max = 1))]
        share: f64,
    },
    /// A teacher finds them in the validation questions before the first phase.
    Discovered(Discovery),
    /// A file that a discovery wrote, here or with the reference program.
    File {
        /// The file; a relative path starts at the configuration's folder.
        file: PathBuf,
    },
    /// A TOML file that a person wrote.
    Written {
        /// The file; a relative path starts at the configuration's folder.
        file: PathBuf,
    },
}

/// Who names the subskills of an explore action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubskillsChoice {
    /// The subskills that the source or the file names; a skill without any is one subskill as a whole.
    #[default]
    Listed,
    /// The teacher.
    Taught,
}
