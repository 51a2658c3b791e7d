//! Causal grouped-query attention with rotary positions, block-diagonal over packed segments.

use super::gemm::{Matrix, multiply_sequential};
use super::kernels::{masked_softmax, rotate, soft_cap, soft_cap_backward, softmax_backward};
use super::{Locked, operand, shapes_refused};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

const BLOCK: usize = 64;

/// Cosines and sines, `[positions, head_dim / 2]` each.
#[derive(Debug)]
pub(in crate::training) struct Rotary {
    /// Half the head dimension.
    pub(in crate::training) half: usize,
    /// Row-major cosines.
    pub(in crate::training) cos: Vec<f32>,
    /// Row-major sines.
    pub(in crate::training) sin: Vec<f32>,
}

impl Rotary {
    /// Tables for positions `0..positions` from the angle per position of every pair.
    pub(in crate::training) fn new(positions: usize, frequencies: &[f32]) -> Self {
        let half = frequencies.len();
        let angles: Vec<f32> = (0..positions)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency))
            .collect();
        let cos = angles.iter().map(|angle| angle.cos()).collect();
        let sin = angles.iter().map(|angle| angle.sin()).collect();
        Self { half, cos, sin }
    }

    /// The row of one position.
    pub(in crate::training) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (self.cos.get(range.clone()).unwrap_or(&[]), self.sin.get(range).unwrap_or(&[]))
    }
}

/// q [B, T, H D], k and v [B, T, Hk D], all unrotated -> [B, T, H D].
#[derive(Debug, Clone)]
pub(in crate::training) struct Attention {
    /// Rotary tables for at least T positions.
    pub(in crate::training) rotary: Arc<Rotary>,
    /// Query heads H.
    pub(in crate::training) heads: usize,
    /// Key and value heads Hk, a divisor of H.
    pub(in crate::training) kv_heads: usize,
    /// For every token of [B, T], the index in its row where its segment starts.
    pub(in crate::training) starts: Arc<Vec<u32>>,
    /// Positions a token sees, its own included; `usize::MAX` for all of its segment.
    pub(in crate::training) window: usize,
    /// Factor on the scores.
    pub(in crate::training) scale: f32,
    /// `c tanh(x / c)` on the scaled scores.
    pub(in crate::training) cap: Option<f32>,
}

/// The shape of one batch row.
#[derive(Clone, Copy)]
struct Row {
    tokens: usize,
    head_dim: usize,
    q_stride: usize,
    kv_stride: usize,
}

/// Where a head lies in the rows of a tensor.
#[derive(Clone, Copy)]
struct Place {
    head: usize,
    stride: usize,
}

/// Blocks of at most [`BLOCK`] rows that never cross a segment: (first row, end, first column seen).
fn blocks(starts: &[u32], window: usize) -> Vec<(usize, usize, usize)> {
    let mut out = Vec::new();
    let mut first = 0;
    while let Some(&start) = starts.get(first) {
        let rest = &starts[first..(first + BLOCK).min(starts.len())];
        let end = first + rest.iter().take_while(|&&other| other == start).count();
        out.push((first, end, (first + 1).saturating_sub(window).max(start as usize)));
        first = end;
    }
    out
}

impl Attention {
    fn row(&self, q_dims: &[usize], k_dims: &[usize], v_dims: &[usize]) -> Result<Row> {
        let refused = || shapes_refused("attention", &[q_dims, k_dims, v_dims]);
        let ([batch, tokens, q_stride], [k_batch, k_tokens, kv_stride]) = (q_dims, k_dims) else {
            return Err(refused());
        };
        let head_dim = self.rotary.half * 2;
        let fits = k_dims == v_dims
            && (batch, tokens) == (k_batch, k_tokens)
            && *q_stride == self.heads * head_dim
            && *kv_stride == self.kv_heads * head_dim
            && self.starts.len() == batch * tokens
            && self.rotary.cos.len() >= tokens * self.rotary.half;
        if !fits || !self.heads.is_multiple_of(self.kv_heads.max(1)) {
            return Err(refused());
        }
        Ok(Row { tokens: *tokens, head_dim, q_stride: *q_stride, kv_stride: *kv_stride })
    }

