//! `bench refresh`: a worker is given new weights again and again, whole and as adapters; time and memory of both sides.

use std::ops::ControlFlow;
use std::path::Path;

use super::scratch::Scratch;
use super::serving::{job, pool};
use super::usage::{SELF, mebibytes};
use super::{BenchError, Figure, Sink, Times};
use crate::gym::ports::{
    ChatRequest, Checkpoint, PortError, Sampling, Student as _, TrainingOrder, TrainingSettings,
};
use crate::models::embedded::Embedded;
use crate::training::{self, Resources};

/// Refreshes after which memory is first looked at: libraries have filled their caches by then.
const SETTLED: usize = 10;
/// Starts of a worker that the refreshes are compared with.
const STARTS: usize = 5;

/// Refreshes a worker of the embedded student `times` times, by turns with a folder, an adapter, another folder and
/// another adapter, with an answer after each.
///
/// # Errors
/// When the student cannot be unpacked, trained or served, or does not answer alike with the same weights.
pub fn run(times: usize, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let scratch = Scratch::new()?;
    let refused = |error: &dyn std::fmt::Display| PortError::fatal(error.to_string());
    let folder =
        Embedded::Student.folder(&scratch.path().join("embedded")).map_err(|error| refused(&error))?;
    let other = scratch.path().join("other");
    copy(&folder, &other)?;
    let adapter = |seed| adapter(&folder, &scratch.path().join(format!("adapter-{seed}")), seed);
    let checkpoints = [
        Checkpoint::Full { folder: folder.clone() },
        adapter(1)?,
        Checkpoint::Full { folder: other },
        adapter(2)?,
    ];
    let question = [ChatRequest::text("What is 20 + 30?", Sampling::Greedy, 48)];

    let mut starts = Times::new();
    for _ in 0..STARTS {
        let (mut pool, _) = pool(program, scratch.path(), 1, 1);
        pool.refresh(&checkpoints[0])?;
        starts.take(|| pool.load())?;
    }
    let (mut pool, roster) = pool(program, scratch.path(), 1, 1);
    let mut expected: [Option<String>; 4] = Default::default();
    let memory = || {
        let worker = roster.statuses().first().map(|status| status.pid.to_string());
        Memory {
            worker: worker.map_or(0.0, |pid| mebibytes(&pid, "VmRSS")),
            runner: mebibytes(SELF, "VmRSS"),
        }
    };
    let (mut loads, mut settled) = ([Times::new(), Times::new()], Memory::default());
    let (mut last, times) = (Memory::default(), times.max(SETTLED + checkpoints.len()));
    for n in 1..=times {
        let turn = n % checkpoints.len();
        pool.refresh(&checkpoints[turn])?;
        loads[turn % 2].take(|| pool.load())?;
        let (answers, _) = job(&mut pool, &question)?;
        if expected[turn].get_or_insert_with(|| answers[0].text.clone()) != &answers[0].text {
            return Err(PortError::fatal(format!("after refresh {n} the student answers otherwise")).into());
        }
        // The largest over all kinds of weights: adapters are merged while they are loaded.
        if n + checkpoints.len() > SETTLED && n <= SETTLED {
            settled = settled.largest(memory());
        }
        if n + checkpoints.len() > times {
            last = last.largest(memory());
        }
    }
    let conditions = format!(
        "{}; embedded student, {times} refreshes, every second one with an adapter, one answer after each, all alike",
        crate::probes::processor_name()
    );
    let mut say = |name: &str, value: f64, unit: &'static str| {
        sink(Figure::new(format!("refresh.{name}"), value, unit, &conditions));
    };
    let [full, adapters] = &loads;
    say("count", (full.len() + adapters.len()) as f64, "loads");
    say("ms_p50", full.quantile(0.5), "ms");
    say("ms_p99", full.quantile(0.99), "ms");
    say("adapter_ms_p50", adapters.quantile(0.5), "ms");
    say("adapter_ms_p99", adapters.quantile(0.99), "ms");
    say("worker_start_and_load_ms", starts.quantile(0.5), "ms");
    say("memory_mib", last.worker, "MiB");
    // Over the last refreshes against those up to the tenth: of the worker, and of this process, which has the
    // runner's side of it.
    say("memory_growth", last.worker / settled.worker.max(1.0), "times");
    say("memory_growth_mib", last.worker - settled.worker, "MiB");
    say("runner_memory_growth", last.runner / settled.runner.max(1.0), "times");
    Ok(())
}

/// Resident memory of both sides, in MiB.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    worker: f64,
    runner: f64,
}

impl Memory {
    fn largest(self, other: Self) -> Self {
        Self { worker: self.worker.max(other.worker), runner: self.runner.max(other.runner) }
    }
}

/// An adapter for a model, trained for a few steps, so that it changes something.
fn adapter(base: &Path, output: &Path, seed: u64) -> Result<Checkpoint, BenchError> {
    let example = |n: u64| (format!("What is {n} + {seed}?"), format!("{n}+{seed}={}. #### {0}", n + seed));
    let order = TrainingOrder {
        start: Checkpoint::Full { folder: base.to_owned() },
        examples: (1..=32).map(example).collect(),
        replay: Vec::new(),
        settings: TrainingSettings { learning_rate: 2e-3, ..TrainingSettings::default() },
        seed,
        output: output.to_owned(),
    };
    let trained = training::train(&order, &Resources::default(), &mut |_| ControlFlow::Continue(()));
    Ok(trained.map_err(|error| PortError::fatal(error.to_string()))?.checkpoint)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::folder;

    #[test]
    fn the_adapters_that_are_put_on_by_turns_are_two_and_fit() {
        let place = tempfile::tempdir().unwrap();
        let base = Embedded::Student.folder(&place.path().join("embedded")).unwrap();
        let weights = |seed: u64| {
            let output = place.path().join(seed.to_string());
            let made = adapter(&base, &output, seed).unwrap();
            assert!(matches!(made, Checkpoint::Adapter { .. }));
            folder::check_adapter(&output, &folder::check(&base).unwrap()).unwrap();
            std::fs::read(output.join("adapter_model.safetensors")).unwrap()
        };
        assert_ne!(weights(1), weights(2));
    }
}
