//! Fail points: named places at which a test can kill the process.
//!
//! Owns nothing but the switch. Every durable write has a point before and after it; `dataenvgym bench
//! resume` dies at each of them in turn and compares what the resumed run comes to. Without the variable
//! a point costs the look at a constant.
//!
//! The clock can be shifted too: `DATAENVGYM_FAULT_CLOCK=n:ms` adds so many milliseconds to the
//! first n readings.
//!
//! `DATAENVGYM_FAULT_FRAME=n` panics in the drawing thread when it has drawn its n-th frame.
//!
//! `DATAENVGYM_FAULT=name:n` kills this process with SIGKILL when the point is passed for the n-th time;
//! `DATAENVGYM_FAULT_LOG=file` appends the name of every point passed.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Every fail point. A test holds the sources to this list.
pub const POINTS: &[&str] = &[
    "artifact.rename.after",
    "artifact.rename.before",
    "checkpoint.rename.after",
    "checkpoint.rename.before",
    "copies.rename.after",
    "copies.rename.before",
    "store.append.after",
    "store.append.before",
    "store.begin.after",
    "store.begin.before",
    "store.calls.after",
    "store.calls.before",
    "store.create.after",
    "store.create.before",
    "store.data.after",
    "store.data.before",
    "store.end.after",
    "store.end.before",
    "store.predictions.after",
    "store.predictions.before",
    "store.progress.after",
    "store.progress.before",
    "store.review.after",
    "store.review.before",
    "store.skills.after",
    "store.skills.before",
    "teacher.answered",
];

/// What the environment asks for.
struct Switch {
    fatal: Option<(String, u64)>,
    log: Option<PathBuf>,
    passed: Mutex<HashMap<&'static str, u64>>,
}

fn switch() -> Option<&'static Switch> {
    static SWITCH: OnceLock<Option<Switch>> = OnceLock::new();
    SWITCH.get_or_init(from_environment).as_ref()
}

fn from_environment() -> Option<Switch> {
    let fatal = std::env::var("DATAENVGYM_FAULT").ok().map(|text| match text.split_once(':') {
        Some((name, n)) => (name.to_owned(), n.parse().unwrap_or(1)),
        None => (text, 1),
    });
    let log = std::env::var_os("DATAENVGYM_FAULT_LOG").map(PathBuf::from);
    (fatal.is_some() || log.is_some()).then(|| Switch { fatal, log, passed: Mutex::default() })
}

/// The process passes the point, or dies here.
pub fn point(name: &'static str) {
    let Some(switch) = switch() else { return };
    let mut passed = switch.passed.lock().unwrap_or_else(PoisonError::into_inner);
    let count = passed.entry(name).or_default();
    *count += 1;
    if let Some(log) = &switch.log {
        // One short write in append mode: lines of several processes do not mix.
        let opened = OpenOptions::new().create(true).append(true).open(log);
        let _ = opened.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    }
    if switch.fatal.as_ref().is_some_and(|(fatal, n)| fatal == name && *n == *count) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// The reading of the clock, shifted as a test asks for it.
pub fn clock(ms: i64) -> i64 {
    static SHIFT: OnceLock<Option<(u64, i64)>> = OnceLock::new();
    static READINGS: AtomicU64 = AtomicU64::new(0);
    let asked = || {
        let text = std::env::var("DATAENVGYM_FAULT_CLOCK").ok()?;
        let (first, shift) = text.split_once(':')?;
        Some((first.parse().ok()?, shift.parse().ok()?))
    };
    match SHIFT.get_or_init(asked) {
        Some((first, shift)) if READINGS.fetch_add(1, Ordering::Relaxed) < *first => {
            ms.saturating_add(*shift)
        }
        _ => ms,
    }
}

/// A frame was drawn.
///
/// # Panics
/// When a test asks for that.
pub fn drawn() {
    static FATAL: OnceLock<Option<u64>> = OnceLock::new();
    static FRAMES: AtomicU64 = AtomicU64::new(0);
    let asked = || std::env::var("DATAENVGYM_FAULT_FRAME").ok()?.parse().ok();
    let drawn = FRAMES.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(*FATAL.get_or_init(asked) != Some(drawn), "frame {drawn} was to fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("faults.rs") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_point_is_listed_and_every_listed_point_is_passed() {
        let mut texts = Vec::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut texts);
        let mut named = BTreeSet::new();
        for text in &texts {
            for call in text.split("faults::point(\"").skip(1) {
                named.insert(call.split('"').next().unwrap().to_owned());
            }
        }
        let listed: BTreeSet<String> = POINTS.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(named, listed);
        assert!(POINTS.is_sorted());
    }
}
