//! Runs beside each other.

use ratatui::layout::Rect;

use super::overlay::panel;
use crate::analysis::compare::{Comparison, Side};
use crate::gym::instance::Split;
use crate::gym::statistics::Estimate;
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line, paragraph};
use crate::tui::compare::Named;
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
    let (width, height) = (app.size.0.saturating_sub(4).min(150), app.size.1.saturating_sub(5));
    let columns = usize::from(width.saturating_sub(2));
    let lines = match shown {
        None => vec![Line::of(Scope::Muted, "Reading the answers of the runs.")],
        Some(Err(reason)) => {
            let key = app.keymap.key(Context::Compare, &Action::OtherSplit);
            let other = if split == Split::Test { Split::Validation } else { Split::Test };
            paragraph(Scope::Warn, &format!("{reason}. {key} goes to the {} split.", other.as_str()), columns)
        }
        Some(Ok(comparison)) => lines(comparison, columns),
    };
    let size = (width, height.min(lines.len() as u16));
    let Some(inner) = panel(app, canvas, size, &Line::of(Scope::TitleFocus, title)) else { return };
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
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
    let Some(first) = comparison.runs.first() else { return Vec::new() };
    let mut lines = Vec::new();
    for (n, side) in comparison.runs.iter().enumerate() {
        let mark = letter(n);
        let what = if n == 0 { ", which the others are compared with" } else { "" };
        lines.push(
            Line::of(Scope::Key, format!("{mark}  "))
                .with(Scope::Strong, side.run.as_str())
                .with(Scope::Muted, format!(", iteration {}{what}", side.iteration)),
        );
    }
    lines.push(Line::of(
        Scope::Muted,
        format!("{} questions were answered by all of them.", comparison.common),
    ));
    lines.push(Line::default());
    let widest = first.skills.keys().map(|skill| skill.chars().count()).max();
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
        let beside: Vec<&Side> = some.iter().map(|n| &comparison.runs[*n]).collect();
        let skills = first.skills.keys().map(|skill| Some(skill.as_str()));
        lines.extend(std::iter::once(None).chain(skills).map(|skill| row(first, &beside, skill, name)));
    }
    lines.push(Line::default());
    let about = "Differences are paired: the same questions, answered by both. Marked with * is what a test calls a \
        difference (exact McNemar, p below 0.05, corrected by Holm over the runs or over the skills).";
    lines.extend(paragraph(Scope::Muted, about, columns));
    lines
}

fn letter(n: usize) -> char {
    char::from(b'A' + n.min(25) as u8)
}

/// One skill, or all of them.
fn row(first: &Side, others: &[&Side], skill: Option<&str>, name: usize) -> Line {
    let accuracy = |side: &Side| skill.map_or(Some(side.accuracy), |skill| side.skills.get(skill).copied());
    let share = |side| accuracy(side).map_or_else(String::new, |e| format!("{:.1}", e.mean * 100.0));
    let scope = if skill.is_none() { Scope::Strong } else { Scope::Text };
    let count = accuracy(first).map_or(0, |e| e.n).to_string();
    let mut line = Line::of(scope, left(skill.unwrap_or("all skills"), name))
        .with(Scope::Muted, right(&count, 6))
        .with(scope, right(&share(first), SHARE));
    for side in others {
        line.push(scope, right(&share(side), SHARE));
        let against = side.against_first.as_ref();
        let found = against.and_then(|d| match skill {
            None => Some((d.difference, d.p)),
            Some(skill) => d.skills.get(skill).copied(),
        });
        let (scope, text) = found.map_or_else(|| (Scope::Muted, String::new()), |(e, p)| difference(e, p));
        line.push(scope, left(&text, DIFFERENCE));
    }
    line
}

fn difference(e: Estimate, p: f64) -> (Scope, String) {
    let (scope, mark) = match (p < 0.05, e.mean > 0.0) {
        (false, _) => (Scope::Muted, ""),
        (true, true) => (Scope::Good, " *"),
        (true, false) => (Scope::Bad, " *"),
    };
    let interval = format!("[{}, {}]", points(e.low), points(e.high));
    (scope, format!("{}  {interval}{mark}", right(&points(e.mean), 7)))
}
