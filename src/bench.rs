//! What `dataenvgym bench` measures: one file per bench, figures as values.
//!
//! Owns the making of its own inputs and the measuring. It does not judge, and it does not print: that is the
//! command line's.

pub mod train;

use serde::Serialize;

/// One measured number. Serialised it is one line of `bench --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name, from the general to the special: `train.tokens_per_cpu_second.3m.lora.128`.
    pub figure: String,
    /// The number.
    pub value: f64,
    /// What it counts.
    pub unit: &'static str,
    /// The same number of the peer, where there is one.
    pub peer: Option<f64>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// Under which conditions it was measured.
    pub conditions: String,
}

/// Takes figures as they are measured.
pub type Sink<'a> = dyn FnMut(Figure) + 'a;
