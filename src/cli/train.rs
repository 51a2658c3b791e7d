//! Our trainer behind its port, `train` outside a run, and `pretrain`.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use color_eyre::eyre::{Result, WrapErr, bail, eyre};
use serde::Deserialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::alone::{StudentArgs, configuration};
use super::{RESUME_ME, format, placement, work};
use crate::config::{Method, Paths, TrainerConfig};
use crate::gym::ports::{
    Checkpoint, PortError, Trainer, TrainingOrder, TrainingOutcome, TrainingProgress, TrainingSink,
};
use crate::models::embedded::Embedded;
use crate::training::{self, Control, Making, MergedAs, PretrainRecipe, RECIPES, Resources, TrainingError};

/// Our trainer in this process.
pub(super) struct InProcess {
    /// Stops it between two micro-batches.
    pub(super) control: Arc<Control>,
}

impl Trainer for InProcess {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let resources = Resources { control: Arc::clone(&self.control), threads: None };
        training::train(order, &resources, sink).map_err(|error| match error {
            TrainingError::Stopped { .. } => PortError::cancelled(),
            other => PortError::fatal(format!("{other}\n  {}", other.hint())),
        })
    }
}

/// What a training outside a run is given. What is not said is as in the configuration's `[trainer]`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Training data: JSON lines with `instruction` and `response`.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Folder to create: a PEFT adapter, or a model after full training.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    student: StudentArgs,
    /// Older data in the same form, of which `trainer.replay` takes its share.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// `full` or `lora`.
    #[arg(long, value_parser = method)]
    method: Option<Method>,
    /// Peak learning rate.
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Passes over the data.
    #[arg(long)]
    epochs: Option<u32>,
    /// Examples per optimiser step.
    #[arg(long)]
    batch_size: Option<u32>,
    /// Longest example in tokens.
    #[arg(long)]
    max_length: Option<u32>,
    /// Seed of initialisation and order [default: the configuration's].
    #[arg(long)]
    seed: Option<u64>,
    /// Threads [default: all of the machine].
    #[arg(long)]
    threads: Option<usize>,
    /// `cpu`, or one or several of `cuda:0`, `cuda:1` ... that share the training of an adapter.
    #[arg(long)]
    devices: Option<String>,
    /// Also write the model that adapter and base amount to.
    #[arg(long, value_name = "FOLDER")]
    merge: Option<PathBuf>,
}

fn method(word: &str) -> Result<Method, String> {
    match word {
        "full" => Ok(Method::Full),
        "lora" => Ok(Method::Lora),
        _ => Err("expected `full` or `lora`".to_owned()),
    }
}

/// One line of a file of training data.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "prompt", alias = "question")]
    instruction: String,
    #[serde(alias = "output")]
    response: String,
}

/// The turns of a file; errors name the line.
fn turns(path: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| match serde_json::from_str::<Line>(line) {
            Ok(Line { instruction, response }) => Ok((instruction, response)),
            Err(error) => Err(eyre!(
                "{}, line {}: {error}\n  a line is {{\"instruction\": \"...\", \"response\": \"...\"}}",
                path.display(),
                index + 1
            )),
        })
        .collect()
}

