//! Keys while something lies over the panes, and the opening of texts and forms.

use super::{Effect, act as act_below, commands, finding, menus, movement, reviews};
use crate::gym::episode::{Command, Episode, Phase};
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::charts;
use crate::tui::numbers::Limits;
use crate::tui::overlay::{About, Menu, Overlay};
use crate::tui::palette;
use crate::tui::plan_edit::PlanEdit;
use crate::tui::text_box::{Edit, TextBox};
use crate::tui::view;

/// Opens what a key asks for.
pub(super) fn open(app: &mut App, action: &Action) -> Vec<Effect> {
    let Some(facts) = &app.facts else {
        app.notice = Some("the run has not been read yet; wait a moment".into());
        return Vec::new();
    };
    match action {
        Action::Limits => app.overlay = Some(Overlay::Limits(Limits::new(&facts.episode.rules.budget))),
        Action::Plan => match settled(app).map(|episode| PlanEdit::new(&episode)) {
            Some(Ok(plan)) => app.overlay = Some(Overlay::Plan(plan)),
            Some(Err(reason)) => app.notice = Some(format!("{reason}{}", gate_hint(app))),
            None => {}
        },
        Action::Note => app.overlay = Some(Overlay::Prompt { about: About::Run, line: TextBox::default() }),
        Action::Charts => app.overlay = Some(Overlay::Charts { chart: 0, skill: 0, recent: false }),
        Action::Log => {
            app.overlay = Some(Overlay::Log { scroll: usize::MAX });
            return vec![Effect::FollowJournal(true)];
        }
        _ => {}
    }
    Vec::new()
}

/// The episode as a fresh runner would find it: without one nothing runs, whatever was committed last.
pub(super) fn settled(app: &App) -> Option<Episode> {
    let mut episode = app.facts.as_ref()?.episode.clone();
    episode.running = app.running();
    Some(episode)
}

/// How to come to a place where the plan can be changed.
fn gate_hint(app: &App) -> String {
    let gated = app
        .facts
        .as_ref()
        .is_none_or(|f| f.episode.finished() || f.episode.rules.gates.contains(&Phase::Generate));
    let key = app.keymap.key(Context::Everywhere, &Action::Gates);
    if gated { String::new() } else { format!(". {key} sets a gate before generate") }
}

/// Text goes where text is written.
pub(super) fn type_text(app: &mut App, text: &str) {
    if let Some(line) = app.overlay.as_mut().and_then(Overlay::text_box) {
        line.insert(text);
        changed(app);
    }
}

/// What was pasted: several lines where there is room for them.
pub(super) fn paste(app: &mut App, text: &str) {
    let clean = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines = matches!(app.overlay, Some(Overlay::Draft(_)));
    type_text(app, &if lines { clean } else { clean.replace('\n', " ") });
}

pub(super) fn type_digit(app: &mut App, digit: u8) {
    match &mut app.overlay {
        Some(Overlay::Limits(limits)) => limits.fields[limits.selected].digit(digit),
        Some(Overlay::Plan(plan)) => {
            if let Some(field) = plan.field() {
                field.digit(digit);
            }
        }
        _ => {}
    }
}

/// What was searched for is another text now.
fn changed(app: &mut App) {
    match &mut app.overlay {
        Some(Overlay::Help { scroll, .. }) => *scroll = 0,
        Some(Overlay::Palette { choice, .. }) => *choice = 0,
        Some(Overlay::Filter { .. }) => finding::written(app),
        Some(Overlay::NewRun(form)) => form.checked = None,
        _ => {}
    }
}

