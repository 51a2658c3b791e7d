//! Optimiser steps over a decoder: gradients checked, clipped and applied.

use super::batch::Batch;
use super::error::TrainingError;
use super::model::{Decoder, Path, Variables};
use super::ops::{AdamW, AdamWStep, sum_of_squares};
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use rayon::prelude::*;

const CHUNK: usize = 65_536;

/// What does not change over the steps of a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Discipline {
    /// Largest global norm of the gradients; 0 for no clipping.
    pub(super) clip: f64,
    /// Decay of tensors of rank two and more.
    pub(super) weight_decay: f64,
}

/// A decoder under training.
pub(super) struct Session {
    decoder: Decoder,
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

impl Session {
    pub(super) fn new(decoder: Decoder, variables: Variables, discipline: Discipline) -> Self {
        let optimisers = variables.values().map(|variable| AdamW::new(variable.elem_count())).collect();
        Self { decoder, variables, optimisers, discipline, step: 0 }
    }

    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// One forward, backward and update; returns the loss before the update, in nats per response token.
    /// Every variable must have a finite gradient.
    pub(super) fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<f64, TrainingError> {
        let step = self.step + 1;
        let loss = self.decoder.loss(Path::Fused, batch)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step, what: "the loss".to_owned() });
        }
        let gradients = loss.backward()?;
        let norm = self.norm(&gradients, step)?;
        let clip = self.discipline.clip;
        let factor = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        for ((name, variable), optimiser) in self.variables.iter().zip(&mut self.optimisers) {
            let gradient =
                gradients.get(variable).ok_or_else(|| TrainingError::NoGradient { name: name.clone() })?;
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
        Ok(value)
    }

    /// The global norm; refuses a missing or non-finite gradient by the variable's name.
    fn norm(&self, gradients: &GradStore, step: usize) -> Result<f64, TrainingError> {
        let mut total = 0.0;
        for (name, variable) in &self.variables {
            let gradient =
                gradients.get(variable).ok_or_else(|| TrainingError::NoGradient { name: name.clone() })?;
            let part = squares(gradient)?;
            if !part.is_finite() {
                return Err(TrainingError::Diverged { step, what: format!("the gradient of `{name}`") });
            }
            total += part;
        }
        Ok(total.sqrt())
    }
}
