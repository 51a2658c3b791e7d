//! One layer of the decoder, forward and backward over rows of the residual stream.
//!
//! With `n_i` norms, P projections and A attention, a layer is
//!
//! ```text
//! q, k, v = P_q n_1(x), P_k n_1(x), P_v n_1(x)      q and k normalised per head (Qwen3), then rotated
//! m = x + n_2(P_o A(q, k, v))                       n_2 and n_4 only in Gemma 2
//! y = m + n_4(P_down(act(P_gate n_3(m)) P_up n_3(m)))
//! ```
//!
//! The backward pass is the chain rule read from the bottom up. It keeps what products were made of (x, q, k, v, A, m,
//! gate, up) and works out norms, activation and probabilities again, which cost little.

use super::parameter::{Norm, Projection};
use crate::training::gradients::Gradients;
use crate::training::ops::{Attention, Gated, Rotary, Thin, add, rotate_rows};
use candle_core::Result;

/// The parts of a layer.
pub(super) struct Layer {
    pub(super) attention_norm: Norm,
    pub(super) q: Projection,
    pub(super) k: Projection,
    pub(super) v: Projection,
    /// Of every head of queries and of keys.
    pub(super) head_norms: Option<(Norm, Norm)>,
    pub(super) o: Projection,
    pub(super) mlp_norm: Norm,
    pub(super) gate: Projection,
    pub(super) up: Projection,
    pub(super) down: Projection,
    /// Of what attention and feed-forward add.
    pub(super) outer_norms: Option<(Norm, Norm)>,
    pub(super) window: usize,
}

/// What a layer has to know of the rows that it works on.
pub(super) struct Scene<'batch> {
    pub(super) attention: Attention<'batch>,
    pub(super) rotary: &'batch Rotary,
    pub(super) gated: Gated,
    /// The only rows whose results are needed: in the last layer those that predict. Keys and values of the others
    /// are all that matters there.
    pub(super) wanted: Option<&'batch [u32]>,
}

/// What the backward pass needs of a layer's forward pass.
#[derive(Default)]
pub(super) struct Saved {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// q and k before their norms, where they have any.
    plain: [Vec<f32>; 2],
    mixed: Vec<f32>,
    middle: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// What the outer norms normalise, where there are any.
    added: [Vec<f32>; 2],
}

/// Buffers that every layer uses in turn.
#[derive(Default)]
pub(super) struct Scratch {
    normed: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    branch: Vec<f32>,
    mixed: Vec<f32>,
    spread: Vec<f32>,
    heads: [Vec<f32>; 3],
    pub(super) turned: Vec<f32>,
    thin: Thin,
}

/// A buffer of a length. What is in it is left over from earlier.
pub(super) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    buffer.resize(length, 0.0);
    buffer
}

/// As [`sized`], all zero.
pub(super) fn zeros(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    buffer.clear();
    buffer.resize(length, 0.0);
    buffer
}

/// The chosen rows of x, without gaps.
fn gather(x: &[f32], rows: &[u32], width: usize, out: &mut [f32]) {
    for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
        let at = row as usize * width;
        out.copy_from_slice(&x[at..at + width]);
    }
}

/// Rows of x to their places in `out`, which is zero elsewhere.
fn scatter(x: &[f32], rows: &[u32], width: usize, out: &mut [f32]) {
    for (x, &row) in x.chunks_exact(width).zip(rows) {
        let at = row as usize * width;
        out[at..at + width].copy_from_slice(x);
    }
}

