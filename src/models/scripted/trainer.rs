//! The scripted trainer.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use super::{Learned, Script, fault, folder, learned, write};
use crate::gym::ports::{
    Checkpoint, PortError, Trainer, TrainingAccount, TrainingOrder, TrainingOutcome, TrainingProgress,
    TrainingSink,
};

/// The scripted trainer: its checkpoint counts the examples seen.
#[derive(Debug)]
pub struct ScriptedTrainer {
    script: Script,
}

impl ScriptedTrainer {
    /// A trainer by the script.
    pub fn new(script: Script) -> Self {
        Self { script }
    }
}

impl Trainer for ScriptedTrainer {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let before = learned(folder(&order.start))?;
        let settings = &order.settings;
        let per_epoch = (order.examples.len() as u32).div_ceil(settings.batch_size.max(1));
        let steps = per_epoch * settings.epochs;
        let mut loss = 0.0;
        for step in 1..=steps {
            thread::sleep(Duration::from_millis(self.script.latency_ms));
            let seen = order.examples.len() as f64 * f64::from(step) / f64::from(steps);
            let skill = self.script.skill_after(Learned { examples: before.examples + seen as u64 });
            loss = -skill.max(1e-6).ln();
            let progress = TrainingProgress {
                step,
                steps,
                loss,
                learning_rate: settings.learning_rate,
                ..TrainingProgress::default()
            };
            if sink(progress) == ControlFlow::Break(()) {
                return Err(PortError::cancelled());
            }
        }
        let after = Learned { examples: before.examples + order.examples.len() as u64 };
        write(&order.output, after, self.script.adapters).map_err(|error| fault(&order.output, &error))?;
        let tokens: usize =
            order.examples.iter().map(|(question, answer)| question.len() + answer.len()).sum();
        let base = match &order.start {
            Checkpoint::Full { folder } | Checkpoint::Adapter { base: folder, .. } => folder.clone(),
        };
        let checkpoint = if self.script.adapters {
            Checkpoint::Adapter { base, adapter: order.output.clone() }
        } else {
            Checkpoint::Full { folder: order.output.clone() }
        };
        Ok(TrainingOutcome {
            checkpoint,
            steps,
            final_loss: loss,
            tokens: tokens as u64 * u64::from(settings.epochs),
            account: TrainingAccount::default(),
        })
    }
}
