//! The decoder for training: one set of structs for every family, two ways to compute.
//!
//! This file owns the parts and how they are put together; [`pass`] runs batches through them.

mod pass;

pub(super) use pass::Gradients;

use super::composed;
use super::config::DecoderConfig;
use super::lora::Adapter;
use super::ops::{AddBias, Gate, Linear, LoraLinear, RmsNorm, Rotary};
use super::weights::Weights;
use candle_core::{Result, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Trained tensors by their names in the exported file.
pub(super) type Variables = BTreeMap<String, Var>;

/// How the graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// The fused operations of this room, on the CPU.
    Fused,
    /// Composed from candle's own operations: on other devices, and the oracle of the tests.
    Composed,
}

struct Projection {
    weight: Tensor,
    trained: bool,
    bias: Option<(Tensor, bool)>,
    adapter: Option<(Tensor, Tensor, f32)>,
}

impl Projection {
    fn forward(&self, path: Path, x: &Tensor) -> Result<Tensor> {
        let y = match (path, &self.adapter) {
            (Path::Fused, None) => x.apply_op2(&self.weight, Linear { weight_grad: self.trained })?,
            (Path::Fused, Some((a, b, scale))) => {
                x.apply_op3(a, b, LoraLinear::new(self.weight.clone(), *scale))?
            }
            (Path::Composed, None) => composed::linear(x, &self.weight, self.trained)?,
            (Path::Composed, Some((a, b, scale))) => {
                let low = composed::linear(&composed::linear(x, a, true)?, b, true)?;
                (composed::linear(x, &self.weight, false)? + (low * f64::from(*scale))?)?
            }
        };
        match (path, &self.bias) {
            (_, None) => Ok(y),
            (Path::Fused, Some((bias, trained))) => y.apply_op2(bias, AddBias { bias_grad: *trained }),
            (Path::Composed, Some((bias, _))) => y.broadcast_add(bias),
        }
    }
}

struct Norm {
    weight: Tensor,
    trained: bool,
    offset: f32,
    eps: f64,
}

impl Norm {
    fn forward(&self, path: Path, x: &Tensor) -> Result<Tensor> {
        let Self { weight, trained, offset, eps } = self;
        match path {
            Path::Fused => {
                let op = RmsNorm { eps: *eps as f32, offset: *offset, weight_grad: *trained };
                x.apply_op2(weight, op)
            }
            Path::Composed => composed::rms_norm(x, weight, f64::from(*offset), *eps),
        }
    }
}

struct Layer {
    attention_norm: Norm,
    q: Projection,
    k: Projection,
    v: Projection,
    /// Of every head of queries and of keys.
    head_norms: Option<(Norm, Norm)>,
    o: Projection,
    mlp_norm: Norm,
    gate: Projection,
    up: Projection,
    down: Projection,
    /// Of what attention and feed-forward add.
    outer_norms: Option<(Norm, Norm)>,
    window: usize,
}

/// A decoder whose tensors are either trained, frozen, or frozen with an adapter on top.
pub(super) struct Decoder {
    config: DecoderConfig,
    embedding: (Tensor, bool),
    layers: Vec<Layer>,
    norm: Norm,
    head: Projection,
    gate: Gate,
    rotary: Arc<Rotary>,
}

/// Looks tensors up, as variables where they are trained.
struct Builder<'parts> {
    config: &'parts DecoderConfig,
    weights: &'parts Weights,
    variables: &'parts Variables,
    adapter: Option<&'parts Adapter>,
}

impl Builder<'_> {
    fn find(&self, name: &str) -> Option<(Tensor, bool)> {
        if let Some(variable) = self.variables.get(name) {
            return Some((variable.as_tensor().clone(), true));
        }
        self.weights.get(name).map(|tensor| (tensor.clone(), false))
    }

    fn tensor(&self, name: &str) -> Result<(Tensor, bool)> {
        self.find(name).ok_or_else(|| candle_core::Error::Msg(format!("no tensor `{name}`")))
    }

    fn norm(&self, module: &str) -> Result<Norm> {
        let (weight, trained) = self.tensor(&format!("{module}.weight"))?;
        Ok(Norm { weight, trained, offset: self.config.family.norm_offset(), eps: self.config.rms_eps })
    }

    fn norms(&self, there: bool, first: &str, second: &str) -> Result<Option<(Norm, Norm)>> {
        there.then(|| Ok((self.norm(first)?, self.norm(second)?))).transpose()
    }

    fn projection(&self, module: &str) -> Result<Projection> {
        let (weight, trained) = self.tensor(&format!("{module}.weight"))?;
        let bias = self.find(&format!("{module}.bias"));
        let adapter = self.adapter.and_then(|adapter| {
            let a = self.variables.get(&Adapter::key(module, "A"))?;
            let b = self.variables.get(&Adapter::key(module, "B"))?;
            Some((a.as_tensor().clone(), b.as_tensor().clone(), adapter.scale()))
        });
        Ok(Projection { weight, trained, bias, adapter })
    }

    fn layer(&self, layer: usize) -> Result<Layer> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let family = self.config.family;
        let outer = family.outer_norms();
        // The second norm of a Gemma layer bears the name that is the feed-forward's own elsewhere.
        let mlp_norm = if outer { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
        let (after, last) = (name("post_attention_layernorm"), name("post_feedforward_layernorm"));
        let (q_norm, k_norm) = (name("self_attn.q_norm"), name("self_attn.k_norm"));
        Ok(Layer {
            attention_norm: self.norm(&name("input_layernorm"))?,
            q: self.projection(&name("self_attn.q_proj"))?,
            k: self.projection(&name("self_attn.k_proj"))?,
            v: self.projection(&name("self_attn.v_proj"))?,
            head_norms: self.norms(family.head_norms(), &q_norm, &k_norm)?,
            o: self.projection(&name("self_attn.o_proj"))?,
            mlp_norm: self.norm(&name(mlp_norm))?,
            gate: self.projection(&name("mlp.gate_proj"))?,
            up: self.projection(&name("mlp.up_proj"))?,
            down: self.projection(&name("mlp.down_proj"))?,
            outer_norms: self.norms(outer, &after, &last)?,
            window: self.config.windows.get(layer).copied().flatten().unwrap_or(usize::MAX),
        })
    }
}

impl Decoder {
    /// From base weights and the variables that replace or adapt them, all on one device. `adapter` gives
    /// the scale of low-rank variables; `positions` bounds the length of a row.
    pub(super) fn new(
        config: &DecoderConfig,
        weights: &Weights,
        variables: &Variables,
        adapter: Option<&Adapter>,
        positions: usize,
    ) -> Result<Self> {
        let builder = Builder { config, weights, variables, adapter };
        Ok(Self {
            config: config.clone(),
            embedding: builder.tensor("model.embed_tokens.weight")?,
            layers: (0..config.layers).map(|layer| builder.layer(layer)).collect::<Result<_>>()?,
            norm: builder.norm("model.norm")?,
            head: builder.projection(if config.tied { "model.embed_tokens" } else { "lm_head" })?,
            gate: if config.family.gelu() { Gate::GELU } else { Gate::SILU },
            rotary: Arc::new(Rotary::new(positions, &config.frequencies())),
        })
    }
}
