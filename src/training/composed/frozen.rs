//! A product with a frozen matrix on any device: candle's own would compute the matrix's gradient too.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Error, Layout, MetalStorage, Result, Shape, Storage, Tensor,
};

/// x [rows, in] -> `x W^T` [rows, out], in the type of W.
pub(super) struct FrozenLinear {
    weight: Tensor,
}

impl FrozenLinear {
    pub(super) fn new(weight: &Tensor) -> Self {
        Self { weight: weight.clone() }
    }

    fn product<S: BackendStorage>(
        &self,
        x: &S,
        layout: &Layout,
        own: impl Fn(&Storage) -> Option<&S>,
    ) -> Result<(S, Shape)> {
        let (storage, weight_layout) = self.weight.storage_and_layout();
        let weight =
            own(&storage).ok_or_else(|| Error::Msg("a frozen matrix is elsewhere".to_owned()).bt())?;
        let ((rows, inner), (out, width)) = (layout.shape().dims2()?, weight_layout.shape().dims2()?);
        if inner != width {
            return Err(Error::Msg(format!("frozen linear: rows of {inner} against {width}")).bt());
        }
        let turned = weight_layout.transpose(0, 1)?;
        Ok((x.matmul(weight, (1, rows, out, inner), layout, &turned)?, (rows, out).into()))
    }
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.product(x, layout, |storage| if let Storage::Cpu(own) = storage { Some(own) } else { None })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.product(x, layout, |storage| if let Storage::Cuda(own) = storage { Some(own) } else { None })
    }

    fn metal_fwd(&self, x: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        self.product(x, layout, |storage| if let Storage::Metal(own) = storage { Some(own) } else { None })
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(g.contiguous()?.matmul(&self.weight)?))
    }
}
