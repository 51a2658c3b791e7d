//! The thin binary.

use std::process::ExitCode;

/// Freed blocks go back to a pool instead of the system: training allocates the same shapes every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dataenvgym::cli::main()
}
