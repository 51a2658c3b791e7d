//! Where a run lives: its own folder, or local scratch when that folder is shared with other machines.
//!
//! SQLite's write-ahead log and `flock` hold within one machine only. On a network file system the database and
//! the lock therefore lie on scratch, and the database is copied back, whole, after every phase. A claim file in
//! the run's folder keeps other machines out. Which copy is continued is decided by the numbers in them, never
//! by a clock.

mod claim;
mod scratch;

use std::io;
use std::path::{Path, PathBuf};

use super::filesystem::{FileSystem, FileSystemProbe};
use super::lock::{Holder, LockError, RunLock};
use super::machine;
use crate::config::PathsError;
use crate::store::copies::{self, Stamp};
use crate::store::{DATABASE, StoreError};

pub use claim::{CLAIM, Claim};
pub use scratch::{Root, SCRATCH, is_held, live_of, roots};

/// Folder with files named by their content, which are written straight into the run's folder.
const ARTIFACTS: &str = "artifacts";

/// Why a run cannot live anywhere.
#[derive(Debug, thiserror::Error)]
pub enum ResidenceError {
    /// Another process of this machine has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Another machine has it.
    #[error("{}", claim::refusal(.0, .1))]
    Claimed(PathBuf, Box<Claim>),
    /// The claim cannot be understood.
    #[error(
        "{0} says which machine works on this run, but cannot be understood; make sure that no machine \
             does, then remove the file"
    )]
    BadClaim(PathBuf),
    /// No local folder can hold the database.
    #[error(
        "{run} lies on a network file system ({kind}), where a database cannot be worked on, and no local \
             folder can take it: {tried}. Set {SCRATCH} to a folder on a disk of this machine"
    )]
    NoScratch {
        /// The run's folder.
        run: PathBuf,
        /// Its file system.
        kind: &'static str,
        /// The candidates and what is wrong with each.
        tried: String,
    },
    /// A folder is not private.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// The database cannot be copied.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A run that this process has: locked, claimed where needed, its newest database in place.
#[derive(Debug)]
pub struct Residence {
    run: PathBuf,
    live: PathBuf,
    lock: RunLock,
    holder: Holder,
    away: Option<Away>,
    notices: Vec<String>,
}

/// What a run on scratch needs to come home.
#[derive(Debug)]
struct Away {
    kind: FileSystem,
    stamp: Stamp,
}

impl Residence {
    /// Takes the run in the folder `run`, which exists, and brings its newest database to where it can be
    /// worked on. `roots` are the candidates for scratch, best first.
    ///
    /// # Errors
    /// When another process or machine has it, or there is nowhere to work.
    pub fn settle(run: &Path, probe: &dyn FileSystemProbe, roots: &[Root]) -> Result<Self, ResidenceError> {
        let io = |source| ResidenceError::Io { path: run.to_owned(), source };
        let kind = probe.kind(run).map_err(io)?;
        let holder = Holder::this_process();
        let earlier = Claim::of(run)?;
        if let Some(claim) = earlier.as_ref().filter(|claim| !claim.is_of_this_host()) {
            return Err(ResidenceError::Claimed(run.to_owned(), Box::new(claim.clone())));
        }
        // A claim on a local folder: the newest database may be on scratch all the same.
        if !kind.is_network() && earlier.is_none() {
            let lock = RunLock::take(run)?;
            let (run, live) = (run.to_owned(), run.to_owned());
            return Ok(Self { run, live, lock, holder, away: None, notices: Vec::new() });
        }
        // The folder of an earlier process here, although this one's environment may name another.
        let earlier = earlier.map(|claim| claim.scratch).filter(|folder| scratch::is_ours(folder, run));
        let live = match earlier {
            Some(live) => live,
            None => scratch::folder(run, kind, probe, roots)?,
        };
        let lock = RunLock::take(&live)?;
        Claim::of_this_process(&live).enter(run)?;
        let mut notices =
            vec![format!("{} lies on {}: the run works in {}", run.display(), kind.name(), live.display())];
        let stamp = choose(run, &live, &mut notices)?;
        scratch::link(&run.join(ARTIFACTS), &live.join(ARTIFACTS))
            .map_err(|source| ResidenceError::Io { path: live.join(ARTIFACTS), source })?;
        let writer = format!("{}/{}/{}/{}", holder.host, holder.boot, holder.pid, holder.since_ms);
        let stamp = Stamp { writer, host: holder.host.clone(), closed: false, ..stamp };
        let run = run.to_owned();
        let mut settled = Self { run, live, lock, holder, away: Some(Away { kind, stamp }), notices };
        // From now on every other copy is older.
        settled.copy_back()?;
        Ok(settled)
    }

