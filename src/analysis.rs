//! What was learned: reports of one run, comparisons of several, experiments over many.
//!
//! Owns figures, tables and their statistics. Reads runs through the store and never changes one; everything
//! behind the reading is pure. Whether a difference matters is said by intervals and corrected p-values, never
//! by a colour.

pub mod compare;
pub mod experiment;
pub mod facts;
pub mod figure;
pub mod report;
pub mod table;
