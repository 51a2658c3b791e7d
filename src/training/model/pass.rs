//! A batch through the decoder: logits, loss, and every variable's gradient.

use super::{Decoder, Layer, Path, Variables};
use crate::training::batch::Batch;
use crate::training::composed::{self, Positions};
use crate::training::ops::{Attention, Gate, Gated, HeadLoss};
use candle_core::backprop::GradStore;
use candle_core::{DType, Error, Result, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Gradients by the names of their variables.
pub(in crate::training) type Gradients = BTreeMap<String, Tensor>;

/// A batch on its way.
struct Journey<'batch> {
    path: Path,
    batch: &'batch Batch,
    /// Only composed operations need them as tensors.
    positions: Option<Positions>,
}

/// Moves the gradients of variables out of a store, adding to those that are there already.
fn collect(store: &mut GradStore, variables: &Variables, into: &mut Gradients) -> Result<()> {
    for (name, variable) in variables {
        if let Some(gradient) = store.remove(variable) {
            let sum = match into.get(name) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            into.insert(name.clone(), sum);
        }
    }
    Ok(())
}

impl Decoder {
    fn journey<'batch>(&self, path: Path, batch: &'batch Batch) -> Result<Journey<'batch>> {
        let windows: Vec<usize> = self.layers.iter().map(|layer| layer.window).collect();
        let positions = match path {
            Path::Fused => None,
            Path::Composed => Some(Positions::new(batch, &self.rotary, &windows, self.embedding.0.device())?),
        };
        Ok(Journey { path, batch, positions })
    }

    /// [B, T, hidden].
    fn embed(&self, batch: &Batch) -> Result<Tensor> {
        let (table, _) = &self.embedding;
        let tokens = Tensor::new(batch.tokens.as_slice(), table.device())?;
        let x = table.index_select(&tokens, 0)?.to_dtype(DType::F32)?;
        let x = x.reshape((batch.rows, batch.length, self.config.hidden))?;
        let scale = self.config.embedding_scale();
        if (scale - 1.0).abs() > 0.0 { x * scale } else { Ok(x) }
    }

    fn attend(&self, journey: &Journey<'_>, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let path = journey.path;
        let (mut q, mut k) = (layer.q.forward(path, x)?, layer.k.forward(path, x)?);
        let v = layer.v.forward(path, x)?;
        if let Some((q_norm, k_norm)) = &layer.head_norms {
            (q, k) = (q_norm.forward(path, &q)?, k_norm.forward(path, &k)?);
        }
        let attention = Attention {
            rotary: Arc::clone(&self.rotary),
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            starts: Arc::clone(&journey.batch.starts),
            window: layer.window,
            scale: self.config.score_scale as f32,
            cap: self.config.score_cap.map(|cap| cap as f32),
        };
        let mixed = match &journey.positions {
            None => q.apply_op3(&k, &v, attention)?,
            Some(positions) => composed::attention(&q, &k, &v, &attention, positions)?,
        };
        layer.o.forward(path, &mixed)
    }

    fn feed_forward(&self, path: Path, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let (gate, up) = (layer.gate.forward(path, x)?, layer.up.forward(path, x)?);
        let gated = match path {
            Path::Fused => gate.apply_op2(&up, Gated(self.gate))?,
            Path::Composed if self.gate == Gate::GELU => (gate.gelu()? * up)?,
            Path::Composed => (gate.silu()? * up)?,
        };
        layer.down.forward(path, &gated)
    }

    fn layer(&self, journey: &Journey<'_>, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let path = journey.path;
        let mut mixed = self.attend(journey, layer, &layer.attention_norm.forward(path, x)?)?;
        if let Some((norm, _)) = &layer.outer_norms {
            mixed = norm.forward(path, &mixed)?;
        }
        let x = (x + mixed)?;
        let mut added = self.feed_forward(path, layer, &layer.mlp_norm.forward(path, &x)?)?;
        if let Some((_, norm)) = &layer.outer_norms {
            added = norm.forward(path, &added)?;
        }
        x + added
    }

    /// Normalised states [predicting positions, hidden] that go to the head.
    fn last(&self, journey: &Journey<'_>, x: &Tensor) -> Result<Tensor> {
        let batch = journey.batch;
        let predicting = Tensor::new(batch.predicting.as_slice(), x.device())?;
        let rows = x.reshape((batch.rows * batch.length, self.config.hidden))?;
        self.norm.forward(journey.path, &rows.index_select(&predicting, 0)?)
    }

    fn logit_cap(&self) -> Option<f32> {
        self.config.logit_cap.map(|cap| cap as f32)
    }

    /// Mean cross entropy per response token in nats, and a scalar with its gradients.
    fn loss_of(&self, journey: &Journey<'_>, x: &Tensor) -> Result<(f64, Tensor)> {
        let last = self.last(journey, x)?;
        let (head, trained) = (&self.head.weight, self.head.trained);
        let (targets, cap) = (&journey.batch.targets, self.logit_cap());
        match journey.path {
            Path::Fused => {
                let loss = last.apply_op2(head, HeadLoss::new(targets.clone(), cap, trained))?;
                Ok((f64::from(loss.to_scalar::<f32>()?), loss))
            }
            Path::Composed => composed::head_loss(&last, head, trained, targets, cap),
        }
    }

    fn through(&self, journey: &Journey<'_>) -> Result<Tensor> {
        let x = self.embed(journey.batch)?;
        self.layers.iter().try_fold(x, |x, layer| self.layer(journey, layer, &x))
    }

    /// Logits [predicting positions, vocabulary] of a batch.
    #[cfg_attr(not(test), allow(dead_code))] // what the tests compare; training never holds them all
    pub(in crate::training) fn logits(&self, path: Path, batch: &Batch) -> Result<Tensor> {
        let journey = self.journey(path, batch)?;
        let last = self.last(&journey, &self.through(&journey)?)?;
        composed::soft_cap(&self.head.forward(path, &last)?, self.logit_cap())
    }

    /// Mean cross entropy per response token, in nats.
    pub(in crate::training) fn loss(&self, path: Path, batch: &Batch) -> Result<f64> {
        let journey = self.journey(path, batch)?;
        // Layer by layer without its graph: measuring needs no more memory than one layer.
        let x = self.embed(batch)?.detach();
        let x = self
            .layers
            .iter()
            .try_fold(x, |x, layer| Ok::<_, Error>(self.layer(&journey, layer, &x)?.detach()))?;
        Ok(self.loss_of(&journey, &x)?.0)
    }

    /// The loss and the gradient of every variable that has one. With `checkpointing` only the inputs of
    /// the layers are kept, and each layer is computed again when its turn comes in the backward pass.
    pub(in crate::training) fn gradients(
        &self,
        path: Path,
        batch: &Batch,
        variables: &Variables,
        checkpointing: bool,
    ) -> Result<(f64, Gradients)> {
        let journey = self.journey(path, batch)?;
        let mut gradients = Gradients::new();
        if !checkpointing {
            let (loss, root) = self.loss_of(&journey, &self.through(&journey)?)?;
            collect(&mut root.backward()?, variables, &mut gradients)?;
            return Ok((loss, gradients));
        }
        let embedded = self.embed(batch)?;
        let mut inputs = vec![embedded.detach()];
        for layer in &self.layers {
            let x = inputs.last().unwrap_or(&embedded);
            inputs.push(self.layer(&journey, layer, x)?.detach());
        }
        let missing = || Error::Msg("a layer's input got no gradient".to_owned()).bt();
        let x = Var::from_tensor(&inputs.pop().ok_or_else(missing)?)?;
        let (loss, root) = self.loss_of(&journey, &x)?;
        let mut store = root.backward()?;
        let mut flowing = store.remove(&x).ok_or_else(missing)?;
        collect(&mut store, variables, &mut gradients)?;
        for layer in self.layers.iter().rev() {
            let x = Var::from_tensor(&inputs.pop().ok_or_else(missing)?)?;
            let root = (self.layer(&journey, layer, &x)? * flowing)?.sum_all()?;
            store = root.backward()?;
            flowing = store.remove(&x).ok_or_else(missing)?;
            collect(&mut store, variables, &mut gradients)?;
        }
        if self.embedding.1 {
            store = (embedded * flowing)?.sum_all()?.backward()?;
            collect(&mut store, variables, &mut gradients)?;
        }
        Ok((loss, gradients))
    }
}
