//! Matrix products by strides, and the one transposition that pays.

#![allow(unsafe_code)] // the one call into the `gemm` crate, behind bounds that are checked here

use super::kernels::turn_band;
use rayon::prelude::*;

/// A borrowed matrix; element (i, j) lies at `i * row_stride + j * col_stride`.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Matrix<'data> {
    data: &'data [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'data> Matrix<'data> {
    /// Row-major without gaps.
    pub(in crate::training) fn new(data: &'data [f32], rows: usize, cols: usize) -> Self {
        Self::spaced(data, rows, cols, cols)
    }

    /// Row-major, each row `row_stride` elements after the one before it.
    pub(in crate::training) fn spaced(
        data: &'data [f32],
        rows: usize,
        cols: usize,
        row_stride: usize,
    ) -> Self {
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// All of `data` in `rows` rows without gaps.
    pub(in crate::training) fn flat(data: &'data [f32], rows: usize) -> Self {
        Self::new(data, rows, data.len() / rows.max(1))
    }

    /// The transpose, by swapping strides.
    pub(in crate::training) fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Some rows of it.
    fn row_range(self, start: usize, count: usize) -> Self {
        Self { data: self.data.get(start * self.row_stride..).unwrap_or(&[]), rows: count, ..self }
    }

    fn fits(&self) -> bool {
        self.rows == 0
            || self.cols == 0
            || (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride < self.data.len()
    }
}

/// `dst = scale * a b`, or `dst += scale * a b` when `accumulate`; `dst` is row-major with rows
/// `dst_stride` apart. Sequential. Does nothing when shapes do not fit (callers check; tests hold them to
/// it), which a debug assertion reports.
pub(super) fn multiply_sequential(
    dst: &mut [f32],
    dst_stride: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    accumulate: bool,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if m == 0 || n == 0 {
        return;
    }
    let fits = a.fits()
        && b.fits()
        && b.rows == k
        && n <= dst_stride
        && (m - 1) * dst_stride + n <= dst.len()
        && k > 0;
    debug_assert!(fits, "gemm: {m}x{k} by {}x{n} into {} (stride {dst_stride})", b.rows, dst.len());
    if !fits {
        return;
    }
    // SAFETY: every index the product reads or writes was bounded above by the slice lengths, `dst` is
    // borrowed exclusively and its rows do not overlap (n <= dst_stride).
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            dst_stride.cast_signed(),
            accumulate,
            a.data.as_ptr(),
            a.col_stride.cast_signed(),
            a.row_stride.cast_signed(),
            b.data.as_ptr(),
            b.col_stride.cast_signed(),
            b.row_stride.cast_signed(),
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// As [`multiply_sequential`] into a gapless `dst`, in row blocks over the current rayon pool. The blocks
/// depend on the shape alone and each element is summed by one thread, so the bits do not depend on the
/// number of threads.
pub(in crate::training) fn multiply(
    dst: &mut [f32],
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    accumulate: bool,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if m == 0 || n == 0 {
        return;
    }
    let block = if m * n * k < 1 << 20 {
        m
    } else if m >= 1024 {
        512
    } else {
        m.div_ceil(2).next_multiple_of(16).max(64)
    };
    dst.par_chunks_mut(block * n).enumerate().for_each(|(index, chunk)| {
        let rows = a.row_range(index * block, chunk.len() / n);
        multiply_sequential(chunk, n, rows, b, scale, accumulate);
    });
}

/// Rows from which a product with a transposed right side is worth a transposition of its own.
const WORTH_TURNING: usize = 64;
/// Larger matrices, heads of large vocabularies as a rule, are not turned: 64 MiB more is what that may cost.
const LARGEST_TURNED: usize = 16 << 20;
/// Columns that are turned by one job.
const BAND: usize = 64;

/// The transpose of `b` [n, k], row-major, as the right side of products with `rows` rows. The library would pack
/// its columns one number at a time and anew for every block of rows; turned once in `room` they lie as it reads them.
pub(in crate::training) fn transposed<'room>(
    b: &'room [f32],
    n: usize,
    rows: usize,
    room: &'room mut Vec<f32>,
) -> Matrix<'room> {
    let k = b.len() / n.max(1);
    if rows < WORTH_TURNING || b.len() > LARGEST_TURNED {
        return Matrix::new(b, n, k).t();
    }
    room.resize(b.len(), 0.0);
    room.par_chunks_mut(BAND * n.max(1))
        .enumerate()
        .for_each(|(band, out)| turn_band(b, k, band * BAND, n, out));
    Matrix::new(room, k, n)
}
