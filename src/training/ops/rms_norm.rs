//! Root-mean-square normalisation.

use super::kernels::{rms_norm, rms_norm_backward};
use super::{Locked, last_dim, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const ROWS_PER_JOB: usize = 64;

/// x [.., d], w [d] -> y [.., d]. An x of [.., k d] is normalised in k parts.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct RmsNorm {
    /// Added to the mean square.
    pub(in crate::training) eps: f32,
    /// Added to the weight: 1 where the weight of a norm that does nothing is 0.
    pub(in crate::training) offset: f32,
    /// Whether dw is wanted.
    pub(in crate::training) weight_grad: bool,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let d = w_layout.shape().dims1()?;
        if !last_dim(x_layout).is_multiple_of(d) {
            return Err(shapes_refused("rms-norm", &[x_layout.dims(), w_layout.dims()]));
        }
        let (x, w) = (operand(x, x_layout)?, operand(w, w_layout)?);
        let mut y = vec![0.0; x.len()];
        let job = ROWS_PER_JOB * d;
        y.par_chunks_mut(job)
            .zip(x.par_chunks(job))
            .for_each(|(y, x)| rms_norm(x, w, self.offset, self.eps, y));
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let d = w.dim(0)?;
        let g = g.contiguous()?;
        let (x_data, w_data, g_data) = (Locked::new(x), Locked::new(w), Locked::new(&g));
        let (x_data, w_data, g_data) = (x_data.slice()?, w_data.slice()?, g_data.slice()?);
        let mut dx = vec![0.0; x_data.len()];
        let job = ROWS_PER_JOB * d;
        let parts: Vec<Vec<f32>> = dx
            .par_chunks_mut(job)
            .zip(x_data.par_chunks(job))
            .zip(g_data.par_chunks(job))
            .map(|((dx, x), g)| {
                let mut dw = vec![0.0; if self.weight_grad { d } else { 0 }];
                rms_norm_backward(x, w_data, self.offset, self.eps, g, dx, &mut dw);
                dw
            })
            .collect();
        let dw = if self.weight_grad {
            let mut dw = vec![0.0; d];
            for part in parts {
                dw.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
            Some(Tensor::from_vec(dw, d, w.device())?)
        } else {
            None
        };
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), dw))
    }
}
