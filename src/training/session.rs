//! Optimiser steps: micro-batches over one or several devices, gradients checked, clipped and applied.

use super::batch::Batch;
use super::control::Control;
use super::error::TrainingError;
use super::gradients::Gradients;
use super::model::{Decoder, Path, Variables};
use super::ops::{AdamW, AdamWStep, sum_of_squares};
use rayon::prelude::*;

const CHUNK: usize = 65_536;

/// What does not change over the steps of a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Discipline {
    /// Largest global norm of the gradients; 0 for no clipping.
    pub(super) clip: f64,
    /// Decay of tensors of rank two and more.
    pub(super) weight_decay: f64,
    /// Whether layers are computed again in the backward pass.
    pub(super) checkpointing: bool,
}

/// A decoder on one device, with its own copy of the variables unless it is the only one on the CPU.
pub(super) struct Replica {
    /// Where the graph is built.
    pub(super) path: Path,
    /// The decoder over `variables`.
    pub(super) decoder: Decoder,
    /// What it trains, on its device.
    pub(super) variables: Variables,
}

/// Decoders under training. Every device works on its own micro-batches; the gradients are averaged on the
/// CPU, where the optimiser is.
pub(super) struct Session {
    replicas: Vec<Replica>,
    /// One for every replica.
    gradients: Vec<Gradients>,
    variables: Variables,
    optimisers: Vec<AdamW>,
    discipline: Discipline,
    step: usize,
}

/// Sum of squares with a summation order that depends on the length only.
fn squares(gradient: &[f32]) -> f64 {
    let parts: Vec<f32> = gradient.par_chunks(CHUNK).map(sum_of_squares).collect();
    parts.into_iter().map(f64::from).sum()
}

impl Replica {
    /// Loss of some micro-batches, each weighted by its share of the `targets` of all; their gradients are put into
    /// `gradients`.
    fn work<'batch>(
        &self,
        batches: impl Iterator<Item = &'batch Batch>,
        targets: usize,
        (checkpointing, control): (bool, &Control),
        gradients: &mut Gradients,
    ) -> Result<f64, TrainingError> {
        gradients.clear();
        let mut loss = 0.0;
        for batch in batches {
            if !control.goes_on() {
                return Err(TrainingError::Stopped { step: 0 });
            }
            let share = batch.targets.len() as f64 / targets as f64;
            let part =
                self.decoder.gradients(self.path, batch, &self.variables, checkpointing, share, gradients)?;
            loss += part * share;
        }
        Ok(loss)
    }
}

impl Session {
    /// With the variables that the optimiser moves, on the CPU. A replica on the CPU may share them.
    pub(super) fn new(replicas: Vec<Replica>, variables: Variables, discipline: Discipline) -> Self {
        let optimisers = variables.values().map(|variable| AdamW::new(variable.elem_count())).collect();
        let gradients = replicas.iter().map(|replica| Gradients::of(&replica.variables)).collect();
        Self { replicas, gradients, variables, optimisers, discipline, step: 0 }
    }

    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Both moments of every variable, in the order of the variables.
    pub(super) fn optimisers(&self) -> &[AdamW] {
        &self.optimisers
    }

    /// Takes up a training after `step` steps; variables and moments have been put in place.
    pub(super) fn resume(&mut self, step: usize) -> Result<(), TrainingError> {
        self.step = step;
        self.hand_out()
    }

    /// Copies the variables to the replicas that do not share them.
    fn hand_out(&self) -> Result<(), TrainingError> {
        for replica in &self.replicas {
            for (name, copy) in &replica.variables {
                if let Some(variable) = self.variables.get(name).filter(|own| own.id() != copy.id()) {
                    copy.set(&variable.to_device(copy.device())?)?;
                }
            }
        }
        Ok(())
    }

    /// One forward, backward and update; returns the loss before the update, in nats per response token.
    /// Every variable must have a finite gradient. A stop leaves everything as before the step.
    pub(super) fn step(
        &mut self,
        batches: &[Batch],
        learning_rate: f64,
        control: &Control,
    ) -> Result<f64, TrainingError> {
        let step = self.step + 1;
        let targets = batches.iter().map(|batch| batch.targets.len()).sum();
        let (count, checkpointing) = (self.replicas.len(), self.discipline.checkpointing);
        let parts: Vec<Result<f64, TrainingError>> = self
            .replicas
            .par_iter()
            .zip(&mut self.gradients)
            .enumerate()
            .map(|(first, (replica, gradients))| {
                let own = batches.iter().skip(first).step_by(count);
                replica.work(own, targets, (checkpointing, control), gradients)
            })
            .collect();
        let mut value = 0.0;
        for part in parts {
            value += part.map_err(|error| error.at(self.step))?;
        }
        let Some((gradients, others)) = self.gradients.split_first_mut() else { return Ok(value) };
        for other in others {
            gradients.add(other);
        }
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step, what: "the loss".to_owned() });
        }
        let norm = norm(gradients, step)?;
        let clip = self.discipline.clip;
        let factor = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        for ((variable, optimiser), (_, gradient)) in
            self.variables.values().zip(&self.optimisers).zip(gradients.iter())
        {
            let weight_decay = if variable.rank() >= 2 { self.discipline.weight_decay } else { 0.0 };
            let step = AdamWStep {
                step: u32::try_from(step).unwrap_or(u32::MAX),
                learning_rate,
                weight_decay,
                clip: factor as f32,
            };
            optimiser.apply(variable, gradient.unwrap_or(&[]), step)?;
        }
        self.step = step;
        self.hand_out()?;
        Ok(value)
    }

    /// Mean loss per response token of batches, without learning from them.
    pub(super) fn measure(&self, batches: &[Batch], control: &Control) -> Result<f64, TrainingError> {
        let targets: usize = batches.iter().map(|batch| batch.targets.len()).sum();
        let count = self.replicas.len();
        let parts: Vec<Result<f64, TrainingError>> = self
            .replicas
            .par_iter()
            .enumerate()
            .map(|(first, replica)| {
                let mut sum = 0.0;
                for batch in batches.iter().skip(first).step_by(count) {
                    if !control.goes_on() {
                        return Err(TrainingError::Stopped { step: self.step });
                    }
                    sum += replica.decoder.loss(replica.path, batch)? * batch.targets.len() as f64;
                }
                Ok(sum)
            })
            .collect();
        Ok(parts.into_iter().sum::<Result<f64, _>>()? / targets.max(1) as f64)
    }
}

/// The global norm; refuses a missing or non-finite gradient by the variable's name.
fn norm(gradients: &Gradients, step: usize) -> Result<f64, TrainingError> {
    let mut total = 0.0;
    for (name, gradient) in gradients.iter() {
        let gradient = gradient.ok_or_else(|| TrainingError::NoGradient { name: name.to_owned() })?;
        let part = squares(gradient);
        if !part.is_finite() {
            return Err(TrainingError::Diverged { step, what: format!("the gradient of `{name}`") });
        }
        total += part;
    }
    Ok(total.sqrt())
}
