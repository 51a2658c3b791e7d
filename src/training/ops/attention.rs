//! Causal grouped-query attention with rotary positions, block-diagonal over packed segments.

use super::ROWS_PER_JOB;
use super::gemm::{Matrix, multiply_sequential};
use super::kernels::{masked_softmax, rotate_in_place, soft_cap, soft_cap_backward, softmax_backward};
use rayon::prelude::*;

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

/// Turns every head of x [rows, heads D] by the positions of its tokens, in place; `sign` -1.0 turns back.
pub(in crate::training) fn rotate_rows(
    rotary: &Rotary,
    x: &mut [f32],
    starts: &[u32],
    length: usize,
    sign: f32,
) {
    let width = x.len() / starts.len().max(1);
    x.par_chunks_mut(ROWS_PER_JOB * width).enumerate().for_each(|(job, rows)| {
        for (index, row) in rows.chunks_exact_mut(width).enumerate() {
            let token = job * ROWS_PER_JOB + index;
            let start = starts.get(token).map_or(0, |&start| start as usize);
            let (cos, sin) = rotary.at((token % length).saturating_sub(start));
            row.chunks_exact_mut(rotary.half * 2).for_each(|head| rotate_in_place(head, cos, sin, sign));
        }
    });
}

/// q [B, T, H D], k and v [B, T, Hk D], the first two rotated -> [B, T, H D].
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Attention<'batch> {
    /// Tokens T per row.
    pub(in crate::training) length: usize,
    /// Query heads H.
    pub(in crate::training) heads: usize,
    /// Key and value heads Hk, a divisor of H.
    pub(in crate::training) kv_heads: usize,
    /// D.
    pub(in crate::training) head_dim: usize,
    /// For every token of [B, T], the index in its row where its segment starts.
    pub(in crate::training) starts: &'batch [u32],
    /// Positions a token sees, its own included; `usize::MAX` for all of its segment.
    pub(in crate::training) window: usize,
    /// Factor on the scores.
    pub(in crate::training) scale: f32,
    /// `c tanh(x / c)` on the scaled scores.
    pub(in crate::training) cap: Option<f32>,
}

/// A head of queries and the head of keys and values that it looks at, as places in a row.
#[derive(Clone, Copy)]
struct Place {
    q: usize,
    kv: usize,
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

/// What a row's attention is made of; g is the gradient of its result.
#[derive(Clone, Copy)]
struct Row<'data> {
    q: &'data [f32],
    k: &'data [f32],
    v: &'data [f32],
    g: &'data [f32],
    starts: &'data [u32],
}