    /// The folder in which the database is worked on.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// The run's own folder.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// What a person should know: where the run works, and what was lost.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Tells clients where this process listens.
    ///
    /// # Errors
    /// When the lock's file cannot be written.
    pub fn announce(&mut self, socket: &Path) -> Result<(), ResidenceError> {
        self.holder.socket = Some(socket.to_owned());
        Ok(self.lock.announce(&self.holder)?)
    }

    /// Copies the database to the run's folder, where it is not there anyway.
    ///
    /// # Errors
    /// When the folder cannot be written; the copy there is then the one before.
    pub fn copy_back(&mut self) -> Result<(), ResidenceError> {
        self.copy(false)
    }

    /// The last copy, after which any machine may have the run.
    ///
    /// # Errors
    /// As [`Residence::copy_back`]; the claim then stays.
    pub fn leave(mut self) -> Result<(), ResidenceError> {
        self.copy(true)?;
        match self.away {
            Some(_) => Claim::leave(&self.run),
            None => Ok(()),
        }
    }

    fn copy(&mut self, closed: bool) -> Result<(), ResidenceError> {
        let Some(away) = &mut self.away else { return Ok(()) };
        let database = self.live.join(DATABASE);
        if !database.exists() {
            return Ok(());
        }
        let sequence = away.stamp.sequence + 1;
        let stamp = Stamp { sequence, closed, at_ms: machine::now_ms(), ..away.stamp.clone() };
        copies::copy(&database, &stamp, &self.run.join(DATABASE))?;
        away.stamp = stamp;
        tracing::debug!(sequence, kind = away.kind.name(), "the database was copied back");
        Claim { renewed_ms: machine::now_ms(), ..Claim::of_this_process(&self.live) }.renew(&self.run)
    }
}

/// Puts the newer database in place and returns its stamp.
fn choose(run: &Path, live: &Path, notices: &mut Vec<String>) -> Result<Stamp, ResidenceError> {
    let [kept, here] = [run, live].map(|folder| folder.join(DATABASE));
    let kept_stamp = if kept.exists() { Some(copies::stamp(&kept)?.unwrap_or_default()) } else { None };
    // What cannot be read here is not continued.
    let here_stamp =
        here.exists().then(|| copies::stamp(&here).ok()).flatten().map(Option::unwrap_or_default);
    let fetched = match (&kept_stamp, &here_stamp) {
        (None, _) => {
            // The making of a run ended between scratch and its folder: nobody was shown any of it.
            copies::discard(&here)?;
            return Ok(Stamp::default());
        }
        (Some(kept), Some(here)) if here.continues(kept) => return Ok(here.clone()),
        (Some(kept), _) => kept.clone(),
    };
    if here_stamp.is_some_and(|stamp| !stamp.closed) {
        notices.push(format!(
            "{} is older than the copy in {} and was not used",
            here.display(),
            run.display()
        ));
    }
    copies::fetch(&kept, &here)?;
    if !fetched.closed && !fetched.writer.is_empty() {
        notices.push(format!(
            "{} did not end this run in order. What it did after its last copy (number {}) is lost and is done \
             again; answers of a teacher since then are paid twice",
            fetched.host, fetched.sequence
        ));
    }
    Ok(fetched)
}