/// `dataenvgym train`: a training outside a run. Stopped by a signal it keeps its state, and the same command
/// goes on from there.
pub(super) fn train(paths: &Paths, args: &TrainArgs) -> Result<ExitCode> {
    if args.out.exists() {
        bail!("{} exists already; give a folder that does not", args.out.display());
    }
    let config = configuration(paths, &args.student)?;
    let own = config.trainer.clone();
    if let Some(merged) = &args.merge {
        may_merge(&args.out, merged, args.method.unwrap_or(own.method))?;
    }
    let settings = TrainerConfig {
        method: args.method.unwrap_or(own.method),
        learning_rate: args.learning_rate.unwrap_or(own.learning_rate),
        epochs: args.epochs.unwrap_or(own.epochs),
        batch_size: args.batch_size.unwrap_or(own.batch_size),
        max_length: args.max_length.unwrap_or(own.max_length),
        device: args.devices.clone().unwrap_or(own.device),
        ..own
    };
    let order = TrainingOrder {
        start: args.student.checkpoint(paths, &config)?,
        examples: turns(&args.data)?,
        replay: args.replay.as_deref().map(turns).transpose()?.unwrap_or_default(),
        settings: work::training(&settings)?,
        seed: args.seed.unwrap_or(config.seed),
        output: std::path::absolute(&args.out)?,
    };
    placement::of_training(&order.start, &order.settings)?;
    let control = Arc::new(Control::default());
    stop_on_signals(Arc::clone(&control))?;
    let resources = Resources { threads: args.threads, control };
    let mut teller = Teller::new();
    let done = training::train(&order, &resources, &mut |progress| {
        teller.tell(progress);
        ControlFlow::Continue(())
    });
    teller.end();
    let outcome = match done {
        Ok(outcome) => outcome,
        Err(TrainingError::Stopped { step }) => {
            println!("stopped after step {step}; the same command goes on from there");
            return Ok(ExitCode::from(RESUME_ME));
        }
        Err(error) => bail!("{error}\n  {}", error.hint()),
    };
    report(&outcome);
    if let Some(merged) = &args.merge {
        if let Checkpoint::Adapter { base, adapter } = &outcome.checkpoint {
            training::merge_adapter(base, adapter, merged, MergedAs::Single)
                .map_err(|error| eyre!("{error}\n  {}", error.hint()))?;
        }
        println!("merged into {}", format::escaped(&merged.display().to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses before the training what could not be merged after it.
fn may_merge(out: &Path, merged: &Path, method: Method) -> Result<()> {
    if method == Method::Full {
        bail!("--merge is for adapters: a full training leaves a whole model in {}", out.display());
    }
    if merged.exists() {
        bail!("{} exists already; give --merge a folder that does not", merged.display());
    }
    let (out, merged) = (std::path::absolute(out)?, std::path::absolute(merged)?);
    if out.starts_with(&merged) || merged.starts_with(&out) {
        bail!("--merge and --out must be folders beside each other; one cannot be or hold the other");
    }
    Ok(())
}

fn report(outcome: &TrainingOutcome) {
    let account = &outcome.account;
    let (first, last) = (account.first_loss, outcome.final_loss);
    println!("{} steps, {} tokens, loss {first:.4} to {last:.4}", outcome.steps, outcome.tokens);
    println!("{} parameters trained, {} response tokens", account.parameters, account.response_tokens);
    if account.cut_examples + account.skipped_examples > 0 {
        println!("{} examples cut, {} left out", account.cut_examples, account.skipped_examples);
    }
    if let Some(loss) = account.held_out_loss {
        let end = if account.stopped_early { ", stopped early" } else { "" };
        println!("lowest held-out loss {loss:.4}{end}");
    }
    let (Checkpoint::Full { folder } | Checkpoint::Adapter { adapter: folder, .. }) = &outcome.checkpoint;
    println!("written to {}", format::escaped(&folder.display().to_string()));
}

/// The first signal ends the training with its state saved; the second one ends the process.
fn stop_on_signals(control: Arc<Control>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        let mut asked = false;
        for _ in signals.forever() {
            if asked {
                std::process::exit(i32::from(RESUME_ME));
            }
            asked = true;
            control.stop();
        }
    });
    Ok(())
}

/// Tells how far a training is, on standard error.
struct Teller {
    terminal: bool,
    told: Option<Instant>,
}

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(10);

impl Teller {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), told: None }
    }

    fn tell(&mut self, p: TrainingProgress) {
        let left = format::duration((p.seconds_left * 1000.0) as u64);
        let held_out = p.held_out_loss.map_or_else(String::new, |loss| format!(", held out {loss:.4}"));
        let line = format!(
            "step {} of {}, loss {:.4}{held_out}, rate {:.1e}, {:.0} tokens/s, {left} left",
            p.step, p.steps, p.loss, p.learning_rate, p.tokens_per_second
        );
        if self.terminal {
            eprint!("\r\x1b[K{line}");
        } else if p.step == p.steps || self.told.is_none_or(|told| told.elapsed() >= LINES) {
            eprintln!("{line}");
            self.told = Some(Instant::now());
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

/// What `dataenvgym pretrain` is given.
#[derive(Debug, Args)]
pub(super) struct PretrainArgs {
    /// The model: `student`, `teacher`, `weak-teacher`, or a `recipe.json`.
    #[arg(long, default_value = "student")]
    recipe: String,
    /// Folder to create.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Threads [default: all of the machine].
    #[arg(long)]
    threads: Option<usize>,
}

/// The recipe that a file holds, alone or as a model's `recipe.json` does.
fn written_recipe(path: &Path) -> Result<PretrainRecipe> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .wrap_err_with(|| format!("`{shown}` is none of {} and no file", RECIPES.join(", ")))?;
    let mut value: serde_json::Value = serde_json::from_str(&text).wrap_err_with(|| format!("{shown}"))?;
    let recipe = match value.get_mut("recipe") {
        Some(recipe) => recipe.take(),
        None => value,
    };
    serde_json::from_value(recipe).wrap_err_with(|| format!("{shown} holds no recipe"))
}

/// `dataenvgym pretrain`. A teacher's training that ended early goes on when it is called again.
pub(super) fn pretrain(paths: &Paths, args: &PretrainArgs) -> Result<ExitCode> {
    let out = &args.out;
    if out.exists() {
        bail!("{} exists already; give a folder that does not", out.display());
    }
    let recipe = match PretrainRecipe::named(&args.recipe) {
        Some(recipe) => recipe,
        None => written_recipe(Path::new(&args.recipe))?,
    };
    let start = recipe.start_sha256.as_ref().map(|_| Embedded::Student.folder(&paths.cache)).transpose()?;
    println!("recipe {}", recipe.sha256());
    let control = Arc::new(Control::default());
    stop_on_signals(Arc::clone(&control))?;
    let mut teller = Teller::new();
    let made = training::pretrain(
        &recipe,
        Making { folder: out, start: start.as_deref(), threads: args.threads },
        &mut |progress| {
            teller.tell(progress);
            if control.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    teller.end();
    if let Err(TrainingError::Stopped { step }) = made {
        println!("stopped after step {step}");
        return Ok(ExitCode::from(RESUME_ME));
    }
    made?;
    println!("the {} is in {}", args.recipe, format::escaped(&out.display().to_string()));
    Ok(ExitCode::SUCCESS)
}
