//! Experiments: a grid of runs that differ in what is studied and in nothing else, and what they show.
//!
//! A file fixes axes, seeds and comparisons beforehand; every combination of the axes' values is an arm, every
//! arm is run once per seed. Results hold every arm and every comparison the file names, whichever way they
//! fall.

pub mod blank;
pub mod charts;
pub mod design;
pub mod document;
pub mod results;
pub mod tables;
