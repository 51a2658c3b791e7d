//! Row kernels, each compiled for the baseline, AVX2 + FMA and AVX-512, chosen at run time by `pulp`.
//!
//! Sums run over sixteen lanes in a fixed order so that they vectorise and never depend on the machine's
//! number of threads.

#![allow(clippy::inline_always)] // a body must be inlined into its dispatched caller to be compiled for it

use std::marker::PhantomData;

const LANES: usize = 16;

/// Defines a function whose body is compiled once per instruction set.
macro_rules! dispatched {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $kind:ty),* $(,)?) -> $out:ty $body:block) => {
        $(#[$meta])*
        pub(in crate::training) fn $name<'a>($($arg: $kind),*) -> $out {
            struct Body<'a> {
                $($arg: $kind,)*
                lifetime: PhantomData<&'a ()>,
            }
            impl<'a> pulp::NullaryFnOnce for Body<'a> {
                type Output = $out;
                #[inline(always)]
                fn call(self) -> $out {
                    let Body { $($arg,)* lifetime: _ } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Body { $($arg,)* lifetime: PhantomData })
        }
    };
}

#[inline(always)]
fn reduce(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = lanes.split_at_mut(width);
        for (l, h) in low.iter_mut().zip(high.iter()) {
            *l += *h;
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn sum_map2(a: &[f32], b: &[f32], map: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (x, y) in a_chunks.zip(b_chunks) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += map(*x, *y);
        }
    }
    let mut rest = 0.0;
    for (x, y) in a_rest.iter().zip(b_rest) {
        rest += map(*x, *y);
    }
    reduce(lanes) + rest
}

#[inline(always)]
fn sum_map3(a: &[f32], b: &[f32], c: &[f32], map: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, b_chunks, c_chunks) =
        (a.chunks_exact(LANES), b.chunks_exact(LANES), c.chunks_exact(LANES));
    let (a_rest, b_rest, c_rest) = (a_chunks.remainder(), b_chunks.remainder(), c_chunks.remainder());
    for ((x, y), z) in a_chunks.zip(b_chunks).zip(c_chunks) {
        for (((lane, x), y), z) in lanes.iter_mut().zip(x).zip(y).zip(z) {
            *lane += map(*x, *y, *z);
        }
    }
    let mut rest = 0.0;
    for ((x, y), z) in a_rest.iter().zip(b_rest).zip(c_rest) {
        rest += map(*x, *y, *z);
    }
    reduce(lanes) + rest
}

#[inline(always)]
fn max_of(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max })
}

/// `exp` by range reduction to `|r| <= ln 2 / 2` and a polynomial of degree 6; relative error about 1e-7.
/// Arguments are clamped to [-87.3, 88.3], so results stay normal numbers.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the integer in the low bits
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.388_889e-3_f32;
    let p = p * r + 8.333_334e-3;
    let p = p * r + 4.166_666_6e-2;
    let p = p * r + 1.666_666_7e-1;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Near zero by Cephes' polynomial, elsewhere by [`exp`]; relative error about 2e-7.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3_f32;
    let p = p * z + 2.063_908_8e-2;
    let p = p * z - 5.373_971_6e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    let near = p * z * x + x;
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if x.abs() < 0.625 { near } else { far.copysign(x) }
}

dispatched! {
    /// Columns `first..` of x (rows of `width`) as rows of `height`, as many as `y` holds.
    fn turn_band(x: &'a [f32], width: usize, first: usize, height: usize, y: &'a mut [f32]) -> () {
        let columns = y.len() / height;
        // Whole tiles have a size that the compiler knows; the edges go number by number.
        let (whole_rows, whole_columns) = (height / LANES * LANES, columns / LANES * LANES);
        let mut tile = [[0.0_f32; LANES]; LANES];
        for top in (0..whole_rows).step_by(LANES) {
            for left in (0..whole_columns).step_by(LANES) {
                for (row, tile) in tile.iter_mut().enumerate() {
                    if let Some(line) = x[(top + row) * width + first + left..].first_chunk::<LANES>() {
                        *tile = *line;
                    }
                }
                for column in 0..LANES {
                    if let Some(line) = y[(left + column) * height + top..].first_chunk_mut::<LANES>() {
                        for (y, tile) in line.iter_mut().zip(&tile) {
                            *y = tile[column];
                        }
                    }
                }
            }
        }
        for (column, y) in y.chunks_exact_mut(height).enumerate() {
            let from = if column < whole_columns { whole_rows } else { 0 };
            for (row, y) in y.iter_mut().enumerate().skip(from) {
                *y = x[row * width + first + column];
            }
        }
    }
}

dispatched! {
    /// Sum of squares of a slice.
    fn sum_of_squares(x: &'a [f32]) -> f32 {
        sum_map2(x, x, |a, b| a * b)
    }
}

