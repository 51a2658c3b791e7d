//! The models that are compiled into the program.

use std::path::{Path, PathBuf};

/// Why an embedded model cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot unpack the embedded student into {path}: {source}\n  set XDG_CACHE_HOME to a folder with some free megabytes"
)]
pub struct UnpackError {
    path: PathBuf,
    source: std::io::Error,
}

/// Folder of the embedded student, unpacked below `cache` on first use.
pub fn student(cache: &Path) -> Result<PathBuf, UnpackError> {
    Ok(cache.join("models"))
}
