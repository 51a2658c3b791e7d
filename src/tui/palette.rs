//! Finding an action by its words, or by its key.

use super::action::{ACTIONS, Action, Context, Entry};
use super::keymap::Keymap;

/// The actions of a place whose words hold every word of the search, those that begin with it first. One that
/// can be reached in two ways is listed once.
pub(crate) fn found(search: &str, from: Context) -> Vec<&'static Entry> {
    let wanted: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<&'static Entry> = Vec::new();
    for entry in Keymap::possible(from) {
        let moves = matches!(entry.action, Action::Up | Action::Down | Action::Palette);
        let known = found.iter().any(|other| other.action == entry.action);
        if !moves && !known && wanted.iter().all(|word| words(entry).contains(word.as_str())) {
            found.push(entry);
        }
    }
    let begins = |entry: &&Entry| !wanted.first().is_some_and(|word| entry.name.starts_with(word.as_str()));
    found.sort_by_key(begins);
    found
}

/// The rows of the help that a search leaves: by their words, or by a key when the search is one. `@` before
/// the search asks for keys alone.
pub(crate) fn helped(search: &str, keymap: &Keymap) -> Vec<&'static Entry> {
    let search = search.trim();
    let (key, only) = match search.strip_prefix('@').filter(|rest| !rest.is_empty()) {
        Some(key) => (key, true),
        None => (search, false),
    };
    let by_key = |entry: &Entry| {
        keymap.keys(entry).iter().any(|chord| {
            let name = chord.to_string();
            name == key || (name.chars().count() > 1 && name.eq_ignore_ascii_case(key))
        })
    };
    let wanted: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    // A single letter is a key before it is a word.
    let short = search.chars().count() == 1 && ACTIONS.iter().any(by_key);
    let by_words = |entry: &Entry| wanted.iter().all(|word| words(entry).contains(word.as_str()));
    ACTIONS.iter().filter(|entry| by_key(entry) || (!only && !short && by_words(entry))).collect()
}

fn words(entry: &Entry) -> String {
    format!("{} {} {}", entry.name.replace('-', " "), entry.word, entry.description).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(search: &str, from: Context) -> Vec<&'static str> {
        found(search, from).iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn every_word_counts_and_the_place_too() {
        assert_eq!(names("iter adv", Context::Skills), ["one-iteration"]);
        assert_eq!(names("pause", Context::Everywhere)[0], "pause");
        assert!(names("reject datum", Context::Samples).contains(&"reject"));
        assert!(names("reject datum", Context::Skills).is_empty());
        let all = names("", Context::Skills);
        assert!(all.contains(&"run-on") && !all.contains(&"up"));
        assert_eq!(names("plan before", Context::Skills).len(), 1, "one way of two");
    }

    #[test]
    fn help_is_found_by_text_and_by_key() {
        let keymap = Keymap::default();
        let of = |search: &str| helped(search, &keymap);
        assert_eq!(of("").len(), ACTIONS.len());
        assert!(of("n").iter().all(|entry| keymap.named(entry).split(" / ").any(|key| key == "n")));
        assert!(of("n").iter().any(|entry| entry.name == "one-phase"));
        assert!(of("ctrl-z").iter().any(|entry| entry.name == "suspend"));
        assert!(of("theme").iter().any(|entry| entry.name == "themes"));
        assert!(of("@Tab").iter().all(|entry| keymap.named(entry).contains("Tab")));
    }
}
