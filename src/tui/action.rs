//! What a person can do, in one table: it dispatches keys, fills the footer and is the help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::layout::Pane;
use crate::gym::episode::Command;

/// Something a key does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Tell(Command),
    Focus(Pane),
    NextPane,
    PreviousPane,
    Zoom,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Close,
    FollowSkill,
    OtherList,
    NextFilter,
    OtherSplit,
    NextSample,
    PreviousSample,
    NextTheme,
    HideHint,
    Suspend,
    Help,
    Quit,
    Choose(usize),
}

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// In every pane, unless the pane gives the key another meaning.
    Everywhere,
    Skills,
    Iterations,
    Samples,
    /// One sample is being read.
    Reading,
    /// A text lies over the panes.
    Overlay,
    /// The question before leaving.
    Leaving,
}

impl Context {
    /// Heading in the help.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Skills => "In 1 Skills",
            Self::Iterations => "In 2 Iterations",
            Self::Samples => "In 4 Samples",
            Self::Reading => "While reading a sample",
            Self::Overlay => "In this help and in details",
            Self::Leaving => "In the question before leaving",
        }
    }

    /// Whether the keys of `Everywhere` work here too.
    fn inherits(self) -> bool {
        !matches!(self, Self::Everywhere | Self::Overlay | Self::Leaving)
    }
}

/// A key with its Ctrl state; Shift is in the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chord {
    code: KeyCode,
    ctrl: bool,
}

const fn key(c: char) -> Chord {
    Chord { code: KeyCode::Char(c), ctrl: false }
}

const fn ctrl(c: char) -> Chord {
    Chord { code: KeyCode::Char(c), ctrl: true }
}

const fn named(code: KeyCode) -> Chord {
    Chord { code, ctrl: false }
}

impl From<KeyEvent> for Chord {
    fn from(event: KeyEvent) -> Self {
        Self { code: event.code, ctrl: event.modifiers.contains(KeyModifiers::CONTROL) }
    }
}

impl std::fmt::Display for Chord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) if self.ctrl => write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            code => write!(f, "{code}"),
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) context: Context,
    pub(crate) keys: &'static [Chord],
    pub(crate) action: Action,
    /// One or two words for the footer; empty keeps it out of there.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
}

impl Binding {
    /// `j / Down`.
    pub(crate) fn keys(&self) -> String {
        self.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ")
    }
}

const fn bind(
    context: Context,
    keys: &'static [Chord],
    action: Action,
    name: &'static str,
    description: &'static str,
) -> Binding {
    Binding { context, keys, action, name, description }
}