impl Attention<'_> {
    fn widths(&self) -> (usize, usize) {
        (self.heads * self.head_dim, self.kv_heads * self.head_dim)
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let (d, group) = (self.head_dim, self.heads / self.kv_heads.max(1));
        (0..self.heads).map(move |head| Place { q: head * d, kv: head / group * d })
    }

    /// Rows `first..` of a head, `count` of them.
    fn head<'data>(
        &self,
        x: &'data [f32],
        place: usize,
        width: usize,
        first: usize,
        count: usize,
    ) -> Matrix<'data> {
        Matrix::spaced(x.get(first * width + place..).unwrap_or(&[]), count, self.head_dim, width)
    }

    /// Scores of a block before the softmax; their caps are applied.
    fn scores(&self, row: Row<'_>, place: Place, (first, end, base): (usize, usize, usize), out: &mut [f32]) {
        let (q_width, kv_width) = self.widths();
        let queries = self.head(row.q, place.q, q_width, first, end - first);
        let keys = self.head(row.k, place.kv, kv_width, base, end - base);
        multiply_sequential(out, end - base, queries, keys.t(), self.scale, false);
        if let Some(cap) = self.cap {
            soft_cap(out, cap);
        }
    }

    fn forward_row(&self, row: Row<'_>, out: &mut [f32]) {
        let (q_width, kv_width) = self.widths();
        let mut scores = vec![0.0; BLOCK.min(self.length) * self.length];
        for (first, end, base) in blocks(row.starts, self.window) {
            let (rows, width) = (end - first, end - base);
            let scores = &mut scores[..rows * width];
            for place in self.places() {
                self.scores(row, place, (first, end, base), scores);
                masked_softmax(scores, width, row.starts, self.window, first, base);
                let values = self.head(row.v, place.kv, kv_width, base, width);
                let out = &mut out[first * q_width + place.q..];
                multiply_sequential(out, q_width, Matrix::new(scores, rows, width), values, 1.0, false);
            }
        }
    }

    /// dq, dk and dv of a row; the last two must be zero.
    fn backward_row(&self, row: Row<'_>, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
        let (q_width, kv_width) = self.widths();
        let mut p = vec![0.0; BLOCK.min(self.length) * self.length];
        let mut ds = p.clone();
        let mut capped = Vec::new();
        for (first, end, base) in blocks(row.starts, self.window) {
            let (rows, width) = (end - first, end - base);
            let (p, ds) = (&mut p[..rows * width], &mut ds[..rows * width]);
            for place in self.places() {
                self.scores(row, place, (first, end, base), p);
                if self.cap.is_some() {
                    capped.clear();
                    capped.extend_from_slice(p);
                }
                masked_softmax(p, width, row.starts, self.window, first, base);
                let values = self.head(row.v, place.kv, kv_width, base, width);
                let g = self.head(row.g, place.q, q_width, first, rows);
                multiply_sequential(ds, width, g, values.t(), 1.0, false);
                softmax_backward(p, ds, width);
                if let Some(cap) = self.cap {
                    soft_cap_backward(&capped, cap, ds);
                }
                let (p, ds) = (Matrix::new(p, rows, width), Matrix::new(ds, rows, width));
                let kv_at = base * kv_width + place.kv;
                multiply_sequential(&mut dv[kv_at..], kv_width, p.t(), g, 1.0, true);
                let queries = self.head(row.q, place.q, q_width, first, rows);
                multiply_sequential(&mut dk[kv_at..], kv_width, ds.t(), queries, self.scale, true);
                let keys = self.head(row.k, place.kv, kv_width, base, width);
                let dq = &mut dq[first * q_width + place.q..];
                multiply_sequential(dq, q_width, ds, keys, self.scale, false);
            }
        }
    }

    /// The rows of a batch, with the gradients of their results or without.
    fn rows<'data>(
        &'data self,
        [q, k, v]: [&'data [f32]; 3],
        g: &'data [f32],
    ) -> impl IndexedParallelIterator<Item = Row<'data>> {
        let (q_row, kv_row) = (self.length * self.widths().0, self.length * self.widths().1);
        let g = q.par_chunks(q_row).enumerate().map(move |(row, q)| {
            let at = row * q_row;
            (q, g.get(at..at + q.len()).unwrap_or(&[]))
        });
        g.zip(k.par_chunks(kv_row))
            .zip(v.par_chunks(kv_row))
            .zip(self.starts.par_chunks(self.length))
            .map(|((((q, g), k), v), starts)| Row { q, k, v, g, starts })
    }

    /// q, k, v -> out.
    pub(in crate::training) fn forward(&self, inputs: [&[f32]; 3], out: &mut [f32]) {
        let rows = out.par_chunks_mut(self.length * self.widths().0).zip(self.rows(inputs, &[]));
        rows.for_each(|(out, row)| self.forward_row(row, out));
    }

    /// From g [B, T, H D], the gradients of (rotated) q and k and of v. Probabilities are worked out again.
    pub(in crate::training) fn backward(
        &self,
        inputs: [&[f32]; 3],
        g: &[f32],
        [dq, dk, dv]: [&mut [f32]; 3],
    ) {
        let (q_row, kv_row) = (self.length * self.widths().0, self.length * self.widths().1);
        dq.par_chunks_mut(q_row)
            .zip(dk.par_chunks_mut(kv_row))
            .zip(dv.par_chunks_mut(kv_row))
            .zip(self.rows(inputs, g))
            .for_each(|(((dq, dk), dv), row)| {
                dk.fill(0.0);
                dv.fill(0.0);
                self.backward_row(row, dq, dk, dv);
            });
    }
}
