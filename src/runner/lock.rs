//! The run's lock: one runner at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the lock file in a run folder. It holds the runner's process id and stays behind.
pub const LOCK: &str = "run.lock";

/// Held while a process owns the run; released when it ends, in whatever way.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Why the run cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} has a runner already{}", .0.display(), .1.as_ref().map(|p| format!(" (process {p})")).unwrap_or_default())]
    Held(PathBuf, Option<String>),
    /// The file cannot be made.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RunLock {
    /// Takes the lock without waiting.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let io = |source| LockError::Io { path: path.clone(), source };
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = options.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(folder.to_owned(), holder(folder))),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        write!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }

    /// Whether a runner has the run now.
    pub fn is_held(folder: &Path) -> bool {
        // A shared lock is refused while the runner has its exclusive one.
        File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock_shared().is_err())
    }
}

fn holder(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join(LOCK)).ok().filter(|pid| !pid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_held(folder.path()));
        let lock = RunLock::take(folder.path()).unwrap();
        assert!(RunLock::is_held(folder.path()));
        let said = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(said.contains(&std::process::id().to_string()), "{said}");
        drop(lock);
        assert!(!RunLock::is_held(folder.path()));
        RunLock::take(folder.path()).unwrap();
    }
}
