//! How the state changes: a message comes in, effects go out. No clock, no file, no terminal.

pub(crate) use commands::ANSWERS;
pub(crate) use finding::proposals;
pub(crate) use menus::{BULK, PHASES};

mod commands;
mod finding;
mod menus;
mod movement;
mod overlays;
mod reviews;
mod samples;

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, Context};
use super::app::{App, Asked, Link, List, Stage};
use super::charts::Exported;
use super::facets::Facet;
use super::facts::{Facts, Listing, Order, Page, PhaseCalls, Query};
use super::filter::Field;
use super::layout::Pane;
use super::memory::{Memory, run_key};
use super::overlay::Overlay;
use super::runs::{RunsNews, RunsOrder};
use super::text_box::TextBox;
use super::view;
use crate::gym::datum::{Verdict, Wording};
use crate::gym::episode::Command;
use crate::gym::instance::Split;
use crate::probes::Snapshot;
use crate::protocol::control::Live;
use crate::store::JournalEntry;

/// How the screen ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The screen closed; a runner goes on with the run.
    Detached,
    /// The runner was told to end, after the running phase or now.
    Stopping,
    /// The screen closed and there was no runner.
    NoRunner,
    /// Another run is to be shown, by its folder. This one goes on if it has a runner.
    Open(PathBuf),
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    /// Text that was pasted.
    Pasted(String),
    Resize(u16, u16),
    /// The committed state changed.
    Facts(Box<Facts>),
    /// Samples: for a query, or because something was committed.
    Page {
        page: Box<Page>,
        asked: bool,
    },
    Journal(Vec<JournalEntry>),
    /// The values of a field were counted.
    Facet(Box<Facet>),
    /// The values that fields have in the run.
    Values(Vec<Facet>),
    /// The ids of a list, or why they are too many.
    Ids {
        listing: Box<Listing>,
        ids: Result<Vec<String>, String>,
    },
    /// What the phases of an iteration asked, all of it or the part that was read.
    Calls {
        iteration: u32,
        calls: PhaseCalls,
        whole: bool,
    },
    /// The database cannot be read.
    SourceFailed(String),
    Link(LinkEvent),
    Machine(Box<Snapshot>),
    /// The other editor came back with new words, with none, or with an error.
    Written {
        id: String,
        result: Result<Option<Wording>, String>,
    },
    /// The charts were written, into this folder.
    Exported(Result<PathBuf, String>),
    /// A text was sent to the clipboard and written into this file.
    Copied(Result<PathBuf, String>),
    Runs(RunsNews),
}

impl Message {
    /// Whether this news says everything that earlier news said.
    pub(crate) fn replaces(&self, older: &Self) -> bool {
        use LinkEvent::Live;
        matches!(
            (self, older),
            (Self::Facts(_), Self::Facts(_))
                // What a key asked for is not delayed by what nobody asked for.
                | (Self::Page { asked: true, .. }, Self::Page { .. })
                | (Self::Page { .. }, Self::Page { asked: false, .. })
                | (Self::Journal(_), Self::Journal(_))
                | (Self::Machine(_), Self::Machine(_))
                | (Self::Link(Live(_)), Self::Link(Live(_)))
        )
    }
}

/// News of the control socket.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    Connected { pid: u32 },
    Refused { message: String },
    Absent,
    Live(Box<Live>),
    Acknowledged { id: u64 },
    Rejected { id: u64, message: String },
    StartFailed { message: String },
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Send a command to the runner.
    Send {
        id: u64,
        command: Command,
    },
    /// Start a runner, then send the command.
    Start {
        id: u64,
        command: Command,
    },
    /// Load samples.
    Load(Query),
    /// Count the values of a field.
    Facet(Listing, Field),
    /// Read which values fields have.
    Values(Listing, Vec<Field>),
    /// Read the ids of a list.
    Ids(Listing),
    /// Add up what the phases of an iteration asked.
    Calls(u32),
    /// Read the journal, now and when it grows, or no longer.
    FollowJournal(bool),
    /// Read the committed state once more, whether or not anything was committed.
    Look,
    /// Measure the machine, or stop measuring.
    Watch(bool),
    /// Give the words of a datum to the person's own editor.
    Write {
        id: String,
        wording: Wording,
    },
    /// Put an escaped text into the clipboard and into a file.
    Copy(String),
    /// Write the charts into the run's folder.
    Export(Vec<Exported>),
    Runs(RunsOrder),
    /// Keep what was chosen on the screen.
    Remember(Box<Memory>),
    Suspend,
    Quit(Exit),
}

/// How soon a frame is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    None,
    Lazy,
    Urgent,
}

