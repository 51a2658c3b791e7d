//! Which keys do what: the built-in table of keys, a person's changes to it, and the way from a key to an action.

use std::fmt::Write as _;
use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::action::{ACTIONS, Action, Context, Entry};
use super::lines::line_of;

/// The keys as shipped.
const SHIPPED: &str = include_str!("../../configs/keymap.toml");

/// A key with its Ctrl state; Shift is in the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chord {
    pub(crate) code: KeyCode,
    pub(crate) ctrl: bool,
}

impl From<KeyEvent> for Chord {
    fn from(event: KeyEvent) -> Self {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Self { code, ctrl }
    }
}

/// Names of keys that are no character.
const NAMES: [(&str, KeyCode); 15] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Shift-Tab", KeyCode::BackTab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
];

impl std::fmt::Display for Chord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        match (NAMES.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(c)) => write!(f, "{c}"),
            (None, KeyCode::F(n)) => write!(f, "F{n}"),
            (None, code) => write!(f, "{code:?}"),
        }
    }
}

impl std::str::FromStr for Chord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{text}` is no key; use a character, Ctrl- and a letter, F1 to F12, or one of {}",
                names()
            )
        };
        let (ctrl, rest) = match text.strip_prefix("Ctrl-").filter(|rest| !rest.is_empty()) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut letters = rest.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(c), None) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            (Some(c), None) => KeyCode::Char(c),
            (Some('F'), Some(_)) => {
                let number = rest[1..].parse().ok().filter(|n| (1..=12).contains(n));
                KeyCode::F(number.ok_or_else(unknown)?)
            }
            _ => NAMES.iter().find(|(name, _)| *name == rest).ok_or_else(unknown)?.1,
        };
        if ctrl && !matches!(code, KeyCode::Char('a'..='z')) {
            return Err(format!("`{text}` is no key; Ctrl- goes with a letter"));
        }
        if ctrl && matches!(code, KeyCode::Char('i' | 'm' | 'j' | 'h' | '[')) {
            return Err(format!("`{text}` cannot be told from Tab, Enter or Backspace by a terminal"));
        }
        Ok(Self { code, ctrl })
    }
}

fn names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

/// Why a key file cannot be used: every mistake with its line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct KeymapError {
    problems: Vec<String>,
}

/// The keys of every action.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    /// By row of [`ACTIONS`].
    keys: Vec<Vec<Chord>>,
    /// What a person's file may not have meant, with its line: keys that a context takes from the one beyond it.
    remarks: Vec<(usize, String)>,
}

impl Default for Keymap {
    /// The shipped keys.
    fn default() -> Self {
        let none = Self { keys: vec![Vec::new(); ACTIONS.len()], remarks: Vec::new() };
        none.clone().changed(SHIPPED, "configs/keymap.toml").unwrap_or(none)
    }
}

impl Keymap {
    /// The shipped keys with the changes of a file, where there is one.
    ///
    /// # Errors
    /// Every unknown context, action or key, and every key that would mean two things, with file and line.
    pub fn read(path: &Path) -> Result<Self, KeymapError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(KeymapError { problems: vec![format!("{}: {error}", path.display())] }),
        };
        Self::default().changed(&text, &path.display().to_string())
    }

    /// With the changes of a text; `origin` names it in messages.
    pub(crate) fn changed(mut self, text: &str, origin: &str) -> Result<Self, KeymapError> {
        let mut reading = Reading { text, origin, problems: Vec::new(), places: vec![None; ACTIONS.len()] };
        let before = self.keys.clone();
        match DeTable::parse(text) {
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                reading.problem(at, error.message());
            }
            Ok(table) => reading.contexts(table.get_ref(), &mut self.keys),
        }
        reading.conflicts(&self.keys);
        // The shipped keys themselves begin with none.
        if before.iter().any(|keys| !keys.is_empty()) {
            self.remarks = reading.shadows(&before, &self.keys);
        }
        if reading.problems.is_empty() { Ok(self) } else { Err(KeymapError { problems: reading.problems }) }
    }

    /// What a person's file may not have meant, with its line.
    pub fn remarks(&self) -> &[(usize, String)] {
        &self.remarks
    }

    /// What a key does in a context.
    pub(crate) fn lookup(&self, context: Context, event: KeyEvent) -> Option<Action> {
        self.meaning(context, Chord::from(event)).map(|entry| entry.action.clone())
    }

    fn meaning(&self, context: Context, chord: Chord) -> Option<&'static Entry> {
        let find = |context: Context| {
            let row = |n: &usize| ACTIONS[*n].context == context && self.keys[*n].contains(&chord);
            (0..ACTIONS.len()).find(row).map(|n| &ACTIONS[n])
        };
        context.chain().find_map(find)
    }

    /// The keys of a row of [`ACTIONS`].
    pub(crate) fn keys(&self, entry: &Entry) -> &[Chord] {
        let row = ACTIONS.iter().position(|e| (e.context, e.name) == (entry.context, entry.name));
        row.map_or(&[], |row| &self.keys[row])
    }

    /// `j / Down`.
    pub(crate) fn named(&self, entry: &Entry) -> String {
        self.keys(entry).iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ")
    }

    /// The first key of an action in a context or beyond it, for a sentence that mentions it; `:` finds those
    /// without one.
    pub(crate) fn key(&self, context: Context, action: &Action) -> String {
        let of = |context: Context| {
            let entry = ACTIONS.iter().find(|e| e.context == context && e.action == *action)?;
            self.keys(entry).first().map(ToString::to_string)
        };
        context.chain().find_map(of).unwrap_or_else(|| "(no key)".to_owned())
    }

    /// The rows the footer offers in a context, most specific first, each with a key that does it here.
    pub(crate) fn offered(&self, context: Context) -> impl Iterator<Item = (&'static Entry, Chord)> {
        let in_footer =
            |context: Context| ACTIONS.iter().filter(move |e| e.context == context && !e.word.is_empty());
        let key = move |entry: &Entry| {
            let does =
                |chord: &&Chord| self.meaning(context, **chord).is_some_and(|e| e.action == entry.action);
            self.keys(entry).iter().find(does).copied()
        };
        context.chain().flat_map(in_footer).filter_map(move |entry| Some((entry, key(entry)?)))
    }

    /// The rows that can be done in a context, most specific first.
    pub(crate) fn possible(context: Context) -> impl Iterator<Item = &'static Entry> {
        context.chain().flat_map(|context| ACTIONS.iter().filter(move |e| e.context == context))
    }

    /// Every key as a Markdown document.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for context in Context::ALL {
            // Writing into a string cannot fail.
            let _ = write!(
                out,
                "\n**{}** (`[{}]`)\n\n| key | what it does | name |\n|---|---|---|\n",
                context.heading(),
                context.name()
            );
            for entry in ACTIONS.iter().filter(|e| e.context == context) {
                let keys: Vec<String> = self.keys(entry).iter().map(|k| format!("`{k}`")).collect();
                let _ = writeln!(out, "| {} | {} | `{}` |", keys.join(" "), entry.description, entry.name);
            }
        }
        out.trim_start().to_owned()
    }
}

/// One key file being read.
struct Reading<'a> {
    text: &'a str,
    origin: &'a str,
    problems: Vec<String>,
    /// Where this file speaks of a row of the table.
    places: Vec<Option<usize>>,
}

impl Reading<'_> {
    fn problem(&mut self, at: usize, what: &str) {
        self.problems.push(format!("{}, line {}: {what}", self.origin, line_of(self.text, at)));
    }

    fn contexts(&mut self, table: &DeTable<'_>, keys: &mut [Vec<Chord>]) {
        for (name, value) in table {
            let known = Context::ALL.into_iter().find(|context| context.name() == name.get_ref().as_ref());
            match (known, value.get_ref()) {
                (Some(context), DeValue::Table(actions)) => self.actions(context, actions, keys),
                (Some(_), _) => self.problem(value.span().start, "expected a table, `[everywhere]`"),
                (None, _) => {
                    let all = Context::ALL.map(Context::name).join(", ");
                    self.problem(
                        name.span().start,
                        &format!("no context `{}`; there are {all}", name.get_ref()),
                    );
                }
            }
        }
    }

    fn actions(&mut self, context: Context, actions: &DeTable<'_>, keys: &mut [Vec<Chord>]) {
        for (name, value) in actions {
            let row = ACTIONS.iter().position(|e| e.context == context && e.name == name.get_ref().as_ref());
            let Some(row) = row else {
                let known: Vec<&str> =
                    ACTIONS.iter().filter(|e| e.context == context).map(|e| e.name).collect();
                let said = format!(
                    "no action `{}` in [{}]; there are {}",
                    name.get_ref(),
                    context.name(),
                    known.join(", ")
                );
                self.problem(name.span().start, &said);
                continue;
            };
            keys[row] = self.chords(context, value);
            self.places[row] = Some(name.span().start);
        }
    }

    fn chords(&mut self, context: Context, value: &Spanned<DeValue<'_>>) -> Vec<Chord> {
        match value.get_ref() {
            DeValue::Array(all) => all.iter().filter_map(|one| self.chord(context, one)).collect(),
            _ => self.chord(context, value).into_iter().collect(),
        }
    }

    fn chord(&mut self, context: Context, value: &Spanned<DeValue<'_>>) -> Option<Chord> {
        let at = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            self.problem(at, "expected a key like \"j\" or a list of keys");
            return None;
        };
        match text.parse::<Chord>() {
            Ok(Chord { code: KeyCode::Char(c), ctrl: false }) if context.writes() => {
                self.problem(
                    at,
                    &format!("`{c}` is text in [{}]; use a key with Ctrl- or a name", context.name()),
                );
                None
            }
            Ok(Chord { code: KeyCode::Char(c @ '0'..='9'), ctrl: false }) if context.counts() => {
                self.problem(at, &format!("`{c}` types a number in [{}]; use another key", context.name()));
                None
            }
            Ok(chord) => Some(chord),
            Err(message) => {
                self.problem(at, &message);
                None
            }
        }
    }

    /// Keys of a context that have another meaning in one before it, where this file made it so. It is allowed, as the
    /// shipped keys do it as well, but a person may not have known of the other meaning.
    fn shadows(&self, before: &[Vec<Chord>], keys: &[Vec<Chord>]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (n, near) in ACTIONS.iter().enumerate() {
            let beyond = |context| near.context.chain().skip(1).any(|wider| wider == context);
            for (m, far) in ACTIONS.iter().enumerate() {
                if !beyond(far.context) || near.action == far.action {
                    continue;
                }
                for chord in keys[n].iter().filter(|chord| keys[m].contains(chord)) {
                    let new = |row: usize| self.places[row].filter(|_| !before[row].contains(chord));
                    let had =
                        |row: &usize| ACTIONS[*row].context == near.context && before[*row].contains(chord);
                    let shipped = before[m].contains(chord) && (0..ACTIONS.len()).any(|row| had(&row));
                    if let Some(at) = new(n).or_else(|| new(m)).filter(|_| !shipped) {
                        let said = format!(
                            "in [{}] `{chord}` is `{}`, not `{}` of [{}]",
                            near.context.name(),
                            near.name,
                            far.name,
                            far.context.name()
                        );
                        found.push((line_of(self.text, at), said));
                    }
                }
            }
        }
        found
    }

    /// A key may mean one thing in a context; a context may give a key of the context beyond it another meaning.
    fn conflicts(&mut self, keys: &[Vec<Chord>]) {
        for (n, first) in ACTIONS.iter().enumerate() {
            for (m, second) in ACTIONS.iter().enumerate().skip(n + 1) {
                let Some(at) = self.places[m].or(self.places[n]).filter(|_| first.context == second.context)
                else {
                    continue;
                };
                for chord in keys[n].iter().filter(|chord| keys[m].contains(chord)) {
                    let said = format!(
                        "`{chord}` would mean both `{}` and `{}` in [{}]; give one of them another key, or []",
                        first.name,
                        second.name,
                        first.context.name()
                    );
                    self.problem(at, &said);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn mistakes(text: &str) -> String {
        Keymap::default().changed(text, "my.toml").unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_keys_are_whole() {
        let shipped = Keymap { keys: vec![Vec::new(); ACTIONS.len()], remarks: Vec::new() }
            .changed(SHIPPED, "keymap.toml")
            .unwrap();
        for (n, entry) in ACTIONS.iter().enumerate() {
            assert!(!shipped.keys[n].is_empty(), "{} in {}", entry.name, entry.context.name());
        }
        assert_eq!(shipped, Keymap::default());
    }

    #[test]
    fn a_pane_has_its_own_keys_before_the_general_ones() {
        let map = Keymap::default();
        let find = |context, c| map.lookup(context, key(KeyCode::Char(c)));
        assert_eq!(find(Context::Samples, 'a'), Some(Action::NextFilter));
        assert_eq!(find(Context::Skills, 'a'), None);
        assert_eq!(find(Context::Reading, 'e'), Some(Action::EditHere));
        assert_eq!(find(Context::Reading, 'j'), Some(Action::Down));
        assert_eq!(find(Context::Text, 'r'), None);
        assert_eq!(find(Context::Plan, 'j'), Some(Action::Down));
        let ctrl = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(map.lookup(Context::Skills, ctrl), Some(Action::Quit));
    }

    #[test]
    fn keys_can_be_changed_added_and_taken_away() {
        let map =
            Keymap::default().changed("[everywhere]\nrun-on = ['F5', 'Ctrl-r']\npause = []", "my").unwrap();
        assert_eq!(
            map.lookup(Context::Skills, key(KeyCode::F(5))),
            Some(Action::Tell(crate::gym::episode::Command::Run))
        );
        assert_eq!(map.lookup(Context::Skills, key(KeyCode::Char('p'))), None);
        assert_eq!(map.lookup(Context::Skills, key(KeyCode::Char('r'))), None);
        assert_eq!(map.key(Context::Everywhere, &Action::Zoom), "z");
        assert_eq!(
            map.key(Context::Everywhere, &Action::Tell(crate::gym::episode::Command::Pause)),
            "(no key)"
        );
    }

    #[test]
    fn every_mistake_is_named_with_file_and_line() {
        let said =
            mistakes("[everywhere]\nrun-off = 'r'\nzoom = 'q'\npause = 'Hyper-p'\n[nowhere]\nx = 'y'\n");
        for words in [
            "my.toml, line 2: no action `run-off`",
            "my.toml, line 3: `q` would mean both `quit` and `zoom` in [everywhere]",
            "my.toml, line 4: `Hyper-p` is no key",
            "my.toml, line 5: no context `nowhere`",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        assert!(mistakes("[line]\ndone = 'd'").contains("is text in [line]"));
        assert!(mistakes("[plan]\nother-mode = '7'").contains("types a number"));
        assert!(mistakes("[everywhere]\nzoom = 3").contains("line 2: expected a key"));
        assert!(mistakes("[everywhere\n").contains("my.toml, line 1"));
        assert!(mistakes("[everywhere]\nzoom = 'Ctrl-i'").contains("cannot be told"));
    }

    #[test]
    fn a_key_that_a_file_takes_from_the_context_beyond_is_told() {
        let remarks = |text: &str| Keymap::default().changed(text, "my").unwrap().remarks().to_vec();
        assert_eq!(Keymap::default().remarks(), [], "what ships is meant");
        let said = "in [samples] `z` is `flag`, not `zoom` of [everywhere]".to_owned();
        assert_eq!(remarks("[samples]\n\nflag = ['*', 'z']"), [(3, said)]);
        // The other way round: a general key that a pane has already.
        let said = remarks("[everywhere]\nzoom = '*'");
        assert!(
            said.contains(&(2, "in [samples] `*` is `flag`, not `zoom` of [everywhere]".to_owned())),
            "{said:?}"
        );
        // Nothing is taken where the general key has gone elsewhere, or the same thing is done.
        assert_eq!(remarks("[samples]\nflag = 'z'\n[everywhere]\nzoom = 'F5'"), []);
        assert_eq!(remarks("[samples]\nflag = 'F6'"), []);
    }

    #[test]
    fn names_of_keys_read_back() {
        for keys in Keymap::default().keys {
            for chord in keys {
                assert_eq!(chord.to_string().parse(), Ok(chord));
            }
        }
    }
}
