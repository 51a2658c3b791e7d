//! Our trainer behind its port, and `pretrain`.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail};

use super::format;
use crate::gym::ports::{PortError, Trainer, TrainingOrder, TrainingOutcome, TrainingSink};
use crate::training::{self, PretrainRecipe, Resources, TrainingError};

/// Our trainer in this process.
pub(super) struct InProcess;

impl Trainer for InProcess {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        training::train(order, &Resources::default(), sink).map_err(|error| match error {
            TrainingError::Stopped { .. } => PortError::cancelled(),
            other => PortError::fatal(format!("{other}\n  {}", other.hint())),
        })
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
        if p.step % 10 == 0 || p.step == p.steps {
            let line = format!(
                "step {} of {}, loss {:.4}, {:.0} tokens/s",
                p.step, p.steps, p.loss, p.tokens_per_second
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
