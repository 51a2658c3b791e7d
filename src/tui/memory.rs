//! What the screen remembers between two sittings: hidden panes, the hint, the theme, flags. One small file in the
//! user's state folder, written whole; a damaged one is begun anew, because nothing in it is worth an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Runs whose flags are kept; of more, the oldest are forgotten.
const RUNS: usize = 200;
/// Digits of a time in the key of a run, enough for thirty thousand years.
const DIGITS: usize = 15;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Digits of the panes that are hidden.
    pub(crate) hidden: BTreeSet<usize>,
    /// Whether one pane has the whole screen.
    pub(crate) zoom: bool,
    /// Whether the hint was hidden.
    pub(crate) no_hint: bool,
    /// Name of the theme that was chosen.
    pub(crate) theme: Option<String>,
    /// Flagged samples by [`run_key`].
    pub(crate) flags: BTreeMap<String, BTreeSet<String>>,
}

/// What flags are kept under: when the run was made, and its name. A new run may have the name of a deleted one, and
/// its samples have the same ids.
pub(crate) fn run_key(name: &str, created_ms: i64) -> String {
    format!("{:0DIGITS$} {name}", created_ms.max(0))
}

/// Whether a key has a time. One of an earlier program has a name only, and nobody knows whose flags they are.
fn timed(key: &str) -> bool {
    let time = key.split_once(' ').map_or("", |(time, _)| time);
    time.len() == DIGITS && time.bytes().all(|b| b.is_ascii_digit())
}

impl Memory {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// This, with what a screen changed since it knew `before`: another screen may have changed something else.
    pub(crate) fn changed(mut self, before: &Self, now: &Self) -> Self {
        fn take<T: Clone + PartialEq>(field: &mut T, before: &T, now: &T) {
            if before != now {
                field.clone_from(now);
            }
        }
        take(&mut self.hidden, &before.hidden, &now.hidden);
        take(&mut self.zoom, &before.zoom, &now.zoom);
        take(&mut self.no_hint, &before.no_hint, &now.no_hint);
        take(&mut self.theme, &before.theme, &now.theme);
        for run in before.flags.keys().chain(now.flags.keys()) {
            let of = |memory: &Self| memory.flags.get(run).cloned().unwrap_or_default();
            let (before, now) = (of(before), of(now));
            let flags = self.flags.entry(run.clone()).or_default();
            flags.retain(|id| !before.contains(id) || now.contains(id));
            flags.extend(now.difference(&before).cloned());
        }
        self
    }

    /// Writes the file whole.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut kept = self.clone();
        kept.flags.retain(|run, flags| timed(run) && !flags.is_empty());
        while kept.flags.len() > RUNS {
            kept.flags.pop_first();
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        fs::write(&unfinished, serde_json::to_string_pretty(&kept)?)?;
        fs::rename(&unfinished, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_screens_change_only_what_is_theirs() {
        let memory = |theme: &str, flags: &[&str]| Memory {
            theme: Some(theme.into()),
            flags: BTreeMap::from([("a".to_owned(), flags.iter().map(|id| (*id).to_owned()).collect())]),
            ..Memory::default()
        };
        let (before, other) = (memory("dark", &["1", "2"]), memory("light", &["1", "2", "3"]));
        let mine = Memory { zoom: true, ..memory("dark", &["2", "4"]) };
        assert_eq!(other.changed(&before, &mine), Memory { zoom: true, ..memory("light", &["2", "3", "4"]) });
    }

    #[test]
    fn it_is_read_back_and_damage_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/screen.json");
        assert_eq!(Memory::read(&path), Memory::default());
        let flags = BTreeMap::from([
            (run_key("a", 5), BTreeSet::from(["i001".to_owned()])),
            (run_key("empty", 6), BTreeSet::new()),
        ]);
        let memory =
            Memory { theme: Some("dark".into()), hidden: BTreeSet::from([3]), flags, ..Memory::default() };
        memory.write(&path).unwrap();
        let read = Memory::read(&path);
        assert_eq!(
            (read.theme.as_deref(), read.hidden.contains(&3), read.flags.len()),
            (Some("dark"), true, 1)
        );
        // What an earlier program wrote can be read, and is forgotten with the next choice.
        fs::write(&path, r#"{"theme": "light", "flags": {"a": ["i001"], "b c": ["i002"]}}"#).unwrap();
        let old = Memory::read(&path);
        assert_eq!((old.theme.as_deref(), old.flags.len()), (Some("light"), 2));
        old.write(&path).unwrap();
        assert_eq!(Memory::read(&path), Memory { flags: BTreeMap::new(), ..old });
        let many = (0..300).map(|n| (run_key("a", n), BTreeSet::from(["i001".to_owned()])));
        Memory { flags: many.collect(), ..Memory::default() }.write(&path).unwrap();
        let read = Memory::read(&path);
        assert_eq!((read.flags.len(), read.flags.contains_key(&run_key("a", 299))), (RUNS, true));
        fs::write(&path, "{\"theme\": 7").unwrap();
        assert_eq!(Memory::read(&path), Memory::default());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