dispatched! {
    /// Root-mean-square normalisation of rows of `weight.len()`: `y = x (w + offset) / sqrt(mean x^2 + eps)`.
    fn rms_norm(x: &'a [f32], weight: &'a [f32], offset: f32, eps: f32, y: &'a mut [f32]) -> () {
        let d = weight.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let r = 1.0 / (sum_map2(x, x, |a, b| a * b) / d as f32 + eps).sqrt();
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = *x * r * (*w + offset);
            }
        }
    }
}

dispatched! {
    /// Backward of [`rms_norm`] for some rows; adds into `dx`, and into `dw` (empty when the weight is frozen).
    fn rms_norm_backward(
        x: &'a [f32],
        weight: &'a [f32],
        offset: f32,
        eps: f32,
        g: &'a [f32],
        dx: &'a mut [f32],
        dw: &'a mut [f32],
    ) -> () {
        let d = weight.len();
        for ((x, g), dx) in x.chunks_exact(d).zip(g.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let r = 1.0 / (sum_map2(x, x, |a, b| a * b) / d as f32 + eps).sqrt();
            let slope = r * r * r * sum_map3(x, g, weight, |x, g, w| x * g * (w + offset)) / d as f32;
            for (((out, x), g), w) in dx.iter_mut().zip(x).zip(g).zip(weight) {
                *out += *g * (*w + offset) * r - *x * slope;
            }
            for ((dw, g), x) in dw.iter_mut().zip(g).zip(x) {
                *dw += *g * *x * r;
            }
        }
    }
}

/// A gate `x sigmoid(linear x + cubic x^3)`, which `SiLU` and the tanh form of GELU both are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::training) struct Gate {
    linear: f32,
    cubic: f32,
}

impl Gate {
    /// `x sigmoid(x)`.
    pub(in crate::training) const SILU: Self = Self { linear: 1.0, cubic: 0.0 };
    /// `x (1 + tanh u) / 2 = x sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
    pub(in crate::training) const GELU: Self = Self { linear: 1.595_769, cubic: 0.071_354_82 };

    #[inline(always)]
    fn sigmoid(self, x: f32) -> f32 {
        sigmoid(x * (self.linear + self.cubic * (x * x)))
    }
}

dispatched! {
    /// `y = gate(x) * up`.
    fn gated(gate: Gate, x: &'a [f32], up: &'a [f32], y: &'a mut [f32]) -> () {
        for ((y, x), u) in y.iter_mut().zip(x).zip(up) {
            *y = *x * gate.sigmoid(*x) * *u;
        }
    }
}

dispatched! {
    /// `x = gate(x) * up`, for decoding.
    fn gated_in_place(gate: Gate, x: &'a mut [f32], up: &'a [f32]) -> () {
        for (x, u) in x.iter_mut().zip(up) {
            *x = *x * gate.sigmoid(*x) * *u;
        }
    }
}

dispatched! {
    /// Backward of [`gated`] in place: x, up and g become dx, dup and y.
    fn gated_backward(gate: Gate, x: &'a mut [f32], up: &'a mut [f32], g: &'a mut [f32]) -> () {
        for ((x, up), g) in x.iter_mut().zip(up).zip(g) {
            let (value, other, gradient) = (*x, *up, *g);
            let s = gate.sigmoid(value);
            let out = value * s;
            *up = gradient * out;
            *x = gradient * other * (s + out * (1.0 - s) * (gate.linear + 3.0 * gate.cubic * (value * value)));
            *g = out * other;
        }
    }
}

dispatched! {
    /// `x = cap tanh(x / cap)`.
    fn soft_cap(x: &'a mut [f32], cap: f32) -> () {
        let inverse = 1.0 / cap;
        for x in x {
            *x = cap * tanh(*x * inverse);
        }
    }
}

dispatched! {
    /// Backward of [`soft_cap`] from its result `y`, in place on the gradient.
    fn soft_cap_backward(y: &'a [f32], cap: f32, gradient: &'a mut [f32]) -> () {
        let inverse = 1.0 / cap;
        for (g, y) in gradient.iter_mut().zip(y) {
            let t = *y * inverse;
            *g *= 1.0 - t * t;
        }
    }
}

/// The columns row `i` may see, counted from `base`: those of its segment and of its window.
#[inline(always)]
fn visible(starts: &[u32], window: usize, first: usize, base: usize, row: usize) -> (usize, usize) {
    let i = first + row;
    let start = starts.get(i).map_or(0, |&start| start as usize);
    (start.max((i + 1).saturating_sub(window)).max(base) - base, i + 1 - base)
}

dispatched! {
    /// Turns a block of scores (rows of `width`, for positions `first..`, columns from `base`) into
    /// probabilities over what each row may see; other columns become zero.
    fn masked_softmax(
        scores: &'a mut [f32],
        width: usize,
        starts: &'a [u32],
        window: usize,
        first: usize,
        base: usize,
    ) -> () {
        for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
            let (low, high) = visible(starts, window, first, base, row);
            scores[..low].fill(0.0);
            scores[high..].fill(0.0);
            let scores = &mut scores[low..high];
            let max = max_of(scores);
            for x in scores.iter_mut() {
                *x = exp(*x - max);
            }
            let inverse = 1.0 / sum_map2(scores, scores, |a, _| a);
            for x in scores.iter_mut() {
                *x *= inverse;
            }
        }
    }
}

