//! Draws the state into a frame. Reads only.

mod charts;
mod compare;
mod content;
mod details;
mod draft;
mod finding;
mod forms;
mod iterations;
mod log;
mod machine;
mod menus;
mod new_run;
mod now;
mod overlay;
mod samples;
mod sheet;
mod skills;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::{Action, Context, Entry};
use super::app::App;
use super::canvas::{Canvas, Line};
use super::keymap::Chord;
use super::layout::{self, Pane};
use super::status::{self, State};
use super::text;
use super::theme::Scope;
use crate::analysis::compare::Comparison;
use crate::gym::episode::Command;

pub(crate) use machine::GPU_ROWS;

/// Columns of a copied sample: more than a line of one has.
const COPIED_COLUMNS: usize = 100_000;

/// Draws a whole frame.
pub(crate) fn view(app: &App, buffer: &mut Buffer) {
    let mut canvas = Canvas::new(buffer, app.theme(), app.glyphs);
    let places = app.places();
    header(app, &mut canvas, places.header);
    if let Some(area) = places.hint {
        hint(app, &mut canvas, area);
    }
    if let Some(area) = places.tabs {
        tabs(app, &mut canvas, area);
    }
    for (pane, area) in &places.panes {
        self::pane(app, &mut canvas, *pane, *area);
    }
    if let Some(area) = places.strip {
        now::draw(app, &mut canvas, area);
    }
    if let Some(area) = places.footer {
        let told = places.strip.is_some() || places.pane(Pane::Iterations).is_some();
        footer(app, &mut canvas, area, told);
    }
    overlay::draw(app, &mut canvas);
}

fn pane(app: &App, canvas: &mut Canvas<'_>, pane: Pane, area: Rect) {
    let focused = app.focus == pane && app.overlay.is_none();
    let (mark, name) = if focused { (Scope::Key, Scope::TitleFocus) } else { (Scope::Title, Scope::Title) };
    let mut title = Line::of(mark, format!(" {} ", pane.digit())).with(name, pane.name());
    let about = match pane {
        Pane::Skills => skills::about(app),
        Pane::Iterations => iterations::about(app),
        Pane::Machine => machine::about(app),
        Pane::Samples => samples::about(app),
    };
    let room = usize::from(area.width).saturating_sub(title.width() + 8);
    if !about.is_empty() && room > 6 {
        title.push(Scope::Muted, format!(": {}", text::cut(&about, room)));
    }
    title.push(name, " ");
    let inner = canvas.block(area, &title, focused);
    if pane == Pane::Samples
        && area.height >= 3
        && let Some(line) = samples::below(app)
    {
        canvas.line(
            Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area },
            area.height - 1,
            &line,
        );
    }
    match pane {
        Pane::Skills => skills::draw(app, canvas, inner, focused),
        Pane::Iterations => iterations::draw(app, canvas, inner, focused),
        Pane::Machine => machine::draw(app, canvas, inner),
        Pane::Samples => samples::draw(app, canvas, inner, focused),
    }
}

/// The run on the left; what goes on and who does it on the right.
fn header(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let (scope, badge) = State::of(app).badge();
    let (link_scope, link) = status::link(app);
    let mut right = Line::of(scope, format!("{} {badge}", canvas.glyphs.here));
    if usize::from(area.width) >= right.width() + link.len() + 20 {
        right.push(Scope::Muted, " · ");
        right.push(link_scope, link);
    }
    right.push(Scope::Text, " ");
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let mut left = Line::of(Scope::Strong, " dataenvgym ");
    if let Some(facts) = &app.facts {
        let r = &facts.record;
        let rest = format!(
            "{} · {}, policy {}, engine {}, student {}",
            r.name, r.task, r.policy, r.engine, r.student
        );
        left.push(Scope::Text, text::cut(&rest, room.saturating_sub(left.width())));
    }
    canvas.line(Rect { width: (room as u16).min(area.width), ..area }, 0, &left);
    let start = usize::from(area.width).saturating_sub(right.width()) as u16;
    canvas.line(Rect { x: area.x + start, width: area.width - start, ..area }, 0, &right);
}

/// What a newcomer looks at.
fn hint(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let key = |action: &Action| app.keymap.key(Context::Everywhere, action);
    let run = key(&Action::Tell(crate::gym::episode::Command::Run));
    let (help, hide) = (key(&Action::Help), key(&Action::HideHint));
    let long = format!(
        " A run repeats: evaluate the student, plan for its weak skills, generate and check data, train. \
         {run} starts, {help} explains every key, {hide} hides this line."
    );
    let short =
        format!(" A run: evaluate, plan, generate, check, train. {run} starts, {help} helps, {hide} hides.");
    let fits = text::width(&long) <= usize::from(area.width);
    canvas.text(area.x, area.y, area.width, Scope::Hint, if fits { long } else { short });
}

