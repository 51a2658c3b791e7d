//! The arithmetic world: twelve skills, each with subskills, a worked answer and four disjoint splits.
//!
//! A problem belongs to a split by a hash of its *operand key*: the skill and the sorted numbers of the
//! question. Two questions with the same numbers, in whatever order or wording, are therefore always on
//! the same side, and a test question cannot come back as training data in another coat. Problems are pure
//! functions of (skill, subskill, split, seed, index).

mod drafts;
mod phrases;
mod problem;
mod reading;
mod skill;
#[cfg(test)]
mod tests;
mod working;

pub use problem::{Problem, Split, UnknownSubskill, evaluation_set, extract_answer, operand_key, sample};
pub use reading::{Reading, read};
pub use skill::Skill;
