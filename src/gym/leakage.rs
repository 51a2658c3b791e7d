//! Leakage: questions that stand in others, and how many of a task's do.

mod held_out;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use held_out::{HeldOut, PASSAGE};

/// Questions of one split that stand in another, each counted once, by the first of the three that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// With the same words, up to case and punctuation.
    pub words: u32,
    /// With the same operands: numbers in any order and wording.
    pub operands: u32,
    /// With most of its passages of eight words in one question.
    pub passages: u32,
}

impl Shared {
    /// All of them.
    pub fn total(&self) -> u32 {
        self.words + self.operands + self.passages
    }
}

impl std::ops::AddAssign for Shared {
    fn add_assign(&mut self, other: Self) {
        self.words += other.words;
        self.operands += other.operands;
        self.passages += other.passages;
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, operands, passages } = self;
        write!(f, "{words} with the same words, {operands} with the same operands, {passages} by passages")
    }
}

/// What was found between the splits of a task when it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contamination {
    /// Pool questions that stand in validation or test: they were left out.
    pub pool: Shared,
    /// Validation questions that stand in test and were kept, because the splits are named by others.
    pub validation: Shared,
    /// Validation questions that stand in test and were left out, because the file was shared out here.
    #[serde(default)]
    pub left_out: Shared,
}

impl fmt::Display for Contamination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, validation, left_out } = self;
        if pool.total() + validation.total() + left_out.total() == 0 {
            return f.write_str("no question stands in two splits");
        }
        write!(f, "{} pool questions were left out", pool.total())?;
        if pool.total() > 0 {
            write!(f, " ({pool})")?;
        }
        if left_out.total() > 0 {
            write!(
                f,
                "; {} validation questions stand in test and were left out ({left_out})",
                left_out.total()
            )?;
        }
        if validation.total() > 0 {
            write!(
                f,
                "; {} validation questions stand in test and were kept ({validation})",
                validation.total()
            )?;
        }
        Ok(())
    }
}
