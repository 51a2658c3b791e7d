//! The run's lock: one runner at a time.
//!
//! The lock is the kernel's (`flock`) and ends with the process that holds it, in whatever way that ends. What
//! the file says is for people and for clients that look for the socket; it is never what decides.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::machine;

/// Name of the lock file. It stays behind.
pub const LOCK: &str = "run.lock";

/// How long a lock is waited for of which no living process says that it has it. Such a lock is about to be free: a
/// process that the dead runner was just starting has it until it begins its own program, and who asks whether the
/// run is held has it for a moment.
const PASSING: Duration = Duration::from_secs(2);

/// Who holds the run, as written into the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Name of its machine.
    pub host: String,
    /// Identity of that machine's start; changes when it restarts.
    pub boot: String,
    /// When it took the run, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Its control socket, once it listens.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

impl Holder {
    /// This process.
    pub fn this_process() -> Self {
        Self {
            pid: std::process::id(),
            host: machine::host(),
            boot: machine::boot(),
            since_ms: machine::now_ms(),
            socket: None,
        }
    }

    /// Whether it still is, as far as this machine can say: another machine's is taken to be.
    fn lives(&self) -> bool {
        let here = self.host == machine::host() && self.boot == machine::boot();
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        !here || pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
    }
}

/// Held while a process owns the run; released when it ends, in whatever way.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

/// Why the run cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} has a runner already{}; `dataenvgym attach` shows it, `dataenvgym stop` ends it", .0.display(), named(.1.as_ref()))]
    Held(PathBuf, Option<Holder>),
    /// The file cannot be made.
    #[error(
        "{path}: {source}; a run can only be worked on where this user can write: check the folder's \
             permissions, or copy the run to another folder and give that with --runs-dir"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn named(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" (process {} on {})", holder.pid, holder.host)).unwrap_or_default()
}

impl RunLock {
    /// Takes the lock in `folder`, where the run's database lies. Waits for no runner, only for a lock that is about
    /// to be free.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be written.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let io = |source| LockError::Io { path: path.clone(), source };
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(io)?;
        let until = Instant::now() + PASSING;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = holder(folder);
            if Instant::now() > until || holder.as_ref().is_some_and(Holder::lives) {
                return Err(LockError::Held(folder.to_owned(), holder));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut lock = Self { file, path };
        lock.announce(&Holder::this_process())?;
        Ok(lock)
    }

    /// Writes who holds it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&mut self, holder: &Holder) -> Result<(), LockError> {
        let write = |file: &mut File| {
            let text = serde_json::to_vec(holder)?;
            file.set_len(0)?;
            io::Seek::rewind(file)?;
            file.write_all(&text)
        };
        write(&mut self.file).map_err(|source| LockError::Io { path: self.path.clone(), source })
    }

    /// Whether a runner has the run now.
    pub fn is_held(folder: &Path) -> bool {
        // A shared lock is refused while the runner has its exclusive one.
        File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock_shared().is_err())
    }
}

/// Who holds the run, or held it last; `None` when that cannot be said.
pub fn holder(folder: &Path) -> Option<Holder> {
    serde_json::from_slice(&std::fs::read(folder.join(LOCK)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_held(folder.path()));
        let mut lock = RunLock::take(folder.path()).unwrap();
        assert!(RunLock::is_held(folder.path()));
        let said = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
        let socket = Some(PathBuf::from("/somewhere/s.sock"));
        lock.announce(&Holder { socket: socket.clone(), ..Holder::this_process() }).unwrap();
        assert_eq!(holder(folder.path()).unwrap().socket, socket);
        drop(lock);
        assert!(!RunLock::is_held(folder.path()));
        RunLock::take(folder.path()).unwrap();
    }

    /// What a fork of the killed runner keeps until it is another program, and a look at the lock for a moment.
    #[test]
    fn a_lock_that_outlives_its_holder_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let mut left = RunLock::take(folder.path()).unwrap();
        left.announce(&Holder { pid: gone.id(), ..Holder::this_process() }).unwrap();
        let taker = std::thread::spawn({
            let folder = folder.path().to_owned();
            move || RunLock::take(&folder).map(drop)
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!taker.is_finished());
        drop(left);
        taker.join().unwrap().unwrap();
    }

    #[test]
    fn a_stale_or_strange_file_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "4711", "\u{0}\u{1}", "{\"pid\":1}"] {
            std::fs::write(folder.path().join(LOCK), text).unwrap();
            assert!(!RunLock::is_held(folder.path()) && holder(folder.path()).is_none());
            RunLock::take(folder.path()).unwrap();
        }
    }
}
