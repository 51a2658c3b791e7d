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
    "claim.rename.after",
    "claim.rename.before",
    "config.rename.after",
    "config.rename.before",
    "copies.rename.after",
    "copies.rename.before",
    "copies.stamp.after",
    "copies.stamp.before",
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
    "training.state.after",
    "training.state.before",
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

/// The two points around a durable write.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    before: &'static str,
    after: &'static str,
}

impl Span {
    /// Both points are in [`POINTS`].
    pub const fn new(before: &'static str, after: &'static str) -> Self {
        Self { before, after }
    }

    /// Makes the write between the points. The second one is passed only when it succeeded.
    ///
    /// # Errors
    /// Those of the write.
    pub fn around<T, E>(self, write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        point(self.before);
        let written = write()?;
        point(self.after);
        Ok(written)
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

    /// Every source file with its path below `src`, without what follows its first test module.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.to_string_lossy().rsplit_once("/src/").unwrap().1.to_owned();
            if path.is_dir() && !name.ends_with("tests") {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs")
                && !name.ends_with("tests.rs")
                && name != "faults.rs"
            {
                let text = std::fs::read_to_string(path).unwrap();
                found.push((name, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
            }
        }
    }

    fn all_sources() -> Vec<(String, String)> {
        let mut found = Vec::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
        found
    }

    #[test]
    fn every_point_is_listed_and_every_listed_point_is_passed() {
        let mut named = BTreeSet::new();
        for (_, text) in all_sources() {
            let quoted = |call: &str| call.split('"').step_by(2).map(str::to_owned).collect::<Vec<_>>();
            named.extend(
                text.split("faults::point(\"").skip(1).flat_map(|call| quoted(call).into_iter().take(1)),
            );
            named
                .extend(text.split("Span::new(\"").skip(1).flat_map(|call| quoted(call).into_iter().take(2)));
        }
        let listed: BTreeSet<String> = POINTS.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(named, listed);
        assert!(POINTS.is_sorted());
    }

    /// Places that make something durable without a fail point, and why that is right.
    const WITHOUT: &[(&str, &str)] = &[
        ("cli/delete.rs", "the run goes away"),
        ("cli/report.rs", "a copy for a person, written again on request"),
        ("exchange/folder.rs", "a copy for other programs"),
        ("exchange/parquet/write.rs", "a copy for other programs"),
        ("models/embedded.rs", "unpacked again when it is not whole"),
        ("runner/control.rs", "the socket goes with its process"),
        ("runner/log_file.rs", "no record of the run"),
        ("skills/file.rs", "written by hand, outside a run"),
        ("store/access.rs", "one statement within a transaction of the callers"),
        ("store/spending.rs", "what was spent by half seconds; a kill may forget the last one"),
        ("store/schema.rs", "the old database stays beside the new one; one transaction"),
        ("store/schema/second.rs", "within the transaction of the upgrade"),
        ("tui/errands.rs", "a copy for a person"),
        ("tui/memory.rs", "how a person left the screen, no record of a run"),
    ];

    /// Functions that make something durable and pass no point.
    fn unguarded(name: &str, text: &str) -> Vec<String> {
        const DURABLE: [&str; 5] =
            ["::rename(", ".transaction(", ".transaction_with_behavior(", ".execute(", ".execute_batch("];
        // A function of a file begins where a line of its own says so.
        let begins = |line: &str| line.trim_start().split(' ').take(4).any(|word| word == "fn");
        let mut functions: Vec<String> = vec![String::new()];
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if begins(line) {
                functions.push(String::new());
            }
            functions.last_mut().unwrap().extend([line, "\n"]);
        }
        let guarded = |f: &str| f.contains("faults::point(") || f.contains(".around(");
        let bare = functions.into_iter().filter(|f| DURABLE.iter().any(|d| f.contains(d)) && !guarded(f));
        bare.map(|f| format!("{name}: {}", f.lines().next().unwrap_or_default().trim())).collect()
    }

    #[test]
    fn no_durable_write_is_without_a_point() {
        let mut excused = BTreeSet::new();
        let mut found = Vec::new();
        for (name, text) in all_sources() {
            let bare = unguarded(&name, &text);
            match WITHOUT.iter().find(|(file, _)| *file == name) {
                Some((file, _)) if !bare.is_empty() => drop(excused.insert(*file)),
                _ => found.extend(bare),
            }
        }
        assert!(found.is_empty(), "put a `faults::Span` around these, or say why not: {found:#?}");
        assert_eq!(
            excused,
            WITHOUT.iter().map(|(file, _)| *file).collect(),
            "nothing to excuse there any more"
        );
    }

    #[test]
    fn a_write_without_a_point_is_found() {
        let bare = "impl X {\n    pub fn put(&self) {\n        fs::rename(a, b)\n    }\n}\n";
        assert_eq!(unguarded("x.rs", bare), ["x.rs: pub fn put(&self) {"]);
        let journal = "fn more(&self) {\n    connection.execute(sql, [])\n}\n";
        assert_eq!(unguarded("x.rs", journal).len(), 1);
        let guarded = "fn put() {\n    POINTS.around(|| fs::rename(a, b))\n}\nfn other() {}\n";
        assert!(unguarded("x.rs", guarded).is_empty());
    }
}
