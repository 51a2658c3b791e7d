//! The command line: the only place that picks concrete types and prints.
#![allow(clippy::print_stdout, clippy::print_stderr)] // printing is what a command line is for

mod alone;
mod bench;
mod format;
mod headless;
mod launch;
mod logs;
mod runs;
mod scene;
mod screen;
mod serve;
mod train;
mod work;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use color_eyre::eyre::Result;

use crate::config::Paths;
use crate::protocol::worker::Role;

/// Exit code of a run that was asked to stop before its end: start it again (Slurm, sysexits `EX_TEMPFAIL`).
const RESUME_ME: u8 = 75;

/// Find a language model's weaknesses, generate training data for them, train, and see what was learned.
///
/// Without a command it opens the terminal interface on the quick start: the embedded student on the
/// embedded world of arithmetic. Without a terminal it does the same headless.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    /// Folder of the runs [default: `DATAENVGYM_RUNS_DIR`, or the user's data folder].
    #[arg(long, global = true, value_name = "FOLDER")]
    runs_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a run, or resume the one named by --name.
    Run(RunArgs),
    /// Open the terminal interface on a run; it goes on when the terminal closes.
    Attach {
        /// Name of the run [default: the newest].
        name: Option<String>,
    },
    /// List the runs.
    Runs,
    /// Ask a run to stop after the running phase. It can be resumed.
    Stop {
        /// Name of the run.
        name: String,
        /// Do not wait for the phase; it is repeated on resume.
        #[arg(long)]
        now: bool,
    },
    /// Train a student on a file of data, outside a run.
    Train(train::TrainArgs),
    /// Score a student on a task's questions, outside a run.
    Eval(alone::EvalArgs),
    /// Ask a student, one question per line of standard input.
    Chat(alone::ChatArgs),
    /// Make the embedded student from its recipe with our own trainer.
    Pretrain {
        /// Folder to create.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Measure, and print figures.
    Bench(bench::BenchArgs),
    /// The process that owns a run.
    #[command(hide = true)]
    Runner {
        /// The run's folder.
        folder: PathBuf,
        /// Start to work without waiting for a command.
        #[arg(long)]
        go: bool,
    },
    /// The process that hosts one model or trainer.
    #[command(hide = true)]
    Worker {
        /// What it hosts.
        #[arg(value_parser = role)]
        role: Role,
        /// Host a scripted model instead of a real one.
        #[arg(long)]
        scripted: Option<String>,
    },
}

/// What a run can be given on the command line.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// A configuration file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = "quickstart")]
    config: String,
    /// Name of the run; an existing one is resumed [default: the configuration's name].
    #[arg(long)]
    name: Option<String>,
    /// Seed of everything random [default: the configuration's].
    #[arg(long)]
    seed: Option<u64>,
    /// Iterations after iteration 0 [default: the configuration's].
    #[arg(long)]
    iterations: Option<u32>,
    /// Stay in the foreground, print the table of iterations, exit at the end.
    #[arg(long)]
    headless: bool,
}

fn role(word: &str) -> Result<Role, String> {
    [Role::Student, Role::Teacher, Role::Trainer]
        .into_iter()
        .find(|role| role.as_str() == word)
        .ok_or_else(|| "expected `student`, `teacher` or `trainer`".to_owned())
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let mut said = error.to_string();
            eprintln!("error: {}", format::escaped(&said));
            for cause in error.chain().skip(1).map(ToString::to_string) {
                // Many errors quote their cause already.
                if !said.contains(&cause) {
                    eprintln!("  because: {}", format::escaped(&cause));
                    said.push_str(&cause);
                }
            }
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &color_eyre::Report) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let runs = cli.runs_dir.or_else(|| std::env::var_os("DATAENVGYM_RUNS_DIR").map(PathBuf::from));
    let paths = Paths::find(runs.as_deref())?;
    match cli.command {
        Some(Verb::Worker { role, scripted }) => work::worker(role, scripted.as_deref()),
        Some(Verb::Runner { folder, go }) => serve::detached(&paths, &folder, go),
        Some(Verb::Train(args)) => train::train(&paths, &args),
        Some(Verb::Eval(args)) => alone::eval(&paths, &args),
        Some(Verb::Chat(args)) => alone::chat(&paths, &args),
        Some(Verb::Pretrain { out }) => train::pretrain(&out),
        Some(Verb::Bench(args)) => bench::run(args),
        Some(Verb::Runs) => Ok(runs::list(&paths)),
        Some(Verb::Stop { name, now }) => runs::stop(&paths, &name, now),
        Some(Verb::Attach { name }) => screen::attach(&paths, name.as_deref()),
        Some(Verb::Run(args)) if args.headless => headless::run(&paths, &launch::prepare(&paths, &args)?),
        Some(Verb::Run(args)) => launch::run(&paths, &args),
        None if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => screen::open(&paths),
        None => headless::run(&paths, &launch::quick_start(&paths)?),
    }
}
