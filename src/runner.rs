//! The runner: the process that owns a run.
//!
//! Owns the durable driver of the episode, the supervision of workers, the control socket, the lock, and the
//! place a run lives at. Loads no model and has no terminal.

pub mod client;
pub mod control;
pub mod custody;
pub mod disk;
pub mod driver;
pub mod filesystem;
pub mod live;
pub mod lock;
pub mod log_file;
pub mod machine;
pub mod pool;
pub mod purse;
pub mod residence;
