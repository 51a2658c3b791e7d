//! The gated activation of the feed-forward block.

use super::kernels::{Gate, gated, gated_backward};
use rayon::prelude::*;

const CHUNK: usize = 16_384;

/// x, up of one shape -> `y = gate(x) up`.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Gated(pub(in crate::training) Gate);

impl Gated {
    /// x, up -> y.
    pub(in crate::training) fn forward(self, x: &[f32], up: &[f32], y: &mut [f32]) {
        y.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .zip(up.par_chunks(CHUNK))
            .for_each(|((y, x), up)| gated(self.0, x, up, y));
    }

    /// From dy in `g`, all in place: x becomes `dx = g up gate'(x)`, up becomes `dup = g gate(x)`, and g becomes y
    /// again, which the next matrix needs for its own gradient.
    pub(in crate::training) fn backward(self, x: &mut [f32], up: &mut [f32], g: &mut [f32]) {
        g.par_chunks_mut(CHUNK)
            .zip(x.par_chunks_mut(CHUNK))
            .zip(up.par_chunks_mut(CHUNK))
            .for_each(|((g, x), up)| gated_backward(self.0, x, up, g));
    }
}
