//! The Llama decoder for training: one set of structs, two ways to compute.

use super::batch::Batch;
use super::composed;
use super::config::LlamaConfig;
use super::lora::Adapter;
use super::ops::{Attention, CrossEntropy, Linear, LoraLinear, RmsNorm, Rotary, SwiGlu};
use super::weights::Weights;
use candle_core::{Result, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Trained tensors by their names in the exported file.
pub(super) type Variables = BTreeMap<String, Var>;

/// How the graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// The fused operations of this room.
    Fused,
    /// Composed from candle's own operations: the oracle of the tests.
    #[cfg_attr(not(test), allow(dead_code))] // the oracle; a device path would use it too
    Composed,
}

struct Projection {
    weight: Tensor,
    trained: bool,
    adapter: Option<(Tensor, Tensor, f32)>,
}

impl Projection {
    fn forward(&self, path: Path, x: &Tensor) -> Result<Tensor> {
        match (path, &self.adapter) {
            (Path::Fused, None) => x.apply_op2(&self.weight, Linear { weight_grad: self.trained }),
            (Path::Fused, Some((a, b, scale))) => {
                x.apply_op3(a, b, LoraLinear::new(self.weight.clone(), *scale))
            }
            (Path::Composed, None) => composed::linear(x, &self.weight),
            (Path::Composed, Some((a, b, scale))) => {
                let low = composed::linear(&composed::linear(x, a)?, b)?;
                composed::linear(x, &self.weight)? + (low * f64::from(*scale))?
            }
        }
    }
}

struct Norm {
    weight: Tensor,
    trained: bool,
    eps: f64,
}

impl Norm {
    fn forward(&self, path: Path, x: &Tensor) -> Result<Tensor> {
        match path {
            Path::Fused => {
                x.apply_op2(&self.weight, RmsNorm { eps: self.eps as f32, weight_grad: self.trained })
            }
            Path::Composed => composed::rms_norm(x, &self.weight, self.eps),
        }
    }
}

struct Layer {
    attention_norm: Norm,
    q: Projection,
    k: Projection,
    v: Projection,
    o: Projection,
    mlp_norm: Norm,
    gate: Projection,
    up: Projection,
    down: Projection,
}

/// A decoder whose tensors are either trained, frozen, or frozen with an adapter on top.
pub(super) struct Decoder {
    config: LlamaConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    head: Projection,
    rotary: Arc<Rotary>,
}

/// Looks tensors up, as variables where they are trained.
struct Builder<'parts> {
    weights: &'parts Weights,
    variables: &'parts Variables,
    adapter: Option<&'parts Adapter>,
    eps: f64,
}

impl Builder<'_> {
    fn tensor(&self, name: &str) -> Result<(Tensor, bool)> {
        if let Some(variable) = self.variables.get(name) {
            return Ok((variable.as_tensor().clone(), true));
        }
        let tensor = self.weights.get(name).cloned();
        Ok((tensor.ok_or_else(|| candle_core::Error::Msg(format!("no tensor `{name}`")))?, false))
    }

    fn norm(&self, module: &str) -> Result<Norm> {
        let (weight, trained) = self.tensor(&format!("{module}.weight"))?;
        Ok(Norm { weight, trained, eps: self.eps })
    }

    fn projection(&self, module: &str) -> Result<Projection> {
        let (weight, trained) = self.tensor(&format!("{module}.weight"))?;
        let adapter = self.adapter.and_then(|adapter| {
            let a = self.variables.get(&Adapter::key(module, "A"))?;
            let b = self.variables.get(&Adapter::key(module, "B"))?;
            Some((a.as_tensor().clone(), b.as_tensor().clone(), adapter.scale()))
        });
        Ok(Projection { weight, trained, adapter })
    }
}

impl Decoder {
    /// From base weights and the variables that replace or adapt them. `adapter` gives the scale of low-rank
    /// variables.
    pub(super) fn new(
        config: &LlamaConfig,
        weights: &Weights,
        variables: &Variables,
        adapter: Option<&Adapter>,
        positions: usize,
    ) -> Result<Self> {
        let builder = Builder { weights, variables, adapter, eps: config.rms_eps };
        let layers = (0..config.layers)
            .map(|layer| {
                let name = |part: &str| format!("model.layers.{layer}.{part}");
                Ok(Layer {
                    attention_norm: builder.norm(&name("input_layernorm"))?,
                    q: builder.projection(&name("self_attn.q_proj"))?,
                    k: builder.projection(&name("self_attn.k_proj"))?,
                    v: builder.projection(&name("self_attn.v_proj"))?,
                    o: builder.projection(&name("self_attn.o_proj"))?,
                    mlp_norm: builder.norm(&name("post_attention_layernorm"))?,
                    gate: builder.projection(&name("mlp.gate_proj"))?,
                    up: builder.projection(&name("mlp.up_proj"))?,
                    down: builder.projection(&name("mlp.down_proj"))?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let (embedding, _) = builder.tensor("model.embed_tokens.weight")?;
        let head = builder.projection(if config.tied { "model.embed_tokens" } else { "lm_head" })?;
        Ok(Self {
            config: config.clone(),
            embedding,
            layers,
            norm: builder.norm("model.norm")?,
            head,
            rotary: Arc::new(Rotary::new(positions, config.head_dim, config.rope_theta)),
        })
    }

    fn attend(&self, path: Path, layer: &Layer, x: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (q, k, v) = (layer.q.forward(path, x)?, layer.k.forward(path, x)?, layer.v.forward(path, x)?);
        let attention = Attention {
            rotary: Arc::clone(&self.rotary),
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            starts: Arc::clone(&batch.starts),
        };
        let mixed = match path {
            Path::Fused => q.apply_op3(&k, &v, attention)?,
            Path::Composed => composed::attention(&q, &k, &v, &attention)?,
        };
        layer.o.forward(path, &mixed)
    }

    /// Logits [predicting positions, vocabulary] of a batch.
    pub(super) fn logits(&self, path: Path, batch: &Batch) -> Result<Tensor> {
        let device = self.embedding.device();
        let (rows, length, hidden) = (batch.rows, batch.length, self.config.hidden);
        let tokens = Tensor::new(batch.tokens.as_slice(), device)?;
        let mut x = self.embedding.index_select(&tokens, 0)?.reshape((rows, length, hidden))?;
        for layer in &self.layers {
            let mixed = self.attend(path, layer, &layer.attention_norm.forward(path, &x)?, batch)?;
            x = (x + mixed)?;
            let inner = layer.mlp_norm.forward(path, &x)?;
            let (gate, up) = (layer.gate.forward(path, &inner)?, layer.up.forward(path, &inner)?);
            let gated = match path {
                Path::Fused => gate.apply_op2(&up, SwiGlu)?,
                Path::Composed => (gate.silu()? * up)?,
            };
            x = (x + layer.down.forward(path, &gated)?)?;
        }
        let predicting = Tensor::new(batch.predicting.as_slice(), device)?;
        let last = x.reshape((rows * length, hidden))?.index_select(&predicting, 0)?;
        self.head.forward(path, &self.norm.forward(path, &last)?)
    }

    /// Mean cross entropy per response token, in nats, as a scalar tensor.
    pub(super) fn loss(&self, path: Path, batch: &Batch) -> Result<Tensor> {
        let logits = self.logits(path, batch)?;
        match path {
            Path::Fused => logits.apply_op1(CrossEntropy::new(batch.targets.clone())),
            Path::Composed => composed::cross_entropy(&logits, &batch.targets),
        }
    }
}
