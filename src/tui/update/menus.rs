//! Lists to choose from: gates, themes, runs, what to do with all listed data.

use super::{Effect, Exit, commands, finding, movement, overlays, reviews};
use crate::analysis::compare::Comparison;
use crate::gym::episode::{Command, Phase};
use crate::gym::instance::Split;
use crate::gym::review::{DataSelection, DatumEdit};
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, List};
use crate::tui::compare::{self, Named};
use crate::tui::facts::Listing;
use crate::tui::new_run::NewRun;
use crate::tui::overlay::{Menu, Overlay};
use crate::tui::runs::{RunRow, RunsNews, RunsOrder};

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
            overlays::ask(app, Menu::Runs { runs: None, marked: Vec::new() });
            return vec![Effect::Runs(RunsOrder::List)];
        }
        Action::Doctor => {
            app.overlay = Some(Overlay::Doctor { findings: None, scroll: 0 });
            return vec![Effect::Runs(RunsOrder::Doctor)];
        }
        Action::Bulk => match app.listing() {
            Listing::Training(_) if app.listed() == 0 => app.notice = Some("the list is empty".into()),
            Listing::Training(filter) => match reviews::selection(&filter) {
                Some(selection) => {
                    let count = app.listed();
                    bulk(app, selection, count);
                }
                None => return finding::pick(app, Listing::Training(filter)),
            },
            listing @ Listing::Picked { list: List::Training, .. } => return finding::pick(app, listing),
            Listing::Predictions(_) | Listing::Calls(_) | Listing::Picked { .. } => {
                app.notice = Some(reviews::only_data(app));
            }
        },
        _ => {}
    }
    Vec::new()
}

/// Asks what is to be done with many data.
pub(super) fn bulk(app: &mut App, selection: DataSelection, count: usize) {
    overlays::ask(app, Menu::Bulk { selection, count });
}

