//! `bench turn`: one turn of the quick start's loop by phase, checks included.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::scratch::Scratch;
use super::{BenchError, Figure, Sink};
use crate::store::Reader;

/// Runs the quick start for one iteration and tells how long each of its phases took.
///
/// # Errors
/// When the run does not come to its end or cannot be read.
pub fn run(program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let scratch = Scratch::new()?;
    let io = |source| BenchError::Io { what: program.display().to_string(), source };
    let began = Instant::now();
    let status = Command::new(program)
        .args(["run", "--config", "quickstart", "--iterations", "1", "--headless", "--runs-dir"])
        .arg(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(io)?;
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(BenchError::Unfinished("the run of the quick start".to_owned()));
    }
    let reader = Reader::open(&scratch.path().join("quickstart"))?;
    let conditions = format!("{}; the quick start, seed 1, one iteration", crate::probes::processor_name());
    let mut say = |name: &str, value: f64| {
        sink(Figure::new(format!("turn.{name}_s"), value, "s", &conditions));
    };
    let mut sums = BTreeMap::from(
        ["evaluate", "plan", "generate", "check", "train"].map(|phase| (phase.to_owned(), 0.0)),
    );
    for timing in reader.timings()? {
        let split = if timing.split.is_empty() { String::new() } else { format!("_{}", timing.split) };
        let phase = format!("{}.{}{split}", timing.iteration, timing.phase);
        let taken = timing.ended_ms.map_or(0, |ended| ended - timing.began_ms) as f64 / 1000.0;
        *sums.entry(timing.phase.clone()).or_default() += taken;
        say(&phase, taken);
    }
    // Each phase with all its repeats: the student is evaluated before and after, on two splits.
    for (phase, taken) in &sums {
        say(phase, *taken);
    }
    say("phases", sums.values().sum());
    // The process from its start to its end.
    say("total", seconds);
    Ok(())
}
