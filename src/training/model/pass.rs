//! A batch through the decoder: loss and every variable's gradient, on either path.

use super::layer::Layer;
use super::{Decoder, Path, Variables};
use crate::training::batch::Batch;
use crate::training::composed::{self, HeadLoss, Positions};
use crate::training::gradients::Gradients;
use crate::training::ops::Gate;
use candle_core::backprop::GradStore;
use candle_core::{DType, Error, Result, Tensor, Var};

/// A batch on its way through composed operations.
struct Journey<'batch> {
    batch: &'batch Batch,
    positions: Positions,
}

/// Adds the gradients of variables that are in a store, times `share`.
fn collect(store: &mut GradStore, variables: &Variables, share: f64, into: &mut Gradients) -> Result<()> {
    for (slot, variable) in variables.values().enumerate() {
        if let Some(gradient) = store.remove(variable) {
            into.add_tensor(slot, &gradient, share)?;
        }
    }
    Ok(())
}

impl Decoder {
    fn journey<'batch>(&self, batch: &'batch Batch) -> Result<Journey<'batch>> {
        let windows: Vec<usize> = self.layers.iter().map(|layer| layer.window).collect();
        let device = self.embedding.tensor.device();
        Ok(Journey { batch, positions: Positions::new(batch, &self.rotary, &windows, device)? })
    }

    /// [B, T, hidden].
    fn embed(&self, batch: &Batch) -> Result<Tensor> {
        let table = &self.embedding.tensor;
        let tokens = Tensor::new(batch.tokens.as_slice(), table.device())?;
        let x = table.index_select(&tokens, 0)?.to_dtype(DType::F32)?;
        let x = x.reshape((batch.rows, batch.length, self.config.hidden))?;
        let scale = self.config.embedding_scale();
        if (scale - 1.0).abs() > 0.0 { x * scale } else { Ok(x) }
    }

    fn attend(&self, journey: &Journey<'_>, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let (mut q, mut k, v) = (layer.q.composed(x)?, layer.k.composed(x)?, layer.v.composed(x)?);
        if let Some((q_norm, k_norm)) = &layer.head_norms {
            (q, k) = (q_norm.composed(&q)?, k_norm.composed(&k)?);
        }
        let attention = self.attention(journey.batch.length, &journey.batch.starts, layer.window);
        layer.o.composed(&composed::attention(&q, &k, &v, &attention, &journey.positions)?)
    }

    fn feed_forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let (gate, up) = (layer.gate.composed(x)?, layer.up.composed(x)?);
        let gate = if self.gate == Gate::GELU { gate.gelu()? } else { gate.silu()? };
        layer.down.composed(&(gate * up)?)
    }

    fn layer(&self, journey: &Journey<'_>, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let mut mixed = self.attend(journey, layer, &layer.attention_norm.composed(x)?)?;
        if let Some((norm, _)) = &layer.outer_norms {
            mixed = norm.composed(&mixed)?;
        }
        let x = (x + mixed)?;
        let mut added = self.feed_forward(layer, &layer.mlp_norm.composed(&x)?)?;
        if let Some((_, norm)) = &layer.outer_norms {
            added = norm.composed(&added)?;
        }
        x + added
    }

    /// Normalised states [predicting positions, hidden] that go to the head.
    fn last(&self, batch: &Batch, x: &Tensor) -> Result<Tensor> {
        let predicting = Tensor::new(batch.predicting.as_slice(), x.device())?;
        let rows = x.reshape((batch.rows * batch.length, self.config.hidden))?;
        self.norm.composed(&rows.index_select(&predicting, 0)?)
    }

    fn logit_cap(&self) -> Option<f32> {
        self.config.logit_cap.map(|cap| cap as f32)
    }

    /// Mean cross entropy per response token in nats, and what its gradients come from.
    fn loss_of(&self, batch: &Batch, x: &Tensor) -> Result<HeadLoss> {
        let head = &self.head.weight;
        let weight = (&head.tensor, head.slot.is_some());
        let last = self.last(batch, x)?;
        composed::head_loss(&last, weight, &batch.targets, self.logit_cap(), self.most_logits)
    }

    /// The backward pass of a loss: what a trained head got in chunks is added to the gradients at once.
    fn unwind(&self, loss: &HeadLoss, share: f64, gradients: &mut Gradients) -> Result<GradStore> {
        if let (Some(slot), Some(gradient)) = (self.head.weight.slot, &loss.head) {
            gradients.add_tensor(slot, gradient, share)?;
        }
        loss.root.backward()
    }

    fn through(&self, journey: &Journey<'_>) -> Result<Tensor> {
        let x = self.embed(journey.batch)?;
        self.layers.iter().try_fold(x, |x, layer| self.layer(journey, layer, &x))
    }

    /// Logits [predicting positions, vocabulary] of a batch; training never holds them all.
    #[cfg(test)]
    pub(in crate::training) fn logits(&self, path: Path, batch: &Batch) -> Result<Tensor> {
        let logits = match path {
            Path::Fused => {
                let shape = (batch.targets.len(), self.config.vocabulary);
                Tensor::from_vec(self.fused_logits(batch)?, shape, &candle_core::Device::Cpu)?
            }
            Path::Composed => {
                self.head.composed(&self.last(batch, &self.through(&self.journey(batch)?)?)?)?
            }
        };
        composed::soft_cap(&logits, self.logit_cap())
    }

    /// Mean cross entropy per response token, in nats.
    pub(in crate::training) fn loss(&self, path: Path, batch: &Batch) -> Result<f64> {
        if path == Path::Fused {
            return self.fused_loss(batch);
        }
        let journey = self.journey(batch)?;
        // Layer by layer without its graph: measuring needs no more memory than one layer.
        let x = self.embed(batch)?.detach();
        let x = self
            .layers
            .iter()
            .try_fold(x, |x, layer| Ok::<_, Error>(self.layer(&journey, layer, &x)?.detach()))?;
        let (last, head) = (self.last(batch, &x)?, &self.head.weight.tensor);
        composed::head_value(&last, head, &batch.targets, self.logit_cap(), self.most_logits)
    }

    /// The loss; `share` times the gradient of every variable that has one is added to `gradients`. With
    /// `checkpointing` only the inputs of the layers are kept, and each layer is computed again when its turn comes in
    /// the backward pass.
    pub(in crate::training) fn gradients(
        &self,
        path: Path,
        batch: &Batch,
        variables: &Variables,
        checkpointing: bool,
        share: f64,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        match path {
            Path::Fused => self.fused_gradients(batch, checkpointing, share, gradients),
            Path::Composed => self.composed_gradients(batch, variables, checkpointing, share, gradients),
        }
    }

    fn composed_gradients(
        &self,
        batch: &Batch,
        variables: &Variables,
        checkpointing: bool,
        share: f64,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        let journey = self.journey(batch)?;
        if !checkpointing {
            let loss = self.loss_of(batch, &self.through(&journey)?)?;
            collect(&mut self.unwind(&loss, share, gradients)?, variables, share, gradients)?;
            return Ok(loss.value);
        }
        let embedded = self.embed(batch)?;
        let mut inputs = vec![embedded.detach()];
        for layer in &self.layers {
            let x = inputs.last().unwrap_or(&embedded);
            inputs.push(self.layer(&journey, layer, x)?.detach());
        }
        let missing = || Error::Msg("a layer's input got no gradient".to_owned()).bt();
        let x = Var::from_tensor(&inputs.pop().ok_or_else(missing)?)?;
        let loss = self.loss_of(batch, &x)?;
        let mut store = self.unwind(&loss, share, gradients)?;
        let mut flowing = store.remove(&x).ok_or_else(missing)?;
        collect(&mut store, variables, share, gradients)?;
        for layer in self.layers.iter().rev() {
            let x = Var::from_tensor(&inputs.pop().ok_or_else(missing)?)?;
            let root = (self.layer(&journey, layer, &x)? * flowing)?.sum_all()?;
            store = root.backward()?;
            flowing = store.remove(&x).ok_or_else(missing)?;
            collect(&mut store, variables, share, gradients)?;
        }
        if self.embedding.slot.is_some() {
            store = (embedded * flowing)?.sum_all()?.backward()?;
            collect(&mut store, variables, share, gradients)?;
        }
        Ok(loss.value)
    }
}