/// How soon the screen must show what a message changed.
pub(crate) fn urgency(app: &App, message: &Message) -> Urgency {
    match message {
        Message::Link(LinkEvent::Live(_))
        | Message::Facts(_)
        | Message::SourceFailed(_)
        | Message::Page { asked: false, .. } => Urgency::Lazy,
        Message::Machine(_) if app.watching => Urgency::Lazy,
        Message::Machine(_) => Urgency::None,
        // The first one fills the log that a key opened.
        Message::Journal(_) if app.journal.is_some() => Urgency::Lazy,
        // The rest answers a key.
        _ => Urgency::Urgent,
    }
}

/// Takes a message in.
pub(crate) fn update(app: &mut App, message: Message) -> Vec<Effect> {
    let mut effects = match message {
        Message::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(event) => key(app, event),
        Message::Pasted(text) => {
            overlays::paste(app, &text);
            menus::check(app)
        }
        Message::Resize(width, height) => {
            app.size = (width, height);
            Vec::new()
        }
        Message::Facts(facts) => {
            take_facts(app, *facts);
            Vec::new()
        }
        Message::Page { page, .. } => {
            samples::take(app, *page);
            Vec::new()
        }
        Message::Journal(entries) => {
            app.journal = Some(entries);
            Vec::new()
        }
        Message::Facet(facet) => finding::counted(app, *facet),
        Message::Values(values) => {
            app.values = values;
            Vec::new()
        }
        Message::Ids { listing, ids } => {
            finding::picked(app, &listing, ids);
            Vec::new()
        }
        Message::Calls { iteration, calls, whole } => {
            app.calls = Some((iteration, calls));
            // The rest, while it is in sight.
            let more = !whole && app.details() == Some(iteration);
            more.then_some(Effect::Calls(iteration)).into_iter().collect()
        }
        Message::SourceFailed(message) => {
            app.source_error = Some(message);
            Vec::new()
        }
        Message::Link(event) => hear(app, event),
        Message::Machine(snapshot) => {
            app.machine = Some(*snapshot);
            Vec::new()
        }
        Message::Written { id, result } => reviews::written(app, &id, result),
        Message::Exported(result) => {
            app.notice = Some(match result {
                Ok(folder) => format!("the charts are in {}", folder.display()),
                Err(message) => format!("the charts could not be written: {message}"),
            });
            Vec::new()
        }
        Message::Copied(result) => {
            app.notice = Some(match result {
                Ok(file) => format!("copied; where the clipboard stays empty: {}", file.display()),
                Err(message) => format!("sent to the clipboard; no file was written: {message}"),
            });
            Vec::new()
        }
        Message::Runs(news) => menus::runs_news(app, news),
    };
    effects.extend(follow_up(app));
    effects
}

/// A key: text where text is written, a digit where numbers are changed, else what the key map says.
fn key(app: &mut App, event: KeyEvent) -> Vec<Effect> {
    app.notice = None;
    app.samples.sought = None;
    let context = app.context();
    if let KeyCode::Char(c) = event.code
        && !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    {
        if context.writes() {
            overlays::type_text(app, c.encode_utf8(&mut [0; 4]));
            return menus::check(app);
        }
        if let Some(digit) = c.to_digit(10).filter(|_| context.counts()) {
            overlays::type_digit(app, digit as u8);
            return Vec::new();
        }
    }
    let found = app.keymap.lookup(context, event);
    let mut effects = found.map_or_else(Vec::new, |action| act(app, action));
    if effects.is_empty() {
        effects = menus::check(app);
    }
    effects
}

/// What must be asked for because the state changed, whatever changed it.
fn follow_up(app: &mut App) -> Vec<Effect> {
    let mut effects = Vec::new();
    if app.overlay.is_none() {
        app.overlay = app.returned.pop();
    }
    if !app.samples.reading {
        (app.samples.kept, app.samples.pinned) = (None, None);
    }
    effects.extend(finding::recount(app));
    let query = app.query();
    if query.is_some() && query != app.queried {
        app.queried.clone_from(&query);
        effects.extend(query.map(Effect::Load));
    }
    let details = app.details();
    if details != app.detailed {
        app.detailed = details;
        effects.extend(details.map(Effect::Calls));
    }
    let memory = app.memory();
    if memory != app.remembered {
        app.remembered.clone_from(&memory);
        effects.push(Effect::Remember(Box::new(memory)));
    }
    let watch = app.running() || app.focus == Pane::Machine;
    if watch != app.watching {
        app.watching = watch;
        effects.push(Effect::Watch(watch));
    }
    effects
}

