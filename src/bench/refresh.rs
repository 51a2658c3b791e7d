//! `bench refresh`: a worker is given new weights again and again; time and memory of it.

use std::path::Path;

use super::scratch::Scratch;
use super::serving::{job, pool};
use super::usage::mebibytes;
use super::{BenchError, Figure, Sink, Times};
use crate::gym::ports::{ChatRequest, Checkpoint, PortError, Sampling, Student as _};
use crate::models::embedded::Embedded;

/// Refreshes after which memory is first looked at: libraries have filled their caches by then.
const SETTLED: usize = 10;
/// Starts of a worker that the refreshes are compared with.
const STARTS: usize = 5;

/// Refreshes a worker of the embedded student `times` times, between two folders, with an answer after each.
///
/// # Errors
/// When the student cannot be unpacked or served, or does not answer alike after every refresh.
pub fn run(times: usize, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let scratch = Scratch::new()?;
    let refused = |error: &dyn std::fmt::Display| PortError::fatal(error.to_string());
    let folder =
        Embedded::Student.folder(&scratch.path().join("embedded")).map_err(|error| refused(&error))?;
    let other = scratch.path().join("other");
    copy(&folder, &other)?;
    let checkpoints = [folder, other].map(|folder| Checkpoint::Full { folder });
    let question = [ChatRequest::text("What is 20 + 30?", Sampling::Greedy, 48)];

    let mut starts = Times::new();
    for _ in 0..STARTS {
        let (mut pool, _) = pool(program, scratch.path(), 1, 1);
        pool.refresh(&checkpoints[0])?;
        starts.take(|| pool.load())?;
    }
    let (mut pool, roster) = pool(program, scratch.path(), 1, 1);
    pool.refresh(&checkpoints[0])?;
    let (expected, _) = job(&mut pool, &question)?;
    let resident = || {
        let worker = roster.statuses().first().map(|status| status.pid.to_string());
        worker.map_or(0.0, |pid| mebibytes(&pid, "VmRSS"))
    };
    let (mut loads, mut settled) = (Times::new(), 0.0);
    for n in 1..=times.max(SETTLED + 1) {
        pool.refresh(&checkpoints[n % 2])?;
        loads.take(|| pool.load())?;
        let (answers, _) = job(&mut pool, &question)?;
        if answers[0].text != expected[0].text {
            return Err(PortError::fatal(format!("after refresh {n} the student answers otherwise")).into());
        }
        if n == SETTLED {
            settled = resident();
        }
    }
    let conditions = format!(
        "{}; embedded student, {} refreshes, one answer after each, all alike",
        crate::probes::processor_name(),
        loads.len()
    );
    let mut say = |name: &str, value: f64, unit: &'static str| {
        sink(Figure::new(format!("refresh.{name}"), value, unit, &conditions));
    };
    let memory = resident();
    say("count", loads.len() as f64, "loads");
    say("ms_p50", loads.quantile(0.5), "ms");
    say("ms_p99", loads.quantile(0.99), "ms");
    say("worker_start_and_load_ms", starts.quantile(0.5), "ms");
    say("memory_mib", memory, "MiB");
    // Of the worker, after the last refresh over after the tenth.
    say("memory_growth", memory / settled.max(1.0), "times");
    say("memory_growth_mib", memory - settled, "MiB");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    let io = |source| BenchError::Io { what: to.display().to_string(), source };
    std::fs::create_dir_all(to).map_err(io)?;
    for entry in std::fs::read_dir(from).map_err(io)? {
        let entry = entry.map_err(io)?;
        std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(io)?;
    }
    Ok(())
}
