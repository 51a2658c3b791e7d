//! Seeded generators of the embedded worlds.
//!
//! Owns the problems a fresh checkout can train and be tested on without a network: what is asked, the
//! worked answer, and which of four disjoint splits a problem belongs to. Never reads a file, a clock, or
//! randomness that was not handed in as a seed.

pub mod arithmetic;
pub mod scripted;
