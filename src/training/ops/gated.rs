//! The gated activation of the feed-forward block.

use super::kernels::{Gate, gated, gated_backward};
use super::{Locked, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const CHUNK: usize = 16_384;

/// x, up of one shape -> gate(x) * up.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Gated(pub(in crate::training) Gate);

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if gate_layout.dims() != up_layout.dims() {
            return Err(shapes_refused("gated", &[gate_layout.dims(), up_layout.dims()]));
        }
        let (gate, up) = (operand(gate, gate_layout)?, operand(up, up_layout)?);
        let mut y = vec![0.0; gate.len()];
        y.par_chunks_mut(CHUNK)
            .zip(gate.par_chunks(CHUNK))
            .zip(up.par_chunks(CHUNK))
            .for_each(|((y, gate), up)| gated(self.0, gate, up, y));
        Ok((CpuStorage::F32(y), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let (gate_data, up_data, g_data) = (Locked::new(gate), Locked::new(up), Locked::new(&g));
        let (gate_data, up_data, g_data) = (gate_data.slice()?, up_data.slice()?, g_data.slice()?);
        let (mut dgate, mut dup) = (vec![0.0; g_data.len()], vec![0.0; g_data.len()]);
        dgate
            .par_chunks_mut(CHUNK)
            .zip(dup.par_chunks_mut(CHUNK))
            .zip(gate_data.par_chunks(CHUNK))
            .zip(up_data.par_chunks(CHUNK))
            .zip(g_data.par_chunks(CHUNK))
            .for_each(|((((dgate, dup), gate), up), g)| gated_backward(self.0, gate, up, g, dgate, dup));
        let shape = gate.shape();
        Ok((
            Some(Tensor::from_vec(dgate, shape, gate.device())?),
            Some(Tensor::from_vec(dup, shape, up.device())?),
        ))
    }
}
