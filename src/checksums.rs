//! Checksums of the files of a folder, in the form that `sha256sum -c` reads.
//!
//! Every checkpoint carries them: a flipped bit in a weight is otherwise a number like any other, and the
//! student it makes is measured as if nothing had happened.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::gym::hex::hex;

/// Name of the file beside those it speaks of.
pub const FILE: &str = "SHA256SUMS";

/// A file that is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum ChecksumError {
    /// Its bytes are others.
    #[error(
        "{}: is not what was written; {FILE} beside it lists another checksum. The disk or a copy damaged it: restore \
         the folder from a copy. If you changed the file yourself, delete {FILE}",
        file.display()
    )]
    Differs {
        /// The file.
        file: PathBuf,
    },
    /// It is gone, or cannot be read.
    #[error("{}: cannot be read ({source}), and {FILE} beside it lists it. Restore the folder from a copy", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The list itself is damaged.
    #[error("{}: line {line} is not a checksum and a name. Restore the folder from a copy", file.display())]
    Line {
        /// The list.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// The list of files that are about to be written.
pub fn list<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let line = |(name, bytes): (&str, &[u8])| format!("{}  {name}\n", hex(Sha256::digest(bytes)));
    files.into_iter().map(line).collect()
}

/// Writes through and sums up what it wrote, for a file that is never whole in memory.
pub struct Summed<W> {
    out: W,
    hasher: Sha256,
}

impl<W: Write> Summed<W> {
    /// Around where it writes to.
    pub fn new(out: W) -> Self {
        Self { out, hasher: Sha256::new() }
    }

    /// The line of the list for what was written, under a name.
    pub fn line(self, name: &str) -> String {
        format!("{}  {name}\n", hex(self.hasher.finalize()))
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Holds the files of a folder to its list. A folder without one is somebody else's and passes.
///
/// # Errors
/// The first file that differs.
pub fn verify(folder: &Path) -> Result<(), ChecksumError> {
    let file = folder.join(FILE);
    let list = match fs::read_to_string(&file) {
        Ok(list) => list,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ChecksumError::Unreadable { file, source }),
    };
    for (index, line) in list.lines().enumerate() {
        let entry = line.split_once("  ").filter(|(sum, name)| sum.len() == 64 && is_plain(name));
        let Some((sum, name)) = entry else { return Err(ChecksumError::Line { file, line: index + 1 }) };
        let listed = folder.join(name);
        match digest(&listed) {
            Ok(found) if found == sum => {}
            Ok(_) => return Err(ChecksumError::Differs { file: listed }),
            Err(source) => return Err(ChecksumError::Unreadable { file: listed, source }),
        }
    }
    Ok(())
}

/// A list must not have files outside its folder read.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|last| last == name)
}

fn digest(file: &Path) -> io::Result<String> {
    let (mut hasher, mut buffer, mut reader) = (Sha256::new(), vec![0; 1 << 18], File::open(file)?);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a", b"one".as_slice()), ("b", b"two".as_slice())];
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        fs::write(folder.path().join(FILE), list(files)).unwrap();
        folder
    }

    #[test]
    fn the_list_is_the_one_of_sha256sum() {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(list([("x", b"abc".as_slice())]), format!("{sum}  x\n"));
        let mut summed = Summed::new(Vec::new());
        summed.write_all(b"a").and_then(|()| summed.write_all(b"bc")).unwrap();
        assert_eq!(summed.out, b"abc");
        assert_eq!(summed.line("x"), format!("{sum}  x\n"));
    }

    #[test]
    fn what_was_written_passes_and_so_does_a_folder_without_a_list() {
        verify(folder().path()).unwrap();
        verify(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[test]
    fn every_flipped_bit_and_every_missing_file_is_found_and_named() {
        for name in ["a", "b", FILE] {
            let folder = folder();
            let file = folder.path().join(name);
            let whole = fs::read(&file).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                fs::write(&file, flipped).unwrap();
                let message = verify(folder.path()).unwrap_err().to_string();
                assert!(message.contains("Restore") || message.contains("restore"), "{message}");
            }
            fs::write(&file, whole).unwrap();
            verify(folder.path()).unwrap();
        }
        let folder = folder();
        fs::remove_file(folder.path().join("b")).unwrap();
        let message = verify(folder.path()).unwrap_err().to_string();
        assert!(message.contains("/b: cannot be read"), "{message}");
    }

    #[test]
    fn a_list_does_not_lead_out_of_its_folder() {
        let folder = folder();
        let sum = hex(Sha256::digest(b"one"));
        for name in ["../a", "/etc/passwd", "", "."] {
            fs::write(folder.path().join(FILE), format!("{sum}  {name}\n")).unwrap();
            assert!(matches!(verify(folder.path()), Err(ChecksumError::Line { line: 1, .. })), "{name}");
        }
    }
}
