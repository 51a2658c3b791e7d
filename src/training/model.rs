//! The decoder for training: one set of structs for every family, two ways to compute.
//!
//! This file owns the parts and how they are put together; [`pass`] runs batches through them.

mod fused;
mod layer;
mod parameter;
mod pass;

use super::composed::LOGITS;
use super::config::DecoderConfig;
use super::lora::Adapter;
use super::ops::{Gate, Rotary};
use super::weights::Weights;
use candle_core::{Result, Tensor, Var};
pub use fused::SLAB;
use fused::Workspace;
use layer::Layer;
use parameter::{LowRankPart, Norm, Parameter, Projection};
use std::collections::BTreeMap;
use std::sync::{Mutex, RwLock};

/// Trained tensors by their names in the exported file.
pub(super) type Variables = BTreeMap<String, Var>;

/// How a batch is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Forward and backward by hand with the fused operations of this room, on the CPU.
    Fused,
    /// Composed from candle's own operations: on other devices, and the oracle of the tests.
    Composed,
}

/// A decoder whose tensors are either trained, frozen, or frozen with an adapter on top.
pub(super) struct Decoder {
    config: DecoderConfig,
    embedding: Parameter,
    layers: Vec<Layer>,
    norm: Norm,
    head: Projection,
    gate: Gate,
    rotary: Rotary,
    /// Logits alive at a time on the composed path.
    most_logits: usize,
    workspace: Mutex<Workspace>,
}

/// Looks tensors up, as variables where they are trained.
struct Builder<'parts> {
    config: &'parts DecoderConfig,
    weights: &'parts Weights,
    variables: &'parts Variables,
    adapter: Option<&'parts Adapter>,
}

impl Builder<'_> {
    fn find(&self, name: &str) -> Option<Parameter> {
        if let Some(variable) = self.variables.get(name) {
            let slot = self.variables.keys().take_while(|other| other.as_str() < name).count();
            return Some(Parameter { tensor: variable.as_tensor().clone(), slot: Some(slot) });
        }
        self.weights.get(name).map(|tensor: &Tensor| Parameter { tensor: tensor.clone(), slot: None })
    }

    fn parameter(&self, name: &str) -> Result<Parameter> {
        self.find(name).ok_or_else(|| candle_core::Error::Msg(format!("no tensor `{name}`")))
    }

    fn norm(&self, module: &str) -> Result<Norm> {
        let weight = self.parameter(&format!("{module}.weight"))?;
        Ok(Norm { weight, offset: self.config.family.norm_offset(), eps: self.config.rms_eps })
    }

    fn norms(&self, there: bool, first: &str, second: &str) -> Result<Option<(Norm, Norm)>> {
        there.then(|| Ok((self.norm(first)?, self.norm(second)?))).transpose()
    }

    fn projection(&self, module: &str) -> Result<Projection> {
        let adapter = self.adapter.and_then(|adapter| {
            let (a, b) = (self.find(&Adapter::key(module, "A"))?, self.find(&Adapter::key(module, "B"))?);
            Some(LowRankPart { a, b, scale: adapter.scale(), merged: RwLock::default() })
        });
        let weight = self.parameter(&format!("{module}.weight"))?;
        Ok(Projection { weight, bias: self.find(&format!("{module}.bias")), adapter })
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
            embedding: builder.parameter("model.embed_tokens.weight")?,
            layers: (0..config.layers).map(|layer| builder.layer(layer)).collect::<Result<_>>()?,
            norm: builder.norm("model.norm")?,
            head: builder.projection(if config.tied { "model.embed_tokens" } else { "lm_head" })?,
            gate: if config.family.gelu() { Gate::GELU } else { Gate::SILU },
            rotary: Rotary::new(positions, &config.frequencies()),
            most_logits: LOGITS,
            workspace: Mutex::default(),
        })
    }

    /// The same with fewer logits alive at a time on the composed path.
    #[cfg(test)]
    pub(super) fn at_a_time(self, most_logits: usize) -> Self {
        Self { most_logits, ..self }
    }
}
