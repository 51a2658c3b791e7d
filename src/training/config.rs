//! What the decoder has to know of a model: sizes, constants, and what sets its family apart.

mod read;

use std::f64::consts::TAU;

use serde_json::{Value, json};

pub(super) use read::read_json;

/// The model families that can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama and what shares its block: `SmolLM2`, Llama 3.x.
    Llama,
    /// Llama with a sliding window.
    Mistral,
    /// Qwen2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: every head of queries and keys is normalised.
    Qwen3,
    /// Gemma 2: four norms per layer, soft caps, GELU.
    Gemma2,
}

impl Family {
    /// Every family with the class name of its `config.json`.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Llama, "LlamaForCausalLM"),
        (Self::Mistral, "MistralForCausalLM"),
        (Self::Qwen2, "Qwen2ForCausalLM"),
        (Self::Qwen3, "Qwen3ForCausalLM"),
        (Self::Gemma2, "Gemma2ForCausalLM"),
    ];

    /// Whether queries, keys and values have biases.
    pub(super) fn biased(self) -> bool {
        self == Self::Qwen2
    }

    /// Whether heads of queries and keys are normalised.
    pub(super) fn head_norms(self) -> bool {
        self == Self::Qwen3
    }

    /// Whether what attention and feed-forward add is normalised too.
    pub(super) fn outer_norms(self) -> bool {
        self == Self::Gemma2
    }

    /// What is added to the weight of a norm.
    pub(super) fn norm_offset(self) -> f32 {
        if self == Self::Gemma2 { 1.0 } else { 0.0 }
    }

    /// Whether the gate goes through the tanh form of GELU instead of `SiLU`.
    pub(super) fn gelu(self) -> bool {
        self == Self::Gemma2
    }
}

/// How rotary frequencies are stretched for long contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// As Llama 3.1 does: slow frequencies are divided, those between are blended.
    Llama3 {
        /// What slow frequencies are divided by.
        factor: f64,
        /// Turns within the original context below which a frequency is slow.
        low: f64,
        /// Turns above which it is fast.
        high: f64,
        /// Tokens of the original context.
        original: f64,
    },
}

/// The sizes and constants of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family.
    pub family: Family,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward block.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of tokens known.
    pub vocabulary: usize,
    /// Longest sequence in tokens.
    pub max_positions: usize,
    /// Added to mean squares in norms.
    pub rms_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Whether the head reuses the embedding.
    pub tied: bool,
    /// Per layer, how many positions up to its own a token sees; `None` for all.
    pub windows: Vec<Option<usize>>,
    /// Factor on attention scores.
    pub score_scale: f64,
    /// `c tanh(x / c)` on attention scores.
    pub score_cap: Option<f64>,
    /// `c tanh(x / c)` on logits.
    pub logit_cap: Option<f64>,
}

impl DecoderConfig {
    /// A Llama with the given sizes and the usual constants.
    pub fn llama(hidden: usize, intermediate: usize, layers: usize, heads: usize, kv_heads: usize) -> Self {
        let head_dim = hidden / heads.max(1);
        Self {
            family: Family::Llama,
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocabulary: 512,
            max_positions: 1024,
            rms_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::None,
            tied: true,
            windows: vec![None; layers],
            score_scale: 1.0 / (head_dim as f64).sqrt(),
            score_cap: None,
            logit_cap: None,
        }
    }

    /// What embeddings are multiplied by.
    pub(super) fn embedding_scale(&self) -> f64 {
        // Rounded as the checkpoints' own code rounds it.
        if self.family == Family::Gemma2 { f64::from((self.hidden as f64).sqrt() as f32) } else { 1.0 }
    }

    /// Rotary angle per position of every pair of a head, `head_dim / 2` of them.
    pub(super) fn frequencies(&self) -> Vec<f32> {
        let plain = |pair: usize| self.rope_theta.powf(-2.0 * pair as f64 / self.head_dim as f64);
        let scaled = |frequency: f64| match self.rope_scaling {
            RopeScaling::None => frequency,
            RopeScaling::Llama3 { factor, low, high, original } => {
                let turns = original * frequency / TAU;
                let blend = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * ((1.0 - blend) / factor + blend)
            }
        };
        (0..self.head_dim / 2).map(|pair| scaled(plain(pair)) as f32).collect()
    }

    /// A Llama's `config.json` with flat `rope_theta`, as mistral.rs wants it.
    pub(super) fn llama_json(&self, dtype: &str, bos: u32, eos: u32, pad: u32) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.max_positions,
            "rms_norm_eps": self.rms_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": false,
            "mlp_bias": false,
            "torch_dtype": dtype,
            "bos_token_id": bos,
            "eos_token_id": eos,
            "pad_token_id": pad,
        })
    }

    /// Every tensor of the model with its shape, in file order. `lm_head` is absent when tied.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let (hidden, inner) = (self.hidden, self.intermediate);
        let mut out = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, hidden])];
        for layer in 0..self.layers {
            let mut add = |name: &str, shape: Vec<usize>| {
                out.push((format!("model.layers.{layer}.{name}"), shape));
            };
            add("input_layernorm.weight", vec![hidden]);
            for (name, width) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
                add(&format!("self_attn.{name}.weight"), vec![width, hidden]);
                if self.family.biased() {
                    add(&format!("self_attn.{name}.bias"), vec![width]);
                }
            }
            if self.family.head_norms() {
                add("self_attn.q_norm.weight", vec![self.head_dim]);
                add("self_attn.k_norm.weight", vec![self.head_dim]);
            }
            add("self_attn.o_proj.weight", vec![hidden, q]);
            add("post_attention_layernorm.weight", vec![hidden]);
            if self.family.outer_norms() {
                add("pre_feedforward_layernorm.weight", vec![hidden]);
                add("post_feedforward_layernorm.weight", vec![hidden]);
            }
            add("mlp.gate_proj.weight", vec![inner, hidden]);
            add("mlp.up_proj.weight", vec![inner, hidden]);
            add("mlp.down_proj.weight", vec![hidden, inner]);
        }
        out.push(("model.norm.weight".to_owned(), vec![hidden]));
        if !self.tied {
            out.push(("lm_head.weight".to_owned(), vec![self.vocabulary, hidden]));
        }
        out
    }
}