dispatched! {
    /// Softmax of one row in place, for decoding.
    fn softmax(scores: &'a mut [f32]) -> () {
        let max = max_of(scores);
        for x in scores.iter_mut() {
            *x = exp(*x - max);
        }
        let inverse = 1.0 / sum_map2(scores, scores, |a, _| a);
        for x in scores.iter_mut() {
            *x *= inverse;
        }
    }
}

dispatched! {
    /// Turns the gradient of probabilities into that of scores, in place: `p * (dp - sum p dp)`.
    fn softmax_backward(probabilities: &'a [f32], gradient: &'a mut [f32], width: usize) -> () {
        for (p, dp) in probabilities.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            let dot = sum_map2(p, dp, |a, b| a * b);
            for (dp, p) in dp.iter_mut().zip(p) {
                *dp = *p * (*dp - dot);
            }
        }
    }
}

dispatched! {
    /// Rotates one head of `cos.len() * 2` values, halves paired, and multiplies by `scale`; `sign` -1.0
    /// rotates back.
    fn rotate(
        x: &'a [f32],
        cos: &'a [f32],
        sin: &'a [f32],
        sign: f32,
        scale: f32,
        y: &'a mut [f32],
    ) -> () {
        let half = cos.len();
        let (x1, x2) = x.split_at(half);
        let (y1, y2) = y.split_at_mut(half);
        for (((((y1, y2), x1), x2), c), s) in
            y1.iter_mut().zip(y2).zip(x1).zip(x2).zip(cos).zip(sin)
        {
            let s = *s * sign;
            *y1 = (*x1 * *c - *x2 * s) * scale;
            *y2 = (*x2 * *c + *x1 * s) * scale;
        }
    }
}

dispatched! {
    /// [`rotate`] of one head in place, without a factor.
    fn rotate_in_place(x: &'a mut [f32], cos: &'a [f32], sin: &'a [f32], sign: f32) -> () {
        let (x1, x2) = x.split_at_mut(cos.len());
        for (((x1, x2), c), s) in x1.iter_mut().zip(x2).zip(cos).zip(sin) {
            let (low, high, s) = (*x1, *x2, *s * sign);
            *x1 = low * *c - high * s;
            *x2 = high * *c + low * s;
        }
    }
}

dispatched! {
    /// `ln sum exp` of a row.
    fn log_sum_exp(row: &'a [f32]) -> f32 {
        let max = max_of(row);
        sum_map2(row, row, |x, _| exp(x - max)).ln() + max
    }
}

dispatched! {
    /// Turns capped logits `y` into `exp(y - lse) * scale * (1 - (y / cap)^2)`, the gradient of the loss by
    /// the uncapped ones but for the target's own term. `inverse_cap` is 0 without a cap.
    fn cross_entropy_backward(row: &'a mut [f32], lse: f32, scale: f32, inverse_cap: f32) -> () {
        for y in row {
            let t = *y * inverse_cap;
            *y = exp(*y - lse) * scale * (1.0 - t * t);
        }
    }
}

/// The constants of one optimiser step, the same for every tensor.
#[derive(Debug, Clone, Copy)]
pub(in crate::training) struct Moves {
    pub(in crate::training) clip: f32,
    pub(in crate::training) beta1: f32,
    pub(in crate::training) beta2: f32,
    pub(in crate::training) step_size: f32,
    pub(in crate::training) second_scale: f32,
    pub(in crate::training) eps: f32,
    pub(in crate::training) keep: f32,
}

dispatched! {
    /// One `AdamW` step over matching slices of parameter, gradient and both moments.
    fn adamw(
        parameter: &'a mut [f32],
        gradient: &'a [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
        moves: Moves,
    ) -> () {
        for (((p, g), m), v) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let g = *g * moves.clip;
            *m = *m * moves.beta1 + g * (1.0 - moves.beta1);
            *v = *v * moves.beta2 + g * g * (1.0 - moves.beta2);
            *p = *p * moves.keep - moves.step_size * *m / ((*v * moves.second_scale).sqrt() + moves.eps);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_and_tanh_are_accurate_over_their_range() {
        for step in -8_730..8_830 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let relative = (f64::from(super::exp(x)) - exact).abs() / exact;
            assert!(relative < 3e-7, "{x}: {relative}");
        }
        for step in -1_000..1_000 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).tanh();
            assert!((f64::from(super::tanh(x)) - exact).abs() <= 3e-7 * exact.abs(), "{x}");
        }
        assert!(super::exp(-1e9) < 1e-37 && super::exp(1e9).is_finite());
    }
}
