//! The paper as types and pure functions.
//!
//! Owns the records of all four domains, the ports, the skill forest, budgets, statistics and the
//! episode state machine. Never touches a file, a clock, a process, or randomness it was not handed.

pub mod budget;
pub mod datum;
pub mod decimal;
pub mod episode;
pub mod hex;
pub mod instance;
pub mod leakage;
pub mod plan;
pub mod ports;
pub mod prediction;
pub mod report;
pub mod review;
pub mod rng;
pub mod shared;
pub mod skill_forest;
pub mod statistics;
pub mod teacher_call;
pub mod ulid;
pub mod words;
