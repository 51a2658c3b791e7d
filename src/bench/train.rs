//! Training speed and memory of our trainer beside `PyTorch` + PEFT, on the same sizes and threads.
//!
//! Every measurement is a process of its own, so that its peak of memory is its own; ours and the peer's take
//! turns. Speed is tokens per second of processor time, which a busy machine disturbs least.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::process::said;
use super::usage::{SELF, cpu_seconds, status};
use super::{BenchError, Figure, Sink};
use crate::gym::ports::TrainingMethod;
use crate::runner::pool::TRAINER_ALLOCATOR;
use crate::training::{PretrainRecipe, Rehearsal, rehearse};

const PEER: &str = include_str!("../../tests/peers/bench_train.py");
const WARM_UP: u32 = 2;
const FEWEST_STEPS: u32 = 3;
const ROWS: usize = 16;
const RANK: u32 = 16;

/// What is measured, with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// A Python with the peer's packages; without one only our figures are taken.
    pub peer: Option<PathBuf>,
    /// Threads of either side.
    pub threads: usize,
    /// Processor seconds per measurement at least.
    pub seconds: f64,
    /// Measurements per side; the best one counts.
    pub repeats: u32,
    /// Only cells whose name contains this.
    pub only: String,
    /// Settings of the peer; the best one counts.
    pub settings: Vec<String>,
}

/// One combination of model, method and length, as either side is given it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    vocabulary: usize,
    /// 0 for full training.
    rank: u32,
    rows: usize,
    length: usize,
    threads: usize,
    seconds: f64,
    /// The peer's setting; nothing to us.
    setting: String,
}

/// What a measuring process says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    tokens: u64,
    cpu_seconds: f64,
    peak_bytes: u64,
    #[serde(default)]
    versions: String,
}

impl Reading {
    fn speed(&self) -> f64 {
        self.tokens as f64 / self.cpu_seconds.max(1e-9)
    }
}

/// Both models, both methods, both lengths, by name.
fn cells(options: &Options) -> Vec<(String, Cell)> {
    let mut cells = Vec::new();
    // 2.6 million and 29.4 million parameters.
    for (name, [hidden, intermediate, layers, heads, kv_heads, vocabulary]) in
        [("3m", [192, 512, 6, 6, 3, 1024]), ("30m", [512, 1536, 8, 8, 4, 8192])]
    {
        for (method, rank) in [("full", 0), ("lora", RANK)] {
            for length in [128, 256] {
                let (threads, seconds, setting) = (options.threads, options.seconds, String::new());
                let cell = Cell {
                    hidden,
                    intermediate,
                    layers,
                    heads,
                    kv_heads,
                    vocabulary,
                    rank,
                    rows: ROWS,
                    length,
                    threads,
                    seconds,
                    setting,
                };
                cells.push((format!("{name}.{method}.t{length}"), cell));
            }
        }
    }
    cells.retain(|(name, _)| name.contains(&options.only));
    cells
}

/// A training that goes on for so many seconds, as the `--cell` of [`rehearsed`]: 29.4 million parameters.
pub(super) fn load(threads: usize, seconds: f64) -> String {
    let only = "30m.full.t256".to_owned();
    let options = Options { peer: None, threads, seconds, repeats: 1, only, settings: Vec::new() };
    cells(&options).first().and_then(|(_, cell)| serde_json::to_string(cell).ok()).unwrap_or_default()
}

