//! `dataenvgym`: teacher environments for data generation agents, in a terminal.
//!
//! The rooms of this crate and what each may import are described in `ARCHITECTURE.md`;
//! `tests/integration/walls.rs` holds the code to it.

pub mod gym;
pub mod probes;
pub mod protocol;
pub mod store;
pub mod training;
pub mod tui;
pub mod worlds;
