//! The screen as a person has it: the real client in a pseudo-terminal on real runs, from the key to the bytes.
//!
//! Four scenes: a run that waits at a gate (what rest and single actions cost), a run that works while a
//! training keeps all cores busy (what a key and live progress cost), a run of a million samples (what
//! attaching costs), and a run whose clients are killed. Every figure is the median of its repeats; the least one stands in the conditions.

mod kills;
mod stage;
mod terminal;

use std::path::Path;
use std::time::Duration;

use self::stage::Stage;
use self::terminal::Terminal;
use super::{BenchError, Figure, Sink, Times, store, usage};
use crate::gym::rng::CounterRng;
use crate::probes;

/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (120, 40);
/// Without a byte for so long an action is over: longer than the slowest regular look of the client.
const QUIET: Duration = Duration::from_millis(600);
/// Keys of one repeat of the latency.
const KEYS: usize = 200;
/// Single actions whose bytes are counted.
const ACTIONS: usize = 12;

/// What is measured, and how often.
#[derive(Debug, Clone)]
pub struct Options {
    /// Training data of the large run.
    pub rows: usize,
    /// Repeats of everything that has a time.
    pub repeats: u32,
    /// Seconds of watching at rest and live.
    pub seconds: f64,
    /// Clients that are attached and killed.
    pub kills: usize,
    /// Only scenes whose name contains this: `rest`, `live`, `attach`, `kills`.
    pub only: String,
}

/// Measures and hands the figures over. `program` is this program.
///
/// # Errors
/// When a run cannot be made or the client does not show what it should.
pub fn run(options: &Options, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    type Scene = fn(&Options, &mut Stage, &mut Taker<'_, '_>) -> Result<(), BenchError>;
    let scenes: [(&str, Scene); 4] =
        [("rest", rest), ("live", live), ("attach", attach), ("kills", kills::kills)];
    let mut taker = Taker { sink, machine: probes::processor_name() };
    for (_, scene) in scenes.iter().filter(|(name, _)| name.contains(&options.only)) {
        scene(options, &mut Stage::new(program)?, &mut taker)?;
    }
    Ok(())
}

/// Makes figures of repeats.
struct Taker<'a, 'b> {
    sink: &'a mut Sink<'b>,
    machine: String,
}

impl Taker<'_, '_> {
    fn take(&mut self, name: &str, unit: &'static str, repeats: &Times, conditions: &str) {
        let least = repeats.quantile(0.0);
        let conditions = format!(
            "{conditions}; median of {}, least {least:.2}; {}x{}, load average {:.1}, {}",
            repeats.len(),
            SIZE.0,
            SIZE.1,
            usage::load_average(),
            self.machine
        );
        (self.sink)(Figure::new(format!("screen.{name}"), repeats.quantile(0.5), unit, conditions));
    }
}

/// A run that waits for a person before its first training.
fn rest(options: &Options, stage: &mut Stage, taker: &mut Taker<'_, '_>) -> Result<(), BenchError> {
    stage.start("rest", 0, Some("train"))?;
    stage.until("rest", |episode| !episode.running && episode.iterations.len() > 1)?;
    let [mut paint, mut frames, mut bytes, mut cpu] = [const { Times::new() }; 4];
    let [mut skill, mut sample, mut log] = [const { Times::new() }; 3];
    for _ in 0..options.repeats.max(1) {
        let mut client = Terminal::open(&stage.command(&["attach", "rest"]), SIZE)?;
        client.words("· runner ")?;
        client.words("-r0-")?;
        client.quiet(QUIET);
        paint.push(client.count().0 as f64);
        let (before, busy) = (client.count(), client.cpu_seconds());
        std::thread::sleep(Duration::from_secs_f64(options.seconds));
        cpu.push((client.cpu_seconds() - busy) / options.seconds * 100.0);
        let idle = client.since(before);
        bytes.push(idle.0 as f64);
        frames.push(idle.1 as f64);
        // The list of samples stays as it is while skills are looked through.
        act(&mut client, "1")?;
        act(&mut client, "f")?;
        for n in 0..ACTIONS {
            skill.push(act(&mut client, if n < ACTIONS / 2 { "j" } else { "k" })?);
        }
        act(&mut client, "4")?;
        for _ in 0..ACTIONS {
            sample.push(act(&mut client, "j")?);
        }
        act(&mut client, "L")?;
        // The window is full, so that every further line moves the others.
        for n in 0..SIZE.1 {
            stage.note("rest", &format!("a note before number {n}"))?;
        }
        client.quiet(QUIET);
        for n in 0..ACTIONS {
            let before = client.count().0;
            let words = format!("the note of number {n} in the log");
            stage.note("rest", &words)?;
            client.words(&words)?;
            client.quiet(QUIET);
            log.push((client.count().0 - before) as f64);
        }
    }
    taker.take("first_paint_bytes", "bytes", &paint, "from the start to the whole screen, default theme");
    taker.take("idle_frames", "frames", &frames, &format!("in {} s at rest", options.seconds));
    taker.take("idle_bytes", "bytes", &bytes, &format!("in {} s at rest", options.seconds));
    taker.take("selection_bytes", "bytes", &skill, "another skill selected");
    taker.take("selection_bytes_max", "bytes", &skill.largest(), "another skill selected, the dearest");
    taker.take("other_sample_bytes", "bytes", &sample, "another sample selected, with what stands beside it");
    taker.take("log_line_bytes", "bytes", &log, "one more line in the open log, which is full");
    taker.take(
        "log_line_bytes_max",
        "bytes",
        &log.largest(),
        "one more line in the open log, which is full, the dearest",
    );
    taker.take("client_cpu_rest_pct", "%", &cpu, &format!("of one core, {} s at rest", options.seconds));
    Ok(())
}

