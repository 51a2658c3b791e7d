//! Agents: data generation policies and data generation engines.
//!
//! Owns how a state becomes a plan and a plan becomes data. Never trains, evaluates or stores.

pub mod engines;
mod examples;
pub mod policies;
