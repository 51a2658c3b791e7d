//! What lies over the panes: help, details, log, lists, forms, the question before leaving.

use ratatui::layout::Rect;

use super::{charts, compare, details, draft, finding, forms, log, menus, new_run};
use crate::tui::action::{Action, Context, Entry};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::overlay::{About, Overlay};
use crate::tui::palette;
use crate::tui::status::{State, describe};
use crate::tui::text::{left, wrap};
use crate::tui::text_box::TextBox;
use crate::tui::theme::Scope;
use crate::tui::update::ANSWERS;

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    match &app.overlay {
        None => {}
        Some(Overlay::Leaving { choice }) => leaving(app, canvas, *choice),
        Some(Overlay::Help { search, scroll }) => help(app, canvas, search, *scroll),
        Some(Overlay::Details { scroll } | Overlay::Log { scroll } | Overlay::Doctor { scroll, .. }) => {
            text(app, canvas, *scroll);
        }
        Some(Overlay::Palette { search, choice, from }) => commands(app, canvas, search, *choice, *from),
        Some(Overlay::Menu { menu, choice }) => menus::draw(app, canvas, menu, *choice),
        Some(Overlay::Prompt { about, line }) => prompt(app, canvas, about, line),
        Some(Overlay::Filter { line, .. }) => finding::filter(app, canvas, line),
        Some(Overlay::Facets { field, choice, facet }) => {
            finding::facets(app, canvas, *field, *choice, facet.as_ref());
        }
        Some(Overlay::Limits(limits)) => forms::limits(app, canvas, limits),
        Some(Overlay::Plan(plan)) => forms::plan(app, canvas, plan),
        Some(Overlay::Draft(edited)) => draft::draw(app, canvas, edited),
        Some(Overlay::Charts { chart, skill, recent }) => charts::draw(app, canvas, *chart, *skill, *recent),
        Some(Overlay::Compare { runs, split, shown, scroll }) => {
            compare::draw(app, canvas, runs, *split, shown.as_ref(), *scroll);
        }
        Some(Overlay::NewRun(form)) => new_run::form(app, canvas, form),
    }
}

/// A frame of so many columns and rows in the middle of the screen; returns what is inside. `None` where the
/// screen is too small for any.
pub(super) fn panel(app: &App, canvas: &mut Canvas<'_>, size: (u16, u16), title: &Line) -> Option<Rect> {
    let inner = place(app, size)?;
    let area = Rect { x: inner.x - 1, y: inner.y - 1, width: inner.width + 2, height: inner.height + 2 };
    canvas.clear(area);
    canvas.block(area, title, true);
    Some(inner)
}

/// The place for so many columns and rows in the middle, the last row of the screen left free for the keys.
pub(super) fn place(app: &App, (columns, rows): (u16, u16)) -> Option<Rect> {
    let (width, height) = app.size;
    let (columns, rows) = (columns.min(width.saturating_sub(2)), rows.min(height.saturating_sub(3)));
    (columns >= 4 && rows >= 1).then(|| Rect {
        x: (width - columns) / 2,
        y: (height.saturating_sub(1 + rows)) / 2,
        width: columns,
        height: rows,
    })
}

/// The most columns a text gets.
fn wide(app: &App) -> u16 {
    app.size.0.saturating_sub(6).min(96)
}

/// A text that lies over the panes.
struct Content {
    title: &'static str,
    lines: Vec<Line>,
    /// Columns and rows it would have.
    size: (u16, u16),
}

/// The open text.
fn content(app: &App) -> Option<Content> {
    let columns = wide(app);
    let fitted = |title, lines: Vec<Line>| Content { title, size: (columns, lines.len() as u16), lines };
    match &app.overlay {
        Some(Overlay::Details { .. }) => Some(fitted("Details", details::lines(app, columns.into()))),
        Some(Overlay::Doctor { findings, .. }) => {
            Some(fitted("This machine", new_run::doctor(findings.as_deref(), columns.into())))
        }
        // It grows while one looks: a window of its own size for every line would be drawn anew for every line, and
        // rows that reach from side to side are moved by the terminal itself.
        Some(Overlay::Log { .. }) => {
            let size = (app.size.0, app.size.1);
            let lines = log::lines(app, place(app, size).map_or(0, |area| area.width.into()));
            Some(Content { title: "Log of this run", lines, size })
        }
        _ => None,
    }
}

