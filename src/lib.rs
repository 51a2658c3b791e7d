//! `dataenvgym`: teacher environments for data generation agents, in a terminal.
//!
//! The rooms of this crate and what each may import are described in `ARCHITECTURE.md`;
//! `tests/integration/walls.rs` holds the code to it.

pub mod agents;
pub mod analysis;
pub mod bench;
pub mod chat_template;
pub mod checks;
pub mod checksums;
pub mod cli;
pub mod config;
pub mod environments;
pub mod exchange;
pub mod faults;
pub mod gym;
pub mod models;
pub mod probes;
pub mod prompts;
pub mod protocol;
pub mod runner;
pub mod skills;
pub mod store;
pub mod tasks;
pub mod training;
pub mod tui;
pub mod worker;
pub mod worlds;