/// Carries an action out while something is open.
pub(super) fn act(app: &mut App, action: &Action) -> Vec<Effect> {
    if let Action::Write(edit) = action {
        write(app, *edit);
        return Vec::new();
    }
    let Some(overlay) = app.overlay.take() else { return Vec::new() };
    match overlay {
        Overlay::Help { mut search, scroll } => {
            let stops = view::help_stops(app, search.text());
            match action {
                Action::Close if !search.is_empty() => {
                    search = TextBox::default();
                    app.overlay = Some(Overlay::Help { search, scroll: 0 });
                }
                Action::Close | Action::Open => {}
                _ => {
                    let scroll = movement::moved(scroll.min(stops - 1), action, page(app), stops);
                    app.overlay = Some(Overlay::Help { search, scroll });
                }
            }
        }
        Overlay::Details { scroll } => {
            app.overlay = Some(Overlay::Details { scroll });
            scroll_text(app, action, |scroll| Overlay::Details { scroll });
        }
        Overlay::Log { scroll } => {
            app.overlay = Some(Overlay::Log { scroll });
            scroll_text(app, action, |scroll| Overlay::Log { scroll });
            if app.overlay.is_none() {
                app.journal = None;
                return vec![Effect::FollowJournal(false)];
            }
        }
        Overlay::Charts { chart, skill, recent } => return in_charts(app, action, chart, skill, recent),
        Overlay::Doctor { findings, scroll } => {
            app.overlay = Some(Overlay::Doctor { findings: findings.clone(), scroll });
            scroll_text(app, action, |scroll| Overlay::Doctor { findings: findings.clone(), scroll });
        }
        Overlay::Compare { runs, split, shown, scroll } => {
            return menus::in_comparison(app, action, runs, split, shown, scroll);
        }
        Overlay::NewRun(form) => return menus::in_form(app, action, form),
        Overlay::Palette { search, choice, from } => {
            let found = palette::found(search.text(), from);
            match action {
                Action::Close => {}
                Action::Open => {
                    return found
                        .get(choice)
                        .map_or_else(Vec::new, |entry| act_below(app, entry.action.clone()));
                }
                _ => {
                    let choice = movement::moved(choice, action, page(app), found.len());
                    app.overlay = Some(Overlay::Palette { search, choice, from });
                }
            }
        }
        Overlay::Menu { menu, choice } => return menus::act(app, action, menu, choice),
        Overlay::Prompt { about, line } => match action {
            Action::Open => return said(app, about, line),
            Action::Close => {}
            _ => app.overlay = Some(Overlay::Prompt { about, line }),
        },
        Overlay::Filter { line, before } => return finding::in_filter(app, action, line, before),
        Overlay::Facets { field, choice, facet } => {
            return finding::in_facets(app, action, field, choice, facet);
        }
        Overlay::Limits(limits) => return in_limits(app, action, limits),
        Overlay::Plan(plan) => return in_plan(app, action, plan),
        Overlay::Draft(draft) => return reviews::in_draft(app, action, draft),
        Overlay::Leaving { choice } => app.overlay = Some(Overlay::Leaving { choice }),
    }
    Vec::new()
}

fn page(app: &App) -> usize {
    usize::from(app.size.1).saturating_sub(6).max(1)
}

/// A movement in an open text, or its end.
fn scroll_text(app: &mut App, action: &Action, open: impl Fn(usize) -> Overlay) {
    if *action == Action::Close {
        app.overlay = None;
        return;
    }
    let stops = view::overlay_stops(app);
    let Some(Overlay::Details { scroll } | Overlay::Log { scroll } | Overlay::Doctor { scroll, .. }) =
        app.overlay
    else {
        return;
    };
    let moved = movement::moved(scroll.min(stops - 1), action, page(app), stops);
    // The end of the log stays its end when it grows.
    let at_end = matches!(app.overlay, Some(Overlay::Log { .. })) && moved + 1 == stops;
    app.overlay = Some(open(if at_end { usize::MAX } else { moved }));
}

/// A change of the line being written, or of the last digit of a number.
fn write(app: &mut App, edit: Edit) {
    match &mut app.overlay {
        Some(Overlay::Limits(limits)) => limits.fields[limits.selected].back(),
        Some(Overlay::Plan(plan)) => {
            if let Some(field) = plan.field() {
                field.back();
            }
        }
        Some(overlay) => {
            if let Some(line) = overlay.text_box() {
                line.apply(edit);
                changed(app);
            }
        }
        None => {}
    }
}

