//! Fused operations with hand-written backward passes, for f32 on the CPU.
//!
//! Most of candle's fused operations have no backward pass and fail silently; its composed ones allocate a
//! tensor per arithmetic sign. These custom operations are the trainer's hot path. Every one has a composed
//! counterpart in [`super::model`]'s naive path, which is the oracle of the tests.
//!
//! Reduction orders depend on shapes only, never on the number of threads: the same batch gives the same
//! bits on one thread and on two.

mod adamw;
mod attention;
mod bias;
mod gated;
mod gemm;
mod head_loss;
mod kernels;
mod linear;
mod lora_linear;
mod rms_norm;
#[cfg(test)]
mod tests;

pub(super) use adamw::{AdamW, AdamWStep};
pub(super) use attention::{Attention, Rotary};
pub(super) use bias::{AddBias, add_to_rows};
pub(super) use gated::Gated;
pub(super) use gemm::{Matrix, multiply};
pub(super) use head_loss::HeadLoss;
pub(super) use kernels::{Gate, gated_in_place, rms_norm, rotate, soft_cap, softmax, sum_of_squares};
pub(super) use linear::Linear;
pub(super) use lora_linear::LoraLinear;
pub(super) use rms_norm::RmsNorm;

use candle_core::{CpuStorage, Error, Layout, Result, Storage, Tensor};
use std::sync::RwLockReadGuard;

/// The contiguous f32 data behind an operand of a forward pass.
fn operand<'data>(storage: &'data CpuStorage, layout: &Layout) -> Result<&'data [f32]> {
    let data = storage.as_slice::<f32>()?;
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::Msg("a fused operation needs contiguous operands".to_owned()).bt())?;
    data.get(start..end).ok_or_else(|| Error::Msg("operand outside its storage".to_owned()).bt())
}

/// A read lock on a contiguous CPU tensor, for backward passes.
struct Locked<'tensor> {
    storage: RwLockReadGuard<'tensor, Storage>,
    layout: &'tensor Layout,
}

impl<'tensor> Locked<'tensor> {
    fn new(tensor: &'tensor Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    fn slice(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => operand(storage, self.layout),
            _ => Err(Error::Msg("fused operations run on the CPU".to_owned()).bt()),
        }
    }
}

/// The last dimension of a layout; 1 for a scalar.
fn last_dim(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}

/// A refusal that names the operation and the shapes.
fn shapes_refused(name: &str, shapes: &[&[usize]]) -> Error {
    Error::Msg(format!("{name}: shapes {shapes:?} do not fit")).bt()
}
