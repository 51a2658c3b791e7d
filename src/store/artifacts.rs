//! Artifacts: images of a run as files named by their content's hash.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::faults::Span;
use crate::gym::instance::ImageRef;

/// Name of the folder in a run folder.
const FOLDER: &str = "artifacts";
const RENAME: Span = Span::new("artifact.rename.before", "artifact.rename.after");

/// Where the images of a run lie.
pub fn artifact_folder(run: &Path) -> PathBuf {
    run.join(FOLDER)
}

/// Where an image lies.
pub fn artifact_path(run: &Path, image: &ImageRef) -> PathBuf {
    artifact_folder(run).join(image.file_name())
}

/// The bytes of an image, verified against their hash.
///
/// # Errors
/// When the file is missing or holds other bytes.
pub fn read_artifact(run: &Path, image: &ImageRef) -> Result<Vec<u8>, StoreError> {
    let path = artifact_path(run, image);
    let bytes = fs::read(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    if ImageRef::of(&bytes, &image.media_type, image.size) == *image {
        return Ok(bytes);
    }
    let source = std::io::Error::other("the bytes are not those of its name: restore the file from a copy");
    Err(StoreError::Io { path, source })
}

/// Keeps an image: written beside, synchronised, renamed, so that a kill leaves a whole file or none.
///
/// # Errors
/// When the folder cannot be written.
pub fn put_artifact(
    run: &Path,
    bytes: &[u8],
    media_type: &str,
    size: (u32, u32),
) -> Result<ImageRef, StoreError> {
    let image = ImageRef::of(bytes, media_type, size);
    let path = artifact_path(run, &image);
    if path.exists() {
        return Ok(image);
    }
    let write = || {
        fs::create_dir_all(run.join(FOLDER))?;
        let unfinished = path.with_extension("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        RENAME.around(|| fs::rename(&unfinished, &path))?;
        File::open(run.join(FOLDER))?.sync_all()
    };
    write().map_err(|source| StoreError::Io { path: path.clone(), source })?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_once_and_verified() {
        let run = tempfile::tempdir().unwrap();
        let image = put_artifact(run.path(), b"bytes", "image/png", (1, 1)).unwrap();
        assert_eq!(put_artifact(run.path(), b"bytes", "image/png", (1, 1)).unwrap(), image);
        assert_eq!(read_artifact(run.path(), &image).unwrap(), b"bytes");
        fs::write(artifact_path(run.path(), &image), b"bites").unwrap();
        let error = read_artifact(run.path(), &image).unwrap_err().to_string();
        assert!(error.contains(&image.sha256) && error.contains("restore"), "{error}");
    }
}
