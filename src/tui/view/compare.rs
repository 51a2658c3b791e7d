//! Runs beside each other.

use ratatui::layout::Rect;

use super::overlay::panel;
use crate::gym::instance::Split;
use crate::gym::statistics::Estimate;
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line, paragraph};
use crate::tui::compare::{Comparison, Named, Row};
use crate::tui::text::{left, points, right};
use crate::tui::theme::Scope;

/// Columns of an accuracy, and of a difference with its interval.
const SHARE: usize = 8;
const DIFFERENCE: usize = 27;

pub(super) fn draw(
    app: &App,
    canvas: &mut Canvas<'_>,
    runs: &[Named],
    split: Split,
    shown: Option<&Result<Comparison, String>>,
    scroll: usize,
) {
    let title = format!(" {} runs on the {} split ", runs.len(), split.as_str());
    let size = (app.size.0.saturating_sub(4).min(150), app.size.1.saturating_sub(5));
    let Some(inner) = panel(app, canvas, size, &Line::of(Scope::TitleFocus, title)) else { return };
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let columns = usize::from(inner.width);
    let lines = match shown {
        None => vec![Line::of(Scope::Muted, "Reading the answers of the runs.")],
        Some(Err(reason)) => {
            let key = app.keymap.key(Context::Compare, &Action::OtherSplit);
            let other = if split == Split::Test { Split::Validation } else { Split::Test };
            paragraph(Scope::Warn, &format!("{reason}. {key} goes to the {} split.", other.as_str()), columns)
        }
        Some(Ok(comparison)) => lines(comparison, columns),
    };
    let skip = scroll.min(lines.len().saturating_sub(inner.height.into()));
    canvas.lines(inner, &lines, skip);
}

/// How far a comparison can be scrolled, plus one.
pub(super) fn stops(app: &App, shown: Option<&Result<Comparison, String>>) -> usize {
    let columns = usize::from(app.size.0.saturating_sub(8).min(146));
    let height = usize::from(app.size.1.saturating_sub(5));
    let count = shown.and_then(|shown| shown.as_ref().ok()).map_or(1, |c| lines(c, columns).len());
    count.saturating_sub(height) + 1
}

fn lines(comparison: &Comparison, columns: usize) -> Vec<Line> {
    let Some(all) = comparison.rows.first() else { return Vec::new() };
    let mut lines = Vec::new();
    for (n, (name, iteration)) in comparison.runs.iter().enumerate() {
        let mark = letter(n);
        let what = if n == 0 { ", which the others are compared with" } else { "" };
        lines.push(
            Line::of(Scope::Key, format!("{mark}  "))
                .with(Scope::Strong, name.as_str())
                .with(Scope::Muted, format!(", iteration {iteration}{what}")),
        );
    }
    lines.push(Line::of(Scope::Muted, format!("{} instances were answered by all of them.", all.instances)));
    lines.push(Line::default());
    let widest = comparison.rows.iter().filter_map(|row| row.skill.as_ref()).map(|s| s.chars().count()).max();
    let name = widest.unwrap_or(0).clamp(10, 22);
    // The others as many beside each other as fit, the rest below.
    let fits = (columns.saturating_sub(name + 6 + SHARE) / (SHARE + DIFFERENCE)).max(1);
    let others: Vec<usize> = (1..comparison.runs.len()).collect();
    for (part, some) in others.chunks(fits).enumerate() {
        if part > 0 {
            lines.push(Line::default());
        }
        let mut head = left("skill", name) + &right("n", 6) + &right("A %", SHARE);
        for n in some {
            head += &right(&format!("{} %", letter(*n)), SHARE);
            head += &left(&format!("  {} - A, 95 % interval", letter(*n)), DIFFERENCE);
        }
        lines.push(Line::of(Scope::Muted, head));
        lines.extend(comparison.rows.iter().map(|row| self::row(row, some, name)));
    }
    lines.push(Line::default());
    let about = "Differences are paired: the same instances, answered by both. A difference whose interval \
        leaves out 0 is marked. Every interval holds by itself; of many skills, one in twenty misses by chance.";
    lines.extend(paragraph(Scope::Muted, about, columns));
    lines
}

fn letter(n: usize) -> char {
    char::from(b'A' + n.min(25) as u8)
}

fn row(row: &Row, others: &[usize], name: usize) -> Line {
    let share =
        |n: usize| row.accuracy.get(n).map_or_else(String::new, |share| format!("{:.1}", share * 100.0));
    let scope = if row.skill.is_none() { Scope::Strong } else { Scope::Text };
    let mut line = Line::of(scope, left(row.skill.as_deref().unwrap_or("all skills"), name))
        .with(Scope::Muted, right(&row.instances.to_string(), 6))
        .with(scope, right(&share(0), SHARE));
    for n in others {
        line.push(scope, right(&share(*n), SHARE));
        let (scope, text) = row
            .difference
            .get(n - 1)
            .copied()
            .flatten()
            .map_or_else(|| (Scope::Muted, String::new()), difference);
        line.push(scope, left(&text, DIFFERENCE));
    }
    line
}

fn difference(e: Estimate) -> (Scope, String) {
    let (scope, mark) = match (e.low > 0.0, e.high < 0.0) {
        (true, _) => (Scope::Good, " *"),
        (_, true) => (Scope::Bad, " *"),
        _ => (Scope::Muted, ""),
    };
    let interval = format!("[{}, {}]", points(e.low), points(e.high));
    (scope, format!("{}  {interval}{mark}", right(&points(e.mean), 7)))
}