/// Bytes of all frames that follow a key.
fn act(client: &mut Terminal, key: &str) -> Result<f64, BenchError> {
    let before = client.count();
    client.press(key)?;
    client.quiet(QUIET);
    Ok(client.since(before).0 as f64)
}

/// A run that works, beside a training on all cores.
fn live(options: &Options, stage: &mut Stage, taker: &mut Taker<'_, '_>) -> Result<(), BenchError> {
    stage.start("live", 5, None)?;
    stage.until("live", |episode| episode.running && episode.iterations.len() > 1)?;
    let load = stage.load()?;
    let [mut p50, mut p95, mut p99, mut cpu, mut speed] = [const { Times::new() }; 5];
    for repeat in 0..options.repeats.max(1) {
        let mut client = Terminal::open(&stage.command(&["attach", "live"]), SIZE)?;
        client.words("· runner ")?;
        client.quiet(Duration::from_millis(50));
        let (before, busy) = (client.count(), client.cpu_seconds());
        std::thread::sleep(Duration::from_secs_f64(options.seconds));
        cpu.push((client.cpu_seconds() - busy) / options.seconds * 100.0);
        speed.push(client.since(before).0 as f64 / options.seconds);
        let times = latencies(&mut client, u64::from(repeat))?;
        for (found, share) in [(&mut p50, 0.5), (&mut p95, 0.95), (&mut p99, 0.99)] {
            found.push(times.quantile(share));
        }
    }
    drop(load);
    let busy = "a run at work, beside a training of ours on all cores at the same priority";
    let keys = format!("from the key to the end of the frame that shows it, {KEYS} keys; {busy}");
    taker.take("key_to_frame_p50_ms", "ms", &p50, &keys);
    taker.take("key_to_frame_p95_ms", "ms", &p95, &keys);
    taker.take("key_to_frame_p99_ms", "ms", &p99, &keys);
    taker.take("client_cpu_live_pct", "%", &cpu, &format!("of one core, {} s; {busy}", options.seconds));
    taker.take("live_bytes_per_s", "bytes/s", &speed, busy);
    Ok(())
}

/// Times from a key to the end of the frame that shows another skill selected. Keys come at uneven distances,
/// as a person's do, and up and down in turn.
fn latencies(client: &mut Terminal, seed: u64) -> Result<Times, BenchError> {
    let mut rng = CounterRng::keyed(seed, "keys");
    client.press("1")?;
    client.until("a selected skill", |wire| wire.selected().is_some())?;
    let mut times = Times::new();
    for n in 0..KEYS {
        std::thread::sleep(Duration::from_millis(40 + rng.below(120)));
        let before = client.look(terminal::Wire::selected);
        let pressed = client.press(if n % 6 < 3 { "j" } else { "k" })?;
        let shown = client
            .until("another selected skill", |wire| wire.selected().is_some() && wire.selected() != before)?;
        times.push(shown.saturating_duration_since(pressed).as_secs_f64() * 1000.0);
    }
    Ok(times)
}

/// A client comes to a run of very many samples, and goes through them.
fn attach(options: &Options, stage: &mut Stage, taker: &mut Taker<'_, '_>) -> Result<(), BenchError> {
    store::make_up(&stage.folder("bench"), options.rows)?;
    let [mut begun, mut first, mut peak, mut last] = [const { Times::new() }; 4];
    for _ in 0..options.repeats.max(1) {
        let mut client = Terminal::open(&stage.command(&["attach", "bench"]), SIZE)?;
        let shown = client.until("the newest samples", |wire| wire.has("-r0-"))?;
        begun.push((shown - client.began).as_secs_f64() * 1000.0);
        client.quiet(QUIET);
        first.push(client.peak_megabytes());
        for keys in ["4", "G", "g", "t", "G", "t", "t", "\r", "\u{1b}", "1", "j", "j", "4", "/w17 w4\r", "G"]
        {
            let pressed = client.press(keys)?;
            client.quiet(QUIET);
            if keys == "G" {
                let came = client.look(terminal::Wire::last);
                last.push(came.saturating_duration_since(pressed).as_secs_f64() * 1000.0);
            }
        }
        peak.push(client.peak_megabytes());
    }
    let size = format!("{} training data", options.rows);
    taker.take("attach_ms", "ms", &begun, &format!("process start to the newest samples, {size}"));
    taker.take("attach_first_memory_mb", "MB", &first, &format!("most resident until then, {size}"));
    let through = format!("most resident after all lists, both ends and a search, {size}");
    taker.take("attach_memory_mb", "MB", &peak, &through);
    taker.take("last_page_ms", "ms", &last, &format!("from the key to the other end of a list, {size}"));
    Ok(())
}