/// Measures every cell. `program` is this program, which is started again for each measurement with
/// `bench train --cell JSON`.
///
/// # Errors
/// When a process cannot be started or does not deliver.
pub fn run(options: &Options, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let machine = crate::probes::processor_name();
    let best = |readings: Vec<Reading>| readings.into_iter().max_by(|a, b| a.speed().total_cmp(&b.speed()));
    for (name, cell) in cells(options) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.repeats.max(1) {
            let json = serde_json::to_string(&cell).unwrap_or_default();
            let (name, value) = TRAINER_ALLOCATOR;
            ours.push(said(
                Command::new(program).args(["bench", "train", "--cell", &json]).env(name, value),
            )?);
            for setting in options.settings.iter().filter(|_| options.peer.is_some()) {
                let cell = Cell { setting: setting.clone(), ..cell.clone() };
                let json = serde_json::to_string(&cell).unwrap_or_default();
                let python = options.peer.as_deref().unwrap_or(program);
                let reading: Reading = said(Command::new(python).args(["-c", PEER, &json]))?;
                theirs.push(Reading { versions: format!("{}, {setting}", reading.versions), ..reading });
            }
        }
        // The peer's least memory may be that of a setting that is not its fastest.
        let least = theirs.iter().map(|reading| reading.peak_bytes as f64).reduce(f64::min);
        let (Some(ours), theirs) = (best(ours), best(theirs)) else { continue };
        let peer = theirs.as_ref().map_or("no peer", |reading| reading.versions.as_str());
        let conditions = format!("{machine}; threads {}; {peer}", cell.threads);
        let speed = theirs.as_ref().map(Reading::speed);
        let name_of = |what: &str| format!("train.{name}.{what}");
        let tokens = Figure::new(name_of("tokens_per_cpu_s"), ours.speed(), "tokens/s", &conditions);
        sink(tokens.beside(speed));
        let memory = Figure::new(name_of("peak_memory_mb"), ours.peak_bytes as f64 / 1e6, "MB", conditions);
        sink(memory.beside(least.map(|bytes| bytes / 1e6)));
    }
    Ok(())
}

/// The measuring process of our side.
///
/// # Errors
/// When the training fails or the system does not tell what it used.
pub fn rehearsed(cell: &Cell) -> Result<Reading, BenchError> {
    let &Cell { hidden, intermediate, layers, heads, kv_heads, vocabulary, .. } = cell;
    let sizes = PretrainRecipe::default();
    let recipe = PretrainRecipe { hidden, intermediate, layers, heads, kv_heads, vocabulary, ..sizes };
    let method = match cell.rank {
        0 => TrainingMethod::Full,
        rank => TrainingMethod::Lora { rank, alpha: f64::from(2 * rank) },
    };
    let rehearsal = Rehearsal { recipe, method, rows: cell.rows, length: cell.length };
    let (mut begun, mut now, mut counted) = (0.0, 0.0, 0);
    rehearse(&rehearsal, cell.threads, &mut |step| {
        now = cpu_seconds(SELF).unwrap_or(f64::INFINITY);
        if step <= WARM_UP {
            begun = now;
            return ControlFlow::Continue(());
        }
        counted = step - WARM_UP;
        let over = counted >= FEWEST_STEPS && now - begun >= cell.seconds;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let tokens = u64::from(counted) * (cell.rows * cell.length) as u64;
    let peak_bytes = status(SELF, "VmHWM").ok_or(BenchError::Unmeasurable)? * 1024;
    let cpu_seconds = Some(now - begun).filter(|s| s.is_finite()).ok_or(BenchError::Unmeasurable)?;
    Ok(Reading { tokens, cpu_seconds, peak_bytes, versions: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &str) -> Options {
        let settings = vec!["sdpa".to_owned()];
        Options { peer: None, threads: 1, seconds: 0.0, repeats: 1, only: only.to_owned(), settings }
    }

    #[test]
    fn there_are_eight_cells_and_each_can_be_chosen() {
        assert_eq!(cells(&options("")).len(), 8);
        let chosen = cells(&options("30m.lora.t256"));
        assert_eq!(chosen.len(), 1);
        assert_eq!((chosen[0].1.rank, chosen[0].1.length, chosen[0].1.hidden), (16, 256, 512));
    }

    #[test]
    fn our_side_counts_tokens_time_and_memory() {
        let cell = Cell {
            hidden: 16,
            intermediate: 16,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            vocabulary: 32,
            ..cells(&options("3m.lora.t128")).remove(0).1
        };
        let reading = rehearsed(&cell).unwrap();
        // Threads of other tests that end take their time with them, and it goes on until some has passed.
        assert!(reading.tokens >= 3 * 16 * 128 && reading.tokens.is_multiple_of(16 * 128), "{reading:?}");
        assert!(reading.cpu_seconds > 0.0 && reading.peak_bytes > 1 << 20, "{reading:?}");
        let said = serde_json::to_string(&reading).unwrap();
        let heard: Reading = serde_json::from_str(&said).unwrap();
        // JSON keeps all but the last digit of a fraction.
        assert!((heard.cpu_seconds - reading.cpu_seconds).abs() < 1e-9);
        assert_eq!(Reading { cpu_seconds: reading.cpu_seconds, ..heard }, reading);
    }
}
