//! Optimiser steps: micro-batches over one or several devices, gradients checked, clipped and applied.

use super::batch::Batch;
use super::control::Control;
use super::error::TrainingError;
use super::model::{Decoder, Gradients, Path, Variables};
use super::ops::{AdamW, AdamWStep, sum_of_squares};
use candle_core::{Device, Tensor};
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
    variables: Variables,
    optimisers: Vec<AdamW>,
    discipline: Discipline,
    step: usize,
}

/// Sum of squares with a summation order that depends on the length only.
fn squares(gradient: &Tensor) -> Result<f64, TrainingError> {
    let data = gradient.flatten_all()?.to_vec1::<f32>()?;
    let parts: Vec<f32> = data.par_chunks(CHUNK).map(sum_of_squares).collect();
    Ok(parts.into_iter().map(f64::from).sum())
}

/// Adds `gradients` times `share`.
fn add(sum: &mut Gradients, gradients: Gradients, share: f64) -> Result<(), TrainingError> {
    for (name, gradient) in gradients {
        let part = if share < 1.0 { (gradient * share)? } else { gradient };
        let sum_now = match sum.get(&name) {
            Some(earlier) => (earlier + part)?,
            None => part,
        };
        sum.insert(name, sum_now);
    }
    Ok(())
}

impl Replica {
    /// Loss and gradients of some micro-batches, each weighted by its share of the `targets` of all.
    fn work<'batch>(
        &self,
        batches: impl Iterator<Item = &'batch Batch>,
        targets: usize,
        checkpointing: bool,
        control: &Control,
    ) -> Result<(f64, Gradients), TrainingError> {
        let (mut loss, mut sum) = (0.0, Gradients::new());
        for batch in batches {
            if !control.goes_on() {
                return Err(TrainingError::Stopped { step: 0 });
            }
            let share = batch.targets.len() as f64 / targets as f64;
            let (part, gradients) =
                self.decoder.gradients(self.path, batch, &self.variables, checkpointing)?;
            loss += part * share;
            add(&mut sum, gradients, share)?;
        }
        let home = |(name, gradient): (String, Tensor)| Ok((name, gradient.to_device(&Device::Cpu)?));
        Ok((loss, sum.into_iter().map(home).collect::<Result<_, TrainingError>>()?))
    }
}

impl Session {
    /// With the variables that the optimiser moves, on the CPU. A replica on the CPU may share them.
    pub(super) fn new(replicas: Vec<Replica>, variables: Variables, discipline: Discipline) -> Self {
        let optimisers = variables.values().map(|variable| AdamW::new(variable.elem_count())).collect();
        Self { replicas, variables, optimisers, discipline, step: 0 }
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
        let parts: Vec<Result<(f64, Gradients), TrainingError>> = self
            .replicas
            .par_iter()
            .enumerate()
            .map(|(first, replica)| {
                replica.work(batches.iter().skip(first).step_by(count), targets, checkpointing, control)
            })
            .collect();
        let (mut value, mut gradients) = (0.0, Gradients::new());
        for part in parts {
            let (loss, part) = part.map_err(|error| error.at(self.step))?;
            value += loss;
            add(&mut gradients, part, 1.0)?;
        }
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step, what: "the loss".to_owned() });
        }
        let norm = self.norm(&gradients, step)?;
        let clip = self.discipline.clip;
        let factor = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        for ((name, variable), optimiser) in self.variables.iter().zip(&mut self.optimisers) {
            let gradient =
                gradients.get(name).ok_or_else(|| TrainingError::NoGradient { name: name.clone() })?;
            let weight_decay = if variable.rank() >= 2 { self.discipline.weight_decay } else { 0.0 };
            optimiser.prepare(AdamWStep {
                step: u32::try_from(step).unwrap_or(u32::MAX),
                learning_rate,
                weight_decay,
                clip: factor as f32,
            });
            variable.inplace_op2(&gradient.contiguous()?, optimiser)?;
        }
        self.step = step;
        self.hand_out()?;
        Ok(value)
    }

    /// Mean loss per response token of batches, without learning from them.
    pub(super) fn measure(&self, batches: &[Batch]) -> Result<f64, TrainingError> {
        let targets: usize = batches.iter().map(|batch| batch.targets.len()).sum();
        let count = self.replicas.len();
        let parts: Vec<Result<f64, TrainingError>> = self
            .replicas
            .par_iter()
            .enumerate()
            .map(|(first, replica)| {
                let mut sum = 0.0;
                for batch in batches.iter().skip(first).step_by(count) {
                    sum += replica.decoder.loss(replica.path, batch)? * batch.targets.len() as f64;
                }
                Ok(sum)
            })
            .collect();
        Ok(parts.into_iter().sum::<Result<f64, _>>()? / targets.max(1) as f64)
    }

    /// The global norm; refuses a missing or non-finite gradient by the variable's name.
    fn norm(&self, gradients: &Gradients, step: usize) -> Result<f64, TrainingError> {
        let mut total = 0.0;
        for name in self.variables.keys() {
            let gradient =
                gradients.get(name).ok_or_else(|| TrainingError::NoGradient { name: name.clone() })?;
            let part = squares(gradient)?;
            if !part.is_finite() {
                return Err(TrainingError::Diverged { step, what: format!("the gradient of `{name}`") });
            }
            total += part;
        }
        Ok(total.sqrt())
    }
}
