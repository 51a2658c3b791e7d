//! A bias added to every row.

use super::{Locked, last_dim, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const ROWS_PER_JOB: usize = 64;

/// x [.., d], b [d] -> x + b.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct AddBias {
    /// Whether db is wanted.
    pub(in crate::training) bias_grad: bool,
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let d = b_layout.shape().dims1()?;
        if last_dim(x_layout) != d {
            return Err(shapes_refused("add-bias", &[x_layout.dims(), b_layout.dims()]));
        }
        let (x, b) = (operand(x, x_layout)?, operand(b, b_layout)?);
        let mut y = x.to_vec();
        y.par_chunks_mut(ROWS_PER_JOB * d).for_each(|rows| add_to_rows(rows, b));
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if !self.bias_grad {
            return Ok((Some(g.clone()), None));
        }
        let d = b.dim(0)?;
        let g = g.contiguous()?;
        let locked = Locked::new(&g);
        let mut sum = vec![0.0; d];
        for row in locked.slice()?.chunks_exact(d) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        Ok((Some(g.clone()), Some(Tensor::from_vec(sum, d, b.device())?)))
    }
}

/// Adds `bias` to every row, in place.
pub(in crate::training) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
    }
}
