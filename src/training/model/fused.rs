//! A batch through the decoder by hand: forward, backward, and room for both that is kept over the steps.
//!
//! A batch goes through in slabs of whole rows, as many as the caches like. Gradients of parameters are added up
//! over slabs in their order, so the result depends on the shapes alone.

use super::Decoder;
use super::layer::{Saved, Scene, Scratch, sized, zeros};
use crate::training::batch::Batch;
use crate::training::gradients::Gradients;
use crate::training::ops::{Attention, Gated, HeadGradients, HeadLoss};
use candle_core::{Error, Result};
use std::sync::PoisonError;

/// Tokens that go through the decoder at once on the processor, or one row.
pub const SLAB: usize = 1024;

/// Buffers of a pass.
#[derive(Default)]
pub(super) struct Workspace {
    /// The residual stream before every layer and after the last.
    stream: Vec<Vec<f32>>,
    /// One per layer, or a single one where layers are computed again.
    saved: Vec<Saved>,
    scratch: Scratch,
    flow: Vec<f32>,
    last: Vec<f32>,
    d_last: Vec<f32>,
    logits: Vec<f32>,
}

/// Some whole rows of a batch.
struct Slab<'batch> {
    length: usize,
    tokens: &'batch [u32],
    starts: &'batch [u32],
    /// Positions within the slab that predict a response token.
    predicting: Vec<u32>,
    targets: &'batch [u32],
}

/// The slabs of a batch in which something is learned.
fn slabs(batch: &Batch) -> impl Iterator<Item = Slab<'_>> {
    let size = (SLAB / batch.length.max(1)).max(1) * batch.length.max(1);
    let parts = batch.tokens.chunks(size).zip(batch.starts.chunks(size)).enumerate();
    parts.filter_map(move |(index, (tokens, starts))| {
        let place = |at: usize| batch.predicting.partition_point(|&position| (position as usize) < at);
        let first = index * size;
        let range = place(first)..place(first + tokens.len());
        let predicting = batch.predicting.get(range.clone())?.iter().map(|p| p - first as u32).collect();
        let slab =
            Slab { length: batch.length, tokens, starts, predicting, targets: batch.targets.get(range)? };
        (!slab.targets.is_empty()).then_some(slab)
    })
}

impl Slab<'_> {
    fn scene<'scene>(&'scene self, decoder: &'scene Decoder, layer: usize) -> Scene<'scene> {
        let config = &decoder.config;
        let window = decoder.layers.get(layer).map_or(usize::MAX, |layer| layer.window);
        Scene {
            attention: decoder.attention(self.length, self.starts, window),
            rotary: &decoder.rotary,
            gated: Gated(decoder.gate),
            wanted: (layer + 1 == config.layers).then_some(self.predicting.as_slice()),
        }
    }
}

