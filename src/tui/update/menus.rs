//! Lists to choose from: gates, themes, runs, what to do with all listed data.

use super::{Effect, Exit, commands, movement, overlays, reviews};
use crate::gym::episode::{Command, Phase};
use crate::gym::review::DatumEdit;
use crate::tui::action::Action;
use crate::tui::app::App;
use crate::tui::facts::Listing;
use crate::tui::overlay::{Menu, Overlay};
use crate::tui::runs::{RunsNews, RunsOrder};

/// The phases in their order.
pub(crate) const PHASES: [Phase; 5] =
    [Phase::Evaluate, Phase::Plan, Phase::Generate, Phase::Check, Phase::Train];

/// What can be done to all listed data, in the order of the list.
pub(crate) const BULK: [(&str, DatumEdit); 3] = [
    ("accept them all", DatumEdit::Accept),
    ("reject them all", DatumEdit::Reject),
    ("restore them all", DatumEdit::Restore),
];

pub(super) fn open(app: &mut App, action: &Action) -> Vec<Effect> {
    match action {
        Action::Gates => {
            let next = app.facts.as_ref().and_then(|f| f.episode.work).map(|work| work.phase);
            let choice = PHASES.iter().position(|phase| Some(*phase) == next).unwrap_or(0);
            app.overlay = Some(Overlay::Menu { menu: Menu::Gates, choice });
        }
        Action::Themes => {
            let before = app.theme;
            app.overlay = Some(Overlay::Menu { menu: Menu::Themes { before }, choice: before });
        }
        Action::Runs => {
            overlays::ask(app, Menu::Runs { runs: None });
            return vec![Effect::Runs(RunsOrder::List)];
        }
        Action::Bulk => match app.listing() {
            Listing::Training(filter) if filter.text.is_some() => {
                app.notice = Some(
                    "a search cannot be judged as a whole; take its words away first, or judge each".into(),
                );
            }
            Listing::Training(filter) if app.listed() > 0 => {
                let (selection, count) = (reviews::selection(&filter), app.listed());
                overlays::ask(app, Menu::Bulk { selection, count });
            }
            Listing::Training(_) => app.notice = Some("the list is empty".into()),
            Listing::Predictions(_) | Listing::Calls(_) => {
                app.notice = Some("only training data can be reviewed; t changes the list".into());
            }
        },
        _ => {}
    }
    Vec::new()
}

/// Lines of a list.
pub(crate) fn length(app: &App, menu: &Menu) -> usize {
    match menu {
        Menu::Gates => PHASES.len(),
        Menu::Bulk { .. } => BULK.len(),
        Menu::Themes { .. } => app.themes.len(),
        Menu::Runs { runs } => runs.as_ref().map_or(0, Vec::len),
        Menu::Ready { ready } => ready.len(),
        Menu::Delete { .. } | Menu::Discard { .. } => 2,
    }
}

/// A key while a list is open. The list was taken out of the state; what stays open is put back.
pub(super) fn act(app: &mut App, action: &Action, menu: Menu, choice: usize) -> Vec<Effect> {
    match action {
        Action::Open => return choose(app, menu, choice),
        Action::Close => {
            match menu {
                Menu::Themes { before } => app.theme = before,
                Menu::Discard { draft } => app.overlay = Some(Overlay::Draft(draft)),
                Menu::Ready { .. } | Menu::Delete { .. } => return open(app, &Action::Runs),
                _ => {}
            }
            return Vec::new();
        }
        Action::NewRun => {
            overlays::ask(app, Menu::Ready { ready: Vec::new() });
            return vec![Effect::Runs(RunsOrder::Ready)];
        }
        Action::DeleteRun => {
            if let Menu::Runs { runs: Some(runs) } = &menu
                && let Some(run) = runs.get(choice)
            {
                let name = run.name.clone();
                app.overlay = Some(Overlay::Menu { menu: Menu::Delete { name }, choice: 1 });
                return Vec::new();
            }
        }
        _ => {}
    }
    let length = length(app, &menu);
    let choice = movement::moved(choice, action, usize::from(app.size.1).saturating_sub(8).max(1), length);
    if let Menu::Themes { .. } = menu {
        app.theme = choice.min(app.themes.len() - 1);
    }
    app.overlay = Some(Overlay::Menu { menu, choice });
    Vec::new()
}

fn choose(app: &mut App, menu: Menu, choice: usize) -> Vec<Effect> {
    match menu {
        Menu::Gates => {
            app.overlay = Some(Overlay::Menu { menu: Menu::Gates, choice });
            let phase = PHASES[choice.min(PHASES.len() - 1)];
            let waits = app.facts.as_ref().is_some_and(|f| f.episode.rules.gates.contains(&phase));
            commands::tell(app, Command::Gate { phase, wait: !waits })
        }
        Menu::Bulk { selection, .. } => {
            let edit = BULK[choice.min(BULK.len() - 1)].1.clone();
            commands::tell(app, Command::Review { selection, edit })
        }
        Menu::Themes { .. } => {
            let name = app.theme().name();
            app.notice = Some(format!(
                "theme {name}; `theme = \"{name}\"` in screen.toml of the configuration folder keeps it"
            ));
            Vec::new()
        }
        Menu::Runs { runs } => {
            if let Some(run) = runs.as_ref().and_then(|runs| runs.get(choice)) {
                return vec![Effect::Quit(Exit::Open(run.folder.clone()))];
            }
            app.overlay = Some(Overlay::Menu { menu: Menu::Runs { runs }, choice });
            Vec::new()
        }
        Menu::Ready { ready } => match ready.get(choice) {
            Some((name, _)) => {
                app.notice = Some(format!("making a run of {name}"));
                vec![Effect::Runs(RunsOrder::Create(name.clone()))]
            }
            None => Vec::new(),
        },
        Menu::Delete { name } if choice == 0 => {
            app.notice = Some(format!("deleting run {name}"));
            vec![Effect::Runs(RunsOrder::Delete(name))]
        }
        Menu::Delete { .. } => open(app, &Action::Runs),
        Menu::Discard { .. } if choice == 0 => Vec::new(),
        Menu::Discard { draft } => {
            app.overlay = Some(Overlay::Draft(draft));
            Vec::new()
        }
    }
}

/// What became of an order about runs.
pub(super) fn runs_news(app: &mut App, news: RunsNews) -> Vec<Effect> {
    match news {
        RunsNews::Listed(listed) => {
            let shown = app.facts.as_ref().map(|f| f.record.name.clone());
            if let Some(Overlay::Menu { menu: Menu::Runs { runs }, choice }) = &mut app.overlay {
                if runs.is_none() {
                    *choice = listed.iter().position(|run| Some(&run.name) == shown.as_ref()).unwrap_or(0);
                }
                *choice = (*choice).min(listed.len().saturating_sub(1));
                *runs = Some(listed);
            }
        }
        RunsNews::Ready(found) => {
            if let Some(Overlay::Menu { menu: Menu::Ready { ready }, .. }) = &mut app.overlay {
                *ready = found;
            }
        }
        RunsNews::Created(Ok(folder)) => return vec![Effect::Quit(Exit::Open(folder))],
        RunsNews::Created(Err(message)) => app.notice = Some(message),
        RunsNews::Deleted(name, result) => {
            app.notice = Some(match result {
                Ok(()) => format!("run {name} is deleted"),
                Err(message) => message,
            });
            return open(app, &Action::Runs);
        }
    }
    Vec::new()
}
