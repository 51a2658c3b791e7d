//! What client, runner and workers say to each other.
//!
//! Owns the messages and their framing over any byte stream. Knows no socket, process or thread.

pub mod control;
pub mod frame;
pub mod worker;
