//! The second pane: one row per iteration, and below it what goes on now.

use ratatui::layout::Rect;

use super::now;
use crate::gym::episode::{Episode, Iteration};
use crate::gym::report::Report;
use crate::store::PhaseTiming;
use crate::tui::app::{App, window};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::text::{duration, interval, left, rate, right};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let Some(facts) = &app.facts else { return String::new() };
    let budget = &facts.episode.rules.budget;
    let done = facts.episode.iterations.len().saturating_sub(1);
    let data = budget.training_data.map(|d| format!(", {} of {d} data", facts.episode.accepted()));
    let why = facts.episode.limit.map_or_else(String::new, |limit| format!(", {}", limit.as_str()));
    format!("{done} of {}{}{why}", budget.iterations, data.unwrap_or_default())
}

/// Time an iteration's phases took, in milliseconds; those still running do not count.
pub(super) fn spent(timings: &[PhaseTiming], iteration: u32) -> u64 {
    let phases = timings.iter().filter(|t| t.iteration == iteration);
    phases.filter_map(|t| u64::try_from(t.ended_ms? - t.began_ms).ok()).sum()
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect, focused: bool) {
    let Some(facts) = &app.facts else {
        let text = app.source_error.as_deref().unwrap_or("Reading the run.");
        canvas.lines(area, &crate::tui::canvas::paragraph(Scope::Muted, text, area.width.into()), 0);
        return;
    };
    let episode = &facts.episode;
    let (table, below) = layout::iterations(area, episode.iterations.len());
    let columns = Columns::of(area.width, episode.iterations.iter().any(|row| row.tokens > 0));
    canvas.line(table, 0, &heading(columns));
    let visible = usize::from(table.height.saturating_sub(1)).max(1);
    let selected = app.shown_iteration() as usize;
    let top = window(selected, visible, episode.iterations.len());
    for (n, row) in episode.iterations.iter().enumerate().skip(top).take(visible) {
        let at = (n - top) as u16 + 1;
        let time = spent(&facts.timings, n as u32);
        canvas.line(table, at, &line(episode, n as u32, row, time, app, columns));
        if n == selected {
            canvas.highlight(table, at, focused);
        }
    }
    now::draw(app, canvas, below);
}

/// Widths of the last columns; 0 leaves one out.
#[derive(Clone, Copy)]
struct Columns {
    test: usize,
    rejected: usize,
    tokens: usize,
    time: usize,
}

impl Columns {
    /// Where there is little room, tokens that were counted are worth more than the interval of the test accuracy, which
    /// the details and the charts show as well.
    fn of(width: u16, counted: bool) -> Self {
        match width {
            0..58 => Self { test: 7, rejected: 9, tokens: 0, time: 11 },
            58..64 if counted => Self { test: 7, rejected: 9, tokens: 7, time: 11 },
            64..72 if counted => Self { test: 13, rejected: 9, tokens: 7, time: 11 },
            58..64 => Self { test: 13, rejected: 9, tokens: 0, time: 12 },
            64..72 => Self { test: 13, rejected: 10, tokens: 0, time: 13 },
            _ => Self { test: 13, rejected: 10, tokens: 9, time: 13 },
        }
    }
}

fn heading(columns: Columns) -> Line {
    let mut text = left("", 5) + &left("validation %", 13) + &left("test %", columns.test);
    text += &right("data", 6);
    text += &right("rejected", columns.rejected);
    text += &right("tokens", columns.tokens);
    text += &right("time", columns.time);
    Line::of(Scope::Muted, text)
}

fn line(episode: &Episode, n: u32, row: &Iteration, time: u64, app: &App, columns: Columns) -> Line {
    let selected = episode.selected == Some(n);
    let working = episode.work.filter(|_| app.running()).is_some_and(|w| w.iteration == n);
    let (scope, mark) = match (selected, working) {
        (true, _) => (Scope::Good, app.glyphs.best),
        (false, true) => (Scope::Running, app.glyphs.here),
        (false, false) => (Scope::Text, " "),
    };
    let mut line = Line::of(scope, format!("{mark} ")).with(Scope::Strong, left(&n.to_string(), 3));
    for (report, columns) in [(&row.validation, 13), (&row.test, columns.test)] {
        let (mean, range) = report.as_ref().map_or_else(|| ("-".to_owned(), String::new()), score);
        line.push(Scope::Text, right(&mean, 5));
        // Half an interval says nothing.
        let range = if columns < 13 { String::new() } else { format!(" {range}") };
        line.push(Scope::Muted, left(&range, columns - 5));
    }
    let number = |count: u32| if row.generated == 0 { "-".to_owned() } else { count.to_string() };
    line.push(Scope::Text, right(&number(row.accepted), 6));
    line.push(Scope::Text, right(&number(row.rejected), columns.rejected));
    let tokens = if row.tokens > 0 { rate(row.tokens as f64) } else { String::new() };
    line.push(Scope::Muted, right(&tokens, columns.tokens));
    let time = if time > 0 { duration(time) } else { String::new() };
    line.push(Scope::Muted, right(&time, columns.time));
    line
}

fn score(report: &Report) -> (String, String) {
    (format!("{:.1}", report.overall.mean * 100.0), interval(&report.overall))
}