    /// Rotates one head of a row into a gapless [T, D] buffer.
    fn rotated(&self, x: &[f32], place: Place, starts: &[u32], scale: f32, out: &mut [f32]) {
        let d = self.rotary.half * 2;
        for (t, (out, start)) in out.chunks_exact_mut(d).zip(starts).enumerate() {
            let (cos, sin) = self.rotary.at(t - *start as usize);
            let at = t * place.stride + place.head * d;
            rotate(&x[at..at + d], cos, sin, 1.0, scale, out);
        }
    }

    /// Rotates a gapless [T, D] gradient back into its head's place.
    fn unrotated(&self, x: &[f32], place: Place, starts: &[u32], scale: f32, out: &mut [f32]) {
        let d = self.rotary.half * 2;
        for (t, (x, start)) in x.chunks_exact(d).zip(starts).enumerate() {
            let (cos, sin) = self.rotary.at(t - *start as usize);
            let at = t * place.stride + place.head * d;
            rotate(x, cos, sin, -1.0, scale, &mut out[at..at + d]);
        }
    }

    fn forward_row(&self, row: Row, q: &[f32], k: &[f32], v: &[f32], starts: &[u32], out: &mut [f32]) {
        let d = row.head_dim;
        let group = self.heads / self.kv_heads;
        let blocks = blocks(starts, self.window);
        let mut k_rotated = vec![0.0; row.tokens * d];
        let mut q_rotated = vec![0.0; row.tokens * d];
        let mut scores = vec![0.0; BLOCK.min(row.tokens) * row.tokens];
        for kv_head in 0..self.kv_heads {
            self.rotated(k, Place { head: kv_head, stride: row.kv_stride }, starts, 1.0, &mut k_rotated);
            for head in kv_head * group..(kv_head + 1) * group {
                self.rotated(q, Place { head, stride: row.q_stride }, starts, self.scale, &mut q_rotated);
                for &(first, end, base) in &blocks {
                    let (rows, width) = (end - first, end - base);
                    let scores = &mut scores[..rows * width];
                    let queries = Matrix::new(&q_rotated[first * d..], rows, d);
                    let keys = Matrix::new(&k_rotated[base * d..], width, d);
                    multiply_sequential(scores, width, queries, keys.t(), 1.0, false);
                    if let Some(cap) = self.cap {
                        soft_cap(scores, cap);
                    }
                    masked_softmax(scores, width, starts, self.window, first, base);
                    let values =
                        Matrix::spaced(&v[base * row.kv_stride + kv_head * d..], width, d, row.kv_stride);
                    let at = first * row.q_stride + head * d;
                    let probabilities = Matrix::new(scores, rows, width);
                    multiply_sequential(&mut out[at..], row.q_stride, probabilities, values, 1.0, false);
                }
            }
        }
    }

