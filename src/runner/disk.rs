//! Room on the disk: a floor below which no phase begins, and a ballast so that a full disk can be recorded.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::filesystem::FileSystemProbe;
use crate::gym::ports::PortError;

/// Variable with the floor in MiB.
pub const FLOOR: &str = "DATAENVGYM_MIN_FREE_MIB";
/// The floor without that variable, in MiB.
pub const DEFAULT_FLOOR: u64 = 256;
/// Begins every message about a full disk; such a run is paused, not failed.
pub const DISK_FULL: &str = "disk full: ";
/// Name of the ballast in a folder.
const BALLAST: &str = "ballast";
/// Its size in bytes: enough for the events that say why a run pauses.
const BALLAST_BYTES: u64 = 4 << 20;

/// Watches the folders that a run writes to.
pub struct DiskGuard {
    folders: Vec<PathBuf>,
    floor: u64,
    ballast: PathBuf,
    probe: Box<dyn FileSystemProbe>,
}

impl DiskGuard {
    /// Watches `live`, where the database is and the ballast goes, and `run`, where the rest goes.
    /// `floor` is in bytes.
    pub fn new(live: &Path, run: &Path, floor: u64, probe: Box<dyn FileSystemProbe>) -> Self {
        let mut folders = vec![live.to_owned(), run.to_owned()];
        folders.dedup();
        Self { folders, floor, ballast: live.join(BALLAST), probe }
    }

    /// Refuses when there is less room than the floor; otherwise sees to the ballast.
    ///
    /// # Errors
    /// Names the folder, the room there and what to do.
    pub fn check(&mut self) -> Result<(), PortError> {
        for folder in &self.folders {
            // Where the system cannot say, the writes themselves will.
            let Ok(free) = self.probe.free_bytes(folder) else { continue };
            if free < self.floor {
                return Err(PortError::fatal(format!(
                    "{DISK_FULL}{} has {} MiB left, and a phase begins with {} MiB at least ({FLOOR} sets \
                     another number). Nothing is lost: free some space there, then resume",
                    folder.display(),
                    free >> 20,
                    self.floor >> 20
                )));
            }
        }
        self.restore();
        Ok(())
    }

    /// Gives the ballast away, so that the reason of a pause can be written.
    pub fn make_room(&self) {
        match std::fs::remove_file(&self.ballast) {
            Ok(()) => {
                tracing::warn!(ballast = %self.ballast.display(), "the disk is full: ballast given away");
            }
            Err(error) => tracing::error!(%error, "the disk is full and there is no ballast"),
        }
    }

    /// Nothing is written any more: takes the ballast away.
    pub fn leave(&self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.ballast);
    }

    fn restore(&self) {
        let Some(folder) = self.ballast.parent() else { return };
        let room = self.probe.free_bytes(folder).is_ok_and(|free| free >= self.floor + 2 * BALLAST_BYTES);
        if room
            && !self.ballast.exists()
            && let Err(error) = fill(&self.ballast)
        {
            tracing::warn!(%error, "no ballast could be made");
            // Half of one would take room without being told of.
            let _ = std::fs::remove_file(&self.ballast);
        }
    }
}

/// Writes real blocks that do not compress to nothing.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(1 << 16);
    for _ in 0..BALLAST_BYTES >> 16 {
        block.clear();
        while block.len() < 1 << 16 {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend(state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// Whether a failure's text speaks of a full disk. Failures of workers and libraries arrive as text only.
pub fn speaks_of_full_disk(message: &str) -> bool {
    let words = ["No space left on device", "os error 28", "Disk quota exceeded", "disk is full"];
    message.starts_with(DISK_FULL) || words.iter().any(|word| message.contains(word))
}

/// The message of a phase that failed for want of room.
pub fn explained(message: &str) -> String {
    match message.strip_prefix(DISK_FULL) {
        Some(explained) => explained.to_owned(),
        None => format!("{message}. Nothing that was shown as done is lost: free some space, then resume"),
    }
}

/// The floor in bytes as the environment sets it.
///
/// # Errors
/// When the variable is no number.
pub fn floor() -> Result<u64, String> {
    match std::env::var(FLOOR) {
        Err(_) => Ok(DEFAULT_FLOOR << 20),
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(mib) => Ok(u64::from(mib) << 20),
            Err(_) => Err(format!("{FLOOR} is `{text}`; it must be a number of MiB")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::runner::filesystem::FileSystem;

    struct Room(Arc<AtomicU64>);

    impl FileSystemProbe for Room {
        fn kind(&self, _: &Path) -> io::Result<FileSystem> {
            Ok(FileSystem::Local("test"))
        }

        fn free_bytes(&self, _: &Path) -> io::Result<u64> {
            Ok(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_phase_begins_above_the_floor_only_and_the_ballast_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1 << 30));
        let probe = Box::new(Room(Arc::clone(&free)));
        let mut guard = DiskGuard::new(folder.path(), folder.path(), 100 << 20, probe);
        guard.check().unwrap();
        let ballast = folder.path().join(BALLAST);
        assert_eq!(std::fs::metadata(&ballast).unwrap().len(), BALLAST_BYTES);
        guard.make_room();
        assert!(!ballast.exists());
        free.store(99 << 20, Ordering::Relaxed);
        let error = guard.check().unwrap_err();
        let named = error.message.contains(&folder.path().display().to_string());
        assert!(!error.transient && named && error.message.starts_with(DISK_FULL), "{error}");
        assert!(error.message.contains("99 MiB") && error.message.contains("free some space"), "{error}");
        free.store(1 << 30, Ordering::Relaxed);
        guard.check().unwrap();
        assert!(ballast.exists());
    }

    #[test]
    fn texts_about_a_full_disk_are_known() {
        for text in ["x: No space left on device (os error 28)", "run.db: database or disk is full"] {
            assert!(speaks_of_full_disk(text) && explained(text).contains("free some space"));
        }
        assert!(!speaks_of_full_disk("the worker ended: killed by SIGKILL"));
        assert_eq!(explained("disk full: x"), "x");
    }
}
