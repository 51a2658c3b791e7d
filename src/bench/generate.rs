//! `bench generate`: a whole job of answers through the workers, beside `transformers` on the same weights.
//!
//! 480 questions of the embedded world, answered greedily by models with random weights. Both sides arrange the
//! work as they like on so many cores; loading is not counted. Every answer is compared with the one that a
//! single worker gave to that question alone, asked in another order. What a decoder that takes all questions together
//! reaches on the same job stands beside it.

mod decoder;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::process::said;
use super::scratch::Scratch;
use super::serving::{job, pool};
use super::{BenchError, Figure, Sink};
use crate::gym::ports::{ChatReply, ChatRequest, Checkpoint, PortError, Sampling, Student as _};
use crate::runner::pool::SeatReport;
use crate::training::{Making, PretrainRecipe, pretrain};
use crate::worlds::arithmetic::{Split, evaluation_set};

const PEER: &str = include_str!("../../tests/peers/bench_generate.py");
/// Questions of each of the twelve skills.
const PER_SKILL: usize = 40;
/// A random model seldom ends by itself.
const MAX_TOKENS: u32 = 32;
/// Requests in flight per worker that are tried; the fastest counts, if its answers are right.
const IN_FLIGHT: [u32; 2] = [1, 8];

/// What is measured, with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// A Python with the peer's packages; without one only our figures are taken.
    pub peer: Option<PathBuf>,
    /// Measurements per side, in turns; the fastest one counts.
    pub repeats: u32,
    /// Only cells whose name contains this.
    pub only: String,
}

/// What the peer is given.
#[derive(Serialize)]
struct Order<'a> {
    folder: &'a Path,
    threads: usize,
    max_tokens: u32,
    prompts: Vec<&'a str>,
}

/// What the peer says.
#[derive(Deserialize)]
struct Answered {
    seconds: f64,
    tokens: u64,
    texts: Vec<String>,
    setting: String,
    versions: String,
}

/// One way of ours to arrange the job.
struct Ours {
    speed: f64,
    /// Answers that are not those of one question at a time.
    differing: usize,
    /// What the workers granted, not what was asked for.
    in_flight: u32,
}

/// Requests in flight that every worker grants; 0 without workers. One whose test found that batches change tokens
/// works on one after the other, whatever it was asked.
fn granted(reports: &[SeatReport]) -> u32 {
    reports.iter().map(|report| report.in_flight).min().unwrap_or(0)
}

