//! Finds commits that a damaged write-ahead log has lost.
//!
//! SQLite reads a log up to the first frame whose checksum is wrong and takes the rest for the remains of a
//! transaction that never ended. That is right after a kill and wrong after damage, where commits that were
//! acknowledged would vanish without a word. Formats: <https://sqlite.org/walformat.html>.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::StoreError;

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Both copies of the index's header, and how much of the log was copied into the database.
const INDEX_HEAD: usize = 100;

/// What can be read of a log.
#[derive(Debug, PartialEq, Eq)]
struct Log {
    /// Frames up to the first one that is wrong.
    readable: u32,
    /// Bytes of them, with the log's header.
    readable_bytes: u64,
    /// Whether more frames of the same transactions follow the wrong one.
    torn: bool,
    salts: [u8; 8],
}

/// Refuses a log with commits that cannot be read any more. Right while another process writes, too.
pub(super) fn verify(database: &Path) -> Result<(), StoreError> {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", database.display()));
    let (path, index) = (beside("-wal"), beside("-shm"));
    let mut before: Option<Log> = None;
    loop {
        // The index first: what it knows as committed is in the log when the log is read.
        let committed = index_head(&index).and_then(|bytes| committed(&bytes));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let Some(log) = read(&bytes) else {
            // Without a log there is nothing to lose, unless commits are in it that the file does not have.
            let lost = bytes.len() >= LOG_HEADER || committed.is_some_and(|known| known.only_in_log);
            return if lost { Err(StoreError::Log { path, keep: 0 }) } else { Ok(()) };
        };
        let lost = committed.is_some_and(|known| known.salts == log.salts && known.frames > log.readable);
        if !log.torn && !lost {
            return Ok(());
        }
        // A frame that was being written when it was read is whole at the second look.
        if before.as_ref() == Some(&log) {
            return Err(StoreError::Log { path, keep: log.readable_bytes });
        }
        before = Some(log);
    }
}

/// The beginning of a log's index. The file is never closed again: closing any descriptor of a file drops every
/// lock that this process has on it (POSIX), those of SQLite's connections too, and another process would then
/// take the index for nobody's and truncate what is mapped here.
fn index_head(path: &Path) -> Option<[u8; INDEX_HEAD]> {
    static KEPT: Mutex<BTreeMap<(u64, u64), File>> = Mutex::new(BTreeMap::new());
    let key = |found: &Metadata| (found.dev(), found.ino());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wanted = key(&fs::metadata(path).ok()?);
    if !kept.contains_key(&wanted) {
        let opened = File::open(path).ok()?;
        // Another one may have got the name meanwhile.
        wanted = key(&opened.metadata().ok()?);
        match kept.entry(wanted) {
            Entry::Vacant(place) => {
                place.insert(opened);
            }
            Entry::Occupied(_) => std::mem::forget(opened),
        }
    }
    let mut head = [0; INDEX_HEAD];
    kept.get(&wanted)?.read_exact_at(&mut head, 0).ok()?;
    Some(head)
}

fn read(bytes: &[u8]) -> Option<Log> {
    let header = bytes.get(..LOG_HEADER)?;
    let word = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let magic = word(0)?;
    if magic & !1 != 0x377f_0682 {
        return None;
    }
    let big = magic & 1 == 1;
    let page = word(8)? as usize;
    let mut sum = checksum(big, (0, 0), &header[..24]);
    if sum != (word(24)?, word(28)?) || !(512..=65536).contains(&page) {
        return None;
    }
    let salts: [u8; 8] = header[16..24].try_into().ok()?;
    let mut log = Log { readable: 0, readable_bytes: LOG_HEADER as u64, torn: false, salts };
    let mut frames = bytes[LOG_HEADER..].chunks_exact(FRAME_HEADER + page);
    for frame in frames.by_ref() {
        let (head, content) = frame.split_at(FRAME_HEADER);
        let after = checksum(big, checksum(big, sum, &head[..8]), content);
        let stated = [after.0.to_be_bytes(), after.1.to_be_bytes()].concat();
        if head[8..16] != salts || head[16..24] != stated {
            // Later frames are written after earlier ones: where one of the same age follows, this one was
            // whole once. Frames of an earlier age differ in both salts.
            let same_age = |f: &[u8]| f[8..12] == salts[..4] || f[12..16] == salts[4..];
            log.torn = frames.any(same_age);
            return Some(log);
        }
        sum = after;
        log.readable += 1;
        log.readable_bytes += frame.len() as u64;
    }
    Some(log)
}

/// What the index of a log knows.
struct Committed {
    /// Committed frames in the log.
    frames: u32,
    /// The age of the log they are in.
    salts: [u8; 8],
    /// Whether some of them were not copied into the database yet.
    only_in_log: bool,
}

fn committed(index: &[u8]) -> Option<Committed> {
    let header = index.get(..48)?;
    let word = |at: usize| Some(u32::from_ne_bytes(index.get(at..at + 4)?.try_into().ok()?));
    let stated = (word(40)?, word(44)?);
    let native = cfg!(target_endian = "big");
    let whole = checksum(native, (0, 0), &header[..40]) == stated && index.get(48..96) == Some(header);
    let (frames, salts) = (word(16)?, header[32..40].try_into().ok()?);
    Some(Committed { frames, salts, only_in_log: frames > word(96)? }).filter(|_| whole)
}

/// The Fibonacci-weighted checksum of the format, over pairs of words.
fn checksum(big: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |w: &[u8]| {
        let w = [w[0], w[1], w[2], w[3]];
        if big { u32::from_be_bytes(w) } else { u32::from_le_bytes(w) }
    };
    for pair in bytes.chunks_exact(8) {
        a = a.wrapping_add(word(&pair[..4])).wrapping_add(b);
        b = b.wrapping_add(word(&pair[4..])).wrapping_add(a);
    }
    (a, b)
}