impl Layer {
    fn projections(&self) -> [&Projection; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    /// Makes the adapted matrices ready.
    pub(super) fn prepare(&self) -> Result<()> {
        self.projections().into_iter().try_for_each(Projection::prepare)
    }

    /// q or k: projected, normalised per head where there is a norm, rotated.
    fn rotated(
        (projection, norm): (&Projection, Option<&Norm>),
        scene: &Scene<'_>,
        x: &[f32],
        (plain, turned): (&mut Vec<f32>, &mut Vec<f32>),
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let tokens = scene.attention.starts.len();
        let out = sized(out, tokens * projection.out()?);
        match norm {
            None => projection.forward(x, out, turned)?,
            Some(norm) => {
                let plain = sized(plain, out.len());
                projection.forward(x, plain, turned)?;
                norm.forward(plain, out)?;
            }
        }
        rotate_rows(scene.rotary, out, scene.attention.starts, scene.attention.length, 1.0);
        Ok(())
    }

    /// A projection and the norm of what it adds to the stream.
    fn added(
        projection: &Projection,
        norm: Option<&Norm>,
        x: &[f32],
        (plain, turned): (&mut Vec<f32>, &mut Vec<f32>),
        out: &mut [f32],
    ) -> Result<()> {
        let Some(norm) = norm else { return projection.forward(x, out, turned) };
        let plain = sized(plain, out.len());
        projection.forward(x, plain, turned)?;
        norm.forward(plain, out)
    }

    /// x [tokens, hidden] -> y of the wanted rows.
    pub(super) fn forward(
        &self,
        scene: &Scene<'_>,
        x: &[f32],
        saved: &mut Saved,
        scratch: &mut Scratch,
        y: &mut Vec<f32>,
    ) -> Result<()> {
        let tokens = scene.attention.starts.len();
        let hidden = x.len() / tokens.max(1);
        let turned = &mut scratch.turned;
        let normed = sized(&mut scratch.normed, x.len());
        self.attention_norm.forward(x, normed)?;
        let norms = self.head_norms.as_ref();
        let [q_plain, k_plain] = &mut saved.plain;
        Self::rotated(
            (&self.q, norms.map(|norms| &norms.0)),
            scene,
            normed,
            (q_plain, turned),
            &mut saved.q,
        )?;
        Self::rotated(
            (&self.k, norms.map(|norms| &norms.1)),
            scene,
            normed,
            (k_plain, turned),
            &mut saved.k,
        )?;
        self.v.forward(normed, sized(&mut saved.v, tokens * self.v.out()?), turned)?;
        let width = self.q.out()?;
        let rows = scene.wanted.map_or(tokens, <[u32]>::len);
        let mixed =
            sized(if scene.wanted.is_some() { &mut scratch.mixed } else { &mut saved.mixed }, tokens * width);
        scene.attention.forward([&saved.q, &saved.k, &saved.v], mixed);
        if let Some(wanted) = scene.wanted {
            gather(&scratch.mixed, wanted, width, sized(&mut saved.mixed, rows * width));
        }

        let middle = sized(&mut saved.middle, rows * hidden);
        let outer = self.outer_norms.as_ref();
        let [o_plain, down_plain] = &mut saved.added;
        Self::added(&self.o, outer.map(|norms| &norms.0), &saved.mixed, (o_plain, turned), middle)?;
        match scene.wanted {
            None => add(middle, x),
            Some(wanted) => {
                let kept = sized(&mut scratch.branch, middle.len());
                gather(x, wanted, hidden, kept);
                add(middle, kept);
            }
        }

        let normed = sized(&mut scratch.normed, middle.len());
        self.mlp_norm.forward(middle, normed)?;
        let inner = rows * self.gate.out()?;
        let (gate, up) = (sized(&mut saved.gate, inner), sized(&mut saved.up, inner));
        self.gate.forward(normed, gate, turned)?;
        self.up.forward(normed, up, turned)?;
        let active = sized(&mut scratch.wide, inner);
        scene.gated.forward(gate, up, active);
        let y = sized(y, middle.len());
        Self::added(&self.down, outer.map(|norms| &norms.1), active, (down_plain, turned), y)?;
        add(y, middle);
        Ok(())
    }

    /// From x and what [`Self::forward`] saved: turns the gradient of y into that of x (in `flow`) and adds those of
    /// the parameters. What was saved is used up. Without `onward` nothing below needs the gradient of x, and it is
    /// not worked out.
    pub(super) fn backward(
        &self,
        scene: &Scene<'_>,
        x: &[f32],
        (saved, scratch): (&mut Saved, &mut Scratch),
        flow: &mut Vec<f32>,
        gradients: &mut Gradients,
        onward: bool,
    ) -> Result<()> {
        self.feed_forward_backward(scene, saved, scratch, flow, gradients)?;
        self.attention_backward(scene, x, (saved, scratch), flow, gradients, onward)
    }

    /// The gradient of what a projection gave, from that of what was added to the stream.
    fn through_outer<'a>(
        norm: Option<&Norm>,
        plain: &[f32],
        flow: &'a [f32],
        branch: &'a mut Vec<f32>,
        gradients: &mut Gradients,
    ) -> Result<&'a [f32]> {
        let Some(norm) = norm else { return Ok(flow) };
        let branch = zeros(branch, flow.len());
        norm.add_gradients(plain, flow, branch, gradients)?;
        Ok(branch)
    }

    fn feed_forward_backward(
        &self,
        scene: &Scene<'_>,
        saved: &mut Saved,
        scratch: &mut Scratch,
        flow: &mut [f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let rows = saved.gate.len() / self.gate.out()?;
        let Scratch { normed, wide, narrow, branch, thin, .. } = scratch;
        let outer = self.outer_norms.as_ref().map(|norms| &norms.1);
        let g = Self::through_outer(outer, &saved.added[1], flow, branch, gradients)?;
        let active = sized(wide, saved.gate.len());
        self.down.input_gradient(g, active, false)?;
        scene.gated.backward(&mut saved.gate, &mut saved.up, active);
        self.down.add_gradients((active, g, rows), gradients, thin)?;
        let normed = sized(normed, flow.len());
        self.mlp_norm.forward(&saved.middle, normed)?;
        self.gate.add_gradients((normed, &saved.gate, rows), gradients, thin)?;
        self.up.add_gradients((normed, &saved.up, rows), gradients, thin)?;
        let dx = sized(narrow, flow.len());
        self.gate.input_gradient(&saved.gate, dx, false)?;
        self.up.input_gradient(&saved.up, dx, true)?;
        self.mlp_norm.add_gradients(&saved.middle, dx, flow, gradients)
    }

    fn attention_backward(
        &self,
        scene: &Scene<'_>,
        x: &[f32],
        (saved, scratch): (&mut Saved, &mut Scratch),
        flow: &mut Vec<f32>,
        gradients: &mut Gradients,
        onward: bool,
    ) -> Result<()> {
        let tokens = scene.attention.starts.len();
        let width = self.q.out()?;
        let rows = saved.mixed.len() / width;
        let Scratch { normed, wide, narrow, branch, mixed, spread, heads, thin, .. } = scratch;
        let outer = self.outer_norms.as_ref().map(|norms| &norms.0);
        let g = Self::through_outer(outer, &saved.added[0], flow, branch, gradients)?;
        self.o.add_gradients((&saved.mixed, g, rows), gradients, thin)?;
        let mut d_mixed = sized(mixed, rows * width);
        self.o.input_gradient(g, d_mixed, false)?;
        if let Some(wanted) = scene.wanted {
            let all = zeros(spread, tokens * width);
            scatter(d_mixed, wanted, width, all);
            d_mixed = all;
            let all = zeros(narrow, x.len());
            scatter(flow, wanted, x.len() / tokens.max(1), all);
            std::mem::swap(flow, narrow);
        }
        let [dq, dk, dv] = heads;
        sized(dq, saved.q.len());
        sized(dk, saved.k.len());
        sized(dv, saved.v.len());
        scene.attention.backward([&saved.q, &saved.k, &saved.v], d_mixed, [dq, dk, dv]);
        for d in [&mut *dq, &mut *dk] {
            rotate_rows(scene.rotary, d, scene.attention.starts, scene.attention.length, -1.0);
        }
        if let Some((q_norm, k_norm)) = &self.head_norms {
            for (norm, plain, d) in [(q_norm, &saved.plain[0], &mut *dq), (k_norm, &saved.plain[1], &mut *dk)]
            {
                let through = zeros(wide, d.len());
                norm.add_gradients(plain, d, through, gradients)?;
                std::mem::swap(d, wide);
            }
        }
        let normed = sized(normed, x.len());
        self.attention_norm.forward(x, normed)?;
        let parts = [(&self.q, &*dq), (&self.k, &*dk), (&self.v, &*dv)];
        for (projection, g) in parts {
            projection.add_gradients((normed, g, tokens), gradients, thin)?;
        }
        if onward {
            let dx = sized(narrow, x.len());
            for (index, (projection, g)) in parts.into_iter().enumerate() {
                projection.input_gradient(g, dx, index > 0)?;
            }
            self.attention_norm.add_gradients(x, dx, flow, gradients)?;
        }
        Ok(())
    }
}
