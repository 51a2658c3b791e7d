//! The integration tests: one binary, because linking the model library is what costs.
//!
//! Add a test as a module here, not as a file of its own beside this folder. A test that cannot run
//! on a machine prints one line that begins with `skipped:` and says why, then returns; the check
//! script counts those lines.

// The helpers of tests may fail the way tests fail.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod agents;
mod alone;
mod clients;
mod config;
mod control;
mod disk;
mod disorder;
mod domains;
mod endpoint;
mod example;
mod exchange;
mod experiment;
mod faults;
mod fits;
mod home;
mod hostile;
mod peer_families;
mod peer_greedy;
mod ready;
#[cfg(feature = "mistralrs")]
mod real;
mod residence;
mod runs;
mod screen;
mod signals;
mod terminal;
mod terminal_faults;
mod walls;
mod workers;
