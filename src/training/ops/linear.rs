//! `y = x W^T + b` and its gradients; a frozen W costs none, an adapted one costs thin products only.

use super::gemm::{Matrix, multiply, transposed};
use super::{ROWS_PER_JOB, column_sums};
use rayon::prelude::*;

/// A matrix W [out, in], row-major.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Linear<'data> {
    /// Its elements.
    pub(in crate::training) weight: &'data [f32],
    /// Width of y.
    pub(in crate::training) out: usize,
    /// Width of x.
    pub(in crate::training) inner: usize,
}

impl Linear<'_> {
    fn weight(&self) -> Matrix<'_> {
        Matrix::new(self.weight, self.out, self.inner)
    }

    /// x [rows, in] -> `y = x W^T` [rows, out]. `room` is for W^T.
    pub(in crate::training) fn forward(&self, x: &[f32], y: &mut [f32], room: &mut Vec<f32>) {
        let x = Matrix::new(x, x.len() / self.inner, self.inner);
        let turned = transposed(self.weight, self.out, x.rows(), room);
        multiply(y, x, turned, 1.0, false);
    }

    /// g [rows, out] -> `dx = g W` [rows, in], or added to dx when `accumulate`.
    pub(in crate::training) fn input_gradient(&self, g: &[f32], dx: &mut [f32], accumulate: bool) {
        multiply(dx, Matrix::new(g, g.len() / self.out, self.out), self.weight(), 1.0, accumulate);
    }
}

/// `dW += g^T x` [out, in] from x [rows, in] and g [rows, out].
pub(in crate::training) fn add_weight_gradient(x: &[f32], g: &[f32], rows: usize, dw: &mut [f32]) {
    let (inner, out) = (x.len() / rows.max(1), g.len() / rows.max(1));
    multiply(dw, Matrix::new(g, rows, out).t(), Matrix::new(x, rows, inner), 1.0, true);
}

/// Adds `bias` to every row, in place.
pub(in crate::training) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    rows.par_chunks_mut(ROWS_PER_JOB * bias.len()).for_each(|rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
    });
}

/// `db += sum over rows of g`.
pub(in crate::training) fn add_bias_gradient(g: &[f32], db: &mut [f32]) {
    column_sums(g, db.len()).into_iter().zip(db).for_each(|(sum, db)| *db += sum);
}

/// An adapter `s B A` on a frozen matrix: A [r, in], B [out, r].
///
/// Where x A^T and g B are thin, W + s B A is as wide as W itself: it is made once and takes the place of W in both
/// directions, and only the adapter's own gradients need products of their own.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct LowRank<'data> {
    /// A, row-major.
    pub(in crate::training) a: &'data [f32],
    /// B, row-major.
    pub(in crate::training) b: &'data [f32],
    /// r.
    pub(in crate::training) rank: usize,
    /// s = alpha / r.
    pub(in crate::training) scale: f32,
}

/// Where the thin products of an adapter's gradients stand while they are needed.
#[derive(Debug, Default)]
pub(in crate::training) struct Thin {
    hidden: Vec<f32>,
    through_b: Vec<f32>,
    turned: Vec<f32>,
}

impl LowRank<'_> {
    /// `W + s B A` [out, in].
    pub(in crate::training) fn add_to(&self, weight: &[f32], sum: &mut Vec<f32>) {
        sum.clear();
        sum.extend_from_slice(weight);
        let (a, b) = (Matrix::flat(self.a, self.rank), Matrix::flat(self.b, self.b.len() / self.rank));
        multiply(sum, b, a, self.scale, true);
    }

    /// From x [rows, in] and g [rows, out]: `dA += (s g B)^T x` and `dB += s g^T (x A^T)`.
    pub(in crate::training) fn add_gradients(
        &self,
        x: &[f32],
        g: &[f32],
        rows: usize,
        (da, db): (&mut [f32], &mut [f32]),
        thin: &mut Thin,
    ) {
        let (x, g) = (Matrix::flat(x, rows), Matrix::flat(g, rows));
        let (a, b) = (Matrix::flat(self.a, self.rank), Matrix::flat(self.b, self.b.len() / self.rank));
        let Thin { hidden, through_b, turned } = thin;
        hidden.resize(rows * self.rank, 0.0);
        through_b.resize(rows * self.rank, 0.0);
        multiply(through_b, g, b, self.scale, false);
        multiply(da, Matrix::flat(through_b, rows).t(), x, 1.0, true);
        multiply(hidden, x, a.t(), self.scale, false);
        // dB^T = s h^T g is wide, dB = s g^T h only r columns wide, for which products are slow.
        turned.resize(db.len(), 0.0);
        multiply(turned, Matrix::flat(hidden, rows).t(), g, 1.0, false);
        let out = db.len() / self.rank;
        for (row, db) in db.chunks_exact_mut(self.rank).enumerate() {
            for (slot, turned) in db.iter_mut().zip(turned.chunks_exact(out)) {
                *slot += turned.get(row).copied().unwrap_or(0.0);
            }
        }
    }
}
