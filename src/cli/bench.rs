//! `dataenvgym bench`: measures and prints figures. It does not judge.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::eyre::Result;

use crate::bench::{Figure, train};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
    /// Training speed and memory, beside `PyTorch` + PEFT where a Python is named.
    Train,
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
    /// A Python with `tests/peers/requirements.txt` [default: `DATAENVGYM_PEER_PYTHON`].
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Threads of either side.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Processor seconds per measurement.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Measurements per side, of which the best one counts.
    #[arg(long, default_value_t = 2)]
    repeats: u32,
    /// Only cells whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Settings of the peer, of which the best one counts.
    #[arg(long, value_delimiter = ',', default_value = "sdpa,eager")]
    settings: Vec<String>,
    #[arg(long, hide = true)]
    cell: Option<String>,
}

pub(super) fn run(args: BenchArgs) -> Result<ExitCode> {
    if let Some(cell) = &args.cell {
        say(&serde_json::to_string(&train::rehearsed(&serde_json::from_str(cell)?)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let program = std::env::current_exe()?;
    let peer = args.peer.or_else(|| std::env::var_os("DATAENVGYM_PEER_PYTHON").map(PathBuf::from));
    let mut broken = None;
    let mut sink = |figure: Figure| {
        let line = if args.json { serde_json::to_string(&figure) } else { Ok(row(&figure)) };
        match line {
            Ok(line) => say(&line),
            Err(error) => broken = Some(error),
        }
    };
    match args.name {
        Name::Train => {
            let (threads, seconds, repeats) = (args.threads.max(1), args.seconds, args.repeats);
            let options =
                train::Options { peer, threads, seconds, repeats, only: args.only, settings: args.settings };
            train::run(&options, &program, &mut sink)?;
        }
    }
    broken.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

fn row(figure: &Figure) -> String {
    let Figure { figure, value, unit, peer, ratio, conditions } = figure;
    let number = |x: &Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.2}"));
    let (peer, ratio) = (number(peer), number(ratio));
    format!("{figure:<44} {value:>10.1} {unit:<8} peer {peer:>10}  ratio {ratio:>5}  {conditions}")
}

/// A line that is there when a reader behind a pipe looks for it.
fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}
