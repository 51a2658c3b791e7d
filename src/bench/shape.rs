//! `bench shape`: a model in the shape of Qwen2.5-0.5B goes through everything a student and a teacher go
//! through, with random weights; time and memory of each step.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::scratch::Scratch;
use super::serving::{job, pool};
use super::usage::mebibytes;
use super::{BenchError, Figure, Sink, Times};
use crate::gym::ports::{ChatRequest, Checkpoint, PortError, Sampling, Student as _};
use crate::models::random::{self, Shape};
use crate::runner::pool::Roster;

/// Answers under a schema.
const ANSWERS: u64 = 20;
const BATCH: usize = 4;
/// Optimiser steps.
const STEPS: usize = 5;

/// Measures loading, answers under a schema, training of an adapter with its export, and the refresh to it.
/// `tokenizer` is the `tokenizer.json` of a model whose end token is `<|endoftext|>`.
///
/// # Errors
/// When the model cannot be written, served or trained, or an answer does not obey the schema.
pub fn run(tokenizer: &Path, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let scratch = Scratch::new()?;
    let folder = scratch.path().join("model");
    let io = |source| BenchError::Io { what: folder.display().to_string(), source };
    random::write(&folder, &Shape::QWEN2_5_HALF_BILLION, tokenizer, "<|endoftext|>", 1).map_err(io)?;
    let conditions = format!(
        "{}; 494 million random parameters, vocabulary of 151,936 with as many tokens, turns in the ChatML format; one \
         core for answers, all for training",
        crate::probes::processor_name()
    );
    let mut say = |name: &str, value: f64, unit: &'static str| {
        sink(Figure::new(format!("shape.{name}"), value, unit, &conditions));
    };

    let (mut pool, roster) = pool(program, scratch.path(), 1, 1);
    pool.refresh(&Checkpoint::Full { folder: folder.clone() })?;
    let mut load = Times::new();
    load.take(|| pool.load())?;
    say("load_s", load.quantile(1.0) / 1000.0, "s");
    say("load_memory_mib", peak_of(&roster), "MiB");

    let requests: Vec<ChatRequest> = (0..ANSWERS).map(exercise).collect();
    let (replies, seconds) = job(&mut pool, &requests)?;
    for reply in &replies {
        let read: Result<serde_json::Value, _> = serde_json::from_str(&reply.text);
        let obeys = read.is_ok_and(|value| value["question"].is_string() && value["answer"].is_string());
        if !obeys {
            return Err(
                PortError::fatal(format!("an answer does not obey its schema: {}", reply.text)).into()
            );
        }
    }
    let tokens: u32 = replies.iter().map(|reply| reply.tokens).sum();
    say("answers_s", seconds, "s");
    say("answers_tokens_per_s", f64::from(tokens) / seconds, "tokens/s");
    say("answers_memory_mib", peak_of(&roster), "MiB");
    pool.release();

    let adapter = scratch.path().join("adapter");
    let trained = train(program, scratch.path(), &folder, &adapter)?;
    // From the start of the process to its last step, and from there to its end.
    say("train_s", trained.steps_s, "s");
    say("export_s", trained.export_s, "s");
    say("train_memory_mib", trained.peak_mib, "MiB");

    pool.refresh(&Checkpoint::Adapter { base: folder.clone(), adapter })?;
    let mut refresh = Times::new();
    refresh.take(|| pool.load())?;
    say("refresh_s", refresh.quantile(1.0) / 1000.0, "s");
    job(&mut pool, &[ChatRequest::text("What is 20 + 30?", Sampling::Greedy, 8)])?;
    say("refresh_memory_mib", peak_of(&roster), "MiB");
    Ok(())
}

fn exercise(n: u64) -> ChatRequest {
    let schema = json!({
        "type": "object",
        "properties": {
            "question": {"type": "string", "minLength": 1, "maxLength": 20},
            "answer": {"type": "string", "minLength": 1, "maxLength": 8},
        },
        "required": ["question", "answer"],
        "additionalProperties": false,
    });
    let sampling = Sampling::drawn(1.0, 0.95, n);
    ChatRequest { schema: Some(schema), ..ChatRequest::text(format!("Write exercise {n}."), sampling, 96) }
}

/// Most memory that the first worker ever had.
fn peak_of(roster: &Roster) -> f64 {
    let worker = roster.statuses().first().map(|status| status.pid.to_string());
    worker.map_or(0.0, |pid| mebibytes(&pid, "VmHWM"))
}

/// What a training took.
struct Trained {
    /// Seconds until its last step was done, with reading the model.
    steps_s: f64,
    /// Seconds from there until the adapter was written and the process had ended.
    export_s: f64,
    /// Most memory that was seen.
    peak_mib: f64,
}

/// Trains an adapter for a few steps in a process of its own.
fn train(program: &Path, home: &Path, base: &Path, adapter: &Path) -> Result<Trained, BenchError> {
    let io = |source| BenchError::Io { what: home.display().to_string(), source };
    let lessons: PathBuf = home.join("lessons.jsonl");
    let lesson = |n: usize| {
        let (question, answer) = (format!("What is {n} + {n}?"), format!("{n} + {n} = {}. #### {0}", 2 * n));
        json!({"instruction": question, "response": answer}).to_string()
    };
    let lines: Vec<String> = (0..BATCH * STEPS).map(lesson).collect();
    std::fs::write(&lessons, lines.join("\n")).map_err(io)?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(["train", "--method", "lora", "--epochs", "1", "--batch-size", &BATCH.to_string(), "--data"])
        .arg(&lessons)
        .arg("--student")
        .arg(base)
        .arg("--out")
        .arg(adapter)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let told = child.stderr.take();
    let listening = std::thread::spawn(move || told.and_then(|told| last_step(BufReader::new(told))));
    let peak = watched(&mut child).map_err(io)?;
    let whole = began.elapsed();
    let stepped =
        listening.join().ok().flatten().ok_or(BenchError::Process)?.saturating_duration_since(began);
    Ok(Trained {
        steps_s: stepped.as_secs_f64(),
        export_s: whole.saturating_sub(stepped).as_secs_f64(),
        peak_mib: peak.ok_or(BenchError::Process)?,
    })
}

/// When the last step was told. Reads to the end, so that nobody waits for a reader.
fn last_step(told: impl BufRead) -> Option<Instant> {
    let last = format!("step {STEPS} of {STEPS},");
    let mut when = None;
    for line in told.lines().map_while(Result::ok) {
        if line.starts_with(&last) {
            when = Some(Instant::now());
        }
    }
    when
}

/// Waits for the end and tells the most memory that was seen, in MiB; nothing when it failed.
fn watched(child: &mut Child) -> std::io::Result<Option<f64>> {
    let (pid, mut peak) = (child.id().to_string(), 0.0_f64);
    loop {
        // Gone once the process has ended: the last look counts.
        peak = peak.max(mebibytes(&pid, "VmHWM"));
        if let Some(status) = child.try_wait()? {
            return Ok(status.success().then_some(peak));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_parts_training_from_export() {
        let told = |last: &str| format!("step 1 of 5, loss 2.1\nstep {last} of 5, loss 2.0\nand more\n");
        assert!(last_step(told("5").as_bytes()).is_some());
        assert!(last_step(told("4").as_bytes()).is_none());
    }
}
