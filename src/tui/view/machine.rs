//! The third pane: how busy the machine is, and the worker processes.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::probes::{Gpu, GpuReading, History};
use crate::protocol::control::{Live, WorkerStatus};
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Glyphs, Line};
use crate::tui::layout::Pane;
use crate::tui::text::{cut, end, left, memory, right, width};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let key = app.keymap.key(Context::Everywhere, &Action::Focus(Pane::Machine));
    let Some(machine) = &app.machine else { return format!("at rest; press {key} to measure") };
    let what = match machine.gpus.len() {
        0 => "no GPU seen".to_owned(),
        1 => "1 GPU".to_owned(),
        n => format!("{n} GPUs"),
    };
    // What is shown may be old: nothing is measured while nothing runs and nobody looks.
    if app.watching { what } else { format!("{what}, at rest; press {key} to measure") }
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let lines = lines(app, area.width.into(), area.height.into());
    let skip = app.machine_scroll.min(lines.len().saturating_sub(area.height.into()));
    canvas.lines(area, &lines, skip);
}

/// Rows of a GPU with everything that is measured of it.
pub(crate) const GPU_ROWS: usize = 4;

/// Columns in which the end of what a worker is writing says anything.
const FEWEST_OF_TEXT: usize = 8;

/// Everything the pane says; where there is room for it, every measurement of a GPU with its past.
pub(super) fn lines(app: &App, columns: usize, rows: usize) -> Vec<Line> {
    let gpus = app.machine.as_ref().map_or(&[][..], |machine| &machine.gpus);
    let workers = app.live.as_ref().map_or(&[][..], |live| &live.workers);
    let whole = gpus.len() * GPU_ROWS + 2 + workers.len().max(1) <= rows;
    let mut readings: Vec<Reading<'_>> = gpus
        .iter()
        .flat_map(|gpu| if whole { all_of(app, gpu) } else { vec![one_of(app, gpu, columns)] })
        .collect();
    if let Some(machine) = &app.machine {
        readings.push(Reading::share("CPU", &machine.cpu, String::new()));
        let used = machine.memory.map(|m| used_of(m.used as f64, m.total as f64)).unwrap_or_default();
        readings.push(Reading::share("memory", &machine.memory_share, used));
    }
    let widest = readings.iter().map(|reading| width(&reading.tail)).max().unwrap_or(0).max(27);
    // The past of every reading on as many columns, what stands behind it as far as it fits.
    let room = columns.saturating_sub(18 + widest).clamp(6, 40);
    let mut lines: Vec<Line> =
        readings.iter().map(|reading| reading.line(room, columns, app.glyphs)).collect();
    if app.machine.is_none() {
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
        let mut line =
            Line::of(Scope::Text, format!(" {}  {}", left(&worker.name, widest), left(&worker.state, 10)))
                .with(Scope::Muted, format!("  pid {}", worker.pid));
        let room = columns.saturating_sub(line.width() + 2);
        if room >= FEWEST_OF_TEXT && !worker.text.is_empty() {
            line.push(Scope::Muted, format!("  {}", end(&worker.text, room)));
        }
        let notes = worker.notes.iter().map(|note| Line::of(Scope::Warn, format!("   {note}")));
        std::iter::once(line).chain(notes)
    }));
    lines
}

/// One measurement: its name, its value, its recent past, and further words.
struct Reading<'a> {
    name: String,
    value: String,
    scope: Scope,
    past: &'a History,
    tail: String,
}

impl<'a> Reading<'a> {
    fn of(name: &str, value: Option<String>, past: &'a History, tail: String) -> Self {
        let value = value.unwrap_or_else(|| "-".to_owned());
        Self { name: name.to_owned(), value, scope: Scope::Text, past, tail }
    }

    /// A share, whose value is the newest of its past.
    fn share(name: &str, past: &'a History, tail: String) -> Self {
        let share = past.latest();
        let full = share.is_some_and(|share| share > 0.95);
        let value = share.map(|share| format!("{:.0} %", share * 100.0));
        Self { scope: if full { Scope::Warn } else { Scope::Text }, ..Self::of(name, value, past, tail) }
    }

