//! The runner: the process that owns a run.
//!
//! Owns the durable driver of the episode, the supervision of workers and the control socket. Loads no
//! model and has no terminal.

pub mod client;
pub mod control;
pub mod driver;
pub mod live;
pub mod lock;
pub mod pool;
