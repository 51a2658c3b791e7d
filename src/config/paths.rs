//! Where runs, caches and sockets lie.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use sha2::{Digest, Sha256};

/// Folders of this program on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// One folder per run.
    pub runs: PathBuf,
    /// What can be made again: unpacked models.
    pub cache: PathBuf,
    /// The user's configuration, whether it is there or not.
    pub user_config: PathBuf,
    /// The home folder, above which no project is looked for.
    pub home: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// There is no home folder.
    #[error("no home folder found; set HOME, or give --runs-dir and XDG_CACHE_HOME")]
    NoHome,
    /// The socket folder belongs to somebody else or is open to others.
    #[error("{0} is not a private folder of this user; remove it or set XDG_RUNTIME_DIR")]
    NotPrivate(PathBuf),
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

impl Paths {
    /// The platform's folders; `runs` replaces the default place of runs.
    pub fn find(runs: Option<&Path>) -> Result<Self, PathsError> {
        let dirs = ProjectDirs::from("", "", "dataenvgym").ok_or(PathsError::NoHome)?;
        let runs = runs.map_or_else(|| dirs.data_dir().join("runs"), Path::to_owned);
        Ok(Self {
            runs: std::path::absolute(&runs).unwrap_or(runs),
            cache: dirs.cache_dir().to_owned(),
            user_config: dirs.config_dir().join("config.toml"),
            home: BaseDirs::new().ok_or(PathsError::NoHome)?.home_dir().to_owned(),
        })
    }

    /// Folder of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runs.join(name)
    }
}

/// The control socket of a run: a short name in a folder that only this user can enter, because a socket
/// path may have 108 bytes at most.
pub fn socket(run_folder: &Path) -> Result<PathBuf, PathsError> {
    let canonical = run_folder.canonicalize().unwrap_or_else(|_| run_folder.to_owned());
    let digest = Sha256::digest(canonical.as_os_str().as_encoded_bytes());
    let name = digest.iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    Ok(socket_folder()?.join(format!("{name:016x}.sock")))
}

fn socket_folder() -> Result<PathBuf, PathsError> {
    let user = rustix::process::getuid().as_raw();
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = base.map_or_else(
        || std::env::temp_dir().join(format!("dataenvgym-{user}")),
        |base| base.join("dataenvgym"),
    );
    let io = |source| PathsError::Io { path: folder.clone(), source };
    match std::fs::DirBuilder::new().mode(0o700).recursive(false).create(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(e)),
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder).map_err(io)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
        return Err(PathsError::NotPrivate(folder));
    }
    Ok(folder)
}
