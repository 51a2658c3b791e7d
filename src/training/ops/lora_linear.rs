//! `y = x W^T + s (x A^T) B^T` with a frozen W.

use super::gemm::{Matrix, multiply};
use super::{Locked, last_dim, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::{Mutex, PoisonError};

/// x [.., in], A [r, in], B [out, r] -> y [.., out]. Never computes dW.
#[derive(Debug)]
pub(in crate::training) struct LoraLinear {
    weight: Tensor,
    scale: f32,
    /// `x A^T` of the forward pass, [rows, r].
    hidden: Mutex<Option<Vec<f32>>>,
}

impl LoraLinear {
    /// With the frozen `weight` [out, in] and `scale` = alpha / r.
    pub(in crate::training) fn new(weight: Tensor, scale: f32) -> Self {
        Self { weight, scale, hidden: Mutex::new(None) }
    }
}

fn project(x: &[f32], a: &[f32], rows: usize, rank: usize, inner: usize) -> Vec<f32> {
    let mut hidden = vec![0.0; rows * rank];
    multiply(&mut hidden, Matrix::new(x, rows, inner), Matrix::new(a, rank, inner).t(), 1.0, false);
    hidden
}

impl CustomOp3 for LoraLinear {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rank, inner) = a_layout.shape().dims2()?;
        let (out, b_rank) = b_layout.shape().dims2()?;
        if last_dim(x_layout) != inner || b_rank != rank || self.weight.dims() != [out, inner] {
            return Err(shapes_refused(
                "lora-linear",
                &[x_layout.dims(), a_layout.dims(), b_layout.dims(), self.weight.dims()],
            ));
        }
        let (x, a, b) = (operand(x, x_layout)?, operand(a, a_layout)?, operand(b, b_layout)?);
        let weight = Locked::new(&self.weight);
        let rows = x.len() / inner;
        let mut y = vec![0.0; rows * out];
        let w = Matrix::new(weight.slice()?, out, inner);
        multiply(&mut y, Matrix::new(x, rows, inner), w.t(), 1.0, false);
        let hidden = project(x, a, rows, rank, inner);
        multiply(&mut y, Matrix::new(&hidden, rows, rank), Matrix::new(b, out, rank).t(), self.scale, true);
        *self.hidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(hidden);
        let mut dims = x_layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok((CpuStorage::F32(y), dims.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rank, inner) = a.dims2()?;
        let out = b.dim(0)?;
        let g = g.contiguous()?;
        let locks =
            (Locked::new(x), Locked::new(a), Locked::new(b), Locked::new(&g), Locked::new(&self.weight));
        let (x_data, a_data, b_data) = (locks.0.slice()?, locks.1.slice()?, locks.2.slice()?);
        let (g_data, w_data) = (locks.3.slice()?, locks.4.slice()?);
        let rows = x_data.len() / inner;
        let saved = self.hidden.lock().unwrap_or_else(PoisonError::into_inner).take();
        let hidden = saved.unwrap_or_else(|| project(x_data, a_data, rows, rank, inner));
        let g_matrix = Matrix::new(g_data, rows, out);
        let mut through_b = vec![0.0; rows * rank];
        multiply(&mut through_b, g_matrix, Matrix::new(b_data, out, rank), self.scale, false);
        let through_b = Matrix::new(&through_b, rows, rank);
        let mut dx = vec![0.0; rows * inner];
        multiply(&mut dx, g_matrix, Matrix::new(w_data, out, inner), 1.0, false);
        multiply(&mut dx, through_b, Matrix::new(a_data, rank, inner), 1.0, true);
        let mut da = vec![0.0; rank * inner];
        multiply(&mut da, through_b.t(), Matrix::new(x_data, rows, inner), 1.0, false);
        let mut db = vec![0.0; out * rank];
        multiply(&mut db, g_matrix.t(), Matrix::new(&hidden, rows, rank), self.scale, false);
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            Some(Tensor::from_vec(da, (rank, inner), a.device())?),
            Some(Tensor::from_vec(db, (out, rank), b.device())?),
        ))
    }
}
