//! A worker's log file: everything it prints, and its last words.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::runner::log_file;

/// Most lines and bytes quoted from a log.
const LINES: usize = 8;
const BYTES: u64 = 4096;

/// A log and where this process began in it.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    begin: u64,
}

impl Log {
    /// Opens `NAME.log` in a folder for appending; creates both.
    pub(super) fn open(folder: &Path, name: &str) -> io::Result<(Self, File)> {
        fs::create_dir_all(folder)?;
        let path = log_file::path(folder, name);
        // A worker writes to the file itself, so its log is put aside between two workers only.
        if fs::metadata(&path).is_ok_and(|found| found.len() > log_file::LIMIT) {
            log_file::rotate(&path, log_file::KEEP)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let begin = file.metadata()?.len();
        Ok((Self { path, begin }, file))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines this process wrote.
    pub(super) fn last_words(&self) -> io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        let from = self.begin.max(end.saturating_sub(BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].iter().map(|line| (*line).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn last_words_are_those_of_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut file) = Log::open(folder.path(), "student@cuda:0#1").unwrap();
        writeln!(file, "of the one before").unwrap();
        let (log, mut file) = Log::open(folder.path(), "student@cuda:0#1").unwrap();
        assert!(log.last_words().unwrap().is_empty());
        for line in 0..20 {
            writeln!(file, "line {line}\n").unwrap();
        }
        let words = log.last_words().unwrap();
        assert_eq!((words.len(), words[7].as_str()), (LINES, "line 19"));
        assert!(log.path().ends_with("student@cuda-0#1.log"));
    }
}
