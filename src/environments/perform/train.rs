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
        let replays = scene.training.replay > 0.0;
        let (mut earlier, mut new) = (Vec::new(), Vec::new());
        ledger.each_datum(Some(Verdict::Accepted), &mut |judged| {
            let TrainingDatum { instruction, response, provenance, .. } = judged.datum;
            let replayed = replays && provenance.iteration < work.iteration;
            if replayed { &mut earlier } else { &mut new }.push((instruction, response));
        })?;
        // An iteration that brought nothing new still learns from what there is.
        let (examples, replay) = if new.is_empty() { (earlier, vec![]) } else { (new, earlier) };
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
        if !scene.stays.student {
            models.student.release();
        }
        if let Some(teacher) = models.teacher.as_mut().filter(|_| !scene.stays.teacher) {
            teacher.release();
        }
        if let Some(verifier) = models.verifier.as_mut().filter(|_| !scene.stays.verifier) {
            verifier.release();
        }
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
