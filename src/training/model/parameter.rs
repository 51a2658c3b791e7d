//! Tensors of the decoder and the projections and norms made of them.

use crate::training::composed;
use crate::training::gradients::Gradients;
use crate::training::ops::{
    Linear, LowRank, RmsNorm, Thin, add_bias_gradient, add_to_rows, add_weight_gradient,
};
use candle_core::{Error, Result, Storage, Tensor};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// A tensor and, when it is trained, where its gradient goes.
pub(super) struct Parameter {
    pub(super) tensor: Tensor,
    pub(super) slot: Option<usize>,
}

/// Elements that are read: a tensor's own, or those of W + s B A.
pub(super) enum Elements<'part> {
    Tensor(RwLockReadGuard<'part, Storage>, std::ops::Range<usize>),
    Merged(RwLockReadGuard<'part, Vec<f32>>),
}

impl Elements<'_> {
    pub(super) fn slice(&self) -> Result<&[f32]> {
        match self {
            Self::Merged(elements) => Ok(elements),
            Self::Tensor(storage, range) => {
                let Storage::Cpu(storage) = &**storage else {
                    return Err(Error::Msg("fused operations run on the CPU".to_owned()).bt());
                };
                let elements = storage.as_slice::<f32>()?.get(range.clone());
                elements.ok_or_else(|| Error::Msg("a tensor outside its storage".to_owned()).bt())
            }
        }
    }
}

impl Parameter {
    pub(super) fn read(&self) -> Result<Elements<'_>> {
        let (storage, layout) = self.tensor.storage_and_layout();
        let range = layout.contiguous_offsets().map(|(start, end)| start..end);
        let range =
            range.ok_or_else(|| Error::Msg("fused operations need rows without gaps".to_owned()).bt())?;
        Ok(Elements::Tensor(storage, range))
    }

    fn trained(&self) -> bool {
        self.slot.is_some()
    }
}

/// A low-rank adapter on a projection.
pub(super) struct LowRankPart {
    pub(super) a: Parameter,
    pub(super) b: Parameter,
    pub(super) scale: f32,
    /// W + s B A as of the last [`Projection::prepare`].
    pub(super) merged: RwLock<Vec<f32>>,
}

/// `y = x W^T + b`, W with an adapter or without.
pub(super) struct Projection {
    pub(super) weight: Parameter,
    pub(super) bias: Option<Parameter>,
    pub(super) adapter: Option<LowRankPart>,
}

impl LowRankPart {
    fn with<R>(&self, work: impl FnOnce(&LowRank<'_>) -> R) -> Result<R> {
        let (a, b) = (self.a.read()?, self.b.read()?);
        let rank = self.a.tensor.dim(0)?;
        Ok(work(&LowRank { a: a.slice()?, b: b.slice()?, rank, scale: self.scale }))
    }
}

impl Projection {
    /// Works out W + s B A for the passes that follow.
    pub(super) fn prepare(&self) -> Result<()> {
        let Some(adapter) = &self.adapter else { return Ok(()) };
        let weight = self.weight.read()?;
        let weight = weight.slice()?;
        let mut merged = adapter.merged.write().unwrap_or_else(PoisonError::into_inner);
        adapter.with(|low| low.add_to(weight, &mut merged))
    }

    /// Width of y.
    pub(super) fn out(&self) -> Result<usize> {
        self.weight.tensor.dim(0)
    }

    fn linear<R>(&self, work: impl FnOnce(&Linear<'_>) -> R) -> Result<R> {
        let elements = match &self.adapter {
            None => self.weight.read()?,
            Some(adapter) => Elements::Merged(adapter.merged.read().unwrap_or_else(PoisonError::into_inner)),
        };
        let (out, inner) = self.weight.tensor.dims2()?;
        Ok(work(&Linear { weight: elements.slice()?, out, inner }))
    }

    /// x [rows, in] -> y [rows, out]. `turned` is room for W^T.
    pub(super) fn forward(&self, x: &[f32], y: &mut [f32], turned: &mut Vec<f32>) -> Result<()> {
        self.linear(|linear| linear.forward(x, y, turned))?;
        if let Some(bias) = &self.bias {
            add_to_rows(y, bias.read()?.slice()?);
        }
        Ok(())
    }

    /// dx from g [rows, out]; added to dx when `accumulate`.
    pub(super) fn input_gradient(&self, g: &[f32], dx: &mut [f32], accumulate: bool) -> Result<()> {
        self.linear(|linear| linear.input_gradient(g, dx, accumulate))
    }

    /// Adds the gradients of what is trained, from x [rows, in] and g [rows, out].
    pub(super) fn add_gradients(
        &self,
        (x, g, rows): (&[f32], &[f32], usize),
        gradients: &mut Gradients,
        thin: &mut Thin,
    ) -> Result<()> {
        if let Some(dw) = gradients.slot(self.weight.slot)? {
            add_weight_gradient(x, g, rows, dw);
        }
        if let Some(db) = gradients.slot(self.bias.as_ref().and_then(|bias| bias.slot))? {
            add_bias_gradient(g, db);
        }
        if let Some(adapter) = &self.adapter
            && let (Some(a), Some(b)) = (adapter.a.slot, adapter.b.slot)
        {
            let [da, db] = gradients.slots([a, b])?;
            adapter.with(|low| low.add_gradients(x, g, rows, (da, db), thin))?;
        }
        Ok(())
    }

    /// The same as [`Self::forward`], composed.
    pub(super) fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let own = composed::linear(x, &self.weight.tensor, self.weight.trained())?;
        let y = match &self.adapter {
            None => own,
            Some(LowRankPart { a, b, scale, .. }) => {
                let low = composed::linear(&composed::linear(x, &a.tensor, true)?, &b.tensor, true)?;
                (own + (low * f64::from(*scale))?)?
            }
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(&bias.tensor),
            None => Ok(y),
        }
    }
}

/// A norm with its weight.
pub(super) struct Norm {
    pub(super) weight: Parameter,
    pub(super) offset: f32,
    pub(super) eps: f64,
}

impl Norm {
    fn fused(&self) -> RmsNorm {
        RmsNorm { eps: self.eps as f32, offset: self.offset }
    }

    /// x -> y.
    pub(super) fn forward(&self, x: &[f32], y: &mut [f32]) -> Result<()> {
        self.fused().forward(x, self.weight.read()?.slice()?, y);
        Ok(())
    }

    /// Adds to dx, and to the weight's gradient when it is trained.
    pub(super) fn add_gradients(
        &self,
        x: &[f32],
        g: &[f32],
        dx: &mut [f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let weight = self.weight.read()?;
        self.fused().add_gradients(x, weight.slice()?, g, dx, gradients.slot(self.weight.slot)?);
        Ok(())
    }

    /// The same as [`Self::forward`], composed.
    pub(super) fn composed(&self, x: &Tensor) -> Result<Tensor> {
        composed::rms_norm(x, &self.weight.tensor, f64::from(self.offset), self.eps)
    }
}
