//! The claim: which machine works on a run whose folder several machines see.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ResidenceError;
use crate::faults::Span;
use crate::runner::machine;

/// Name of the claim in a run's folder.
pub const CLAIM: &str = "claim.json";
const RENAME: Span = Span::new("claim.rename.before", "claim.rename.after");

/// Who works on a run, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Name of the machine.
    pub host: String,
    /// Identity of the machine's start.
    pub boot: String,
    /// The process there.
    pub pid: u32,
    /// Its folder with the database.
    pub scratch: PathBuf,
    /// When the database was copied back last, in milliseconds since the Unix epoch; for people only.
    pub renewed_ms: i64,
}

impl Claim {
    /// A claim of this process, which works in `scratch`.
    pub(super) fn of_this_process(scratch: &Path) -> Self {
        Self {
            host: machine::host(),
            boot: machine::boot(),
            pid: std::process::id(),
            scratch: scratch.to_owned(),
            renewed_ms: machine::now_ms(),
        }
    }

    /// The claim on the run in a folder.
    ///
    /// # Errors
    /// When there is one that cannot be understood.
    pub fn of(run: &Path) -> Result<Option<Self>, ResidenceError> {
        let path = run.join(CLAIM);
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(claim) => Ok(Some(claim)),
                Err(_) => Err(ResidenceError::BadClaim(path)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ResidenceError::Io { path, source }),
        }
    }

    /// Whether it is of a process of this machine, of this start or an earlier one. The lock on scratch, which
    /// no restart survives, says whether that process is alive.
    pub fn is_of_this_host(&self) -> bool {
        self.host == machine::host()
    }

    /// Puts the claim in place. One of this host is taken over: the caller holds the lock on its scratch.
    pub(super) fn enter(&self, run: &Path) -> Result<(), ResidenceError> {
        let path = run.join(CLAIM);
        let written = self.write_beside(run)?;
        // Atomic on network file systems as well; some have no links.
        let entered = match fs::hard_link(&written, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => self.create(&path),
            linked => linked,
        };
        let _ = fs::remove_file(&written);
        match entered {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match Self::of(run)? {
                Some(other) if !other.is_of_this_host() => {
                    Err(ResidenceError::Claimed(run.to_owned(), Box::new(other)))
                }
                _ => self.renew(run),
            },
            other => other.map_err(|source| ResidenceError::Io { path, source }),
        }
    }

    /// Writes the claim over the one that is there.
    pub(super) fn renew(&self, run: &Path) -> Result<(), ResidenceError> {
        let written = self.write_beside(run)?;
        let path = run.join(CLAIM);
        RENAME.around(|| fs::rename(&written, &path)).map_err(|source| ResidenceError::Io { path, source })
    }

    /// Takes the claim away.
    pub(super) fn leave(run: &Path) -> Result<(), ResidenceError> {
        let path = run.join(CLAIM);
        fs::remove_file(&path).map_err(|source| ResidenceError::Io { path, source })
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }

    fn write_beside(&self, run: &Path) -> Result<PathBuf, ResidenceError> {
        let path = run.join(format!("{CLAIM}.{}-{}", self.host.replace('/', "-"), self.pid));
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()
        };
        match write() {
            Ok(()) => Ok(path),
            Err(source) => Err(ResidenceError::Io { path, source }),
        }
    }
}

/// What a person is told when another machine has the run.
pub(super) fn refusal(run: &Path, claim: &Claim) -> String {
    let minutes = (machine::now_ms() - claim.renewed_ms) / 60_000;
    let age = match minutes {
        ..0 => "at a time that lies ahead of this machine's clock".to_owned(),
        0 => "less than a minute ago".to_owned(),
        1..120 => format!("{minutes} min ago"),
        _ => format!("{} h ago", minutes / 60),
    };
    format!(
        "{} is worked on by {} (process {}), which copied it back {age}. Stop it there with `dataenvgym stop`. \
         If that machine is gone, remove {}: the run then goes on from the last copy, and what the machine \
         did since is done again",
        run.display(),
        claim.host,
        claim.pid,
        run.join(CLAIM).display()
    )
}
