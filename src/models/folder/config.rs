//! `config.json`: the keys that mistral.rs needs, and the values it would misread in silence.

use std::path::Path;

use serde_json::{Map, Value};

use super::weights::Weights;
use super::{FolderError, object};

/// What the rest of the program needs to know of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    /// First entry of `architectures`.
    pub architecture: String,
    /// Context length in tokens (`max_position_embeddings`).
    pub context: usize,
    /// Rows of the embedding (`vocab_size`).
    pub vocabulary: usize,
    /// Width of the residual stream (`hidden_size`).
    pub hidden: usize,
    /// Number of blocks (`num_hidden_layers`).
    pub layers: usize,
    /// Width inside the feed-forward part (`intermediate_size`); four times the residual stream where it is not
    /// told.
    pub intermediate: usize,
    /// Width of keys, and of values, of one token in one block.
    pub kv_width: usize,
    /// Heads of the queries (`num_attention_heads`).
    pub heads: usize,
    /// Whether the scores of the attention are capped (`attn_logit_softcapping`).
    pub capped: bool,
    /// Type of the stored weights (`dtype` or `torch_dtype`), where given.
    pub dtype: Option<String>,
}

/// Text architectures of mistral.rs 0.8.1 that are decoders in the manner of Llama: same keys, same
/// tensor names.
const LLAMA_LIKE: [&str; 8] = [
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "SmolLM3ForCausalLM",
    "GemmaForCausalLM",
    "Gemma2ForCausalLM",
    "Phi3ForCausalLM",
];

/// Its other text architectures. `GptOssForCausalLM` is left out: its Harmony format makes the library
/// fetch a vocabulary from the network.
const OTHERS: [&str; 12] = [
    "MixtralForCausalLM",
    "PhiForCausalLM",
    "PhiMoEForCausalLM",
    "Starcoder2ForCausalLM",
    "DeepseekV2ForCausalLM",
    "DeepseekV3ForCausalLM",
    "Glm4ForCausalLM",
    "Glm4MoeForCausalLM",
    "Glm4MoeLiteForCausalLM",
    "Qwen3MoeForCausalLM",
    "Qwen3NextForCausalLM",
    "GraniteMoeHybridForCausalLM",
];

pub(super) fn check(folder: &Path) -> Result<ModelConfig, FolderError> {
    let file = folder.join("config.json");
    let config = object(&file)?;
    let keys = Keys { file: &file, config: &config };
    let architecture = keys.architecture()?;
    let llama_like = LLAMA_LIKE.contains(&architecture.as_str());
    if llama_like {
        keys.llama_like(&architecture)?;
    }
    let number = |key: &str| match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => keys.count(key).map(Some),
    };
    // Its scores are capped unless it says that they are not.
    let gemma = architecture == "Gemma2ForCausalLM";
    let hidden = keys.count("hidden_size")?;
    let heads = number("num_attention_heads")?.unwrap_or(1);
    let kv_heads = number("num_key_value_heads")?.unwrap_or(heads);
    let head = number("head_dim")?.unwrap_or(hidden / heads);
    let dtype = config.get("dtype").or_else(|| config.get("torch_dtype")).and_then(Value::as_str);
    Ok(ModelConfig {
        architecture,
        context: keys.count("max_position_embeddings")?,
        vocabulary: keys.count("vocab_size")?,
        hidden,
        layers: keys.count("num_hidden_layers")?,
        intermediate: number("intermediate_size")?.unwrap_or(4 * hidden),
        kv_width: kv_heads * head,
        heads,
        capped: config.get("attn_logit_softcapping").map_or(gemma, Value::is_number),
        dtype: dtype.map(str::to_owned),
    })
}

/// Whether embedding and last block are there and have the announced size.
pub(super) fn check_against(
    folder: &Path,
    config: &ModelConfig,
    weights: &Weights,
) -> Result<(), FolderError> {
    if !LLAMA_LIKE.contains(&config.architecture.as_str()) {
        return Ok(());
    }
    let fault = |tensor: &str, problem: String| FolderError::Tensor {
        file: folder.join("config.json"),
        tensor: tensor.to_owned(),
        problem,
    };
    let embedding = "model.embed_tokens.weight";
    let announced = [config.vocabulary, config.hidden];
    match weights.get(embedding) {
        None => return Err(fault(embedding, "is in none of the weight files".to_owned())),
        Some(entry) if entry.shape != announced => {
            let problem = format!("has shape {:?}, config.json announces {announced:?}", entry.shape);
            return Err(fault(embedding, problem));
        }
        Some(_) => {}
    }
    let last = format!("model.layers.{}.input_layernorm.weight", config.layers - 1);
    match weights.get(&last) {
        None => Err(fault(&last, "of the last block is in none of the weight files".to_owned())),
        Some(_) => Ok(()),
    }
}

