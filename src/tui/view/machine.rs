//! The third pane: how busy the machine is, and the worker processes.

use ratatui::layout::Rect;

use crate::probes::{GpuReading, History};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Glyphs, Line};
use crate::tui::text::{left, memory, right};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let gpus = app.machine.as_ref().map_or(0, |m| m.gpus.len());
    let what = match gpus {
        0 => "this host, no GPU seen".to_owned(),
        1 => "1 GPU and this host".to_owned(),
        n => format!("{n} GPUs and this host"),
    };
    let rest = if app.watching { "" } else { " (measured while a phase runs, or here)" };
    format!("{what}{rest}")
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(app, area.width.into());
    let skip = app.machine_scroll.min(lines.len().saturating_sub(area.height.into()));
    canvas.lines(area, &lines, skip);
}

/// Everything the pane says.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(machine) = &app.machine {
        lines.extend(machine.gpus.iter().map(|gpu| graphics(gpu, app.glyphs, columns)));
        lines.push(meter("CPU", &machine.cpu, "", app.glyphs, columns));
        let used = machine.memory.map(|m| format!("{} of {}", memory(m.used as f64), memory(m.total as f64)));
        let tail = used.unwrap_or_default();
        lines.push(meter("memory", &machine.memory_share, &tail, app.glyphs, columns));
    } else {
        lines.push(Line::of(Scope::Muted, " not measured yet"));
    }
    let workers = app.live.as_ref().map_or(&[][..], |live| &live.workers);
    if workers.is_empty() {
        let text = if app.connected() { " no worker process" } else { " no runner, no worker process" };
        lines.push(Line::of(Scope::Muted, text));
    } else {
        let widest = workers.iter().map(|w| w.name.chars().count()).max().unwrap_or(0).clamp(6, 30);
        lines.push(Line::of(Scope::Muted, format!(" {}{}  doing", left("worker", widest), right("pid", 9))));
        lines.extend(workers.iter().map(|worker| {
            Line::of(Scope::Text, format!(" {}", left(&worker.name, widest)))
                .with(Scope::Muted, right(&worker.pid.to_string(), 9))
                .with(Scope::Text, format!("  {}", worker.state))
        }));
    }
    lines
}

fn graphics(reading: &GpuReading, glyphs: Glyphs, columns: usize) -> Line {
    let gpu = &reading.gpu;
    let mut tail = Vec::new();
    if let Some(used) = gpu.memory_used {
        let total = gpu.memory_total.map(|t| format!(" of {}", memory(t.into())));
        tail.push(format!("{}{}", memory(used.into()), total.unwrap_or_default()));
    }
    tail.extend(gpu.power.map(|watts| format!("{watts:.0} W")));
    tail.extend(gpu.temperature.map(|degrees| format!("{degrees:.0} °C")));
    tail.push(gpu.name.clone());
    meter(&format!("GPU {}", gpu.index), &reading.utilisation, &tail.join("  "), glyphs, columns)
}

/// A name, a share with its recent past, and further values.
fn meter(name: &str, past: &History, tail: &str, glyphs: Glyphs, columns: usize) -> Line {
    let share = past.latest();
    let number = share.map_or_else(|| "-".to_owned(), |s| format!("{:.0} %", s * 100.0));
    let scope = if share.is_some_and(|s| s > 0.95) { Scope::Warn } else { Scope::Text };
    let room = columns.saturating_sub(8 + 6 + 2 + tail.chars().count() + 2).clamp(8, 40);
    Line::of(Scope::Text, format!(" {}", left(name, 7)))
        .with(scope, right(&number, 6))
        .with(Scope::Text, "  ")
        .with(Scope::Bar, right(&glyphs.sparkline(past.recent(room)), room))
        .with(Scope::Muted, format!("  {tail}"))
}
