//! One phase over the ports. Each is idempotent: what the ledger has is not done again.

mod aids;
mod asking;
mod check;
mod evaluate;
mod generate;
mod plan;
mod train;

use super::{Models, Moment, Scene, Watch};
use crate::gym::datum::TrainingDatum;
use crate::gym::episode::{Episode, Phase, Work};
use crate::gym::instance::Split;
use crate::gym::ports::{Fact, Ledger, PortError};

/// What a phase works with.
struct Stage<'a, 'm, 'w> {
    work: Work,
    episode: &'a Episode,
    scene: &'a Scene,
    models: &'a mut Models<'m>,
    ledger: &'a mut dyn Ledger,
    watch: &'a mut Watch<'w>,
}

/// Does `work` and returns its fact. Nothing is journalled here.
pub fn perform(
    work: Work,
    episode: &Episode,
    scene: &Scene,
    models: &mut Models<'_>,
    ledger: &mut dyn Ledger,
    watch: &mut Watch<'_>,
) -> Result<Fact, PortError> {
    let mut stage = Stage { work, episode, scene, models, ledger, watch };
    let discovery_tokens = stage.discover()?;
    match work.phase {
        Phase::Evaluate => stage.evaluate(discovery_tokens),
        Phase::Plan => stage.plan(),
        Phase::Generate => stage.generate(),
        Phase::Check => stage.check(),
        Phase::Train => stage.train(),
    }
}

impl Stage<'_, '_, '_> {
    /// Finds the skills of the task, where a run is to find them and has not yet. Returns the tokens of it.
    fn discover(&mut self) -> Result<u64, PortError> {
        let scene = self.scene;
        match &scene.discovery {
            Some(discovery) if !discovery.found() => {
                let mut asking = asking::Asking::new(self, 0);
                discovery.discover(&mut asking)?;
                let tokens = asking.tokens();
                for split in [Split::Pool, Split::Validation, Split::Test] {
                    self.ledger.put_skills(scene.task.instances(split))?;
                }
                Ok(tokens)
            }
            _ => Ok(0),
        }
    }

    fn show(&mut self, moment: Moment) {
        (self.watch)(self.work, moment);
    }

    fn in_round(&self, datum: &TrainingDatum) -> bool {
        let from = &datum.provenance;
        (from.iteration, from.round) == (self.work.iteration, self.work.round)
    }
}
