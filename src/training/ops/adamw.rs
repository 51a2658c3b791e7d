//! The `AdamW` optimiser, fused into one pass per tensor.

use super::kernels::{Moves, adamw};
use candle_core::{CpuStorage, Error, InplaceOp1, Layout, Result, Var};
use rayon::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

const CHUNK: usize = 65_536;

/// What one optimiser step does to every tensor.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct AdamWStep {
    /// Number of this step, from 1.
    pub(in crate::training) step: u32,
    /// Learning rate of this step.
    pub(in crate::training) learning_rate: f64,
    /// Decoupled decay per unit of learning rate.
    pub(in crate::training) weight_decay: f64,
    /// Factor on every gradient (global norm clipping).
    pub(in crate::training) clip: f32,
}

/// Betas 0.9 and 0.95, eps 1e-8.
const BETAS: (f64, f64) = (0.9, 0.95);

impl AdamWStep {
    fn moves(self) -> Moves {
        let step = f64::from(self.step);
        Moves {
            clip: self.clip,
            beta1: BETAS.0 as f32,
            beta2: BETAS.1 as f32,
            step_size: (self.learning_rate / (1.0 - BETAS.0.powf(step))) as f32,
            second_scale: (1.0 / (1.0 - BETAS.1.powf(step))) as f32,
            eps: 1e-8,
            keep: (1.0 - self.learning_rate * self.weight_decay) as f32,
        }
    }
}

/// The moments of one tensor.
#[derive(Debug)]
pub(in crate::training) struct AdamW {
    moments: Mutex<(Vec<f32>, Vec<f32>)>,
}

impl AdamW {
    /// Zero moments for `elements` parameters.
    pub(in crate::training) fn new(elements: usize) -> Self {
        Self { moments: Mutex::new((vec![0.0; elements], vec![0.0; elements])) }
    }

    /// First and second moments, as they stand.
    pub(in crate::training) fn moments(&self) -> MutexGuard<'_, (Vec<f32>, Vec<f32>)> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a parameter on the CPU by its gradient, in place.
    pub(in crate::training) fn apply(
        &self,
        parameter: &Var,
        gradient: &[f32],
        step: AdamWStep,
    ) -> Result<()> {
        parameter.inplace_op1(&Application { optimiser: self, gradient, moves: step.moves() })
    }
}

/// One step of one tensor.
struct Application<'data> {
    optimiser: &'data AdamW,
    gradient: &'data [f32],
    moves: Moves,
}

impl InplaceOp1 for Application<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, parameter: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let mut moments = self.optimiser.moments();
        let (first, second) = &mut *moments;
        let refused = || Error::Msg(format!("adamw: a parameter of shape {:?}", layout.dims())).bt();
        let CpuStorage::F32(parameter) = parameter else { return Err(refused()) };
        let range = layout.contiguous_offsets().map(|(start, end)| start..end);
        let parameter = range
            .and_then(|range| parameter.get_mut(range))
            .filter(|parameter| parameter.len() == self.gradient.len() && parameter.len() == first.len())
            .ok_or_else(refused)?;
        parameter
            .par_chunks_mut(CHUNK)
            .zip(self.gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| adamw(p, g, m, v, self.moves));
        Ok(())
    }
}
