//! Where runs and caches lie.

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
    /// File with what a person chose on the screen.
    pub screen: PathBuf,
    /// The home folder, above which no project is looked for.
    pub home: PathBuf,
    /// A person's own prompts, in the configuration folder; it need not exist.
    pub prompts: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// There is no home folder.
    #[error("no home folder found; set HOME, or give --runs-dir and XDG_CACHE_HOME")]
    NoHome,
    /// The socket folder belongs to somebody else or is open to others.
    #[error(
        "{path} must be a folder that this user alone can enter, but {why}; remove it, or `chmod 700` it, \
             or set XDG_RUNTIME_DIR to another folder"
    )]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No folder is short enough for a socket.
    #[error("{0} is too long for a socket (100 bytes at most); set XDG_RUNTIME_DIR to a short path")]
    TooLong(PathBuf),
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
            screen: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("screen.json"),
            home: BaseDirs::new().ok_or(PathsError::NoHome)?.home_dir().to_owned(),
            prompts: dirs.config_dir().join("prompts"),
        })
    }

    /// A person's own run configurations, beside the other files of theirs; it need not exist.
    pub fn configurations(&self) -> PathBuf {
        self.user_config.with_file_name("configs")
    }

    /// Folder of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runs.join(name)
    }
}

/// A short name for a run folder that is the same for every process of this machine.
pub fn run_key(run_folder: &Path) -> String {
    let canonical = run_folder.canonicalize().unwrap_or_else(|_| run_folder.to_owned());
    let digest = Sha256::digest(canonical.as_os_str().as_encoded_bytes());
    let number = digest.iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    format!("{number:016x}")
}
