//! The command line: the only place that picks concrete types and prints.
#![allow(clippy::print_stdout, clippy::print_stderr)] // printing is what a command line is for

// First, because the others use its macros.
#[macro_use]
mod say;

mod agents;
mod alone;
mod bench;
mod config;
mod delete;
mod doctor;
mod endpoints;
mod experiment;
mod export;
mod format;
mod headless;
mod hints;
mod import;
mod launch;
mod logs;
mod new_run;
mod outcome;
mod placement;
mod report;
mod runs;
mod scene;
mod screen;
mod sealed;
mod serve;
mod table;
mod text;
mod train;
mod work;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use color_eyre::eyre::Result;

use crate::config::Paths;
use crate::protocol::worker::Role;

/// Exit code of a run that was asked to stop before its end: start it again (Slurm, sysexits `EX_TEMPFAIL`).
const RESUME_ME: u8 = 75;

/// The version of this program, with the commit that it was built from where whoever built it named one
/// (`DATAENVGYM_COMMIT=$(git rev-parse --short HEAD) cargo build --release`): runs keep it.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("DATAENVGYM_COMMIT") {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    });
    &VERSION
}

/// Find a language model's weaknesses, generate training data for them, train, and see what was learned.
///
/// Without a command it opens the terminal interface on the quick start: the embedded student on the
/// embedded world of arithmetic. Without a terminal it does the same headless.
#[derive(Debug, Parser)]
#[command(version = version(), about, max_term_width = 100)]
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
    ///
    /// Without a terminal, or with --text, prints the table of iterations and progress instead, until the run
    /// stands still or Ctrl-C; the exit code is then that of `wait`.
    Attach {
        /// Name of the run [default: the newest].
        name: Option<String>,
        /// Print lines instead of opening the terminal interface.
        #[arg(long)]
        text: bool,
    },
    /// List the runs.
    Runs,
    /// Show and check what a run would be configured with.
    #[command(subcommand)]
    Config(config::Verb),
    /// Try out the endpoints of a configuration, list presets, estimate what a run would ask of them.
    #[command(subcommand)]
    Endpoints(endpoints::Verb),
    /// List the policies and engines: where they act, their parameters and defaults.
    Agents,
    /// Ask a run to stop after the running phase. It can be resumed.
    Stop {
        /// Name of the run.
        name: String,
        /// Do not wait for the phase; it is repeated on resume.
        #[arg(long)]
        now: bool,
    },
    /// Wait until a run does not go on by itself.
    ///
    /// Exit code 0: finished. 75: paused or stopped, it can be resumed. 1: failed. 124: the time was over first.
    Wait {
        /// Name of the run [default: the newest].
        name: Option<String>,
        /// Seconds to wait at most.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Print a run's log.
    Logs {
        /// Name of the run [default: the newest].
        name: Option<String>,
        /// Go on printing until the run's process ends.
        #[arg(long, short)]
        follow: bool,
        /// The log of a worker, such as `student@cpu#0`, instead of the run's own.
        #[arg(long, value_name = "NAME")]
        worker: Option<String>,
        /// Lines to begin with, also from logs that were put aside.
        #[arg(long, short = 'n', default_value_t = 100)]
        lines: usize,
    },
    /// Delete runs with everything they made. One that is in use is refused.
    Delete {
        /// Names of the runs.
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Check this machine: terminal, folders, runs, GPUs, limits. Exit code 1 when something must be mended.
    ///
    /// With --teacher, put every prompt to a model instead and count the answers that could be used; the keys of
    /// `[teacher]` come from the usual layers. Exit code 1 when no answer to some prompt could.
    Doctor {
        /// The model, as in `teacher.model`: `embedded`, a folder, a GGUF file, `hub:NAME`, `endpoint:NAME`, `scripted`.
        #[arg(long, value_name = "MODEL")]
        teacher: Option<String>,
        /// Questions of each prompt, at least.
        #[arg(long, default_value_t = 4, requires = "teacher", value_parser = clap::value_parser!(u32).range(1..=12))]
        answers: u32,
        /// Print one JSON object per check.
        #[arg(long)]
        json: bool,
    },
    /// Write training data or everything a run holds into files for other programs.
    ///
    /// The same run gives the same bytes: no times, no host, no name of the run. A folder appears whole or
    /// not at all.
    Export(export::ExportArgs),
    /// Make a run from files: an export, a data set, or an experiment of the reference implementation.
    ///
    /// The run can be looked at, exported and compared. It cannot be resumed: it has no configuration.
    Import(import::ImportArgs),
    /// Report what one run learned: scores with intervals, skills, data, costs, answers that changed.
    Report(report::ReportArgs),
    /// Compare runs on the test questions they have in common.
    Compare(report::CompareArgs),
    /// Run a grid of runs that a file describes, and report what it shows. Goes on where it was stopped.
    Experiment(experiment::ExperimentArgs),
    /// Train a student on a file of data, outside a run.
    Train(train::TrainArgs),
    /// Score a student on a task's questions, outside a run.
    Eval(alone::EvalArgs),
    /// Ask a student, one question per line of standard input.
    Chat(alone::ChatArgs),
    /// Make an embedded model from its recipe with our own trainer.
    Pretrain(train::PretrainArgs),
    /// Measure this program: speed and size, under the names that its claims use.
    Bench(bench::BenchArgs),
    /// Print the keys of the screen as Markdown.
    #[command(hide = true)]
    Keys,
    /// The process that owns a run.
    #[command(hide = true)]
    Runner {
        /// The run's folder.
        folder: PathBuf,
        /// Start to work without waiting for a command; the name is that of the client who asks for it.
        #[arg(long, value_name = "CLIENT")]
        go: Option<String>,
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
        /// Ask endpoints instead of a model of this machine.
        #[arg(long)]
        endpoint: Option<String>,
        /// Keep a model of this machine on one core that no other worker has taken.
        #[arg(long)]
        one_core: bool,
    },
}

/// What a run can be given on the command line.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    layers: config::LayerArgs,
    /// Stay in the foreground, print the table of iterations, exit at the end.
    #[arg(long)]
    headless: bool,
}