impl Decoder {
    /// The attention of a layer over rows of `length`.
    pub(super) fn attention<'batch>(
        &self,
        length: usize,
        starts: &'batch [u32],
        window: usize,
    ) -> Attention<'batch> {
        let config = &self.config;
        Attention {
            length,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            starts,
            window,
            scale: config.score_scale as f32,
            cap: config.score_cap.map(|cap| cap as f32),
        }
    }

    /// Embeddings of tokens [tokens, hidden].
    fn embed_rows(&self, tokens: &[u32], x: &mut [f32]) -> Result<()> {
        let (hidden, scale) = (self.config.hidden, self.config.embedding_scale() as f32);
        let table = self.embedding.read()?;
        let table = table.slice()?;
        for (x, &token) in x.chunks_exact_mut(hidden).zip(tokens) {
            let row = table.get(token as usize * hidden..(token as usize + 1) * hidden);
            let row = row.ok_or_else(|| Error::Msg(format!("no token {token} in the vocabulary")).bt())?;
            x.iter_mut().zip(row).for_each(|(x, e)| *x = e * scale);
        }
        Ok(())
    }

    /// A slab up to the normalised states [predicting, hidden] that go to the head. With `keep` every layer's own room
    /// is used, otherwise they share one.
    fn forward_rows(&self, slab: &Slab<'_>, room: &mut Workspace, keep: bool) -> Result<()> {
        let layers = self.layers.len();
        room.stream.resize_with(layers + 1, Vec::new);
        room.saved.resize_with(if keep { layers } else { 1 }, Saved::default);
        let Workspace { stream, saved, scratch, last, .. } = room;
        if let Some(first) = stream.first_mut() {
            self.embed_rows(slab.tokens, sized(first, slab.tokens.len() * self.config.hidden))?;
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let (before, after) = stream.split_at_mut(index + 1);
            let (Some(x), Some(y)) = (before.last(), after.first_mut()) else { continue };
            let saved = &mut saved[if keep { index } else { 0 }];
            layer.forward(&slab.scene(self, index), x, saved, scratch, y)?;
        }
        let states = stream.last().map_or(&[][..], Vec::as_slice);
        // A model without layers has nothing that picks the predicting rows; the configuration refuses it.
        self.norm.forward(states, sized(last, states.len()))
    }

    fn head_loss<R>(&self, work: impl FnOnce(&HeadLoss<'_>) -> R) -> Result<R> {
        let weight = self.head.weight.read()?;
        let cap = self.config.logit_cap.map(|cap| cap as f32);
        Ok(work(&HeadLoss { weight: weight.slice()?, vocabulary: self.config.vocabulary, cap }))
    }

    /// A slab forward and backward. Adds `scale` times the gradients of its summed loss, which is returned.
    fn slab_gradients(
        &self,
        slab: &Slab<'_>,
        room: &mut Workspace,
        checkpointing: bool,
        scale: f32,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        self.forward_rows(slab, room, !checkpointing)?;
        let Workspace { stream, saved, scratch, flow, last, d_last, logits } = room;
        let hidden = sized(d_last, last.len());
        let weight = gradients.slot(self.head.weight.slot)?;
        let wanted = HeadGradients { scale, hidden, weight };
        let turned = &mut scratch.turned;
        let loss = self.head_loss(|head| head.run(last, slab.targets, Some(wanted), (logits, turned)))?;
        let states = stream.pop().unwrap_or_default();
        self.norm.add_gradients(&states, d_last, zeros(flow, states.len()), gradients)?;
        stream.push(states);
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let scene = slab.scene(self, index);
            let saved = &mut saved[if checkpointing { 0 } else { index }];
            // The last layer's is still there.
            if checkpointing && index + 1 < self.layers.len() {
                layer.forward(&scene, &stream[index], saved, scratch, d_last)?;
            }
            let onward = index > 0 || self.embedding.slot.is_some();
            layer.backward(&scene, &stream[index], (saved, scratch), flow, gradients, onward)?;
        }
        if let Some(table) = gradients.slot(self.embedding.slot)? {
            let (hidden, scale) = (self.config.hidden, self.config.embedding_scale() as f32);
            for (d, &token) in flow.chunks_exact(hidden).zip(slab.tokens) {
                let at = token as usize * hidden;
                table[at..at + hidden].iter_mut().zip(d).for_each(|(sum, d)| *sum += d * scale);
            }
        }
        Ok(loss)
    }

    fn prepare(&self) -> Result<()> {
        self.layers.iter().try_for_each(super::layer::Layer::prepare)
    }

    /// The mean loss per target, adding `share` times its gradients.
    pub(super) fn fused_gradients(
        &self,
        batch: &Batch,
        checkpointing: bool,
        share: f64,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        self.prepare()?;
        let mut room = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = batch.targets.len().max(1) as f64;
        let scale = (share / targets) as f32;
        let mut total = 0.0;
        for slab in slabs(batch) {
            total += self.slab_gradients(&slab, &mut room, checkpointing, scale, gradients)?;
        }
        Ok(total / targets)
    }

    /// The mean loss per target.
    pub(super) fn fused_loss(&self, batch: &Batch) -> Result<f64> {
        self.prepare()?;
        let mut room = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0.0;
        for slab in slabs(batch) {
            self.forward_rows(&slab, &mut room, false)?;
            let Workspace { last, logits, scratch, .. } = &mut *room;
            let room = (logits, &mut scratch.turned);
            total += self.head_loss(|head| head.run(last, slab.targets, None, room))?;
        }
        Ok(total / batch.targets.len().max(1) as f64)
    }

    /// Logits [predicting, vocabulary] before their cap.
    #[cfg(test)]
    pub(super) fn fused_logits(&self, batch: &Batch) -> Result<Vec<f32>> {
        self.prepare()?;
        let mut room = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for slab in slabs(batch) {
            self.forward_rows(&slab, &mut room, false)?;
            let mut logits = vec![0.0; slab.targets.len() * self.config.vocabulary];
            let Workspace { last, scratch, .. } = &mut *room;
            self.head.forward(last, &mut logits, &mut scratch.turned)?;
            all.extend(logits);
        }
        Ok(all)
    }
}
