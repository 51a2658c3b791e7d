//! Fused operations with hand-written backward passes, on f32 slices of the CPU.
//!
//! Most of candle's fused operations have no backward pass and fail silently; its composed ones allocate a
//! tensor per arithmetic sign. These are the trainer's hot path: every operation stands with its gradients in one
//! file, reads and writes rows in place, and owns no memory. Gradients of parameters are added to what is there.
//! Each has a composed counterpart, which is the oracle of the tests.
//!
//! Reduction orders depend on shapes only, never on the number of threads: the same batch gives the same
//! bits on one thread and on two.

mod adamw;
mod attention;
mod gated;
mod gemm;
mod head_loss;
mod kernels;
mod linear;
mod rms_norm;
#[cfg(test)]
mod tests;

pub(super) use adamw::{AdamW, AdamWStep};
pub(super) use attention::{Attention, Rotary, rotate_rows};
pub(super) use gated::Gated;
pub(super) use gemm::{Matrix, multiply};
pub(super) use head_loss::{HeadGradients, HeadLoss};
pub(super) use kernels::{Gate, gated_in_place, rms_norm, rotate, soft_cap, softmax, sum_of_squares};
pub(super) use linear::{Linear, LowRank, Thin, add_bias_gradient, add_to_rows, add_weight_gradient};
pub(super) use rms_norm::RmsNorm;

use rayon::prelude::*;

/// Rows that one thread takes at a time.
const ROWS_PER_JOB: usize = 64;
const CHUNK: usize = 65_536;

/// `sum += x`, in place.
pub(super) fn add(sum: &mut [f32], x: &[f32]) {
    let chunks = sum.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(sum, x)| sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x));
}

/// Adds partial sums in their order.
fn add_parts(parts: &[Vec<f32>], sum: &mut [f32]) {
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
}

/// The sum of every column of x [rows, width].
fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    let parts = x.par_chunks(ROWS_PER_JOB * width).map(|rows| {
        let mut sum = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sum
    });
    let parts: Vec<Vec<f32>> = parts.collect();
    let mut sum = vec![0.0; width];
    add_parts(&parts, &mut sum);
    sum
}
