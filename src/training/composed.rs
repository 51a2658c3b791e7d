//! The decoder's operations composed from candle's own, all with a backward pass.
//!
//! Slower and hungrier than the fused ones, and independent of them: the oracle they are tested against,
//! and the way to run on a device for which no fused operation exists.

use super::ops::Attention;
use candle_core::{D, Result, Tensor};

/// `x W^T` over the last dimension.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    let inner = w.dim(1)?;
    let y = x.reshape(((), inner))?.matmul(&w.t()?)?;
    if let Some(last) = dims.last_mut() {
        *last = w.dim(0)?;
    }
    y.reshape(dims)
}

/// `x w / sqrt(mean x^2 + eps)`.
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    let root = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&root)?.broadcast_mul(w)
}

/// [B, T, heads D] to [B, heads, T, D].
fn split(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, width) = x.dims3()?;
    x.reshape((batch, tokens, heads, width / heads))?.transpose(1, 2)?.contiguous()
}

fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (x1, x2) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let low = (x1.broadcast_mul(cos)? - x2.broadcast_mul(sin)?)?;
    let high = (x2.broadcast_mul(cos)? + x1.broadcast_mul(sin)?)?;
    Tensor::cat(&[low, high], D::Minus1)
}

/// What [`Attention`] computes.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: &Attention) -> Result<Tensor> {
    let (batch, tokens, width) = q.dims3()?;
    let half = shape.rotary.half;
    let device = q.device();
    let (mut cos, mut sin, mut mask) = (Vec::new(), Vec::new(), Vec::new());
    for row in shape.starts.chunks(tokens) {
        for (t, &start) in row.iter().enumerate() {
            let (c, s) = shape.rotary.at(t - start as usize);
            cos.extend_from_slice(c);
            sin.extend_from_slice(s);
            let seen = |column: usize| column >= start as usize && column <= t;
            mask.extend((0..tokens).map(|column| if seen(column) { 0.0_f32 } else { -1e30 }));
        }
    }
    let cos = Tensor::from_vec(cos, (batch, 1, tokens, half), device)?;
    let sin = Tensor::from_vec(sin, (batch, 1, tokens, half), device)?;
    let mask = Tensor::from_vec(mask, (batch, 1, tokens, tokens), device)?;
    let group = shape.heads / shape.kv_heads;
    let repeat = |x: Tensor| -> Result<Tensor> {
        x.unsqueeze(2)?.broadcast_as((batch, shape.kv_heads, group, tokens, half * 2))?.reshape((
            batch,
            shape.heads,
            tokens,
            half * 2,
        ))
    };
    let q = rotate(&split(q, shape.heads)?, &cos, &sin)?;
    let k = repeat(rotate(&split(k, shape.kv_heads)?, &cos, &sin)?)?;
    let v = repeat(split(v, shape.kv_heads)?)?;
    let scale = 1.0 / ((half * 2) as f64).sqrt();
    let scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?.broadcast_add(&mask)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let probabilities = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
    probabilities.matmul(&v.contiguous()?)?.transpose(1, 2)?.reshape((batch, tokens, width))
}

/// Mean of `ln sum exp - logit[target]`.
pub(super) fn cross_entropy(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let targets = Tensor::new(targets, logits.device())?.unsqueeze(1)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let lse = shifted.exp()?.sum_keepdim(1)?.log()?;
    (lse - shifted.gather(&targets, 1)?)?.mean_all()
}
