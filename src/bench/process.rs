//! Measuring processes: each has a peak of memory and caches of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use super::BenchError;

/// Runs a process to its end; its last line is what it has to say, as JSON. Its messages go where ours go.
///
/// # Errors
/// When it cannot be started, or ends without that line.
pub(super) fn said<T: DeserializeOwned>(command: &mut Command) -> Result<T, BenchError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| BenchError::Start { program: program.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let reading = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    reading.ok_or(BenchError::Silent { program })
}