fn role(word: &str) -> Result<Role, String> {
    [Role::Student, Role::Teacher, Role::Verifier, Role::Trainer]
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
            if let Some(remedy) = hints::remedy(&said) {
                eprintln!("  {remedy}");
            }
            ExitCode::FAILURE
        }
    }
}

fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

fn is_broken_pipe(error: &color_eyre::Report) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let runs = cli.runs_dir.or_else(|| std::env::var_os("DATAENVGYM_RUNS_DIR").map(PathBuf::from));
    let paths = Paths::find(runs.as_deref())?;
    match cli.command {
        Some(Verb::Worker { role, scripted, endpoint, one_core }) => {
            work::worker(role, scripted.as_deref(), endpoint.as_deref(), one_core)
        }
        Some(Verb::Runner { folder, go }) => serve::detached(&paths, &folder, go),
        Some(Verb::Train(args)) => train::train(&paths, &args),
        Some(Verb::Eval(args)) => alone::eval(&paths, &args),
        Some(Verb::Chat(args)) => alone::chat(&paths, &args),
        Some(Verb::Bench(args)) => bench::run(&paths, args),
        Some(Verb::Pretrain(args)) => train::pretrain(&paths, &args),
        Some(Verb::Config(verb)) => config::run(&paths, &verb),
        Some(Verb::Endpoints(verb)) => endpoints::run(&paths, &verb),
        Some(Verb::Export(args)) => export::run(&paths, args),
        Some(Verb::Import(args)) => import::run(&paths, &args),
        Some(Verb::Report(args)) => report::report(&paths, &args),
        Some(Verb::Compare(args)) => report::compare(&paths, &args),
        Some(Verb::Experiment(args)) => experiment::run(&paths, &args),
        Some(Verb::Keys) => screen::keys(&paths),
        Some(Verb::Agents) => agents::list(),
        Some(Verb::Runs) => Ok(runs::list(&paths)),
        Some(Verb::Stop { name, now }) => runs::stop(&paths, &name, now),
        Some(Verb::Attach { name, text }) if text || !has_terminal() => text::attach(&paths, name.as_deref()),
        Some(Verb::Attach { name, .. }) => screen::attach(&paths, name.as_deref()),
        Some(Verb::Wait { name, timeout }) => {
            text::wait(&paths, name.as_deref(), timeout.map(Duration::from_secs))
        }
        Some(Verb::Logs { name, follow, worker, lines }) => {
            logs::show(&paths, name.as_deref(), worker.as_deref(), lines, follow)
        }
        Some(Verb::Delete { names, yes }) => delete::delete(&paths, &names, yes),
        Some(Verb::Doctor { json, teacher: None, .. }) => doctor::doctor(&paths, json),
        Some(Verb::Doctor { json, teacher: Some(model), answers }) => {
            doctor::teacher::doctor(&paths, &model, answers, json)
        }
        Some(Verb::Run(args)) if args.headless => headless::run(&paths, &launch::prepare(&paths, &args)?),
        Some(Verb::Run(args)) => launch::run(&paths, &args),
        None if has_terminal() => screen::open(&paths),
        None => headless::run(&paths, &launch::quick_start(&paths)?),
    }
}