fn take_facts(app: &mut App, facts: Facts) {
    app.source_error = None;
    if app.asked.as_ref().is_some_and(|asked| asked.stage == Stage::Acknowledged) {
        app.asked = None;
    }
    // What a runner says while the run rests is true, also when it comes before the first look into the database.
    let worked = app.facts.as_ref().is_some_and(|known| known.episode.running);
    if worked && !facts.episode.running {
        app.live = None;
    }
    if app.facts.is_none() {
        // Flags belong to the run, which is known only now.
        let run = run_key(&facts.record.name, facts.record.created_ms);
        app.samples.flags = app.remembered.flags.get(&run).cloned().unwrap_or_default();
    }
    let before = app.listing();
    app.facts = Some(facts);
    samples::relisted(app, &before);
}

fn hear(app: &mut App, event: LinkEvent) -> Vec<Effect> {
    match event {
        LinkEvent::Connected { pid } => {
            app.link = Link::Connected { pid };
            match app.asked.as_mut().map(|asked| &mut asked.stage) {
                Some(stage @ Stage::Starting) => *stage = Stage::Sent,
                Some(Stage::Sent) => {
                    app.undone();
                    app.notice =
                        Some("the connection broke before the answer; see what the state says".into());
                }
                _ => {}
            }
        }
        LinkEvent::Rejected { id, message } => {
            if app.asked.as_ref().is_some_and(|asked| asked.id == id) {
                app.asked = None;
            }
            app.leaving.take_if(|leaving| *leaving == id);
            app.give_back(|sent| sent == id);
            app.notice = Some(format!("refused: {message}"));
        }
        LinkEvent::Refused { message } => {
            app.link = Link::Refused { message };
            app.undone();
        }
        LinkEvent::Absent => {
            app.live = None;
            app.link = Link::Absent;
            if let Some(Asked { stage: Stage::Sent, .. }) = app.asked {
                app.asked = None;
                app.give_back(|_| true);
                app.notice = Some("the runner ended before it answered; see what the state says".into());
            }
            if app.leaving.is_some() {
                return vec![Effect::Quit(Exit::Stopping)];
            }
        }
        LinkEvent::Live(live) => app.live = Some(*live),
        LinkEvent::Acknowledged { id } => {
            app.sent_from.retain(|(sent, _)| *sent != id);
            if app.leaving == Some(id) {
                return vec![Effect::Quit(Exit::Stopping)];
            }
            if let Some(asked) = app.asked.as_mut().filter(|a| a.id == id) {
                asked.stage = Stage::Acknowledged;
                // What follows may have been read before this word came, and at rest nothing else is committed.
                return vec![Effect::Look];
            }
        }
        LinkEvent::StartFailed { message } => {
            app.undone();
            app.notice = Some(format!("the runner could not be started: {message}"));
        }
    }
    Vec::new()
}

/// Carries an action out, whichever way a person came to it.
fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match &app.overlay {
        Some(Overlay::Leaving { choice }) => {
            let choice = *choice;
            return commands::answer_leaving(app, &action, choice);
        }
        Some(_) => return overlays::act(app, &action),
        None => {}
    }
    match action {
        Action::Tell(command) => return commands::tell(app, command),
        Action::Quit => return commands::quit(app),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Focus(pane) => focus(app, pane),
        Action::NextPane => focus(app, next_shown(app, 1)),
        Action::PreviousPane => focus(app, next_shown(app, Pane::ALL.len() - 1)),
        Action::Zoom => app.zoom = !app.zoom,
        Action::HideHint => app.hint = false,
        Action::Help => app.overlay = Some(Overlay::Help { search: TextBox::default(), scroll: 0 }),
        Action::Palette => {
            let from = app.context();
            app.overlay = Some(Overlay::Palette { search: TextBox::default(), choice: 0, from });
        }
        Action::Themes | Action::Gates | Action::Bulk | Action::Runs | Action::Doctor => {
            return menus::open(app, &action);
        }
        Action::Hide => hide(app),
        Action::Limits | Action::Plan | Action::Note | Action::Log | Action::Charts => {
            return overlays::open(app, &action);
        }
        Action::Search | Action::Facets | Action::Sort | Action::Flag | Action::Jump | Action::Back => {
            return finding::act(app, &action);
        }
        Action::Copy => {
            let text = view::sample_text(app);
            if text.is_none() {
                app.notice = Some("no sample is selected".into());
            }
            return text.map(Effect::Copy).into_iter().collect();
        }
        Action::Review(_) | Action::EditHere | Action::EditOutside | Action::Remark => {
            return reviews::act(app, &action);
        }
        Action::FollowSkill => {
            app.samples.follow = !app.samples.follow;
            restart_list(app);
        }
        Action::OtherList => {
            app.samples.list = match app.samples.list {
                List::Training => List::Predictions,
                List::Predictions => List::Calls,
                List::Calls => List::Training,
            };
            // A sample of the other list is in no list but its own.
            app.samples.filter.id = None;
            restart_list(app);
        }
        Action::NextFilter => {
            next_filter(app);
            restart_list(app);
        }
        Action::OtherSplit => {
            app.samples.list = List::Predictions;
            let other = if app.split() == Split::Test { Split::Validation } else { Split::Test };
            app.samples.filter.split = Some(other).filter(|split| *split == Split::Test);
            restart_list(app);
        }
        Action::NextSample => movement::sample(app, 1),
        Action::PreviousSample => movement::sample(app, -1),
        Action::Open => open(app),
        Action::Close => close(app),
        Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::Top | Action::Bottom => {
            movement::in_pane(app, &action);
        }
        // What is done in an overlay only.
        Action::Answer(_)
        | Action::Change(_)
        | Action::Clear
        | Action::OtherMode
        | Action::OtherMove
        | Action::NextPart
        | Action::PreviousPart
        | Action::Export
        | Action::Complete
        | Action::NewRun
        | Action::ResumeRun
        | Action::DeleteRun
        | Action::Mark
        | Action::Compare
        | Action::Recent
        | Action::Write(_) => {}
    }
    Vec::new()
}

