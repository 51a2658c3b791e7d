//! Moving through lists and texts.

use crate::tui::action::Action;
use crate::tui::app::App;
use crate::tui::layout::{self, Pane};
use crate::tui::view;

/// A movement key in the focused pane.
pub(super) fn in_pane(app: &mut App, action: &Action) {
    let rows = pane_rows(app);
    match app.focus {
        Pane::Skills => {
            let skills = app.skill_rows();
            let row = moved(app.selected_row(&skills), action, rows, skills.len());
            let key = skills.get(row).map(|r| (r.skill.clone(), r.subskill.clone())).unwrap_or_default();
            if key != app.skill {
                app.samples.selected = 0;
                app.samples.scroll = 0;
            }
            app.skill = key;
        }
        Pane::Iterations => {
            let count = app.facts.as_ref().map_or(0, |f| f.episode.iterations.len());
            let row = moved(app.shown_iteration() as usize, action, rows, count);
            app.iteration = (row as u32 != app.default_iteration()).then_some(row as u32);
            app.samples.selected = 0;
            app.samples.scroll = 0;
        }
        Pane::Machine => {
            app.machine_scroll = moved(app.machine_scroll, action, rows, view::machine_stops(app));
        }
        Pane::Samples if app.samples.reading => {
            app.samples.scroll = moved(app.samples.scroll, action, rows, view::reading_stops(app));
        }
        Pane::Samples => {
            let total = app.samples.page.as_ref().map_or(0, |p| p.total);
            app.samples.selected = moved(app.samples.selected, action, app.list_rows(), total);
            app.samples.scroll = 0;
        }
    }
}

/// The next or previous sample while one is being read.
pub(super) fn sample(app: &mut App, step: isize) {
    let last = app.samples.page.as_ref().map_or(0, |p| p.total).saturating_sub(1);
    // Where a sample left the list, the next one stands in its place.
    let step = if app.samples.kept.take().is_some() { step.min(0) } else { step };
    app.samples.selected = app.samples.selected.saturating_add_signed(step).min(last);
    app.samples.scroll = 0;
}

fn pane_rows(app: &App) -> usize {
    let area = app.places().pane(app.focus).map(layout::inside);
    area.map_or(1, |a| usize::from(a.height)).saturating_sub(1).max(1)
}

/// Where a movement leads in a list of `count` rows.
pub(super) fn moved(at: usize, action: &Action, page: usize, count: usize) -> usize {
    let last = count.saturating_sub(1);
    match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::Top => 0,
        Action::Bottom => last,
        _ => at,
    }
    .min(last)
}
