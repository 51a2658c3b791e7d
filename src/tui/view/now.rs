//! What goes on now: the running phase, or why nothing runs.

use ratatui::layout::Rect;

use crate::gym::episode::{Phase, Work};
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line, paragraph};
use crate::tui::layout::Pane;
use crate::tui::status::{self, Progress, State};
use crate::tui::theme::Scope;
use crate::tui::update::PHASES;

/// Below the table of iterations, or at the bottom of another pane on a narrow screen.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let state = State::of(app);
    let mut inner = frame(canvas, area, &state);
    if inner.height >= 5
        && let Some(line) = phases(app, usize::from(inner.width))
    {
        canvas.line(inner, 0, &line);
        inner = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
    }
    let columns = usize::from(inner.width);
    match state {
        State::Running(work) => {
            let all = running(app, canvas, work, columns);
            canvas.lines(inner, &all, 0);
        }
        _ => put(app, canvas, inner, &holding(app, &state, columns)),
    }
}

/// The rule above; returns the place below.
fn frame(canvas: &mut Canvas<'_>, area: Rect, state: &State) -> Rect {
    let (scope, badge) = match state {
        State::Running(work) => (Scope::Running, status::describe(*work)),
        _ => state.badge(),
    };
    canvas.rule(area, 0, &Line::of(Scope::Title, " now: ").with(scope, format!("{badge} ")));
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    }
}

/// The phases in their order, where the run is, and where it waits for a person.
fn phases(app: &App, columns: usize) -> Option<Line> {
    let episode = &app.facts.as_ref()?.episode;
    let now = episode.work?.phase;
    let mut line = Line::default();
    for (n, phase) in PHASES.into_iter().enumerate() {
        if n > 0 {
            line.push(Scope::Muted, " > ");
        }
        if episode.rules.gates.contains(&phase) {
            line.push(Scope::Warn, "[gate] ");
        }
        let here = if app.running() { Scope::Running } else { Scope::Strong };
        line.push(if phase == now { here } else { Scope::Muted }, phase.as_str());
    }
    (line.width() <= columns).then_some(line)
}

/// As many lines as fit, and a word about the rest.
fn put(app: &App, canvas: &mut Canvas<'_>, area: Rect, lines: &[Line]) {
    let fits = usize::from(area.height);
    if lines.len() > fits && fits > 0 {
        canvas.lines(area, &lines[..fits - 1], 0);
        let everywhere = |action: &Action| app.keymap.key(Context::Everywhere, action);
        let pane = everywhere(&Action::Focus(Pane::Iterations));
        let open = app.keymap.key(Context::Iterations, &Action::Open);
        let rest = format!("for the rest press {pane}, then {open}");
        canvas.line(area, area.height - 1, &Line::of(Scope::Hint, rest));
    } else {
        canvas.lines(area, lines, 0);
    }
}

/// Why nothing runs, and what to press.
pub(super) fn holding(app: &App, state: &State, columns: usize) -> Vec<Line> {
    let mut lines: Vec<Line> =
        state.reasons(app).iter().flat_map(|(scope, text)| paragraph(*scope, text, columns)).collect();
    if let Some(asked) = status::transition(app) {
        lines.splice(0..0, paragraph(Scope::Running, &asked, columns));
    }
    if let Some(error) = &app.source_error {
        lines.extend(paragraph(Scope::Bad, error, columns));
    }
    lines
}

fn running(app: &App, canvas: &Canvas<'_>, work: Work, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let progress = status::progress(app, work);
    match &progress {
        Some(progress) => lines.push(bar(canvas, progress, columns)),
        None => lines.push(Line::of(Scope::Muted, "no news from the runner yet")),
    }
    if let Some(asked) = status::transition(app) {
        lines.extend(paragraph(Scope::Running, &asked, columns));
    }
    if let Some(progress) = &progress {
        let parts = [&progress.time, &progress.quality, &progress.speed];
        let said: Vec<&str> = parts.iter().map(|p| p.as_str()).filter(|p| !p.is_empty()).collect();
        lines.extend(flow(&said, columns));
    }
    let curve = sparkline(app, canvas, work, columns);
    lines.extend(curve);
    lines.extend(paragraph(Scope::Muted, status::explain(work), columns));
    if let Some(message) = app.facts.as_ref().and_then(|f| f.episode.last_failure.as_ref()) {
        let failures = app.facts.as_ref().map_or(0, |f| f.episode.failures);
        lines.extend(paragraph(Scope::Warn, &format!("tried {failures} times before: {message}"), columns));
    }
    lines
}

/// Short statements, as many on a line as fit.
fn flow(said: &[&str], columns: usize) -> Vec<Line> {
    let mut lines: Vec<String> = Vec::new();
    for part in said {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + part.chars().count() <= columns => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.push((*part).to_owned()),
        }
    }
    lines.into_iter().map(|line| Line::of(Scope::Text, line)).collect()
}

fn bar(canvas: &Canvas<'_>, progress: &Progress, columns: usize) -> Line {
    let Some(share) = progress.share else { return Line::of(Scope::Text, progress.count.as_str()) };
    let tail = format!(" {:3.0} %  {}", (share * 100.0).floor(), progress.count);
    let room = columns.saturating_sub(tail.len()).clamp(4, 40);
    let (full, empty) = canvas.glyphs.bar(share, room);
    Line::of(Scope::Bar, full).with(Scope::Muted, empty).with(Scope::Text, tail)
}

/// The loss over the steps of the training under way, scaled to what it was at most.
fn sparkline(app: &App, canvas: &Canvas<'_>, work: Work, columns: usize) -> Option<Line> {
    let curve = &app.facts.as_ref().filter(|_| work.phase == Phase::Train)?.curve;
    let room = columns.saturating_sub(16).min(60);
    if curve.len() < 2 || room < 4 {
        return None;
    }
    let highest = curve.iter().map(|p| p.loss).filter(|l| l.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let count = room.min(curve.len());
    let values = (0..count).map(|n| {
        let point = &curve[n * (curve.len() - 1) / (count - 1).max(1)];
        Some((point.loss / highest) as f32).filter(|v| v.is_finite())
    });
    let text = canvas.glyphs.sparkline(values);
    Some(Line::of(Scope::Muted, "loss by step  ").with(Scope::Bar, text))
}
