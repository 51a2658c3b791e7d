//! The head and its mean cross entropy in one, without ever holding all logits.

use super::gemm::{Matrix, multiply, transposed};
use super::kernels::{cross_entropy_backward, log_sum_exp, soft_cap};
use rayon::prelude::*;

/// Logits alive at a time: 16 MiB.
const LOGITS: usize = 4 << 20;
const FEWEST_ROWS: usize = 64;

/// h [rows, d], W [vocabulary, d] -> sum over rows of `ln sum exp - logit[target]`, in nats.
///
/// Rows go through the head in chunks. While a chunk's logits are there their gradients are worked out in their
/// place, so no product is made twice.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct HeadLoss<'data> {
    /// W, row-major.
    pub(in crate::training) weight: &'data [f32],
    /// Number of tokens known.
    pub(in crate::training) vocabulary: usize,
    /// `c tanh(x / c)` on the logits.
    pub(in crate::training) cap: Option<f32>,
}

/// What a head's gradients go to; each is multiplied by `scale`.
pub(in crate::training) struct HeadGradients<'data> {
    /// Factor on the summed loss.
    pub(in crate::training) scale: f32,
    /// dh [rows, d], overwritten.
    pub(in crate::training) hidden: &'data mut [f32],
    /// dW, added to; none for a frozen head.
    pub(in crate::training) weight: Option<&'data mut [f32]>,
}

impl HeadLoss<'_> {
    /// Turns one row of raw logits into their gradients; returns its loss.
    fn settle(&self, row: &mut [f32], target: u32, scale: f32) -> f64 {
        let inverse_cap = self.cap.map_or(0.0, |cap| 1.0 / cap);
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
    }

    /// The summed loss of h under one target per row, with its gradients where they are wanted. `logits` and `turned`
    /// are room, the latter for W^T.
    pub(in crate::training) fn run(
        &self,
        h: &[f32],
        targets: &[u32],
        mut gradients: Option<HeadGradients<'_>>,
        (logits, turned): (&mut Vec<f32>, &mut Vec<f32>),
    ) -> f64 {
        let (vocabulary, d) = (self.vocabulary, self.weight.len() / self.vocabulary.max(1));
        let head = Matrix::new(self.weight, vocabulary, d);
        let chunk = (LOGITS / vocabulary).max(FEWEST_ROWS).min(targets.len().max(1));
        logits.resize(chunk * vocabulary, 0.0);
        let scale = gradients.as_ref().map_or(0.0, |gradients| gradients.scale);
        let turned = transposed(self.weight, vocabulary, targets.len(), turned);
        let mut total = 0.0;
        for (index, (h, targets)) in h.chunks(chunk * d).zip(targets.chunks(chunk)).enumerate() {
            let rows = targets.len();
            let logits = logits.get_mut(..rows * vocabulary).unwrap_or(&mut []);
            let h = Matrix::new(h, rows, d);
            multiply(logits, h, turned, 1.0, false);
            let settled = logits.par_chunks_mut(vocabulary).zip(targets);
            let losses: Vec<f64> = settled.map(|(row, target)| self.settle(row, *target, scale)).collect();
            total += losses.into_iter().sum::<f64>();
            if let Some(HeadGradients { hidden, weight, .. }) = &mut gradients {
                let g = Matrix::new(logits, rows, vocabulary);
                let at = index * chunk * d;
                multiply(hidden.get_mut(at..at + rows * d).unwrap_or(&mut []), g, head, 1.0, false);
                if let Some(dw) = weight {
                    multiply(dw, g.t(), h, 1.0, true);
                }
            }
        }
        total
    }
}
