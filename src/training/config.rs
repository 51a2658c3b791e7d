//! The model description of a Hugging Face Llama folder.

use super::error::TrainingError;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The sizes and constants of a Llama decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
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
    /// Whether the head reuses the embedding.
    pub tied: bool,
}

/// Reads a JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value, TrainingError> {
    let bytes = std::fs::read(path).map_err(|source| TrainingError::read(path, source))?;
    serde_json::from_slice(&bytes).map_err(|source| TrainingError::Json { path: path.to_owned(), source })
}

struct Fields<'json> {
    path: PathBuf,
    json: &'json Value,
}

impl Fields<'_> {
    fn size(&self, field: &str) -> Result<usize, TrainingError> {
        self.optional_size(field)?.ok_or_else(|| TrainingError::field(&self.path, field, "is missing"))
    }

    fn optional_size(&self, field: &str) -> Result<Option<usize>, TrainingError> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(size @ 1..=0xffff_ffff) => Ok(Some(size as usize)),
                _ => Err(TrainingError::field(&self.path, field, format!("is {value}, not a positive size"))),
            },
        }
    }

    fn refuse_unless(&self, field: &str, good: &[Value]) -> Result<(), TrainingError> {
        match self.json.get(field) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if good.contains(value) => Ok(()),
            Some(value) => Err(TrainingError::field(&self.path, field, format!("is {value}: not supported"))),
        }
    }
}

impl LlamaConfig {
    /// Reads `config.json` of a model folder. Refuses by name what the decoder would compute wrongly.
    pub fn load(folder: &Path) -> Result<Self, TrainingError> {
        let path = folder.join("config.json");
        Self::parse(&read_json(&path)?, &path)
    }

    /// Reads an already parsed `config.json`; `path` is for messages.
    pub fn parse(json: &Value, path: &Path) -> Result<Self, TrainingError> {
        let fields = Fields { path: path.to_owned(), json };
        let architecture = json.pointer("/architectures/0").or_else(|| json.get("model_type"));
        match architecture.and_then(Value::as_str) {
            Some("LlamaForCausalLM" | "llama") => {}
            found => {
                let found = found.unwrap_or("none named").to_owned();
                return Err(TrainingError::Architecture { path: path.to_owned(), found });
            }
        }
        fields.refuse_unless("hidden_act", &[json!("silu"), json!("swish")])?;
        for field in ["attention_bias", "mlp_bias"] {
            fields.refuse_unless(field, &[json!(false)])?;
        }
        fields.refuse_unless("rope_scaling", &[])?;
        fields.refuse_unless("quantization_config", &[])?;
        fields.refuse_unless("pretraining_tp", &[json!(1)])?;
        let rope = json.get("rope_parameters").unwrap_or(&Value::Null);
        if let Some(kind) = rope.get("rope_type").and_then(Value::as_str).filter(|kind| *kind != "default") {
            return Err(TrainingError::field(
                path,
                "rope_parameters",
                format!("has type `{kind}`: not supported"),
            ));
        }
        let theta = json.get("rope_theta").or_else(|| rope.get("rope_theta"));
        let rope_theta = match theta {
            None => 10_000.0,
            Some(value) => value
                .as_f64()
                .filter(|theta| *theta > 1.0)
                .ok_or_else(|| TrainingError::field(path, "rope_theta", format!("is {value}")))?,
        };
        let hidden = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let kv_heads = fields.optional_size("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match fields.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden % heads == 0 => hidden / heads,
            None => {
                return Err(TrainingError::field(path, "num_attention_heads", "does not divide hidden_size"));
            }
        };
        if heads % kv_heads != 0 {
            return Err(TrainingError::field(
                path,
                "num_key_value_heads",
                "does not divide num_attention_heads",
            ));
        }
        if head_dim % 2 != 0 {
            return Err(TrainingError::field(path, "head_dim", "is odd"));
        }
        Ok(Self {
            hidden,
            intermediate: fields.size("intermediate_size")?,
            layers: fields.size("num_hidden_layers")?,
            heads,
            kv_heads,
            head_dim,
            vocabulary: fields.size("vocab_size")?,
            max_positions: fields.optional_size("max_position_embeddings")?.unwrap_or(2048),
            rms_eps: json.get("rms_norm_eps").and_then(Value::as_f64).unwrap_or(1e-6),
            rope_theta,
            tied: json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// A `config.json` with flat `rope_theta`, as mistral.rs wants it.
    pub fn to_json(&self, dtype: &str, bos: u32, eos: u32, pad: u32) -> Value {
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
        let mut out = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, self.hidden])];
        for layer in 0..self.layers {
            let mut add = |name: &str, shape: Vec<usize>| {
                out.push((format!("model.layers.{layer}.{name}.weight"), shape));
            };
            add("input_layernorm", vec![self.hidden]);
            add("self_attn.q_proj", vec![q, self.hidden]);
            add("self_attn.k_proj", vec![kv, self.hidden]);
            add("self_attn.v_proj", vec![kv, self.hidden]);
            add("self_attn.o_proj", vec![self.hidden, q]);
            add("post_attention_layernorm", vec![self.hidden]);
            add("mlp.gate_proj", vec![self.intermediate, self.hidden]);
            add("mlp.up_proj", vec![self.intermediate, self.hidden]);
            add("mlp.down_proj", vec![self.hidden, self.intermediate]);
        }
        out.push(("model.norm.weight".to_owned(), vec![self.hidden]));
        if !self.tied {
            out.push(("lm_head.weight".to_owned(), vec![self.vocabulary, self.hidden]));
        }
        out
    }
}