/// The focused pane goes; the last one stays.
fn hide(app: &mut App) {
    if app.hidden.len() + 1 == Pane::ALL.len() {
        let keys = Pane::ALL.map(|pane| app.keymap.key(Context::Everywhere, &Action::Focus(pane)));
        app.notice = Some(format!("this is the last pane; {} show the others again", keys.join(" ")));
        return;
    }
    app.hidden.insert(app.focus);
    let hidden = app.keymap.key(Context::Everywhere, &Action::Focus(app.focus));
    app.zoom = false;
    focus(app, next_shown(app, 1));
    app.notice = Some(format!("hidden; {hidden} shows it again"));
}

/// The pane so many steps round the circle of those that are shown.
fn next_shown(app: &App, step: usize) -> Pane {
    let mut steps = (1..=Pane::ALL.len()).map(|n| app.focus.after(n * step));
    steps.find(|pane| !app.hidden.contains(pane)).unwrap_or(app.focus)
}

fn focus(app: &mut App, pane: Pane) {
    app.hidden.remove(&pane);
    app.focus = pane;
    app.samples.reading = false;
}

/// The list is another one now: start at its top, in an order that it has.
fn restart_list(app: &mut App) {
    if !Order::of(app.samples.list).contains(&app.samples.order) {
        app.samples.order = Order::Newest;
    }
    app.samples.selected = 0;
    app.samples.scroll = 0;
    app.samples.reading = false;
}

fn next_filter(app: &mut App) {
    let (list, samples) = (app.samples.list, &mut app.samples.filter);
    let next = |filter: Option<bool>| match filter {
        None => Some(false),
        Some(false) => Some(true),
        Some(true) => None,
    };
    match list {
        List::Training => {
            samples.verdict = match samples.verdict {
                None => Some(Verdict::Accepted),
                Some(Verdict::Accepted) => Some(Verdict::Rejected),
                Some(_) => None,
            };
        }
        List::Predictions => samples.correct = next(samples.correct),
        List::Calls => samples.malformed = next(samples.malformed),
    }
}

fn open(app: &mut App) {
    match app.focus {
        Pane::Skills => {
            let Some(skill) = app.skill.0.clone() else { return };
            let opens = app.skill_rows().iter().any(|r| r.skill.as_ref() == Some(&skill) && r.open.is_some());
            if app.open.remove(&skill) {
                app.skill.1 = None;
            } else if opens {
                app.open.insert(skill);
            } else {
                app.notice = Some("this skill has no subskills yet: a plan that explores adds them".into());
            }
        }
        Pane::Iterations => app.overlay = Some(Overlay::Details { scroll: 0 }),
        Pane::Machine => {}
        Pane::Samples => {
            app.samples.pinned = app.listed_iteration();
            app.samples.reading = app.selected_sample().is_some();
            app.samples.scroll = 0;
        }
    }
}

fn close(app: &mut App) {
    match app.focus {
        Pane::Skills => {
            if let Some(skill) = &app.skill.0 {
                app.open.remove(skill);
            }
            app.skill.1 = None;
        }
        Pane::Samples => {
            app.samples.reading = false;
            app.samples.scroll = 0;
        }
        // The hint says that this key hides it, and the screen begins in this pane.
        Pane::Iterations if app.iteration.is_none() => app.hint = false,
        Pane::Iterations => {
            app.iteration = None;
            restart_list(app);
        }
        Pane::Machine => {}
    }
}
