//! Temporary folders of the benches.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::BenchError;

/// Folders of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new folder in the temporary folder; it goes away with the value.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, BenchError> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dataenvgym-bench-{}-{number}", std::process::id()));
        let io = |source| BenchError::Io { what: path.display().to_string(), source };
        std::fs::create_dir(&path).map_err(io)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
