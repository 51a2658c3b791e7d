//! Whole copies of a run's database, and which of two copies is the newer one.
//!
//! A database that lives on scratch is copied back to its run folder as one file, which appears whole or not at
//! all. Every copy carries a number that rises with each of them, who wrote it, and whether its writer closed it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::StoreError;
use super::access::Context;
use crate::faults::Span;

const STAMP: Span = Span::new("copies.stamp.before", "copies.stamp.after");
const RENAME: Span = Span::new("copies.rename.before", "copies.rename.after");

/// What a copy says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Rises with every copy.
    pub sequence: i64,
    /// The process that wrote it, by a name that no other has.
    pub writer: String,
    /// Its machine.
    pub host: String,
    /// Whether the writer ended in order, with nothing left to copy.
    pub closed: bool,
    /// When it was written, in milliseconds since the Unix epoch; for people only.
    pub at_ms: i64,
}

impl Stamp {
    /// Whether a database found on scratch with this stamp is to be continued rather than the run folder's
    /// copy with `other`: it must be the one that copy was made of, or a later state of it.
    pub fn continues(&self, other: &Self) -> bool {
        self.sequence > other.sequence || (self.sequence == other.sequence && self.writer == other.writer)
    }
}

/// The stamp of the database at `path`; one that was never copied has none.
///
/// # Errors
/// When it cannot be read.
pub fn stamp(path: &Path) -> Result<Option<Stamp>, StoreError> {
    let context = Context { path: path.to_owned() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = context.sql(Connection::open_with_flags(path, flags))?;
    context.sql(connection.busy_timeout(Duration::from_secs(10)))?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'copy'";
    let tables: i64 = context.sql(connection.query_row(sql, [], |row| row.get(0)))?;
    if tables == 0 {
        return Ok(None);
    }
    let sql = "SELECT sequence, writer, host, closed, at_ms FROM copy";
    let found = connection.query_row(sql, [], |row| {
        Ok(Stamp {
            sequence: row.get(0)?,
            writer: row.get(1)?,
            host: row.get(2)?,
            closed: row.get(3)?,
            at_ms: row.get(4)?,
        })
    });
    context.sql(found.optional())
}

/// Stamps the database at `path` and writes a whole copy of it to `target`: beside it first, synchronised, then
/// renamed over what was there.
///
/// # Errors
/// When either file cannot be written; `target` is then as it was.
pub fn copy(path: &Path, stamp: &Stamp, target: &Path) -> Result<(), StoreError> {
    let context = Context { path: path.to_owned() };
    let connection = context.sql(Connection::open(path))?;
    context.sql(connection.busy_timeout(Duration::from_secs(10)))?;
    let sql = "CREATE TABLE IF NOT EXISTS copy (
        one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, writer TEXT NOT NULL,
        host TEXT NOT NULL, closed INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT";
    context.sql(connection.execute(sql, []))?;
    let row = params![stamp.sequence, stamp.writer, stamp.host, stamp.closed, stamp.at_ms];
    let sql = "INSERT OR REPLACE INTO copy VALUES (1, ?1, ?2, ?3, ?4, ?5)";
    STAMP.around(|| context.sql(connection.execute(sql, row)))?;
    let unfinished = target.with_extension("db.copying");
    let target_context = Context { path: unfinished.clone() };
    let io = |source| StoreError::Io { path: unfinished.clone(), source };
    remove(&unfinished).map_err(io)?;
    let named = || io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8: move the run");
    let name = unfinished.to_str().ok_or_else(|| io(named()))?;
    target_context.sql(connection.execute("VACUUM INTO ?1", [name]))?;
    remove_companions(target).and_then(|()| place(&unfinished, target)).map_err(io)
}

/// Brings the file `source` to `target` on another file system, whole or not at all.
///
/// # Errors
/// When either cannot be used; `target` is then as it was.
pub fn fetch(source: &Path, target: &Path) -> Result<(), StoreError> {
    let unfinished = target.with_extension("db.copying");
    let io = |source| StoreError::Io { path: unfinished.clone(), source };
    remove_companions(&unfinished).map_err(io)?;
    std::fs::copy(source, &unfinished).map_err(io)?;
    let log = companion(source, "-wal");
    if log.exists() {
        // Of a database that was worked on where it lay, and not closed.
        std::fs::copy(&log, companion(&unfinished, "-wal")).map_err(io)?;
        let context = Context { path: unfinished.clone() };
        let connection = context.sql(Connection::open(&unfinished))?;
        context.sql(connection.pragma_update(None, "journal_mode", "DELETE"))?;
    }
    remove_companions(target).and_then(|()| place(&unfinished, target)).map_err(io)
}

/// Removes a database, with what belongs to it.
///
/// # Errors
/// When a file cannot be removed.
pub fn discard(path: &Path) -> Result<(), StoreError> {
    let removed = remove_companions(path).and_then(|()| remove(path));
    removed.map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes what belongs to the database that is to be replaced, and would be read into the new one.
fn remove_companions(path: &Path) -> io::Result<()> {
    ["-wal", "-shm", "-journal"].into_iter().try_for_each(|suffix| remove(&companion(path, suffix)))
}

fn place(unfinished: &Path, target: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    RENAME.around(|| std::fs::rename(unfinished, target))?;
    File::open(target.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp_of(sequence: i64, writer: &str) -> Stamp {
        Stamp { sequence, writer: writer.to_owned(), ..Stamp::default() }
    }

    #[test]
    fn a_copy_is_whole_and_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [live, kept] = ["live.db", "kept.db"].map(|name| folder.path().join(name));
        let writer = Connection::open(&live).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(stamp(&live).unwrap(), None);
        let closed = Stamp { closed: true, host: "here".into(), at_ms: 5, ..stamp_of(7, "a") };
        copy(&live, &closed, &kept).unwrap();
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(stamp(&kept).unwrap(), Some(closed));
        let rows = |path: &Path| -> i64 {
            Connection::open(path).unwrap().query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap()
        };
        assert_eq!((rows(&live), rows(&kept)), (2, 1));
        let there = folder.path().join("there.db");
        // With a write-ahead log that was not closed, over one that has one as well.
        fetch(&live, &there).unwrap();
        assert_eq!(rows(&there), 2);
        drop(writer);
        std::fs::write(companion(&live, "-wal"), "of another time").unwrap();
        fetch(&kept, &live).unwrap();
        assert_eq!(rows(&live), 1);
    }

    #[test]
    fn only_the_same_line_of_copies_is_continued() {
        let kept = stamp_of(4, "a");
        assert!(stamp_of(4, "a").continues(&kept) && stamp_of(5, "b").continues(&kept));
        assert!(!stamp_of(4, "b").continues(&kept) && !stamp_of(3, "a").continues(&kept));
    }
}