/// The models by name: 2.6 and 32 million parameters.
fn models() -> [(&'static str, PretrainRecipe); 2] {
    let shape = |[hidden, intermediate, layers, heads, kv_heads]: [usize; 5]| PretrainRecipe {
        hidden,
        intermediate,
        layers,
        heads,
        kv_heads,
        vocabulary: 1024,
        // Random weights with a tokenizer: one step changes little.
        tokenizer_examples: 2000,
        steps: 1,
        batch_size: 1,
        warmup_steps: 0,
        ..PretrainRecipe::default()
    };
    [("2m", shape([192, 512, 6, 6, 3])), ("32m", shape([512, 1536, 10, 8, 4]))]
}

/// Measures every cell.
///
/// # Errors
/// When a model cannot be made, a worker fails or the peer does not deliver.
pub fn run(options: &Options, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let machine = crate::probes::processor_name();
    let problems = evaluation_set(Split::Validation, PER_SKILL);
    let prompts: Vec<&str> = problems.iter().map(|problem| problem.question.as_str()).collect();
    let requests: Vec<ChatRequest> =
        prompts.iter().map(|prompt| ChatRequest::text(*prompt, Sampling::Greedy, MAX_TOKENS)).collect();
    for (name, recipe) in models() {
        let chosen = |cores: &usize| format!("{name}.threads{cores}").contains(&options.only);
        let cores: Vec<usize> = [1, 2].into_iter().filter(chosen).collect();
        if cores.is_empty() {
            continue;
        }
        let scratch = Scratch::new()?;
        let folder = scratch.path().join(name);
        let made = pretrain(&recipe, Making { folder: &folder, start: None, threads: None }, &mut |_| {
            ControlFlow::Continue(())
        });
        made.map_err(|error| PortError::fatal(error.to_string()))?;
        let checkpoint = Checkpoint::Full { folder: folder.clone() };
        let expected = one_at_a_time(program, scratch.path(), &checkpoint, &requests)?;
        for cores in cores {
            let (mut ours, mut theirs): (Vec<Ours>, Vec<Answered>) = (Vec::new(), Vec::new());
            let mut ways = IN_FLIGHT.to_vec();
            for _ in 0..options.repeats.max(1) {
                for in_flight in ways.clone() {
                    let (mut pool, _) = pool(program, scratch.path(), cores, in_flight);
                    pool.refresh(&checkpoint)?;
                    pool.load()?;
                    let granted = granted(&pool.reports());
                    if granted != in_flight {
                        // It would be another way once more.
                        ways.retain(|way| *way != in_flight);
                        continue;
                    }
                    let (replies, seconds) = job(&mut pool, &requests)?;
                    let tokens: u64 = replies.iter().map(|reply| u64::from(reply.tokens)).sum();
                    let differing = replies.iter().zip(&expected).filter(|(a, b)| a.text != b.text).count();
                    ours.push(Ours { speed: tokens as f64 / seconds, differing, in_flight: granted });
                    pool.release();
                    // As often as we are: the best of more measurements is faster by chance.
                    if let Some(python) = &options.peer {
                        let prompts = prompts.clone();
                        let order =
                            Order { folder: &folder, threads: cores, max_tokens: MAX_TOKENS, prompts };
                        theirs.push(peer(python, &order)?);
                    }
                }
            }
            let measured = ours.len();
            let differing: usize = ours.iter().map(|way| way.differing).sum();
            // A fast wrong answer is no answer.
            let right = ours.into_iter().filter(|way| way.differing == 0);
            let best = right.max_by(|a, b| a.speed.total_cmp(&b.speed));
            let speed = |answered: &Answered| answered.tokens as f64 / answered.seconds;
            let peer = theirs.iter().max_by(|a, b| speed(a).total_cmp(&speed(b)));
            let same =
                peer.map(|peer| peer.texts.iter().zip(&expected).filter(|(a, b)| **a == b.text).count());
            let beside = peer.map_or_else(
                || "no peer".to_owned(),
                |peer| {
                    format!(
                        "{}, {}; {} of {} answers as ours",
                        peer.versions,
                        peer.setting,
                        same.unwrap_or(0),
                        expected.len()
                    )
                },
            );
            let arranged = best.as_ref().map_or(0, |way| way.in_flight);
            let conditions = format!(
                "{machine}; {} questions, {MAX_TOKENS} tokens at most; {cores} workers with {arranged} in flight, best \
                 of {measured} on either side; {beside}",
                requests.len()
            );
            let (ours, theirs) = (best.map_or(0.0, |way| way.speed), peer.map(speed));
            let cell = format!("generate.{name}.threads{cores}");
            let speeds = Figure::new(format!("{cell}.tokens_per_s"), ours, "tokens/s", &conditions);
            sink(speeds.beside(theirs));
            sink(Figure::new(format!("{cell}.wrong_answers"), differing as f64, "answers", conditions));
            let (texts, reached) = decoder::decoded(&folder, &prompts, (cores, MAX_TOKENS))?;
            let same = texts.iter().zip(&expected).filter(|(text, reply)| **text == reply.text).count();
            let conditions = format!(
                "{machine}; the trainer's decoder on {cores} threads, all questions together, once; a lower bound, \
                 because it takes one token of a prompt at a step; {same} of {} answers as one at a time",
                expected.len()
            );
            let name = format!("{cell}.own_decoder_tokens_per_s");
            sink(Figure::new(name, reached, "tokens/s", conditions).beside(theirs));
        }
    }
    Ok(())
}

/// The answers of a single worker to one question after the other, asked from the last to the first.
fn one_at_a_time(
    program: &Path,
    home: &Path,
    checkpoint: &Checkpoint,
    requests: &[ChatRequest],
) -> Result<Vec<ChatReply>, BenchError> {
    let (mut pool, _) = pool(program, home, 1, 1);
    pool.refresh(checkpoint)?;
    let backwards: Vec<ChatRequest> = requests.iter().rev().cloned().collect();
    let (mut replies, _) = job(&mut pool, &backwards)?;
    replies.reverse();
    Ok(replies)
}

fn peer(python: &Path, order: &Order<'_>) -> Result<Answered, BenchError> {
    let io = |source| BenchError::Io { what: format!("{}", python.display()), source };
    let file = order.folder.with_extension("order.json");
    std::fs::write(&file, serde_json::to_vec(order).unwrap_or_default()).map_err(io)?;
    said(Command::new(python).args(["-c", PEER]).arg(&file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::ports::{BatchTest, Device};

    #[test]
    fn a_way_is_called_what_every_worker_granted() {
        let seat = |in_flight, differing| SeatReport {
            name: "student@cpu#0".to_owned(),
            device: Device::Cpu,
            in_flight,
            batch_test: Some(BatchTest { prompts: 8, differing }),
        };
        assert_eq!(granted(&[seat(8, 0), seat(8, 0)]), 8);
        assert_eq!(granted(&[seat(8, 0), seat(1, 3)]), 1, "asked for eight");
        assert_eq!(granted(&[]), 0);
    }
}
