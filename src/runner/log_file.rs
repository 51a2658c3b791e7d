//! Log files: names, rotation by size, the last lines, and following one across rotations.
//!
//! `NAME.log` is the newest; `NAME.log.1` the one before, up to [`KEEP`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A log is put aside before it grows beyond so many bytes.
pub const LIMIT: u64 = 8 << 20;
/// Logs put aside that are kept.
pub const KEEP: u32 = 5;
/// The name of the runner's own log.
pub const RUNNER: &str = "runner";

/// Folder of a run's logs.
pub fn folder(run_folder: &Path) -> PathBuf {
    run_folder.join("logs")
}

/// The log of the runner or of a worker such as `student@cpu#0`.
pub fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.log", name.replace([':', '/'], "-")))
}

/// The `n`-th log before the newest; 0 is the newest.
pub fn earlier(path: &Path, n: u32) -> PathBuf {
    if n == 0 { path.to_owned() } else { PathBuf::from(format!("{}.{n}", path.display())) }
}

/// Puts a log aside: `log` becomes `log.1`, `log.1` becomes `log.2`; the oldest goes.
///
/// # Errors
/// When the newest cannot be renamed.
pub fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    for n in (1..keep).rev() {
        // One that is not there is no loss.
        let _ = fs::rename(earlier(path, n), earlier(path, n + 1));
    }
    fs::rename(path, earlier(path, 1))
}

/// A log that rotates while it is written.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
    keep: u32,
}

impl RotatingFile {
    /// Opens a log for appending.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, limit: u64, keep: u32) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, limit, keep })
    }
}

impl Write for RotatingFile {
    /// Writes all of it, into one file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + bytes.len() as u64 > self.limit {
            rotate(&self.path, self.keep)?;
            *self = Self::open(&self.path, self.limit, self.keep)?;
        }
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a log and what comes after, also when it is put aside meanwhile.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    keep: u32,
    /// The beginning of a line whose end has not been written yet.
    partial: Vec<u8>,
}

/// Most bytes of one line; the rest is shown as further lines.
const LINE: usize = 64 << 10;

impl Follower {
    /// Begins so that about `lines` lines are read first, through logs put aside if need be.
    pub fn begin(path: &Path, lines: usize, keep: u32) -> Self {
        let mut follower = Self { path: path.to_owned(), file: None, keep, partial: Vec::new() };
        let mut wanted = lines;
        for n in 0..=keep {
            let Ok(mut file) = File::open(earlier(path, n)) else { break };
            let (offset, found) = start_of_last(&mut file, wanted).unwrap_or((0, 0));
            if file.seek(SeekFrom::Start(offset)).is_err() {
                break;
            }
            follower.file = Some(file);
            wanted -= found.min(wanted);
            if wanted == 0 {
                break;
            }
        }
        follower
    }

    /// The whole lines that were written since the last call.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            if self.file.is_none() {
                match File::open(&self.path) {
                    Ok(file) => self.file = Some(file),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(lines),
                    Err(error) => return Err(error),
                }
            }
            let Some(file) = &mut self.file else { return Ok(lines) };
            let mut bytes = Vec::new();
            // Asked for before reading: what is written in between is read now, and the successor next time.
            let next = successor(file, &self.path, self.keep)?;
            file.read_to_end(&mut bytes)?;
            self.partial.extend(bytes);
            self.cut(&mut lines);
            match next {
                Some(next) => self.file = Some(next),
                None => return Ok(lines),
            }
        }
    }

    fn cut(&mut self, lines: &mut Vec<String>) {
        let mut begin = 0;
        while let Some(length) = self.partial[begin..].iter().position(|b| *b == b'\n') {
            lines.push(String::from_utf8_lossy(&self.partial[begin..begin + length]).into_owned());
            begin += length + 1;
        }
        self.partial.drain(..begin);
        if self.partial.len() > LINE {
            lines.push(String::from_utf8_lossy(&self.partial).into_owned());
            self.partial.clear();
        }
    }
}

/// The log that was begun when `file` was put aside; `None` when it is still the newest.
fn successor(file: &File, path: &Path, keep: u32) -> io::Result<Option<File>> {
    let of = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    let ours = of(&file.metadata()?);
    let is_ours = |n: &u32| fs::metadata(earlier(path, *n)).is_ok_and(|found| of(&found) == ours);
    match (0..=keep).find(is_ours) {
        Some(0) => Ok(None),
        // Gone altogether: everything that is left is newer.
        place => match File::open(earlier(path, place.map_or(keep, |n| n - 1))) {
            Ok(next) => Ok(Some(next)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && place.is_none() => {
                File::open(path).map(Some).or(Ok(None))
            }
            // Between the two renames of a rotation.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// Where the last `lines` lines of a file begin, and how many there are.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<(u64, usize)> {
    const BLOCK: u64 = 64 << 10;
    let end = file.metadata()?.len();
    let (mut at, mut found) = (end, 0);
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(from))?;
        let mut block = vec![0; (at - from) as usize];
        file.read_exact(&mut block)?;
        for (index, byte) in block.iter().enumerate().rev() {
            // The end of the last line begins no line.
            if *byte == b'\n' && from + index as u64 + 1 < end {
                found += 1;
                if found == lines {
                    return Ok((from + index as u64 + 1, found));
                }
            }
        }
        at = from;
    }
    Ok((0, found + usize::from(end > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_lines(file: &mut RotatingFile, range: std::ops::Range<u32>) {
        for n in range {
            writeln!(file, "line {n:04}").unwrap();
        }
    }

    fn expected(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|n| format!("line {n:04}")).collect()
    }

    #[test]
    fn a_log_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "student@cuda:0#1");
        assert!(path.ends_with("student@cuda-0#1.log"));
        let mut file = RotatingFile::open(&path, 100, 2).unwrap();
        write_lines(&mut file, 0..40);
        let sizes: Vec<u64> = (0..=2).map(|n| fs::metadata(earlier(&path, n)).unwrap().len()).collect();
        assert!(sizes.iter().all(|size| *size <= 100 && *size > 0), "{sizes:?}");
        assert!(!earlier(&path, 3).exists());
        // A line longer than the limit has a file of its own.
        write!(file, "{}", "x".repeat(300)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 300);
    }

    #[test]
    fn the_last_lines_are_found_across_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), RUNNER);
        let mut file = RotatingFile::open(&path, 100, 5).unwrap();
        write_lines(&mut file, 0..40);
        for (lines, range) in [(1, 39..40), (3, 37..40), (17, 23..40)] {
            assert_eq!(Follower::begin(&path, lines, 5).read().unwrap(), expected(range), "{lines}");
        }
        assert!(Follower::begin(&path, 1000, 5).read().unwrap().len() >= 40);
        assert!(Follower::begin(&folder.path().join("none"), 3, 5).read().unwrap().is_empty());
    }

    #[test]
    fn nothing_is_missed_or_repeated_while_files_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), RUNNER);
        let mut follower = Follower::begin(&path, 10, 5);
        let mut file = RotatingFile::open(&path, 100, 5).unwrap();
        let mut seen = Vec::new();
        // From part of a file to several files between two looks.
        for (from, to) in [(0, 3), (3, 7), (7, 20), (20, 21), (21, 45), (45, 60)] {
            write_lines(&mut file, from..to);
            seen.extend(follower.read().unwrap());
        }
        assert_eq!(seen, expected(0..60));
        file.write_all(b"half").unwrap();
        assert!(follower.read().unwrap().is_empty());
        file.write_all(b" whole\n").unwrap();
        assert_eq!(follower.read().unwrap(), ["half whole"]);
    }
}
