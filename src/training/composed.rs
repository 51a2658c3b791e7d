//! The decoder's operations composed from candle's own, all with a backward pass.
//!
//! Slower and hungrier than the fused ones, and independent of them: the oracle they are tested against,
//! and the way to run on a device for which no fused operation exists. There a frozen matrix may be kept
//! in half precision: products are made in its type, everything else in f32.

mod frozen;

use super::batch::Batch;
use super::ops::{Attention, Rotary};
use candle_core::{D, DType, Device, Error, Result, Tensor, Var};
use frozen::FrozenLinear;

/// Logits alive at a time where the loss is composed of a library's operations: it is worked out in chunks.
pub const LOGITS: usize = 64 << 20;

/// `x W^T` over the last dimension. A frozen W costs no gradient.
pub(super) fn linear(x: &Tensor, w: &Tensor, trained: bool) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    let rows = x.reshape(((), w.dim(1)?))?.to_dtype(w.dtype())?;
    let y = if trained { rows.matmul(&w.t()?)? } else { rows.apply_op1(FrozenLinear::new(w))? };
    if let Some(last) = dims.last_mut() {
        *last = w.dim(0)?;
    }
    y.to_dtype(DType::F32)?.reshape(dims)
}

/// `x (w + offset) / sqrt(mean x^2 + eps)` in parts of the width of w.
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, offset: f64, eps: f64) -> Result<Tensor> {
    let parts = x.reshape(((), w.dim(0)?))?;
    let root = (parts.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    parts.broadcast_div(&root)?.broadcast_mul(&(w + offset)?)?.reshape(x.shape())
}

/// `cap tanh(x / cap)`.
pub(super) fn soft_cap(x: &Tensor, cap: Option<f32>) -> Result<Tensor> {
    match cap.map(f64::from) {
        Some(cap) => (x / cap)?.tanh()? * cap,
        None => Ok(x.clone()),
    }
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

/// What the layers share of a batch's positions.
pub(super) struct Positions {
    /// [B, 1, T, D / 2].
    cos: Tensor,
    sin: Tensor,
    /// By window, [B, 1, T, T]: 0 where a token sees another, very low elsewhere.
    masks: Vec<(usize, Tensor)>,
}

impl Positions {
    /// For the windows that occur in a model.
    pub(super) fn new(batch: &Batch, rotary: &Rotary, windows: &[usize], device: &Device) -> Result<Self> {
        let (rows, tokens) = (batch.rows, batch.length);
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for row in batch.starts.chunks(tokens) {
            for (t, &start) in row.iter().enumerate() {
                let (c, s) = rotary.at(t - start as usize);
                cos.extend_from_slice(c);
                sin.extend_from_slice(s);
            }
        }
        let mask = |window: usize| -> Result<Tensor> {
            let places = batch.starts.chunks(tokens).flat_map(|row| row.iter().enumerate());
            let mask = places.flat_map(|(t, &start)| {
                let low = (t + 1).saturating_sub(window).max(start as usize);
                (0..tokens).map(move |column| if column >= low && column <= t { 0.0_f32 } else { -1e30 })
            });
            Tensor::from_vec(mask.collect(), (rows, 1, tokens, tokens), device)
        };
        let mut windows = windows.to_vec();
        windows.sort_unstable();
        windows.dedup();
        Ok(Self {
            cos: Tensor::from_vec(cos, (rows, 1, tokens, rotary.half), device)?,
            sin: Tensor::from_vec(sin, (rows, 1, tokens, rotary.half), device)?,
            masks: windows.into_iter().map(|window| Ok((window, mask(window)?))).collect::<Result<_>>()?,
        })
    }

    fn mask(&self, window: usize) -> Result<&Tensor> {
        let found = self.masks.iter().find(|(other, _)| *other == window);
        found.map(|(_, mask)| mask).ok_or_else(|| Error::Msg(format!("no window of {window}")))
    }
}

/// What [`Attention`] computes.
pub(super) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: &Attention<'_>,
    positions: &Positions,
) -> Result<Tensor> {
    let (batch, tokens, width) = q.dims3()?;
    let (group, head_dim) = (shape.heads / shape.kv_heads, shape.head_dim);
    let repeat = |x: Tensor| -> Result<Tensor> {
        let wide = x.unsqueeze(2)?.broadcast_as((batch, shape.kv_heads, group, tokens, head_dim))?;
        wide.reshape((batch, shape.heads, tokens, head_dim))
    };
    let (cos, sin) = (&positions.cos, &positions.sin);
    let q = rotate(&split(q, shape.heads)?, cos, sin)?;
    let k = repeat(rotate(&split(k, shape.kv_heads)?, cos, sin)?)?;
    let v = repeat(split(v, shape.kv_heads)?)?;
    let scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(shape.scale))?;
    let scores = soft_cap(&scores, shape.cap)?.broadcast_add(positions.mask(shape.window)?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let probabilities = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?;
    probabilities.matmul(&v.contiguous()?)?.transpose(1, 2)?.reshape((batch, tokens, width))
}

/// Mean of `ln sum exp - logit[target]`, after the cap.
pub(super) fn cross_entropy(logits: &Tensor, targets: &[u32], cap: Option<f32>) -> Result<Tensor> {
    let logits = soft_cap(logits, cap)?;
    let targets = Tensor::new(targets, logits.device())?.unsqueeze(1)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let lse = shifted.exp()?.sum_keepdim(1)?.log()?;
    (lse - shifted.gather(&targets, 1)?)?.mean_all()
}

/// A loss with what its gradients come from.
pub(super) struct HeadLoss {
    /// Mean cross entropy in nats.
    pub(super) value: f64,
    /// A scalar with the gradient of the states, and with that of a trained head where `head` has none.
    pub(super) root: Tensor,
    /// The gradient of a trained head that the loss went through in chunks.
    pub(super) head: Option<Tensor>,
}

/// States and targets of a chunk with its share of all rows, for at most `most` logits at a time.
fn chunks<'targets>(
    h: &Tensor,
    vocabulary: usize,
    targets: &'targets [u32],
    most: usize,
) -> impl Iterator<Item = Result<(Tensor, &'targets [u32], f64)>> {
    let (h, rows, chunk) = (h.detach(), targets.len() as f64, (most / vocabulary.max(1)).max(1));
    targets.chunks(chunk).enumerate().map(move |(index, targets)| {
        Ok((h.narrow(0, index * chunk, targets.len())?, targets, targets.len() as f64 / rows))
    })
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

/// The loss of h [rows, d] under a head alone, for measuring.
pub(super) fn head_value(
    h: &Tensor,
    head: &Tensor,
    targets: &[u32],
    cap: Option<f32>,
    most: usize,
) -> Result<f64> {
    let head = head.detach();
    let parts = chunks(h, head.dim(0)?, targets, most).map(|part| {
        let (states, targets, share) = part?;
        Ok(scalar(&cross_entropy(&linear(&states, &head, false)?, targets, cap)?)? * share)
    });
    parts.sum()
}

/// The loss of h [rows, d] under a head. With more than `most` logits it goes through the head in chunks, of which only
/// one is in memory.
pub(super) fn head_loss(
    h: &Tensor,
    (head, trained): (&Tensor, bool),
    targets: &[u32],
    cap: Option<f32>,
    most: usize,
) -> Result<HeadLoss> {
    let vocabulary = head.dim(0)?;
    if h.dim(0)? * vocabulary <= most {
        let root = cross_entropy(&linear(h, head, trained)?, targets, cap)?;
        return Ok(HeadLoss { value: scalar(&root)?, root, head: None });
    }
    let missing = || Error::Msg("no gradient of a chunk".to_owned()).bt();
    let (mut value, mut states) = (0.0, Vec::new());
    let mut sum: Option<Tensor> = None;
    for part in chunks(h, vocabulary, targets, most) {
        let (part, targets, share) = part?;
        let part = Var::from_tensor(&part)?;
        let loss = cross_entropy(&linear(&part, head, trained)?, targets, cap)?;
        value += scalar(&loss)? * share;
        let mut store = loss.backward()?;
        states.push((store.remove(&part).ok_or_else(missing)? * share)?);
        if trained {
            let own = (store.remove(head).ok_or_else(missing)? * share)?;
            sum = Some(match sum {
                Some(sum) => (sum + own)?,
                None => own,
            });
        }
    }
    let root = (h * Tensor::cat(&states, 0)?.detach())?.sum_all()?;
    Ok(HeadLoss { value, root, head: sum.map(|sum| sum.detach()) })
}
