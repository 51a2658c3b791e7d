//! The third pane: how busy the machine is, and the worker processes.

use ratatui::layout::Rect;

use crate::probes::{GpuReading, History};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Glyphs, Line};
use crate::tui::text::{left, memory, right};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let Some(machine) = &app.machine else { return "at rest; press 3 to measure".into() };
    let what = match machine.gpus.len() {
        0 => "no GPU seen".to_owned(),
        1 => "1 GPU".to_owned(),
        n => format!("{n} GPUs"),
    };
    // What is shown may be old: nothing is measured while nothing runs and nobody looks.
    format!("{what}{}", if app.watching { "" } else { ", at rest; press 3 to measure" })
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(app, area.width.into(), area.height.into());
    let skip = app.machine_scroll.min(lines.len().saturating_sub(area.height.into()));
    canvas.lines(area, &lines, skip);
}

/// Everything the pane says; where there is room for it, every measurement of a GPU with its past.
pub(super) fn lines(app: &App, columns: usize, rows: usize) -> Vec<Line> {
    let gpus = app.machine.as_ref().map_or(&[][..], |machine| &machine.gpus);
    let workers = app.live.as_ref().map_or(&[][..], |live| &live.workers);
    let wide = gpus.len() * 4 + 2 + workers.len().max(1) <= rows;
    let mut lines = Vec::new();
    for reading in gpus {
        if wide {
            lines.extend(whole(app, reading, columns));
        } else {
            let name = format!("GPU {}", reading.gpu.index);
            let values = graphics(reading, columns >= 74);
            lines.push(meter(&name, &reading.utilisation, &values, app.glyphs, columns));
        }
    }
    if let Some(machine) = &app.machine {
        lines.push(meter("CPU", &machine.cpu, "", app.glyphs, columns));
        let used = machine.memory.map(|m| used_of(m.used as f64, m.total as f64)).unwrap_or_default();
        lines.push(meter("memory", &machine.memory_share, &used, app.glyphs, columns));
    } else {
        lines.push(Line::of(Scope::Muted, " not measured yet"));
    }
    if workers.is_empty() {
        lines.push(Line::of(Scope::Muted, " no worker process: they live while a phase needs them"));
    }
    let paid = app.live.iter().flat_map(|live| &live.spending.endpoints);
    lines.extend(paid.map(|(name, (answers, tokens, cost))| {
        let cost = if *cost > 0.0 { format!(", {cost:.4} paid") } else { String::new() };
        Line::of(Scope::Text, format!(" {name}"))
            .with(Scope::Muted, format!("  {answers} answers, {tokens} tokens{cost}"))
    }));
    let widest = workers.iter().map(|w| w.name.chars().count()).max().unwrap_or(0).clamp(6, 30);
    lines.extend(workers.iter().flat_map(|worker| {
        let line =
            Line::of(Scope::Text, format!(" {}  {}", left(&worker.name, widest), left(&worker.state, 10)))
                .with(Scope::Muted, format!("  pid {}", worker.pid));
        let notes = worker.notes.iter().map(|note| Line::of(Scope::Warn, format!("   {note}")));
        std::iter::once(line).chain(notes)
    }));
    lines
}

/// A GPU on four lines: who uses it, memory, power, temperature.
fn whole(app: &App, reading: &GpuReading, columns: usize) -> [Line; 4] {
    let gpu = &reading.gpu;
    let memory = match (gpu.memory_used, gpu.memory_total) {
        (Some(used), Some(total)) => used_of(used.into(), total.into()),
        (Some(used), None) => memory(used.into()),
        (None, _) => String::new(),
    };
    let users = users(app, gpu.index);
    let row = |name: &str, past: &History, value: Option<String>, tail: &str| {
        let number = value.unwrap_or_else(|| "-".to_owned());
        reading_line(name, &number, Scope::Text, past, tail, app.glyphs, columns)
    };
    [
        meter(&format!("GPU {}", gpu.index), &reading.utilisation, &users, app.glyphs, columns),
        meter(" memory", &reading.memory, &memory, app.glyphs, columns),
        row(" power", &reading.power, gpu.power.map(|w| format!("{w:.0} W")), ""),
        row(" heat", &reading.temperature, gpu.temperature.map(|d| format!("{d:.0} °C")), &gpu.name),
    ]
}

/// The workers on a device and what they do; the phase is that of the run.
fn users(app: &App, index: u32) -> String {
    let Some(live) = &app.live else { return "no worker of this run".into() };
    let device = format!("@cuda:{index}");
    let on_it = |name: &str| name.split('#').next().is_some_and(|name| name.ends_with(&device));
    let here: Vec<String> =
        live.workers.iter().filter(|w| on_it(&w.name)).map(|w| format!("{} {}", w.name, w.state)).collect();
    let phase = live.work.map_or_else(String::new, |work| format!(" ({})", work.phase.as_str()));
    if here.is_empty() { "no worker of this run".into() } else { here.join(", ") + &phase }
}

fn graphics(reading: &GpuReading, named: bool) -> String {
    let gpu = &reading.gpu;
    let used = gpu.memory_used.map(|used| match gpu.memory_total {
        Some(total) => used_of(used.into(), total.into()),
        None => memory(used.into()),
    });
    let power = gpu.power.map(|watts| format!("{watts:.0} W"));
    let heat = gpu.temperature.map(|degrees| format!("{degrees:.0} °C"));
    let parts = [used, power, heat, named.then(|| gpu.name.clone())];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// `94/140 GiB`.
fn used_of(used: f64, total: f64) -> String {
    format!("{:.0}/{:.0} GiB", used / 1024.0, total / 1024.0)
}

/// A name, a share with its recent past, and further values; of the same widths on every line.
fn meter(name: &str, past: &History, tail: &str, glyphs: Glyphs, columns: usize) -> Line {
    let share = past.latest();
    let number = share.map_or_else(|| "-".to_owned(), |s| format!("{:.0} %", s * 100.0));
    let scope = if share.is_some_and(|s| s > 0.95) { Scope::Warn } else { Scope::Text };
    reading_line(name, &number, scope, past, tail, glyphs, columns)
}

fn reading_line(
    name: &str,
    number: &str,
    scope: Scope,
    past: &History,
    tail: &str,
    glyphs: Glyphs,
    columns: usize,
) -> Line {
    let room = columns.saturating_sub(16 + 29).clamp(6, 40);
    Line::of(Scope::Text, format!(" {}", left(name, 7)))
        .with(scope, right(number, 6))
        .with(Scope::Text, "  ")
        .with(Scope::Bar, right(&glyphs.sparkline(past.recent(room)), room))
        .with(Scope::Muted, format!("  {tail}"))
}
