//! What lies over the panes: help, details, the question before leaving.

use ratatui::layout::Rect;

use super::details;
use crate::tui::action::{BINDINGS, Context};
use crate::tui::app::{App, Overlay};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::status::{State, describe};
use crate::tui::text::{left, wrap};
use crate::tui::theme::Scope;
use crate::tui::update::ANSWERS;

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    if let Some(Overlay::Leaving { choice }) = app.overlay {
        leaving(app, canvas, choice);
        return;
    }
    let Some((title, inner, lines)) = content(app) else { return };
    let scroll = match app.overlay {
        Some(Overlay::Help { scroll } | Overlay::Details { scroll }) => scroll,
        _ => 0,
    };
    let area = Rect { x: inner.x - 1, y: inner.y - 1, width: inner.width + 2, height: inner.height + 2 };
    canvas.clear(area);
    let stops = lines.len().saturating_sub(inner.height.into());
    let skip = scroll.min(stops);
    let mut caption = Line::of(Scope::TitleFocus, format!(" {title} "));
    if stops > skip {
        caption.push(Scope::Hint, format!("{} more lines, j scrolls ", stops - skip));
    }
    canvas.block(area, &caption, true);
    canvas.lines(inner, &lines, skip);
}

/// Title, place and lines of the open text, if one is open.
pub(super) fn content(app: &App) -> Option<(&'static str, Rect, Vec<Line>)> {
    let (width, height) = app.size;
    let columns = width.saturating_sub(6).min(92);
    let (title, lines) = match app.overlay? {
        Overlay::Help { .. } => ("Help", help(columns.into())),
        Overlay::Details { .. } => ("Details", details::lines(app, columns.into())),
        Overlay::Leaving { .. } => return None,
    };
    let rows = (lines.len() as u16).min(height.saturating_sub(4));
    (columns >= 1 && rows >= 1).then(|| (title, centred(width, height, columns, rows), lines))
}

fn centred(width: u16, height: u16, columns: u16, rows: u16) -> Rect {
    let (columns, rows) = (columns.min(width.saturating_sub(2)), rows.min(height.saturating_sub(2)));
    Rect { x: (width - columns) / 2, y: (height - rows) / 2, width: columns, height: rows }
}

/// Every key, from the table that also dispatches them.
fn help(columns: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let about = "A run improves a small language model, the student, over iterations. Each iteration: the policy \
        looks at the student's accuracy per skill and plans how much data each skill gets (it explores new \
        subskills or exploits known ones), the engine generates the data, checks accept or reject them, the \
        student is trained on what was accepted, and it is evaluated again on the validation split. In the end \
        the best iteration by validation is compared with the untrained student on the test split. Every accuracy \
        comes with its 95 % interval.";
    lines.extend(wrap(about, columns).into_iter().map(|l| Line::of(Scope::Text, l)));
    let contexts = [
        Context::Everywhere,
        Context::Skills,
        Context::Iterations,
        Context::Samples,
        Context::Reading,
        Context::Overlay,
        Context::Leaving,
    ];
    let widest = BINDINGS.iter().map(|b| b.keys().chars().count()).max().unwrap_or(0).min(columns / 3);
    for context in contexts {
        lines.push(Line::default());
        lines.push(Line::of(Scope::Strong, context.heading()));
        for binding in BINDINGS.iter().filter(|b| b.context == context) {
            let room = columns.saturating_sub(widest + 4).max(8);
            for (n, part) in wrap(binding.description, room).iter().enumerate() {
                let keys = if n == 0 { binding.keys() } else { String::new() };
                let line = Line::of(Scope::Key, format!("  {}  ", left(&keys, widest)));
                lines.push(line.with(Scope::Text, part.as_str()));
            }
        }
    }
    lines
}

fn leaving(app: &App, canvas: &mut Canvas<'_>, choice: usize) {
    let (width, height) = app.size;
    let question = match State::of(app) {
        State::Running(work) => format!("The runner is at {} and needs no screen.", describe(work)),
        other => format!("The run is {}; its runner waits for commands.", other.badge().1),
    };
    let rows = ANSWERS.len() as u16 + 2;
    if width < 8 || height < rows + 2 {
        canvas.text(
            0,
            height.saturating_sub(1),
            width,
            Scope::Warn,
            "quit? d leave  s stop after phase  x now  c no",
        );
        return;
    }
    let inner = centred(width, height, 68.min(width - 4), rows);
    let area = Rect { x: inner.x - 1, y: inner.y - 1, width: inner.width + 2, height: inner.height + 2 };
    canvas.clear(area);
    canvas.block(area, &Line::of(Scope::TitleFocus, " Leave? "), true);
    canvas.line(inner, 0, &Line::of(Scope::Text, format!(" {question}")));
    for (n, answer) in ANSWERS.iter().enumerate() {
        canvas.line(inner, n as u16 + 2, &Line::of(Scope::Text, format!("  {answer}")));
        if n == choice {
            canvas.highlight(inner, n as u16 + 2, true);
        }
    }
}
