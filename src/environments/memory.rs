//! The environment in memory: the same machine and the same phases, without a runner or a database.

use std::collections::BTreeMap;

use super::{Models, Scene, perform};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::{Command, Effect, Episode, EpisodeRules, Event};
use crate::gym::instance::{ImageRef, Split};
use crate::gym::ports::{Ledger, PortError, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;
use crate::gym::teacher_call::TeacherCall;

/// A ledger that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    predictions: BTreeMap<(u32, Split, String), Prediction>,
    data: BTreeMap<(u32, u32), Vec<JudgedDatum>>,
    progress: BTreeMap<(u32, u32), TrainingProgress>,
    calls: BTreeMap<String, TeacherCall>,
    images: BTreeMap<String, Vec<u8>>,
}

impl Ledger for MemoryLedger {
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError> {
        let wanted = |(key, _): &(&(u32, Split, String), &Prediction)| (key.0, key.1) == (iteration, split);
        Ok(self.predictions.iter().filter(wanted).map(|(_, p)| p.clone()).collect())
    }

    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError> {
        let keyed = new.iter().map(|p| ((iteration, split, p.instance_id.clone()), p.clone()));
        self.predictions.extend(keyed);
        Ok(())
    }

    fn data(&self) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(self.data.values().flatten().cloned().collect())
    }

    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError> {
        self.data.insert((iteration, round), data.to_vec());
        Ok(())
    }

    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(self.data.get(&(iteration, round)).cloned().unwrap_or_default())
    }

    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError> {
        Ok(self.calls.get(id).cloned())
    }

    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError> {
        self.calls.extend(calls.iter().map(|call| (call.id.clone(), call.clone())));
        Ok(())
    }

    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError> {
        let image = ImageRef::of(bytes, media_type, size);
        self.images.entry(image.sha256.clone()).or_insert_with(|| bytes.to_vec());
        Ok(image)
    }

    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError> {
        self.progress.insert((iteration, progress.step), progress);
        Ok(())
    }
}

/// The environment of the paper: `reset` evaluates the base student, each `step` goes once around.
pub struct Environment<'a> {
    rules: EpisodeRules,
    scene: Scene,
    models: Models<'a>,
    episode: Episode,
    ledger: MemoryLedger,
}

impl<'a> Environment<'a> {
    /// An environment that has not been reset yet.
    pub fn new(rules: EpisodeRules, scene: Scene, models: Models<'a>) -> Self {
        let episode = Episode::new(rules.clone());
        Self { rules, scene, models, episode, ledger: MemoryLedger::default() }
    }

    /// Forgets everything, goes back to the base student and evaluates it.
    pub fn reset(&mut self) -> Result<&Report, PortError> {
        self.episode = Episode::new(self.rules.clone());
        self.ledger = MemoryLedger::default();
        self.advance(Command::AdvancePhase)
    }

    /// One iteration: plan, generate, check, train, evaluate.
    pub fn step(&mut self) -> Result<&Report, PortError> {
        self.advance(Command::AdvanceIteration)
    }

    /// The episode so far.
    pub fn episode(&self) -> &Episode {
        &self.episode
    }

    /// What was predicted and generated so far.
    pub fn ledger(&self) -> &MemoryLedger {
        &self.ledger
    }

    fn advance(&mut self, command: Command) -> Result<&Report, PortError> {
        self.episode.allows(&command).map_err(|refusal| PortError::fatal(refusal.to_string()))?;
        let mut effects = self.episode.handle(Event::Commanded { command });
        while let Some(Effect::Perform { work, .. }) = effects.pop() {
            let Self { scene, models, episode, ledger, .. } = self;
            match perform(work, episode, scene, models, ledger, &mut |_, _| {}) {
                Ok(fact) => effects = self.episode.handle(Event::completed(fact)),
                Err(error) => {
                    let (message, transient) = (error.message.clone(), false);
                    self.episode.handle(Event::Failed { message, transient, progressed: false });
                    return Err(error);
                }
            }
        }
        self.episode.latest_report().ok_or_else(|| PortError::fatal("reset the environment first"))
    }
}
