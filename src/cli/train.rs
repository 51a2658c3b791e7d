//! The trainer behind its port, and `pretrain`.

use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail};

use crate::gym::ports::{PortError, Trainer, TrainingOrder, TrainingOutcome, TrainingSink};

/// Our trainer in this process.
pub(super) struct InProcess;

impl Trainer for InProcess {
    fn train(&mut self, _: &TrainingOrder, _: &mut TrainingSink<'_>) -> Result<TrainingOutcome, PortError> {
        Err(PortError::fatal("no trainer"))
    }
}

/// `dataenvgym pretrain`.
pub(super) fn pretrain(_out: &Path) -> Result<ExitCode> {
    bail!("no trainer")
}