fn tabs(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let mut line = Line::of(Scope::Text, " ");
    for pane in Pane::ALL {
        let (digit, name) =
            if pane == app.focus { (Scope::Key, Scope::TitleFocus) } else { (Scope::Muted, Scope::Text) };
        line.push(digit, format!("{} ", pane.digit()));
        line.push(name, pane.name());
        line.push(Scope::Text, "   ");
    }
    canvas.line(area, 0, &line);
}

/// A message, or what was asked for where nothing else tells it, or the keys that mean something here.
fn footer(app: &App, canvas: &mut Canvas<'_>, area: Rect, told: bool) {
    if let Some(notice) = &app.notice {
        canvas.line(area, 0, &Line::of(Scope::Warn, format!(" {notice}")));
        return;
    }
    if let Some(asked) = status::transition(app).filter(|_| !told) {
        canvas.line(area, 0, &Line::of(Scope::Running, format!(" {asked}")));
        return;
    }
    let mut right = Line::of(Scope::Text, " ");
    let offered = app.keymap.offered(app.context());
    let mut said: Vec<&Action> = Vec::new();
    let once = offered.filter(|(entry, _)| {
        let new = !said.contains(&&entry.action);
        said.push(&entry.action);
        new && serves(app, &entry.action)
    });
    let (last, first): (Vec<_>, Vec<_>) =
        once.partition(|(entry, _)| matches!(entry.action, Action::Help | Action::Quit | Action::Palette));
    for (entry, key) in last {
        if entry.action != Action::Palette || area.width >= 100 {
            offer(&mut right, entry, key);
        }
    }
    let width = usize::from(area.width);
    let mut left = Line::default();
    for (entry, key) in first {
        let mut longer = left.clone();
        offer(&mut longer, entry, key);
        if longer.width() + right.width() + 1 > width {
            break;
        }
        left = longer;
    }
    canvas.line(area, 0, &left);
    right.push(Scope::Text, " ");
    let start = (width.saturating_sub(right.width()) as u16).max((left.width() as u16).min(area.width));
    canvas.line(Rect { x: area.x + start, width: area.width - start, ..area }, 0, &right);
}

/// Whether an action does anything to the run as it is: a running one need not be told to run, nor a paused one to
/// pause.
fn serves(app: &App, action: &Action) -> bool {
    match action {
        Action::Tell(Command::Pause) => app.running(),
        Action::Tell(Command::Run | Command::AdvanceIteration | Command::AdvancePhase) => !app.running(),
        _ => true,
    }
}

fn offer(line: &mut Line, entry: &Entry, key: Chord) {
    line.push(Scope::Text, if line.0.is_empty() { " " } else { "  " });
    line.push(Scope::Key, key.to_string());
    line.push(Scope::Text, format!(" {}", entry.word));
}

/// The whole selected sample as it is shown, without line breaks that only the width makes.
pub(crate) fn sample_text(app: &App) -> Option<String> {
    app.selected_sample()?;
    let lines = sheet::of_selected(app, COPIED_COLUMNS).lines;
    let rows: Vec<String> = lines.iter().map(|line| line.text().trim_end().to_owned()).collect();
    Some(rows.join("\n") + "\n")
}

/// How far the open overlay can be scrolled, plus one.
pub(crate) fn overlay_stops(app: &App) -> usize {
    overlay::stops(app)
}

/// How far the help can be scrolled, plus one.
pub(crate) fn help_stops(app: &App, search: &str) -> usize {
    overlay::help_stops(app, search)
}

/// How far a comparison can be scrolled, plus one.
pub(crate) fn comparison_stops(app: &App, shown: Option<&Result<Comparison, String>>) -> usize {
    compare::stops(app, shown)
}

/// Columns of the text while a datum is written.
pub(crate) fn draft_columns(app: &App) -> usize {
    draft::columns(app)
}

/// How far the machine pane can be scrolled, plus one.
pub(crate) fn machine_stops(app: &App) -> usize {
    let area = app.places().pane(Pane::Machine).map(layout::inside).unwrap_or_default();
    stops(machine::lines(app, area.width.into(), area.height.into()).len(), area)
}

/// How far the sample that is read can be scrolled, plus one.
pub(crate) fn reading_stops(app: &App) -> usize {
    let area = app.places().pane(Pane::Samples).map(layout::inside).unwrap_or_default();
    let detail = layout::samples(area, true).1.map(samples::text_area).unwrap_or_default();
    stops(sheet::of_selected(app, detail.width.into()).lines.len(), detail)
}

fn stops(lines: usize, area: Rect) -> usize {
    lines.saturating_sub(area.height.into()) + 1
}
