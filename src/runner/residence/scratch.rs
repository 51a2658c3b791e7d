//! A folder on a disk of this machine for a run whose own folder is shared.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ResidenceError;
use super::claim::Claim;
use crate::config::{private_folder, run_key};
use crate::runner::filesystem::{FileSystem, FileSystemProbe};
use crate::runner::lock::RunLock;
use crate::store::DATABASE;

/// Variable that names the folder for databases of runs on network file systems.
pub const SCRATCH: &str = "DATAENVGYM_SCRATCH";

/// A candidate for scratch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The folder.
    pub folder: PathBuf,
    /// Whether a person named it: then nothing else is tried.
    pub chosen: bool,
}

/// The candidates as the environment names them, best first.
pub fn roots() -> Vec<Root> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(folder) = variable(SCRATCH) {
        return vec![Root { folder, chosen: true }];
    }
    let named = ["SLURM_TMPDIR", "TMPDIR"].into_iter().filter_map(variable);
    let usual = ["/scratch", "/var/tmp", "/tmp"].map(PathBuf::from);
    named.chain(usual).map(|folder| Root { folder, chosen: false }).collect()
}

/// Makes the folder of a run below the first root that is on a disk of this machine; one in its memory is
/// taken only when there is no other.
pub(super) fn folder(
    run: &Path,
    kind: FileSystem,
    probe: &dyn FileSystemProbe,
    roots: &[Root],
) -> Result<PathBuf, ResidenceError> {
    let mut tried = Vec::new();
    let mut in_memory = None;
    for root in roots {
        let found = match probe.kind(&root.folder) {
            Ok(FileSystem::Network(name)) => Err(format!("it is on {name} as well")),
            Ok(FileSystem::Memory(_)) if !root.chosen => {
                in_memory = in_memory.or(Some(root));
                continue;
            }
            Ok(_) => make(run, &root.folder).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(folder) => return Ok(folder),
            Err(why) => tried.push(format!("{}: {why}", root.folder.display())),
        }
    }
    if let Some(root) = in_memory {
        return Ok(make(run, &root.folder)?);
    }
    let (run, kind) = (run.to_owned(), kind.name());
    Err(ResidenceError::NoScratch { run, kind, tried: tried.join("; ") })
}

fn make(run: &Path, root: &Path) -> Result<PathBuf, crate::config::PathsError> {
    let user = rustix::process::getuid().as_raw();
    let ours = root.join(format!("dataenvgym-{user}"));
    private_folder(&ours)?;
    let folder = ours.join(run_key(run));
    private_folder(&folder)?;
    Ok(folder)
}

/// Whether a folder that a claim names is the scratch of this run and this user: a run's folder may come from
/// anybody, and what it names is read, written and deleted.
pub(super) fn is_ours(folder: &Path, run: &Path) -> bool {
    let user = rustix::process::getuid().as_raw();
    let named = |path: Option<&Path>, name: String| path.and_then(Path::file_name) == Some(name.as_ref());
    let named = named(Some(folder), run_key(run)) && named(folder.parent(), format!("dataenvgym-{user}"));
    let found = std::fs::symlink_metadata(folder);
    named && found.is_ok_and(|found| found.is_dir() && found.uid() == user)
}

/// Makes `link` lead to `target`, which is made when it is missing.
pub(super) fn link(target: &Path, link: &Path) -> io::Result<()> {
    std::fs::create_dir_all(target)?;
    match std::os::unix::fs::symlink(target, link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether somebody works on the run in a folder: a process of this machine, or another machine as far as its
/// claim says.
pub fn is_held(run: &Path) -> bool {
    RunLock::is_held(&live_of(run)) || matches!(Claim::of(run), Ok(Some(claim)) if !claim.is_of_this_host())
}

/// Where a client of this machine finds the database and the lock of the run in a folder: on scratch while a
/// process here works on it there, in the folder itself otherwise.
pub fn live_of(run: &Path) -> PathBuf {
    match Claim::of(run) {
        Ok(Some(claim))
            if claim.is_of_this_host()
                && is_ours(&claim.scratch, run)
                && claim.scratch.join(DATABASE).exists() =>
        {
            claim.scratch
        }
        _ => run.to_owned(),
    }
}
