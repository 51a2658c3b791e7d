//! The terminal interface on a run.

use std::process::ExitCode;

use color_eyre::eyre::Result;

use super::{headless, launch};
use crate::config::Paths;

/// Opens the quick start.
pub(super) fn open(paths: &Paths) -> Result<ExitCode> {
    headless::run(paths, &launch::quick_start(paths)?)
}

/// Opens a run.
pub(super) fn attach(paths: &Paths, name: Option<&str>) -> Result<ExitCode> {
    headless::run(paths, &paths.run(name.unwrap_or("quickstart")))
}