    fn backward_row(&self, row: Row, inputs: &RowInputs<'_>, outputs: RowOutputs<'_>) {
        let &RowInputs { q, k, v, g, starts } = inputs;
        let RowOutputs { dq, dk, dv } = outputs;
        let d = row.head_dim;
        let group = self.heads / self.kv_heads;
        let blocks = blocks(starts, self.window);
        let size = row.tokens * d;
        let (mut k_rotated, mut q_rotated) = (vec![0.0; size], vec![0.0; size]);
        let (mut dk_rotated, mut dq_rotated) = (vec![0.0; size], vec![0.0; size]);
        let mut p = vec![0.0; BLOCK.min(row.tokens) * row.tokens];
        let mut ds = p.clone();
        let mut capped = Vec::new();
        for kv_head in 0..self.kv_heads {
            self.rotated(k, Place { head: kv_head, stride: row.kv_stride }, starts, 1.0, &mut k_rotated);
            dk_rotated.fill(0.0);
            for head in kv_head * group..(kv_head + 1) * group {
                self.rotated(q, Place { head, stride: row.q_stride }, starts, self.scale, &mut q_rotated);
                for &(first, end, base) in &blocks {
                    let (rows, width) = (end - first, end - base);
                    let (p, ds) = (&mut p[..rows * width], &mut ds[..rows * width]);
                    let queries = Matrix::new(&q_rotated[first * d..], rows, d);
                    let keys = Matrix::new(&k_rotated[base * d..], width, d);
                    multiply_sequential(p, width, queries, keys.t(), 1.0, false);
                    if let Some(cap) = self.cap {
                        soft_cap(p, cap);
                        capped.clear();
                        capped.extend_from_slice(p);
                    }
                    masked_softmax(p, width, starts, self.window, first, base);
                    let kv_at = base * row.kv_stride + kv_head * d;
                    let values = Matrix::spaced(&v[kv_at..], width, d, row.kv_stride);
                    let grads = Matrix::spaced(&g[first * row.q_stride + head * d..], rows, d, row.q_stride);
                    multiply_sequential(ds, width, grads, values.t(), 1.0, false);
                    softmax_backward(p, ds, width);
                    if let Some(cap) = self.cap {
                        soft_cap_backward(&capped, cap, ds);
                    }
                    let probabilities = Matrix::new(p, rows, width);
                    multiply_sequential(&mut dv[kv_at..], row.kv_stride, probabilities.t(), grads, 1.0, true);
                    let ds = Matrix::new(ds, rows, width);
                    multiply_sequential(&mut dk_rotated[base * d..], d, ds.t(), queries, 1.0, true);
                    multiply_sequential(&mut dq_rotated[first * d..], d, ds, keys, 1.0, false);
                }
                self.unrotated(&dq_rotated, Place { head, stride: row.q_stride }, starts, self.scale, dq);
            }
            self.unrotated(&dk_rotated, Place { head: kv_head, stride: row.kv_stride }, starts, 1.0, dk);
        }
    }
}

struct RowInputs<'data> {
    q: &'data [f32],
    k: &'data [f32],
    v: &'data [f32],
    g: &'data [f32],
    starts: &'data [u32],
}

struct RowOutputs<'data> {
    dq: &'data mut [f32],
    dk: &'data mut [f32],
    dv: &'data mut [f32],
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let row = self.row(q_layout.dims(), k_layout.dims(), v_layout.dims())?;
        let (q, k, v) = (operand(q, q_layout)?, operand(k, k_layout)?, operand(v, v_layout)?);
        let (q_row, kv_row) = (row.tokens * row.q_stride, row.tokens * row.kv_stride);
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(q_row)
            .zip(q.par_chunks(q_row))
            .zip(k.par_chunks(kv_row))
            .zip(v.par_chunks(kv_row))
            .zip(self.starts.par_chunks(row.tokens))
            .for_each(|((((out, q), k), v), starts)| self.forward_row(row, q, k, v, starts, out));
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let row = self.row(q.dims(), k.dims(), v.dims())?;
        let g = g.contiguous()?;
        let locks = (Locked::new(q), Locked::new(k), Locked::new(v), Locked::new(&g));
        let (q_data, k_data) = (locks.0.slice()?, locks.1.slice()?);
        let (v_data, g_data) = (locks.2.slice()?, locks.3.slice()?);
        let (q_row, kv_row) = (row.tokens * row.q_stride, row.tokens * row.kv_stride);
        let mut dq = vec![0.0; q_data.len()];
        let (mut dk, mut dv) = (vec![0.0; k_data.len()], vec![0.0; v_data.len()]);
        let inputs = q_data
            .par_chunks(q_row)
            .zip(k_data.par_chunks(kv_row))
            .zip(v_data.par_chunks(kv_row))
            .zip(g_data.par_chunks(q_row))
            .zip(self.starts.par_chunks(row.tokens))
            .map(|((((q, k), v), g), starts)| RowInputs { q, k, v, g, starts });
        dq.par_chunks_mut(q_row)
            .zip(dk.par_chunks_mut(kv_row))
            .zip(dv.par_chunks_mut(kv_row))
            .map(|((dq, dk), dv)| RowOutputs { dq, dk, dv })
            .zip(inputs)
            .for_each(|(outputs, inputs)| self.backward_row(row, &inputs, outputs));
        Ok((
            Some(Tensor::from_vec(dq, q.shape(), q.device())?),
            Some(Tensor::from_vec(dk, k.shape(), k.device())?),
            Some(Tensor::from_vec(dv, v.shape(), v.device())?),
        ))
    }
}
