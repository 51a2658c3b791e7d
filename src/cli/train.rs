//! Our trainer behind its port, and `pretrain`.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail};

use super::format;
use crate::gym::ports::{
    Checkpoint, PortError, Trainer, TrainingMethod, TrainingOrder, TrainingOutcome, TrainingProgress,
    TrainingSink,
};
use crate::training::{self, Mode, PretrainRecipe, TrainingError, TrainingExample, TrainingJob};

/// Our trainer in this process.
pub(super) struct InProcess;

impl Trainer for InProcess {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let job = job(order);
        let mut final_loss = f64::NAN;
        let done = training::train(&job, &mut |progress| {
            final_loss = progress.loss;
            sink(port_progress(progress))
        });
        let done = done.map_err(|error| match error {
            TrainingError::Stopped { .. } => PortError::cancelled(),
            other => PortError::fatal(format!("{other}\n  {}", other.hint())),
        })?;
        let checkpoint = match job.mode {
            Mode::Full => Checkpoint::Full { folder: done.output },
            Mode::Lora { .. } => Checkpoint::Adapter { base: job.base, adapter: done.output },
        };
        Ok(TrainingOutcome { checkpoint, steps: done.steps as u32, final_loss, tokens: done.tokens })
    }
}

fn job(order: &TrainingOrder) -> TrainingJob {
    let (base, continue_from) = match &order.start {
        Checkpoint::Full { folder } => (folder.clone(), None),
        Checkpoint::Adapter { base, adapter } => (base.clone(), Some(adapter.clone())),
    };
    let settings = &order.settings;
    let example = |(prompt, response): &(String, String)| TrainingExample {
        prompt: prompt.clone(),
        response: response.clone(),
    };
    TrainingJob {
        base,
        continue_from,
        examples: order.examples.iter().map(example).collect(),
        mode: match settings.method {
            TrainingMethod::Full => Mode::Full,
            TrainingMethod::Lora { rank, alpha } => Mode::Lora { rank: rank as usize, alpha },
        },
        learning_rate: settings.learning_rate,
        epochs: settings.epochs as usize,
        batch_size: settings.batch_size as usize,
        warmup: settings.warmup,
        weight_decay: settings.weight_decay,
        clip: settings.clip,
        max_length: settings.max_length as usize,
        seed: order.seed,
        threads: None,
        output: order.output.clone(),
    }
}

fn port_progress(progress: training::TrainingProgress) -> TrainingProgress {
    TrainingProgress {
        step: progress.step as u32,
        steps: progress.of as u32,
        loss: progress.loss,
        learning_rate: progress.learning_rate,
        tokens_per_second: progress.tokens_per_second,
    }
}

/// `dataenvgym pretrain`.
pub(super) fn pretrain(out: &Path) -> Result<ExitCode> {
    if out.exists() {
        bail!("{} exists already; give a folder that does not", out.display());
    }
    let recipe = PretrainRecipe::default();
    println!("recipe {}", recipe.sha256());
    let terminal = std::io::stderr().is_terminal();
    training::pretrain(&recipe, out, &mut |p| {
        if p.step % 10 == 0 || p.step == p.of {
            let line = format!(
                "step {} of {}, loss {:.4}, {:.0} tokens/s",
                p.step, p.of, p.loss, p.tokens_per_second
            );
            if terminal {
                eprint!("\r\x1b[K{line}");
            } else if p.step % 100 == 0 {
                eprintln!("{line}");
            }
        }
        ControlFlow::Continue(())
    })?;
    if terminal {
        eprintln!();
    }
    println!("the student is in {}", format::escaped(&out.display().to_string()));
    Ok(ExitCode::SUCCESS)
}
