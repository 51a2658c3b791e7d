//! Folders and files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::ExchangeError;

/// A folder being written beside its place; it is removed unless it is finished.
#[derive(Debug)]
pub(super) struct NewFolder {
    unfinished: PathBuf,
    place: PathBuf,
    finished: bool,
}

impl NewFolder {
    /// Begins the folder that will lie at `place`. What lies there is kept until [`NewFolder::finish`].
    ///
    /// # Errors
    /// When something lies there and may not be replaced.
    pub(super) fn begin(place: &Path, replace: bool) -> Result<Self, ExchangeError> {
        let empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
        if place.exists() && !empty && !replace {
            return Err(ExchangeError::file(place, "it exists already; give another place, or --force"));
        }
        let name = place.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| ExchangeError::file(place, "this is no name for a new folder"))?;
        let unfinished = place.with_file_name(format!(".{name}.unfinished"));
        if unfinished.exists() {
            // What a killed export left behind; nobody was shown it.
            fs::remove_dir_all(&unfinished).map_err(ExchangeError::io(&unfinished))?;
        }
        fs::create_dir_all(&unfinished).map_err(ExchangeError::io(&unfinished))?;
        Ok(Self { unfinished, place: place.to_owned(), finished: false })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Gives the folder its name.
    pub(super) fn finish(mut self) -> Result<(), ExchangeError> {
        let io = |source| ExchangeError::Io { path: self.place.clone(), source };
        sync_folders(&self.unfinished).map_err(io)?;
        let old = self.unfinished.with_extension("old");
        if self.place.exists() {
            if old.exists() {
                fs::remove_dir_all(&old).map_err(io)?;
            }
            fs::rename(&self.place, &old).map_err(io)?;
        }
        fs::rename(&self.unfinished, &self.place).map_err(io)?;
        self.finished = true;
        if let Some(parent) = self.place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io)?;
        }
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.finished {
            // There is nobody left to tell; the next export removes it.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

/// Synchronises a folder and the folders in it; their files were synchronised when they were written.
fn sync_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    File::open(folder)?.sync_all()
}

/// A file being written inside a [`NewFolder`].
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self, ExchangeError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ExchangeError::io(parent))?;
        }
        let file = File::create(path).map_err(ExchangeError::io(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Goes on with a file that was finished.
    pub(super) fn append(path: &Path) -> Result<Self, ExchangeError> {
        let file = File::options().append(true).open(path).map_err(ExchangeError::io(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        self.file.write_all(bytes).map_err(ExchangeError::io(&self.path))
    }

    /// The content is on the disk afterwards.
    pub(super) fn finish(mut self) -> Result<(), ExchangeError> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(ExchangeError::io(&self.path))
    }
}

/// Writes a whole file inside a [`NewFolder`].
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), ExchangeError> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}
