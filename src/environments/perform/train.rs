//! Train: the student learns from every accepted datum of the run.

use std::ops::ControlFlow;

use super::Stage;
use crate::environments::Moment;
use crate::gym::datum::{TrainingDatum, Verdict};
use crate::gym::ports::{Checkpoint, Fact, PortError, TrainingOrder};
use crate::gym::rng::CounterRng;

impl Stage<'_, '_, '_> {
    pub(super) fn train(&mut self) -> Result<Fact, PortError> {
        let Self { work, episode, scene, models, ledger, watch } = self;
        let data = ledger.data()?;
        let accepted = data.into_iter().filter(|d| d.verdict == Verdict::Accepted).map(|d| d.datum);
        let replays = scene.training.replay > 0.0;
        let (earlier, new): (Vec<_>, Vec<_>) =
            accepted.partition(|d| replays && d.provenance.iteration < work.iteration);
        let turns = |data: Vec<TrainingDatum>| -> Vec<(String, String)> {
            data.into_iter().map(|d| (d.instruction, d.response)).collect()
        };
        // An iteration that brought nothing new still learns from what there is.
        let (examples, replay) =
            if new.is_empty() { (turns(earlier), vec![]) } else { (turns(new), turns(earlier)) };
        if examples.is_empty() {
            return Ok(Fact::Trained { outcome: None });
        }
        let before = episode.training_at(work.iteration.saturating_sub(1)).map(|t| t.checkpoint.clone());
        let start: Checkpoint = before.filter(|_| scene.continues).unwrap_or_else(|| scene.base.clone());
        let order = TrainingOrder {
            start,
            examples,
            replay,
            settings: scene.training.clone(),
            seed: CounterRng::keyed(scene.seed, &format!("train/{}", work.iteration)).bits(),
            output: scene.checkpoints.join(format!("iteration-{:03}", work.iteration)),
        };
        let mut refused = None;
        let outcome = models.trainer.train(&order, &mut |progress| {
            let (done, total) = (u64::from(progress.step), u64::from(progress.steps));
            watch(*work, Moment { done, total, training: Some(progress), ..Moment::default() });
            match ledger.put_training_progress(work.iteration, progress) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    refused = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(Fact::Trained { outcome: Some(outcome?) }),
        }
    }
}