use Context::{Everywhere, Iterations, Leaving, Overlay, Reading, Samples, Skills};
use KeyCode::{BackTab, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

/// Every key. The footer shows the named ones in this order, those of the focused pane first.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(Everywhere, &[key('r')], Action::Tell(Command::Run), "run on", "run on to the end, or resume"),
    bind(
        Everywhere,
        &[key('i')],
        Action::Tell(Command::AdvanceIteration),
        "one iteration",
        "advance to the end of the iteration, then pause",
    ),
    bind(
        Everywhere,
        &[key('n')],
        Action::Tell(Command::AdvancePhase),
        "one phase",
        "advance one phase (evaluate, plan, generate, check or train), then pause",
    ),
    bind(Everywhere, &[key('p')], Action::Tell(Command::Pause), "pause", "pause after the running phase"),
    bind(
        Everywhere,
        &[key('s')],
        Action::Tell(Command::Stop),
        "",
        "stop: end the runner after the running phase; r resumes",
    ),
    bind(Everywhere, &[key('?')], Action::Help, "help", "this help"),
    bind(
        Everywhere,
        &[key('q'), ctrl('c')],
        Action::Quit,
        "quit",
        "leave; the run goes on in the background unless you say otherwise",
    ),
    bind(Everywhere, &[named(Tab)], Action::NextPane, "next pane", "go to the next pane"),
    bind(Everywhere, &[named(BackTab)], Action::PreviousPane, "", "go to the pane before"),
    bind(Everywhere, &[key('1')], Action::Focus(Pane::Skills), "", "go to the skills"),
    bind(Everywhere, &[key('2')], Action::Focus(Pane::Iterations), "", "go to the iterations"),
    bind(Everywhere, &[key('3')], Action::Focus(Pane::Machine), "", "go to the machine"),
    bind(Everywhere, &[key('4')], Action::Focus(Pane::Samples), "", "go to the samples"),
    bind(
        Everywhere,
        &[key('z')],
        Action::Zoom,
        "zoom",
        "give the whole screen to this pane, or give it back",
    ),
    bind(Everywhere, &[key('j'), named(Down)], Action::Down, "", "one row down"),
    bind(Everywhere, &[key('k'), named(Up)], Action::Up, "", "one row up"),
    bind(Everywhere, &[named(PageDown), ctrl('d')], Action::PageDown, "", "one page down"),
    bind(Everywhere, &[named(PageUp), ctrl('u')], Action::PageUp, "", "one page up"),
    bind(Everywhere, &[key('g'), named(Home)], Action::Top, "", "to the first row"),
    bind(Everywhere, &[key('G'), named(End)], Action::Bottom, "", "to the last row"),
    bind(Everywhere, &[named(Esc)], Action::HideHint, "", "hide the hint line"),
    bind(Everywhere, &[key('T')], Action::NextTheme, "", "next colour theme"),
    bind(Everywhere, &[ctrl('z')], Action::Suspend, "", "suspend this screen; `fg` brings it back"),
    bind(
        Skills,
        &[named(Enter), key(' '), key('l'), named(Right)],
        Action::Open,
        "subskills",
        "open or close the tree of a skill: its subskills",
    ),
    bind(Skills, &[key('h'), named(Left)], Action::Close, "", "close the tree"),
    bind(Skills, &[key('f')], Action::FollowSkill, "", "samples follow the selected skill, or show all"),
    bind(
        Iterations,
        &[named(Enter), key(' ')],
        Action::Open,
        "details",
        "everything about the iteration, and messages in full",
    ),
    bind(
        Iterations,
        &[named(Esc)],
        Action::Close,
        "",
        "follow the newest iteration again; in the end the best one",
    ),
    bind(
        Samples,
        &[named(Enter), key('l'), named(Right)],
        Action::Open,
        "read",
        "read the selected sample; then j and k scroll it",
    ),
    bind(
        Samples,
        &[key('t')],
        Action::OtherList,
        "data/predictions",
        "switch between training data and the student's predictions",
    ),
    bind(
        Samples,
        &[key('a')],
        Action::NextFilter,
        "filter",
        "filter: all, accepted, rejected; or all, wrong, right",
    ),
    bind(Samples, &[key('v')], Action::OtherSplit, "", "predictions of the validation or of the test split"),
    bind(Samples, &[key('f')], Action::FollowSkill, "", "follow the skill selected in 1, or show all"),
    bind(
        Reading,
        &[named(Enter), named(Esc), key('h'), named(Left)],
        Action::Close,
        "back",
        "back to the list",
    ),
    bind(
        Reading,
        &[key(']'), key('l'), named(Right)],
        Action::NextSample,
        "next sample",
        "read the next sample",
    ),
    bind(Reading, &[key('[')], Action::PreviousSample, "", "read the sample before"),
    bind(
        Overlay,
        &[named(Esc), named(Enter), key('q'), key('?'), ctrl('c')],
        Action::Close,
        "close",
        "close",
    ),
    bind(Overlay, &[key('j'), named(Down)], Action::Down, "down", "one row down"),
    bind(Overlay, &[key('k'), named(Up)], Action::Up, "up", "one row up"),
    bind(Overlay, &[named(PageDown), key(' '), ctrl('d')], Action::PageDown, "", "one page down"),
    bind(Overlay, &[named(PageUp), ctrl('u')], Action::PageUp, "", "one page up"),
    bind(Overlay, &[key('g'), named(Home)], Action::Top, "", "to the first row"),
    bind(Overlay, &[key('G'), named(End)], Action::Bottom, "", "to the last row"),
    bind(Leaving, &[named(Enter)], Action::Open, "choose", "do the marked answer"),
    bind(Leaving, &[key('j'), named(Down), named(Tab)], Action::Down, "down", "next answer"),
    bind(Leaving, &[key('k'), named(Up), named(BackTab)], Action::Up, "up", "answer before"),
    bind(Leaving, &[key('d'), key('q'), ctrl('c')], Action::Choose(0), "", "leave, the run goes on"),
    bind(Leaving, &[key('s')], Action::Choose(1), "", "stop after the running phase and leave"),
    bind(Leaving, &[key('x')], Action::Choose(2), "", "stop now and leave"),
    bind(Leaving, &[named(Esc), key('c')], Action::Choose(3), "", "stay"),
];

/// What a key does in a context.
pub(crate) fn lookup(context: Context, event: KeyEvent) -> Option<Action> {
    let chord = Chord::from(event);
    let find = |context: Context| {
        BINDINGS.iter().find(|b| b.context == context && b.keys.contains(&chord)).map(|b| b.action.clone())
    };
    find(context).or_else(|| context.inherits().then(|| find(Everywhere)).flatten())
}

/// The bindings the footer offers in a context, most specific first.
pub(crate) fn offered(context: Context) -> impl Iterator<Item = &'static Binding> {
    let of = |wanted: Context| BINDINGS.iter().filter(move |b| b.context == wanted && !b.name.is_empty());
    let general = if context.inherits() || context == Everywhere { Some(Everywhere) } else { None };
    let own = (context != Everywhere).then_some(context);
    own.into_iter().chain(general).flat_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for (n, a) in BINDINGS.iter().enumerate() {
            assert!(!a.keys.is_empty() && !a.description.is_empty());
            for b in BINDINGS[n + 1..].iter().filter(|b| b.context == a.context) {
                assert!(
                    a.keys.iter().all(|k| !b.keys.contains(k)),
                    "{} and {}",
                    a.description,
                    b.description
                );
            }
        }
    }

    #[test]
    fn a_pane_has_its_own_keys_before_the_general_ones() {
        let event = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(lookup(Samples, event('a')), Some(Action::NextFilter));
        assert_eq!(lookup(Samples, event('r')), Some(Action::Tell(Command::Run)));
        assert_eq!(lookup(Leaving, event('r')), None);
        assert_eq!(lookup(Reading, event('l')), Some(Action::NextSample));
        assert_eq!(offered(Samples).next().map(|b| b.name), Some("read"));
        assert!(offered(Overlay).all(|b| b.context == Overlay));
    }

    #[test]
    fn keys_have_names() {
        assert_eq!(BINDINGS[6].keys(), "q / Ctrl-C");
        assert_eq!(Chord::from(KeyEvent::new(PageUp, KeyModifiers::NONE)).to_string(), "PgUp");
    }
}
