//! The `AdamW` optimiser, fused into one pass per tensor.

use super::kernels::{Moves, adamw};
use super::{operand, shapes_refused};
use candle_core::{CpuStorage, InplaceOp2, Layout, Result};
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

/// The moments of one tensor, as an in-place operation on (parameter, gradient).
#[derive(Debug)]
pub(in crate::training) struct AdamW {
    moments: Mutex<(Vec<f32>, Vec<f32>)>,
    step: AdamWStep,
}

impl AdamW {
    /// Zero moments for `elements` parameters.
    pub(in crate::training) fn new(elements: usize) -> Self {
        let step = AdamWStep { step: 1, learning_rate: 0.0, weight_decay: 0.0, clip: 1.0 };
        Self { moments: Mutex::new((vec![0.0; elements], vec![0.0; elements])), step }
    }

    /// First and second moments, as they stand.
    pub(in crate::training) fn moments(&self) -> MutexGuard<'_, (Vec<f32>, Vec<f32>)> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what the next application does.
    pub(in crate::training) fn prepare(&mut self, step: AdamWStep) {
        self.step = step;
    }
}

impl InplaceOp2 for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let gradient = operand(gradient, gradient_layout)?;
        let CpuStorage::F32(parameter) = parameter else {
            return Err(shapes_refused("adamw: f32 parameters only", &[parameter_layout.dims()]));
        };
        let mut moments = self.moments();
        let (first, second) = &mut *moments;
        let range = parameter_layout.contiguous_offsets().map(|(start, end)| start..end);
        let parameter = range
            .and_then(|range| parameter.get_mut(range))
            .filter(|parameter| parameter.len() == gradient.len() && parameter.len() == first.len())
            .ok_or_else(|| shapes_refused("adamw", &[parameter_layout.dims(), gradient_layout.dims()]))?;
        let step = f64::from(self.step.step);
        let moves = Moves {
            clip: self.step.clip,
            beta1: BETAS.0 as f32,
            beta2: BETAS.1 as f32,
            step_size: (self.step.learning_rate / (1.0 - BETAS.0.powf(step))) as f32,
            second_scale: (1.0 / (1.0 - BETAS.1.powf(step))) as f32,
            eps: 1e-8,
            keep: (1.0 - self.step.learning_rate * self.step.weight_decay) as f32,
        };
        parameter
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| adamw(p, g, m, v, moves));
        Ok(())
    }
}
