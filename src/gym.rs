//! The paper as types and pure functions.
//!
//! Owns the records, ports, skill forest and the episode state machine. Never touches a file, a clock,
//! a process, or randomness it was not handed.
