//! The filter being written, and the values of a field.

use ratatui::layout::Rect;

use super::overlay::{line_of, panel};
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, window};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::facets::Facet;
use crate::tui::filter::{self, Field};
use crate::tui::text::{cut, left, right, width};
use crate::tui::text_box::TextBox;
use crate::tui::theme::Scope;
use crate::tui::update::proposals;

/// What stands before the line.
const LABEL: &str = "/ ";
/// Proposals in sight.
const PROPOSALS: u16 = 5;

/// At the bottom of the screen, so that the list above shows what is found.
pub(super) fn filter(app: &App, canvas: &mut Canvas<'_>, line: &TextBox) {
    let (columns, height) = app.size;
    let rows = (PROPOSALS + 4).min(height.saturating_sub(2));
    if columns < 8 || rows < 4 {
        return;
    }
    let area = Rect { x: 0, y: height - 1 - rows, width: columns, height: rows };
    canvas.clear(area);
    let title = Line::of(Scope::TitleFocus, " What the list shows ");
    let inner = canvas.block(area, &title, true);
    line_of(canvas, inner, 0, LABEL, line);
    canvas.line(inner, 1, &verdict(app, line, inner.width));
    let found = proposals(app, line);
    let key = app.keymap.key(Context::Filter, &Action::Complete);
    for (n, candidate) in found.iter().take(usize::from(inner.height.saturating_sub(2))).enumerate() {
        let hint = if n == 0 { format!(" {} ", left(&key, 4)) } else { " ".repeat(6) };
        let line = Line::of(Scope::Key, hint)
            .with(Scope::Strong, left(&candidate.text, 22))
            .with(Scope::Muted, candidate.about);
        canvas.line(inner, n as u16 + 2, &line);
    }
}

/// What is wrong, with a mark under the place; or what the filter finds.
fn verdict(app: &App, line: &TextBox, columns: u16) -> Line {
    match filter::read(line.text()) {
        Err(mistake) => {
            let before = width(&line.text()[..mistake.at.start]) + LABEL.len() + 1;
            let long = width(&line.text()[mistake.at]).max(1);
            // A line longer than the field is scrolled, and a mark would point at another place.
            let marks = before + long < usize::from(columns);
            let mark =
                if marks { format!("{}{}", " ".repeat(before), "^".repeat(long)) } else { String::new() };
            let room = usize::from(columns).saturating_sub(width(&mark) + 2);
            Line::of(Scope::Bad, mark).with(Scope::Bad, format!(" {}", cut(&mistake.message, room)))
        }
        Ok(filter) => {
            let page = app.samples.page.as_ref().filter(|page| page.listing == app.listing());
            let count = page.map_or_else(
                || "   looking".to_owned(),
                |page| format!("   {}{} found", page.total, if page.exact { "" } else { "+" }),
            );
            let idle: Vec<&str> = filter.idle(app.samples.list).into_iter().map(Field::name).collect();
            let idle = if idle.is_empty() {
                String::new()
            } else {
                format!("; this list has no {}: it counts in another list", idle.join(", "))
            };
            Line::of(Scope::Muted, count + &idle)
        }
    }
}

/// The values of a field as bars.
pub(super) fn facets(app: &App, canvas: &mut Canvas<'_>, field: usize, choice: usize, facet: Option<&Facet>) {
    let listing = app.listing();
    let columns = app.size.0.saturating_sub(6).min(90);
    let rows = app.size.1.saturating_sub(8).clamp(3, 24);
    let mut title = Line::of(Scope::TitleFocus, " Values of");
    for (n, one) in listing.countable().iter().enumerate() {
        let (scope, name) = if n == field {
            (Scope::TitleFocus, format!(" [{}]", one.name()))
        } else {
            (Scope::Muted, format!(" {}", one.name()))
        };
        title.push(scope, name);
    }
    title.push(Scope::Text, " ");
    let Some(inner) = panel(app, canvas, (columns, rows), &title) else { return };
    let Some(facet) = facet else {
        canvas.line(inner, 0, &Line::of(Scope::Muted, " Counting."));
        return;
    };
    let total: u64 = facet.values.iter().map(|(_, count)| count).sum();
    let listed = app.listed() as u64;
    let some = if facet.exact { "" } else { ", counted in part" };
    let head = format!(" {} values among {listed} listed{some}", facet.values.len());
    canvas.line(inner, 0, &Line::of(Scope::Muted, head));
    if facet.values.is_empty() {
        canvas.line(inner, 2, &Line::of(Scope::Muted, " None of the listed samples has this field."));
        return;
    }
    let below = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
    let largest = facet.values.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let widest = facet.values.iter().map(|(value, _)| width(value)).max().unwrap_or(0).clamp(8, 34);
    let room = usize::from(below.width).saturating_sub(widest + 22).min(40);
    let top = window(choice, below.height.into(), facet.values.len());
    for (n, (value, count)) in facet.values.iter().enumerate().skip(top).take(below.height.into()) {
        let at = (n - top) as u16;
        let (bar, _) = canvas.glyphs.bar(*count as f64 / largest as f64, room);
        let share = *count as f64 / total.max(1) as f64 * 100.0;
        let line = Line::of(Scope::Text, format!(" {} ", left(value, widest)))
            .with(Scope::Strong, right(&count.to_string(), 9))
            .with(Scope::Muted, right(&format!("{share:.1} %"), 8))
            .with(Scope::Bar, format!("  {bar}"));
        canvas.line(below, at, &line);
        if n == choice {
            canvas.highlight(below, at, true);
        }
    }
}