fn text(app: &App, canvas: &mut Canvas<'_>, scroll: usize) {
    let Some(Content { title, lines, size }) = content(app) else { return };
    let Some(inner) = place(app, size) else { return };
    let stops = lines.len().saturating_sub(inner.height.into());
    let skip = scroll.min(stops);
    let mut caption = Line::of(Scope::TitleFocus, format!(" {title} "));
    if stops > skip {
        caption.push(Scope::Hint, format!("{} more lines below ", stops - skip));
    }
    panel(app, canvas, size, &caption);
    canvas.lines(inner, &lines, skip);
}

/// How far the open text can be scrolled, plus one.
pub(super) fn stops(app: &App) -> usize {
    let Some(Content { lines, size, .. }) = content(app) else { return 1 };
    lines.len().saturating_sub(place(app, size).map_or(0, |area| area.height.into())) + 1
}

/// Rows of the help below its search line.
fn help_rows(app: &App) -> usize {
    usize::from(app.size.1.saturating_sub(6))
}

/// How far the help can be scrolled, plus one.
pub(super) fn help_stops(app: &App, search: &str) -> usize {
    help_lines(app, search, wide(app).into()).len().saturating_sub(help_rows(app)) + 1
}

fn help(app: &App, canvas: &mut Canvas<'_>, search: &TextBox, scroll: usize) {
    let lines = help_lines(app, search.text(), wide(app).into());
    let stops = lines.len().saturating_sub(help_rows(app));
    let mut title = Line::of(Scope::TitleFocus, " Help ");
    if stops > scroll {
        title.push(Scope::Hint, format!("{} more lines below ", stops - scroll));
    }
    let rows = help_rows(app) as u16 + 2;
    let Some(inner) = panel(app, canvas, (wide(app), rows), &title) else { return };
    let label = if search.is_empty() { "type a word or a key to search: " } else { "search: " };
    line_of(canvas, inner, 0, label, search);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    canvas.lines(below, &lines, scroll.min(stops));
}

/// A label and a line being written, with its cursor.
pub(super) fn line_of(canvas: &mut Canvas<'_>, area: Rect, row: u16, label: &str, line: &TextBox) {
    if row >= area.height {
        return;
    }
    let label = Line::of(Scope::Muted, format!(" {label}"));
    canvas.line(area, row, &label);
    let used = (label.width() as u16).min(area.width);
    let room = area.width - used;
    let (rows, (cursor_row, column)) = line.view(usize::from(room.saturating_sub(1)).max(1));
    let field = Rect { x: area.x + used, width: room, ..area };
    if let Some(shown) = rows.into_iter().nth(cursor_row) {
        canvas.line(field, row, &Line::of(Scope::Strong, shown));
    }
    if (column as u16) < room {
        canvas.cursor(field.x + column as u16, area.y + row);
    }
}

/// Every key, from the table that also dispatches them.
fn help_lines(app: &App, search: &str, columns: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    if search.trim().is_empty() {
        let about = "A run improves a small language model, the student, over iterations. Each iteration: the \
            policy looks at the student's accuracy per skill and plans how much data each skill gets (it explores \
            new subskills or exploits known ones), the engine generates the data, checks accept or reject them, \
            the student is trained on what was accepted, and it is evaluated again on the validation split. In \
            the end the best iteration by validation is compared with the untrained student on the test split. \
            Every accuracy comes with its 95 % interval. You can let it run, or take part: gates make it wait for \
            you, and then plan and data are yours to change.";
        lines.extend(wrap(about, columns).into_iter().map(|l| Line::of(Scope::Text, l)));
    }
    let found = palette::helped(search, &app.keymap);
    if found.is_empty() {
        let key = app.keymap.key(Context::Line, &Action::Close);
        let text = format!("Nothing found. {key} empties the search; @ before a key finds keys alone.");
        lines.push(Line::of(Scope::Muted, text));
    }
    let widest =
        found.iter().map(|e| app.keymap.named(e).chars().count()).max().unwrap_or(0).min(columns / 3);
    for context in Context::ALL {
        let mut rows = found.iter().filter(|e| e.context == context).peekable();
        if rows.peek().is_some() {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(Line::of(Scope::Strong, context.heading()));
        }
        for entry in rows {
            let room = columns.saturating_sub(widest + 4).max(8);
            for (n, part) in wrap(entry.description, room).iter().enumerate() {
                let keys = if n == 0 { app.keymap.named(entry) } else { String::new() };
                let line = Line::of(Scope::Key, format!("  {}  ", left(&keys, widest)));
                lines.push(line.with(Scope::Text, part.as_str()));
            }
        }
    }
    lines
}

