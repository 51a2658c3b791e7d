//! `y = x W^T` with an optional weight gradient.

use super::gemm::{Matrix, multiply};
use super::{Locked, last_dim, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// x [.., in], W [out, in] -> y [.., out]. A frozen weight costs no gradient.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Linear {
    /// Whether dW is wanted.
    pub(in crate::training) weight_grad: bool,
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (out, inner) = w_layout.shape().dims2()?;
        if last_dim(x_layout) != inner {
            return Err(shapes_refused("linear", &[x_layout.dims(), w_layout.dims()]));
        }
        let (x, w) = (operand(x, x_layout)?, operand(w, w_layout)?);
        let rows = x.len() / inner;
        let mut y = vec![0.0; rows * out];
        multiply(&mut y, Matrix::new(x, rows, inner), Matrix::new(w, out, inner).t(), 1.0, false);
        let mut dims = x_layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok((CpuStorage::F32(y), dims.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (out, inner) = w.dims2()?;
        let g = g.contiguous()?;
        let (x_data, w_data, g_data) = (Locked::new(x), Locked::new(w), Locked::new(&g));
        let (x_data, w_data, g_data) = (x_data.slice()?, w_data.slice()?, g_data.slice()?);
        let rows = x_data.len() / inner;
        let g_matrix = Matrix::new(g_data, rows, out);
        let mut dx = vec![0.0; rows * inner];
        multiply(&mut dx, g_matrix, Matrix::new(w_data, out, inner), 1.0, false);
        let dw = if self.weight_grad {
            let mut dw = vec![0.0; out * inner];
            multiply(&mut dw, g_matrix.t(), Matrix::new(x_data, rows, inner), 1.0, false);
            Some(Tensor::from_vec(dw, (out, inner), w.device())?)
        } else {
            None
        };
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), dw))
    }
}