fn said(app: &mut App, about: About, line: TextBox) -> Vec<Effect> {
    let text = line.text().trim().to_owned();
    match about {
        About::Run if text.is_empty() => {
            app.notice = Some("nothing was written, so nothing is noted".into());
            Vec::new()
        }
        About::Run => {
            commands::tell_from(app, Command::Note { text }, Overlay::Prompt { about: About::Run, line })
        }
        About::Datum { id } => {
            let command = reviews::remark(id.clone(), text);
            commands::tell_from(app, command, Overlay::Prompt { about: About::Datum { id }, line })
        }
    }
}

fn in_limits(app: &mut App, action: &Action, mut limits: Limits) -> Vec<Effect> {
    let count = limits.fields.len();
    let field = &mut limits.fields[limits.selected];
    match action {
        Action::Close => return Vec::new(),
        Action::Open => {
            limits.fields.iter_mut().for_each(crate::tui::numbers::Field::settle);
            if !limits.fields.iter().any(crate::tui::numbers::Field::changed) {
                app.notice = Some("no limit was changed".into());
                return Vec::new();
            }
            let budget = limits.budget();
            return commands::tell_from(app, Command::Extend { budget }, Overlay::Limits(limits));
        }
        Action::Change(by) => field.change(*by),
        Action::Clear => field.clear(),
        _ => {
            field.settle();
            limits.selected = movement::moved(limits.selected, action, count, count);
        }
    }
    app.overlay = Some(Overlay::Limits(limits));
    Vec::new()
}

fn in_plan(app: &mut App, action: &Action, mut plan: PlanEdit) -> Vec<Effect> {
    match action {
        Action::Close => return Vec::new(),
        Action::Open => match plan.command() {
            Ok(command) => return commands::tell_from(app, command, Overlay::Plan(plan)),
            Err(reason) => app.notice = Some(reason),
        },
        Action::Change(by) => {
            if let Some(field) = plan.field() {
                field.change(*by);
            }
        }
        Action::Clear => {
            if let Some(field) = plan.field() {
                field.clear();
            }
        }
        Action::OtherMode => {
            if let Err(reason) = plan.other_mode() {
                app.notice = Some(reason);
            }
        }
        Action::OtherMove if plan.acts => plan.other_action(),
        Action::OtherMove => {
            let key = app.keymap.key(Context::Plan, &Action::OtherMode);
            app.notice = Some(format!("actions are chosen in the other mode; {key} changes to it"));
        }
        _ => {
            let row = movement::moved(plan.selected, action, page(app), plan.rows().len());
            plan.select(row);
        }
    }
    app.overlay = Some(Overlay::Plan(plan));
    Vec::new()
}

fn in_charts(app: &mut App, action: &Action, chart: usize, skill: usize, recent: bool) -> Vec<Effect> {
    let (charts, skills) = (charts::NAMES.len(), charts::skills(app).len().max(1));
    let (chart, skill) = match action {
        Action::Close => return Vec::new(),
        Action::Export => {
            app.overlay = Some(Overlay::Charts { chart, skill, recent });
            let files = charts::exported(app, recent);
            return if files.is_empty() {
                app.notice = Some("there is nothing to write yet: no evaluation has ended".into());
                Vec::new()
            } else {
                vec![Effect::Export(files)]
            };
        }
        Action::NextPart => ((chart + 1) % charts, skill),
        Action::PreviousPart => ((chart + charts - 1) % charts, skill),
        Action::Down => (chart, (skill + 1) % skills),
        Action::Up => (chart, (skill + skills - 1) % skills),
        _ => (chart, skill),
    };
    let recent = recent != (*action == Action::Recent);
    app.overlay = Some(Overlay::Charts { chart, skill, recent });
    Vec::new()
}

/// A question over everything, with what it is about.
pub(super) fn ask(app: &mut App, menu: Menu) {
    app.overlay = Some(Overlay::menu(menu));
}
