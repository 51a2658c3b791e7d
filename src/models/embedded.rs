//! The models that are compiled into the program, as ordinary model folders.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The files of a model, made by `dataenvgym pretrain`.
macro_rules! files {
    ($folder:literal) => {
        files!($folder; "config.json", "generation_config.json", "model.safetensors", "recipe.json", "tokenizer.json",
               "tokenizer_config.json")
    };
    ($folder:literal; $($name:literal),*) => {
        &[$(($name, include_bytes!(concat!("embedded/", $folder, "/", $name)))),*]
    };
}

/// A model that is compiled into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Embedded {
    /// The student of the embedded world of arithmetic.
    Student,
    /// Writes exercises of that world, and solves them.
    Teacher,
    /// The same, trained shorter: its exercises are often wrong.
    WeakTeacher,
}

impl Embedded {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Student, Self::Teacher, Self::WeakTeacher];

    /// The name of its recipe.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::WeakTeacher => "weak-teacher",
        }
    }

    const fn files(self) -> &'static [(&'static str, &'static [u8])] {
        match self {
            Self::Student => files!("student"),
            Self::Teacher => files!("teacher"),
            Self::WeakTeacher => files!("weak-teacher"),
        }
    }

    /// Its folder, unpacked below `cache` on first use. The folder's name holds the hash of its content, so that
    /// another version of the program never meets the wrong weights, and it appears whole or not at all.
    pub fn folder(self, cache: &Path) -> Result<PathBuf, UnpackError> {
        let digest = self.files().iter().fold(Sha256::new(), |hash, (name, bytes)| {
            hash.chain_update(name).chain_update((bytes.len() as u64).to_le_bytes()).chain_update(bytes)
        });
        let number = digest.finalize().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let folder = cache.join("models").join(format!("{}-{number:016x}", self.name()));
        if !folder.is_dir() {
            unpack(self.files(), &folder).map_err(|source| UnpackError {
                name: self.name(),
                path: folder.clone(),
                source,
            })?;
        }
        Ok(folder)
    }
}

/// Why an embedded model cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot unpack the embedded {name} into {path}: {source}\n  set XDG_CACHE_HOME to a folder with some free megabytes"
)]
pub struct UnpackError {
    name: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

fn unpack(files: &[(&str, &[u8])], folder: &Path) -> std::io::Result<()> {
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::create_dir_all(&unfinished)?;
    for (name, bytes) in files {
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
    fn each_unpacks_once_and_is_a_sound_model_folder() {
        let cache = tempfile::tempdir().unwrap();
        for model in Embedded::ALL {
            let folder = model.folder(cache.path()).unwrap();
            crate::models::folder::check(&folder).unwrap();
            std::fs::write(folder.join("mark"), "kept").unwrap();
            assert_eq!(model.folder(cache.path()).unwrap(), folder);
            assert!(folder.join("mark").exists());
        }
        let left: Vec<_> = std::fs::read_dir(cache.path().join("models")).unwrap().collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }

    #[test]
    fn all_weights_together_are_small() {
        let bytes = |model: Embedded| model.files().iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let together: usize = Embedded::ALL.into_iter().map(bytes).sum();
        assert!(together <= 12_000_000, "{together}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("file");
        std::fs::write(&file, "").unwrap();
        let said = Embedded::Student.folder(&file).unwrap_err().to_string();
        assert!(said.contains("XDG_CACHE_HOME") && said.contains("student-"), "{said}");
    }
}
