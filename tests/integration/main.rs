//! The integration tests, one binary: linking mistralrs is not cheap.

// The helpers of tests may fail the way tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod peer_greedy;
mod workers;
