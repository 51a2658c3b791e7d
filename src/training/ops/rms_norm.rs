//! Root-mean-square normalisation.

use super::kernels::{rms_norm, rms_norm_backward};
use super::{ROWS_PER_JOB, add_parts};
use rayon::prelude::*;

/// x [rows, d], w [d] -> `y = x r (w + offset)` with `r = 1 / sqrt(mean x^2 + eps)`. Rows of k d are normalised in k
/// parts.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct RmsNorm {
    /// Added to the mean square.
    pub(in crate::training) eps: f32,
    /// Added to the weight: 1 where the weight of a norm that does nothing is 0.
    pub(in crate::training) offset: f32,
}

impl RmsNorm {
    /// x -> y.
    pub(in crate::training) fn forward(self, x: &[f32], w: &[f32], y: &mut [f32]) {
        let job = ROWS_PER_JOB * w.len();
        let jobs = y.par_chunks_mut(job).zip(x.par_chunks(job));
        jobs.for_each(|(y, x)| rms_norm(x, w, self.offset, self.eps, y));
    }

    /// `dx += r g (w + offset) - x r^3 (sum of g (w + offset) x) / d` and, where wanted, `dw += g x r`.
    pub(in crate::training) fn add_gradients(
        self,
        x: &[f32],
        w: &[f32],
        g: &[f32],
        dx: &mut [f32],
        dw: Option<&mut [f32]>,
    ) {
        let d = w.len();
        let (job, wanted) = (ROWS_PER_JOB * d, dw.is_some());
        let jobs = dx.par_chunks_mut(job).zip(x.par_chunks(job)).zip(g.par_chunks(job));
        let parts = jobs.map(|((dx, x), g)| {
            let mut dw = vec![0.0; if wanted { d } else { 0 }];
            rms_norm_backward(x, w, self.offset, self.eps, g, dx, &mut dw);
            dw
        });
        let parts: Vec<Vec<f32>> = parts.collect();
        if let Some(dw) = dw {
            add_parts(&parts, dw);
        }
    }
}