    /// On a line, with so many columns for the past.
    fn line(&self, room: usize, columns: usize, glyphs: Glyphs) -> Line {
        let tail = cut(&self.tail, columns.saturating_sub(18 + room));
        Line::of(Scope::Text, format!(" {}", left(&self.name, 7)))
            .with(self.scope, right(&self.value, 6))
            .with(Scope::Text, "  ")
            .with(Scope::Bar, right(&glyphs.sparkline(self.past.recent(room)), room))
            .with(Scope::Muted, format!("  {tail}"))
    }
}

/// A GPU on four lines: who uses it, memory, power, temperature.
fn all_of<'a>(app: &App, reading: &'a GpuReading) -> Vec<Reading<'a>> {
    let gpu = &reading.gpu;
    // A runner that does not say which GPU its workers have may have one here.
    let unsaid =
        app.live.iter().flat_map(|live| &live.workers).any(|w| w.gpus.is_empty() && w.name.contains("@cuda"));
    let nobody = if unsaid { "" } else { "no worker of this run" };
    let users = users(app, &gpu.uuid).unwrap_or_else(|| nobody.to_owned());
    let (watts, degrees) = (gpu.power.map(watts), gpu.temperature.map(degrees));
    vec![
        Reading::share(&format!("GPU {}", gpu.index), &reading.utilisation, users),
        Reading::share(" memory", &reading.memory, memory_of(gpu).unwrap_or_default()),
        Reading::of(" power", watts, &reading.power, String::new()),
        Reading::of(" heat", degrees, &reading.temperature, gpu.name.clone()),
    ]
}

/// A GPU on one line; where that is short, of its users what they are.
fn one_of<'a>(app: &App, reading: &'a GpuReading, columns: usize) -> Reading<'a> {
    let gpu = &reading.gpu;
    let who = match columns {
        0..74 => roles(app, &gpu.uuid),
        _ => users(app, &gpu.uuid).or_else(|| Some(gpu.name.clone())),
    };
    let parts = [memory_of(gpu), gpu.power.map(watts), gpu.temperature.map(degrees), who];
    let tail = parts.into_iter().flatten().collect::<Vec<_>>().join("  ");
    Reading::share(&format!("GPU {}", gpu.index), &reading.utilisation, tail)
}

fn watts(watts: f32) -> String {
    format!("{watts:.0} W")
}

fn degrees(degrees: f32) -> String {
    format!("{degrees:.0} °C")
}

/// `94/140 GiB`; without the total what is used.
fn memory_of(gpu: &Gpu) -> Option<String> {
    let used = gpu.memory_used?;
    Some(match gpu.memory_total {
        Some(total) => used_of(used.into(), total.into()),
        None => memory(used.into()),
    })
}

/// The workers on a GPU and what they do; the phase is that of the run. `None` where there is none. Names count the
/// GPUs that the runner may use, which need not be those that are measured here; the identity is the same for both.
fn users(app: &App, uuid: &str) -> Option<String> {
    let live = app.live.as_ref()?;
    let here: Vec<String> =
        on(live, uuid).map(|worker| format!("{} {}", bare(&worker.name), worker.state)).collect();
    let phase = live.work.map_or_else(String::new, |work| format!(" ({})", work.phase.as_str()));
    (!here.is_empty()).then(|| here.join(", ") + &phase)
}

/// The same without numbers and states.
fn roles(app: &App, uuid: &str) -> Option<String> {
    let role = |worker: &WorkerStatus| worker.name.split(['@', '#']).next().unwrap_or_default().to_owned();
    let roles: BTreeSet<String> = on(app.live.as_ref()?, uuid).map(role).collect();
    (!roles.is_empty()).then(|| roles.into_iter().collect::<Vec<_>>().join(", "))
}

fn on<'a>(live: &'a Live, uuid: &'a str) -> impl Iterator<Item = &'a WorkerStatus> {
    live.workers.iter().filter(move |worker| worker.gpus.iter().any(|own| own == uuid))
}

/// `student#0` of `student@cuda:1#0`: which GPU it is says the line it stands in.
fn bare(name: &str) -> String {
    match (name.split_once('@'), name.split_once('#')) {
        (Some((role, _)), Some((_, number))) => format!("{role}#{number}"),
        _ => name.to_owned(),
    }
}

/// `94/140 GiB`.
fn used_of(used: f64, total: f64) -> String {
    format!("{:.0}/{:.0} GiB", used / 1024.0, total / 1024.0)
}
