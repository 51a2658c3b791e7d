//! `dataenvgym bench`: measures and prints figures. It does not judge.

mod teacher;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::eyre::{Result, eyre};

use super::work;
use crate::agents::engines::TaughtSettings;
use crate::bench::{
    Figure, batches, endpoint, generate, refresh, resume, score, screen, shape, store, train, turn,
};
use crate::config::Paths;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
    /// The same prompts alone, within 8 and within 32 in flight: answers and probabilities that change.
    Batches,
    /// Requests per second, processor time and memory of the client of endpoints against a server of ours.
    Endpoint,
    /// A whole job of answers through the workers, beside `transformers` where a Python is named.
    Generate,
    /// Time and memory of a worker that is given new weights again and again.
    Refresh,
    /// Kills a scripted run at every fail point and at random instants, and compares what it comes to.
    Resume,
    /// Pairs of mathematical answers that the judges compare per second.
    Score,
    /// The client in a terminal: from key to frame, bytes, processor time, memory, attaching to a large run.
    Screen,
    /// A model in the shape of Qwen2.5-0.5B with random weights: loading, answers, training, refresh.
    Shape,
    /// Insertion, pages, search and resume of a large run database.
    Store,
    /// Right labels, asked skills, variety and length of what a teacher writes for the embedded world.
    Teacher,
    /// Training speed and memory, beside `PyTorch` + PEFT where a Python is named.
    Train,
    /// One turn of the quick start's loop, by phase.
    Turn,
}

/// A process of a bench beside the one that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Serves answers until its input ends.
    Serve,
    /// Reads a store until its input ends.
    Read,
    /// Holds a store until it is killed.
    Hold,
    /// Resumes a run.
    Resume,
    /// Journals a review.
    Review,
}

/// What a bench can be given.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// What to measure.
    #[arg(value_enum)]
    name: Name,
    /// One JSON object per line: figure, value, unit, peer, ratio, conditions.
    #[arg(long)]
    json: bool,
    /// `endpoint`: requests.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// `store`, `screen`: training data in the store.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// `screen`: clients that are attached and killed.
    #[arg(long, default_value_t = 1000)]
    kills: usize,
    /// `resume`: kills at random instants.
    #[arg(long, default_value_t = 100)]
    random: u64,
    /// `shape`: the `tokenizer.json` of a model whose end token is `<|endoftext|>`, as GPT-2's.
    #[arg(long, value_name = "FILE", required_if_eq("name", "shape"))]
    tokenizer: Option<PathBuf>,
    /// `refresh`: how often.
    #[arg(long, default_value_t = 200)]
    times: usize,
    /// `teacher`: the model, as in `teacher.model`.
    #[arg(long, default_value = "embedded")]
    model: String,
    /// `teacher`: exercises per skill.
    #[arg(long, default_value_t = 300)]
    data: u32,
    /// `teacher`: as in `engine.temperature`.
    #[arg(long, default_value_t = TaughtSettings::default().temperature)]
    temperature: f64,
    /// `teacher`: as in `engine.top_p`.
    #[arg(long, default_value_t = TaughtSettings::default().top_p)]
    top_p: f64,
    /// `teacher`: decides every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `train`, `generate`: a Python with `tests/peers/requirements.txt` [default: `DATAENVGYM_PEER_PYTHON`].
    #[arg(long, value_name = "PYTHON", visible_alias = "peer-python")]
    peer: Option<PathBuf>,
    /// `train`: threads of either side.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// `train`: processor seconds per measurement; `screen`: seconds of watching; `score`: seconds of comparing.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// `train`, `generate`: measurements per side, of which the best one counts; `screen`: repeats.
    #[arg(long, default_value_t = 2)]
    repeats: u32,
    /// `train`, `generate`, `screen`: only cells or scenes whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// `train`: settings of the peer, of which the best one counts.
    #[arg(long, value_delimiter = ',', default_value = "sdpa,eager")]
    settings: Vec<String>,
    #[arg(long, hide = true)]
    part: Option<Part>,
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
    #[arg(long, hide = true)]
    cell: Option<String>,
}

pub(super) fn run(paths: &Paths, args: BenchArgs) -> Result<ExitCode> {
    if let Some(cell) = &args.cell {
        say(&serde_json::to_string(&train::rehearsed(&serde_json::from_str(cell)?)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.part == Some(Part::Serve) {
        endpoint::serve(say)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(part), Some(folder)) = (args.part, &args.folder) {
        match part {
            Part::Read => println!("{}", serde_json::to_string(&store::read(folder)?)?),
            Part::Hold => store::hold(folder, || say("held"))?,
            Part::Resume => store::resume(folder, || say("running"))?,
            Part::Review => resume::review(folder)?,
            Part::Serve => {}
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.rows == 0 {
        return Err(eyre!("--rows 0: a store without rows has nothing to measure; give a larger number"));
    }
    let program = std::env::current_exe()?;
    let (mut broken, mut same) = (None, true);
    let mut sink = |figure: Figure| {
        let line = if args.json { serde_json::to_string(&figure) } else { Ok(row(&figure)) };
        match line {
            Ok(line) => say(&line),
            Err(error) => broken = Some(error),
        }
    };
    let peer = args.peer.or_else(|| std::env::var_os("DATAENVGYM_PEER_PYTHON").map(PathBuf::from));
    match args.name {
        Name::Batches => batches::run(work::real_student(), &mut sink)?,
        Name::Generate => {
            let options = generate::Options { peer, repeats: args.repeats, only: args.only };
            generate::run(&options, &program, &mut sink)?;
        }
        Name::Refresh => refresh::run(args.times, &program, &mut sink)?,
        Name::Shape => {
            let tokenizer = args.tokenizer.ok_or_else(|| eyre!("bench shape needs --tokenizer FILE"))?;
            shape::run(&tokenizer, &program, &mut sink)?;
        }
        Name::Turn => turn::run(&program, &mut sink)?,
        Name::Endpoint => endpoint::run(args.requests, &program, &mut sink)?,
        Name::Resume => same = resume::run(&program, args.random, &mut sink)?,
        Name::Score => score::run(args.seconds, &mut sink),
        Name::Screen => {
            let BenchArgs { rows, repeats, seconds, kills, .. } = args;
            screen::run(
                &screen::Options { rows, repeats, seconds, kills, only: args.only },
                &program,
                &mut sink,
            )?;
        }
        Name::Store => store::run(args.rows, &program, &mut sink)?,
        Name::Teacher => {
            let BenchArgs { model, data, temperature, top_p, seed, .. } = args;
            teacher::run(paths, &teacher::Options { model, data, temperature, top_p, seed }, &mut sink)?;
        }
        Name::Train => {
            let (threads, seconds, repeats) = (args.threads.max(1), args.seconds, args.repeats);
            let options =
                train::Options { peer, threads, seconds, repeats, only: args.only, settings: args.settings };
            train::run(&options, &program, &mut sink)?;
        }
    }
    // What resumes to something else is no figure but a defect.
    let code = if same { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    broken.map_or(Ok(code), |error| Err(error.into()))
}

fn row(figure: &Figure) -> String {
    let Figure { figure, value, unit, peer, ratio, conditions } = figure;
    let beside = match (peer, ratio) {
        (Some(peer), Some(ratio)) => format!("peer {peer:.1}, ratio {ratio:.2}  "),
        _ => String::new(),
    };
    format!("{figure:<52} {value:>14.3} {unit:<8} {beside}{conditions}")
}

/// A line that is there when a reader behind a pipe looks for it.
fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}
