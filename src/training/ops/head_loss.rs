//! The head and its mean cross entropy in one, without ever holding all logits.

use super::gemm::{Matrix, multiply};
use super::kernels::{cross_entropy_backward, log_sum_exp, soft_cap};
use super::{operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Logits alive at a time: 64 MiB.
const LOGITS: usize = 16 << 20;
const FEWEST_ROWS: usize = 64;

/// h [rows, d], W [vocabulary, d] -> mean over rows of `ln sum exp - logit[target]`, in nats.
///
/// Rows go through the head in chunks. While a chunk's logits are there the forward pass also works out
/// the gradients, which the backward pass only has to scale; so no product is made twice.
#[derive(Debug)]
pub(in crate::training) struct HeadLoss {
    targets: Vec<u32>,
    cap: Option<f32>,
    weight_grad: bool,
    gradients: Mutex<Option<Gradients>>,
}

#[derive(Debug)]
struct Gradients {
    hidden: Vec<f32>,
    weight: Option<Vec<f32>>,
}

impl HeadLoss {
    /// With one target token per row, and `c tanh(x / c)` on the logits where there is a cap.
    pub(in crate::training) fn new(targets: Vec<u32>, cap: Option<f32>, weight_grad: bool) -> Self {
        Self { targets, cap, weight_grad, gradients: Mutex::new(None) }
    }

    /// Turns a chunk of raw logits into their gradients; returns each row's loss.
    fn settle(&self, logits: &mut [f32], vocabulary: usize, targets: &[u32], scale: f32) -> Vec<f64> {
        let inverse_cap = self.cap.map_or(0.0, |cap| 1.0 / cap);
        let rows = logits.par_chunks_mut(vocabulary).zip(targets);
        rows.map(|(row, &target)| {
            if let Some(cap) = self.cap {
                soft_cap(row, cap);
            }
            let lse = log_sum_exp(row);
            let own = row.get(target as usize).copied().unwrap_or(0.0);
            cross_entropy_backward(row, lse, scale, inverse_cap);
            if let Some(x) = row.get_mut(target as usize) {
                let t = own * inverse_cap;
                *x -= scale * (1.0 - t * t);
            }
            f64::from(lse) - f64::from(own)
        })
        .collect()
    }
}

impl CustomOp2 for HeadLoss {
    fn name(&self) -> &'static str {
        "head-loss"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        h_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, d) = h_layout.shape().dims2()?;
        let (vocabulary, inner) = w_layout.shape().dims2()?;
        let in_range = self.targets.iter().all(|&target| (target as usize) < vocabulary);
        if rows == 0 || rows != self.targets.len() || d != inner || !in_range {
            let shapes: [&[usize]; 3] = [h_layout.dims(), w_layout.dims(), &[self.targets.len()]];
            return Err(shapes_refused("head-loss", &shapes));
        }
        let (h, w) = (operand(h, h_layout)?, operand(w, w_layout)?);
        let head = Matrix::new(w, vocabulary, d);
        let chunk = (LOGITS / vocabulary).max(FEWEST_ROWS).min(rows);
        let mut logits = vec![0.0; chunk * vocabulary];
        let mut hidden = vec![0.0; h.len()];
        let mut weight = self.weight_grad.then(|| vec![0.0; w.len()]);
        let mut total = 0.0_f64;
        let scale = 1.0 / rows as f32;
        let parts = h.chunks(chunk * d).zip(hidden.chunks_mut(chunk * d)).zip(self.targets.chunks(chunk));
        for ((h, dh), targets) in parts {
            let rows = targets.len();
            let logits = logits.get_mut(..rows * vocabulary).unwrap_or(&mut []);
            let h = Matrix::new(h, rows, d);
            multiply(logits, h, head.t(), 1.0, false);
            total += self.settle(logits, vocabulary, targets, scale).into_iter().sum::<f64>();
            let g = Matrix::new(logits, rows, vocabulary);
            multiply(dh, g, head, 1.0, false);
            if let Some(dw) = &mut weight {
                multiply(dw, g.t(), h, 1.0, true);
            }
        }
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = Some(Gradients { hidden, weight });
        Ok((CpuStorage::F32(vec![(total / rows as f64) as f32]), ().into()))
    }

    fn bwd(
        &self,
        h: &Tensor,
        w: &Tensor,
        _loss: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = g.to_scalar::<f32>()?;
        let saved = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = saved.ok_or_else(|| Error::Msg("head-loss: backward without forward".to_owned()).bt())?;
        let scaled = |mut data: Vec<f32>, like: &Tensor| {
            if scale.to_bits() != 1.0_f32.to_bits() {
                data.par_iter_mut().for_each(|x| *x *= scale);
            }
            Tensor::from_vec(data, like.shape(), like.device())
        };
        Ok((Some(scaled(saved.hidden, h)?), saved.weight.map(|dw| scaled(dw, w)).transpose()?))
    }
}