fn commands(app: &App, canvas: &mut Canvas<'_>, search: &TextBox, choice: usize, from: Context) {
    let found = palette::found(search.text(), from);
    let rows = app.size.1.saturating_sub(8).clamp(1, 18);
    let title = Line::of(Scope::TitleFocus, " All actions here ");
    let Some(inner) = panel(app, canvas, (wide(app).min(84), rows + 2), &title) else { return };
    line_of(canvas, inner, 0, ": ", search);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    if found.is_empty() {
        canvas.line(below, 0, &Line::of(Scope::Muted, " No action has all of these words."));
    }
    let visible = usize::from(below.height).max(1);
    let top = crate::tui::app::window(choice, visible, found.len());
    for (row, entry) in found.iter().enumerate().skip(top).take(visible) {
        let at = (row - top) as u16;
        canvas.line(below, at, &command(app, entry));
        if row == choice {
            canvas.highlight(below, at, true);
        }
    }
}

fn command(app: &App, entry: &Entry) -> Line {
    Line::of(Scope::Text, format!(" {}", left(&entry.name.replace('-', " "), 18)))
        .with(Scope::Key, left(&app.keymap.named(entry), 14))
        .with(Scope::Muted, format!(" {}", entry.description))
}

fn prompt(app: &App, canvas: &mut Canvas<'_>, about: &About, line: &TextBox) {
    let title = match about {
        About::Run => " A note in the journal of this run ".to_owned(),
        About::Datum { id } => format!(" A remark on datum {id} "),
    };
    let Some(inner) = panel(app, canvas, (wide(app), 1), &Line::of(Scope::TitleFocus, &title)) else {
        return;
    };
    line_of(canvas, inner, 0, "", line);
}

fn leaving(app: &App, canvas: &mut Canvas<'_>, choice: usize) {
    let (width, height) = app.size;
    let question = match State::of(app) {
        State::Running(work) => format!("Now at {}; it needs no screen.", describe(work)),
        other => format!("The run is {}; its runner waits for commands.", other.badge().1),
    };
    let rows = ANSWERS.len() as u16 + 2;
    if width < 8 || height < rows + 3 {
        let words = ["leave", "stop after phase", "now", "no"];
        let key = |n| app.keymap.key(Context::Leaving, &Action::Answer(n));
        let short: Vec<String> =
            words.iter().enumerate().map(|(n, word)| format!("{} {word}", key(n))).collect();
        let short = format!("quit? {}", short.join("  "));
        canvas.text(0, height.saturating_sub(1), width, Scope::Warn, short);
        return;
    }
    let title = Line::of(Scope::TitleFocus, " Leave? ");
    let Some(inner) = panel(app, canvas, (70.min(width - 4), rows), &title) else { return };
    canvas.line(inner, 0, &Line::of(Scope::Text, format!(" {question}")));
    for (n, (answer, entry)) in ANSWERS.iter().zip(answers()).enumerate() {
        let key = entry.and_then(|e| app.keymap.keys(e).first()).map(ToString::to_string).unwrap_or_default();
        let line = Line::of(Scope::Key, format!("  {}", left(&key, 5))).with(Scope::Text, *answer);
        canvas.line(inner, n as u16 + 2, &line);
        if n == choice {
            canvas.highlight(inner, n as u16 + 2, true);
        }
    }
}

/// The rows of the action table that are the answers, in their order.
fn answers() -> impl Iterator<Item = Option<&'static Entry>> {
    use crate::tui::action::ACTIONS;
    (0..ANSWERS.len()).map(|n| ACTIONS.iter().find(|entry| entry.action == Action::Answer(n)))
}
