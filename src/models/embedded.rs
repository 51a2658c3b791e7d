//! The models that are compiled into the program, as ordinary model folders.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The files of the embedded student, made by `dataenvgym pretrain`.
const STUDENT: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("embedded/student/config.json")),
    ("generation_config.json", include_bytes!("embedded/student/generation_config.json")),
    ("model.safetensors", include_bytes!("embedded/student/model.safetensors")),
    ("recipe.json", include_bytes!("embedded/student/recipe.json")),
    ("tokenizer.json", include_bytes!("embedded/student/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("embedded/student/tokenizer_config.json")),
];

/// Why an embedded model cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot unpack the embedded student into {path}: {source}\n  set XDG_CACHE_HOME to a folder with some free megabytes"
)]
pub struct UnpackError {
    path: PathBuf,
    source: std::io::Error,
}

/// Folder of the embedded student, unpacked below `cache` on first use. The folder's name holds the hash of
/// its content, so that another version of the program never meets the wrong weights, and it appears whole
/// or not at all.
pub fn student(cache: &Path) -> Result<PathBuf, UnpackError> {
    let digest = STUDENT.iter().fold(Sha256::new(), |hash, (name, bytes)| {
        hash.chain_update(name).chain_update((bytes.len() as u64).to_le_bytes()).chain_update(bytes)
    });
    let number = digest.finalize().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let folder = cache.join("models").join(format!("student-{number:016x}"));
    if !folder.is_dir() {
        unpack(&folder).map_err(|source| UnpackError { path: folder.clone(), source })?;
    }
    Ok(folder)
}

fn unpack(folder: &Path) -> std::io::Result<()> {
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::create_dir_all(&unfinished)?;
    for (name, bytes) in STUDENT {
        let mut file = std::fs::File::create(unfinished.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    match std::fs::rename(&unfinished, folder) {
        // Another process was faster; its folder has the same content.
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&unfinished),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_unpacks_once_and_is_a_sound_model_folder() {
        let cache = tempfile::tempdir().unwrap();
        let folder = student(cache.path()).unwrap();
        crate::models::folder::check(&folder).unwrap();
        std::fs::write(folder.join("mark"), "kept").unwrap();
        assert_eq!(student(cache.path()).unwrap(), folder);
        assert!(folder.join("mark").exists());
        let left: Vec<_> = std::fs::read_dir(cache.path().join("models")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("file");
        std::fs::write(&file, "").unwrap();
        let said = student(&file).unwrap_err().to_string();
        assert!(said.contains("XDG_CACHE_HOME") && said.contains("student-"), "{said}");
    }
}
