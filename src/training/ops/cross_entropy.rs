//! Mean cross entropy of response rows.

use super::kernels::{cross_entropy_backward, log_sum_exp};
use super::{Locked, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

const ROWS_PER_JOB: usize = 32;

/// logits [rows, vocabulary] -> mean over rows of `ln sum exp - logit[target]`, in nats.
#[derive(Debug)]
pub(in crate::training) struct CrossEntropy {
    targets: Vec<u32>,
    lse: Mutex<Vec<f32>>,
}

impl CrossEntropy {
    /// With one target token per row.
    pub(in crate::training) fn new(targets: Vec<u32>) -> Self {
        Self { targets, lse: Mutex::new(Vec::new()) }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, vocabulary) = layout.shape().dims2()?;
        let in_range = self.targets.iter().all(|&target| (target as usize) < vocabulary);
        if rows == 0 || rows != self.targets.len() || !in_range {
            return Err(shapes_refused("cross-entropy", &[layout.dims(), &[self.targets.len()]]));
        }
        let logits = operand(logits, layout)?;
        let lse: Vec<f32> =
            logits.par_chunks(vocabulary).with_min_len(ROWS_PER_JOB).map(log_sum_exp).collect();
        let mut total = 0.0_f64;
        for ((row, lse), &target) in logits.chunks(vocabulary).zip(&lse).zip(&self.targets) {
            total += f64::from(*lse) - f64::from(row.get(target as usize).copied().unwrap_or(0.0));
        }
        *self.lse.lock().unwrap_or_else(PoisonError::into_inner) = lse;
        Ok((CpuStorage::F32(vec![(total / rows as f64) as f32]), ().into()))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (rows, vocabulary) = logits.dims2()?;
        let scale = g.to_scalar::<f32>()? / rows as f32;
        let locked = Locked::new(logits);
        let data = locked.slice()?;
        let lse = self.lse.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = vec![0.0; data.len()];
        out.par_chunks_mut(vocabulary)
            .with_min_len(ROWS_PER_JOB)
            .zip(data.par_chunks(vocabulary))
            .zip(lse.par_iter().zip(&self.targets))
            .for_each(|((out, row), (lse, target))| {
                cross_entropy_backward(row, *lse, scale, out);
                if let Some(x) = out.get_mut(*target as usize) {
                    *x -= scale;
                }
            });
        Ok(Some(Tensor::from_vec(out, (rows, vocabulary), logits.device())?))
    }
}