/// Sizes beyond this are damage; those of several axes still make a product that fits.
pub(in crate::models) const LARGEST: u64 = 1 << 24;

struct Keys<'a> {
    file: &'a Path,
    config: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn fault(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) -> FolderError {
        FolderError::key(self.file, key, problem, remedy)
    }

    fn architecture(&self) -> Result<String, FolderError> {
        let named = self.config.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        let Some(named) = named else {
            let remedy = "Write the model class into it, for instance [\"LlamaForCausalLM\"]";
            return Err(self.fault("architectures", "is missing or empty", remedy));
        };
        if LLAMA_LIKE.contains(&named) || OTHERS.contains(&named) {
            return Ok(named.to_owned());
        }
        let remedy = format!(
            "Text models that load here: {}, {}",
            LLAMA_LIKE.map(|name| name.trim_end_matches("ForCausalLM")).join(", "),
            OTHERS.map(|name| name.trim_end_matches("ForCausalLM")).join(", "),
        );
        Err(self.fault("architectures", format!("names `{named}`, which is not supported"), remedy))
    }

    /// A whole number above 0, small enough that memory can be worked out from several of them.
    fn count(&self, key: &str) -> Result<usize, FolderError> {
        match self.config.get(key) {
            None | Some(Value::Null) => {
                Err(self.fault(key, "is missing", "Copy config.json from the model again"))
            }
            Some(value) => {
                let count = value.as_u64().filter(|number| (1..=LARGEST).contains(number));
                count.map(|number| number as usize).ok_or_else(|| {
                    let remedy = format!("It must be a whole number from 1 to {LARGEST}");
                    self.fault(key, format!("is {value}"), remedy)
                })
            }
        }
    }

    fn llama_like(&self, architecture: &str) -> Result<(), FolderError> {
        for key in ["hidden_size", "intermediate_size", "num_hidden_layers"] {
            self.count(key)?;
        }
        let heads = self.count("num_attention_heads")?;
        let kv_heads = self.count("num_key_value_heads")?;
        if heads % kv_heads != 0 {
            let problem = format!("is {kv_heads} and does not divide num_attention_heads, {heads}");
            return Err(self.fault("num_key_value_heads", problem, "Copy config.json from the model again"));
        }
        for key in ["rms_norm_eps", "rope_theta"] {
            if self.config.get(key).and_then(Value::as_f64).is_some() {
                continue;
            }
            let nested = self.config.get("rope_parameters").and_then(|rope| rope.get(key));
            let remedy = match nested {
                Some(value) => {
                    format!("It stands in `rope_parameters` only: add `\"{key}\": {value}` at the top level")
                }
                None => "Copy config.json from the model again".to_owned(),
            };
            return Err(self.fault(key, "is missing or not a number", remedy));
        }
        if architecture == "LlamaForCausalLM" {
            self.llama(heads)?;
        }
        if architecture == "GemmaForCausalLM"
            && ["hidden_act", "hidden_activation"].iter().all(|key| self.config.get(*key).is_some())
        {
            let remedy = "Remove one of the two; the library takes only one";
            return Err(self.fault("hidden_activation", "stands beside `hidden_act`", remedy));
        }
        Ok(())
    }

    /// What the Llama of mistral.rs leaves out without a word.
    fn llama(&self, heads: usize) -> Result<(), FolderError> {
        let derived = self.count("hidden_size")? / heads;
        if let Some(given) = self.config.get("head_dim").and_then(Value::as_u64)
            && given as usize != derived
        {
            let problem = format!("is {given}, but hidden_size / num_attention_heads is {derived}");
            return Err(self.fault(
                "head_dim",
                problem,
                "Such a Llama is not supported: choose another model",
            ));
        }
        for key in ["attention_bias", "mlp_bias"] {
            if self.config.get(key) == Some(&Value::Bool(true)) {
                let remedy = "A Llama with biases is not supported: choose another model";
                return Err(self.fault(key, "is true", remedy));
            }
        }
        Ok(())
    }
}