/// Lines of a list.
pub(crate) fn length(app: &App, menu: &Menu) -> usize {
    match menu {
        Menu::Gates => PHASES.len(),
        Menu::Bulk { .. } => BULK.len(),
        Menu::Jump { targets } => targets.len(),
        Menu::Themes { .. } => app.themes.len(),
        Menu::Runs { runs, .. } => runs.as_ref().map_or(0, Vec::len),
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
        Action::ResumeRun => {
            if let Menu::Runs { runs: Some(runs), .. } = &menu
                && let Some(run) = runs.get(choice)
            {
                let (name, folder) = (run.name.clone(), run.folder.clone());
                app.notice = Some(format!("resuming run {name}"));
                app.overlay = Some(Overlay::Menu { menu, choice });
                return vec![Effect::Runs(RunsOrder::Resume { name, folder })];
            }
        }
        Action::DeleteRun => {
            if let Menu::Runs { runs: Some(runs), .. } = &menu
                && let Some(run) = runs.get(choice)
            {
                let name = run.name.clone();
                app.overlay = Some(Overlay::Menu { menu: Menu::Delete { name }, choice: 1 });
                return Vec::new();
            }
        }
        _ => {}
    }
    let mut menu = menu;
    if let Menu::Runs { runs: Some(runs), marked } = &mut menu
        && let Some(run) = runs.get(choice)
    {
        match action {
            Action::Mark => match marked.iter().position(|name| *name == run.name) {
                Some(n) => drop(marked.remove(n)),
                None => marked.push(run.name.clone()),
            },
            Action::Compare => return compare(app, runs.clone(), marked.clone(), choice),
            _ => {}
        }
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
                "theme {name}; kept, unless screen.toml in the configuration folder names another"
            ));
            Vec::new()
        }
        Menu::Runs { runs, marked } => {
            if let Some(run) = runs.as_ref().and_then(|runs| runs.get(choice)) {
                return vec![Effect::Quit(Exit::Open(run.folder.clone()))];
            }
            app.overlay = Some(Overlay::Menu { menu: Menu::Runs { runs, marked }, choice });
            Vec::new()
        }
        Menu::Ready { ready } => {
            let name = ready.get(choice).map(|(name, _)| name.clone());
            // The form takes the place of this list, and of nothing else that is open by then.
            app.overlay = Some(Overlay::Menu { menu: Menu::Ready { ready }, choice });
            name.map_or_else(Vec::new, |name| {
                app.notice = Some(format!("reading configuration {name}"));
                vec![Effect::Runs(RunsOrder::Settings(name))]
            })
        }
        Menu::Jump { targets } => {
            if let Some(target) = targets.into_iter().nth(choice) {
                finding::jump(app, target);
            }
            Vec::new()
        }
        Menu::Delete { name } if choice == 0 => {
            app.notice = Some(format!("deleting run {name}"));
            overlays::ask(app, Menu::Runs { runs: None, marked: Vec::new() });
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

/// Opens the comparison of the marked runs; of fewer than two, the run on the screen with the chosen one.
fn compare(app: &mut App, runs: Vec<RunRow>, mut marked: Vec<String>, choice: usize) -> Vec<Effect> {
    let shown = app.facts.as_ref().map(|facts| facts.record.name.clone());
    for name in [shown, runs.get(choice).map(|run| run.name.clone())].into_iter().flatten() {
        if marked.len() < 2 && !marked.contains(&name) {
            marked.push(name);
        }
    }
    let named = |name: &String| runs.iter().find(|run| run.name == *name);
    let chosen: Vec<Named> = marked
        .iter()
        .filter_map(named)
        .map(|run| Named { name: run.name.clone(), database: run.database.clone() })
        .collect();
    if chosen.len() < 2 {
        app.notice = Some("a comparison takes two runs: mark them, or choose another one than this".into());
        app.overlay = Some(Overlay::Menu { menu: Menu::Runs { runs: Some(runs), marked }, choice });
        return Vec::new();
    }
    read_comparison(app, chosen, Split::Test)
}

fn read_comparison(app: &mut App, runs: Vec<Named>, split: Split) -> Vec<Effect> {
    app.overlay = Some(Overlay::Compare { runs: runs.clone(), split, shown: None, scroll: 0 });
    vec![Effect::Runs(RunsOrder::Compare { runs, split })]
}

/// A key while runs are compared. They were taken out of the state.
pub(super) fn in_comparison(
    app: &mut App,
    action: &Action,
    runs: Vec<Named>,
    split: Split,
    shown: Option<Result<Comparison, String>>,
    scroll: usize,
) -> Vec<Effect> {
    match action {
        Action::Close => return open(app, &Action::Runs),
        Action::OtherSplit => {
            let other = if split == Split::Test { Split::Validation } else { Split::Test };
            return read_comparison(app, runs, other);
        }
        _ => {}
    }
    let stops = crate::tui::view::comparison_stops(app, shown.as_ref());
    let rows = usize::from(app.size.1).saturating_sub(6).max(1);
    let scroll = movement::moved(scroll.min(stops - 1), action, rows, stops);
    let files = match (&shown, action) {
        (Some(Ok(comparison)), Action::Export) => compare::exported(comparison),
        _ => Vec::new(),
    };
    app.overlay = Some(Overlay::Compare { runs, split, shown, scroll });
    if files.is_empty() { Vec::new() } else { vec![Effect::Export(files)] }
}

/// A key in the form of a new run. It was taken out of the state.
pub(super) fn in_form(app: &mut App, action: &Action, mut form: NewRun) -> Vec<Effect> {
    let count = form.settings.len();
    match action {
        Action::Close => {
            overlays::ask(app, Menu::Ready { ready: Vec::new() });
            return vec![Effect::Runs(RunsOrder::Ready)];
        }
        Action::Open if matches!(form.checked, Some(Err(_))) => {
            app.notice = Some("the configuration has a mistake; mend it first".into());
        }
        Action::Open if app.making.is_some() => {
            let of = app.making.as_deref().unwrap_or_default();
            app.notice = Some(format!("a run of {of} is being made already; wait a moment"));
        }
        Action::Open => {
            let (configuration, changes) = (form.configuration.clone(), form.changes());
            app.making = Some(configuration.clone());
            app.notice = Some(format!("making a run of {configuration}"));
            app.overlay = Some(Overlay::NewRun(form));
            return vec![Effect::Runs(RunsOrder::Create { configuration, changes })];
        }
        Action::NextPart => form.turn(1),
        Action::PreviousPart => form.turn(-1),
        _ => form.selected = movement::moved(form.selected, action, count, count),
    }
    app.overlay = Some(Overlay::NewRun(form));
    check(app)
}

/// Has the values of a new run checked, unless that was done.
pub(super) fn check(app: &App) -> Vec<Effect> {
    match &app.overlay {
        Some(Overlay::NewRun(form)) if form.checked.is_none() => {
            let (configuration, changes) = (form.configuration.clone(), form.changes());
            vec![Effect::Runs(RunsOrder::Check { configuration, changes })]
        }
        _ => Vec::new(),
    }
}

/// What became of an order about runs.
pub(super) fn runs_news(app: &mut App, news: RunsNews) -> Vec<Effect> {
    match news {
        RunsNews::Listed(listed) => {
            let shown = app.facts.as_ref().map(|f| f.record.name.clone());
            if let Some(Overlay::Menu { menu: Menu::Runs { runs, .. }, choice }) = &mut app.overlay {
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
        RunsNews::Created(made) => {
            app.making = None;
            match (made, &mut app.overlay) {
                (Ok(folder), None | Some(Overlay::NewRun(_))) => {
                    return vec![Effect::Quit(Exit::Open(folder))];
                }
                // What is being typed is not lost.
                (Ok(folder), Some(_)) => {
                    let key = app.keymap.key(Context::Everywhere, &Action::Runs);
                    app.notice = Some(format!("the new run works in {}; {key} lists it", folder.display()));
                }
                (Err(message), Some(Overlay::NewRun(form))) => form.checked = Some(Err(message)),
                (Err(message), _) => app.notice = Some(message),
            }
        }
        RunsNews::Settings { settings: Err(message), .. } => app.notice = Some(message),
        RunsNews::Settings { configuration, settings: Ok(settings) } => {
            if matches!(app.overlay, Some(Overlay::Menu { menu: Menu::Ready { .. }, .. })) {
                app.notice = None;
                app.overlay = Some(Overlay::NewRun(NewRun::new(configuration, settings)));
                return check(app);
            }
        }
        RunsNews::Checked { changes, result } => {
            if let Some(Overlay::NewRun(form)) = &mut app.overlay
                && form.changes() == changes
            {
                form.checked = Some(result);
            }
        }
        RunsNews::Doctor(found) => {
            if let Some(Overlay::Doctor { findings, .. }) = &mut app.overlay {
                *findings = Some(found);
            }
        }
        RunsNews::Compared { runs: of, split: on, result } => {
            if let Some(Overlay::Compare { runs, split, shown, .. }) = &mut app.overlay
                && (&*runs, *split) == (&of, on)
            {
                *shown = Some(result);
            }
        }
        RunsNews::Resumed { name, result } => {
            return listed_anew(
                app,
                result.map_or_else(|message| message, |how| format!("run {name} {how}")),
            );
        }
        RunsNews::Deleted(name, result) => {
            return listed_anew(
                app,
                result.map_or_else(|message| message, |()| format!("run {name} is deleted")),
            );
        }
    }
    Vec::new()
}

/// What came of an order about a run; the list of runs follows where it is open.
fn listed_anew(app: &mut App, notice: String) -> Vec<Effect> {
    app.notice = Some(notice);
    match app.overlay {
        Some(Overlay::Menu { menu: Menu::Runs { .. }, .. }) => vec![Effect::Runs(RunsOrder::List)],
        _ => Vec::new(),
    }
}
