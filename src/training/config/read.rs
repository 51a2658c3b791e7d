//! Reading `config.json` of a Hugging Face folder. What the decoder would compute wrongly is refused by name.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DecoderConfig, Family, RopeScaling};
use crate::training::error::TrainingError;

/// Reads a JSON file.
pub(in crate::training) fn read_json(path: &Path) -> Result<Value, TrainingError> {
    let bytes = std::fs::read(path).map_err(|source| TrainingError::read(path, source))?;
    serde_json::from_slice(&bytes).map_err(|source| TrainingError::Json { path: path.to_owned(), source })
}

struct Fields<'json> {
    path: PathBuf,
    json: &'json Value,
}

impl<'json> Fields<'json> {
    fn wrong(&self, field: &str, problem: impl Into<String>) -> TrainingError {
        TrainingError::field(&self.path, field, problem)
    }

    /// A field that is there and not null.
    fn get(&self, field: &str) -> Option<&'json Value> {
        self.json.get(field).filter(|value| !value.is_null())
    }

    fn size(&self, field: &str) -> Result<usize, TrainingError> {
        self.optional_size(field)?.ok_or_else(|| self.wrong(field, "is missing"))
    }

    fn optional_size(&self, field: &str) -> Result<Option<usize>, TrainingError> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(size @ 1..=0x100_0000) => Ok(Some(size as usize)),
                _ => Err(self.wrong(field, format!("is {value}, not a positive size"))),
            },
        }
    }

    fn positive(&self, field: &str, value: &Value) -> Result<f64, TrainingError> {
        let number = value.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        number.ok_or_else(|| self.wrong(field, format!("is {value}, not a positive number")))
    }

    /// A number that has a default where it is missing, and may be null for none.
    fn cap(&self, field: &str, default: f64) -> Result<Option<f64>, TrainingError> {
        match self.json.get(field) {
            None => Ok(Some(default)),
            Some(Value::Null) => Ok(None),
            Some(value) => self.positive(field, value).map(Some),
        }
    }

    fn flag(&self, field: &str, default: bool) -> bool {
        self.get(field).and_then(Value::as_bool).unwrap_or(default)
    }

    fn refuse_unless(&self, field: &str, good: &[Value]) -> Result<(), TrainingError> {
        match self.get(field) {
            None => Ok(()),
            Some(value) if good.contains(value) => Ok(()),
            Some(value) => Err(self.wrong(field, format!("is {value}: not supported"))),
        }
    }

    fn family(&self) -> Result<Family, TrainingError> {
        let class = self.json.pointer("/architectures/0").or_else(|| self.json.get("model_type"));
        let class = class.and_then(Value::as_str).unwrap_or("none named");
        let named =
            |name: &str| name == class || name.trim_end_matches("ForCausalLM").to_lowercase() == class;
        let found = Family::ALL.into_iter().find(|(_, name)| named(name));
        found
            .map(|(family, _)| family)
            .ok_or_else(|| TrainingError::Architecture { path: self.path.clone(), found: class.to_owned() })
    }

    /// Base and stretching of the rotary frequencies: flat, or as transformers 5 writes them.
    fn rope(&self) -> Result<(f64, RopeScaling), TrainingError> {
        let nested = self.get("rope_parameters");
        let theta = self.get("rope_theta").or_else(|| nested?.get("rope_theta"));
        let theta = theta.map_or(Ok(10_000.0), |value| self.positive("rope_theta", value))?;
        let (field, scaling) = match (self.get("rope_scaling"), nested) {
            (Some(scaling), _) => ("rope_scaling", scaling),
            (None, Some(scaling)) => ("rope_parameters", scaling),
            (None, None) => return Ok((theta, RopeScaling::None)),
        };
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
        match kind {
            Some("llama3") => {}
            Some("default") => return Ok((theta, RopeScaling::None)),
            None if field == "rope_parameters" => return Ok((theta, RopeScaling::None)),
            _ => {
                return Err(
                    self.wrong(field, format!("has type `{}`: not supported", kind.unwrap_or("none")))
                );
            }
        }
        let number = |name: &str| {
            let absent = || self.wrong(field, format!("lacks `{name}`"));
            self.positive(&format!("{field}.{name}"), scaling.get(name).ok_or_else(absent)?)
        };
        let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
        if high <= low {
            return Err(self.wrong(field, "has a high_freq_factor that is not above the low one"));
        }
        let original = number("original_max_position_embeddings")?;
        Ok((theta, RopeScaling::Llama3 { factor: number("factor")?, low, high, original }))
    }

    /// The sliding window of every layer.
    fn windows(&self, family: Family, layers: usize) -> Result<Vec<Option<usize>>, TrainingError> {
        let window = self.optional_size("sliding_window")?;
        let absent = self.json.get("sliding_window").is_none();
        let window = match family {
            Family::Llama => return Ok(vec![None; layers]),
            Family::Qwen2 | Family::Qwen3 if !self.flag("use_sliding_window", false) => None,
            Family::Mistral | Family::Gemma2 if absent => Some(4096),
            _ => window,
        };
        if let Some(types) = self.get("layer_types").and_then(Value::as_array) {
            if types.len() != layers {
                return Err(self.wrong("layer_types", format!("names {} layers of {layers}", types.len())));
            }
            let layer = |kind: &Value| match kind.as_str() {
                Some("sliding_attention") => Ok(window),
                Some("full_attention") => Ok(None),
                _ => Err(self.wrong("layer_types", format!("holds {kind}: not supported"))),
            };
            return types.iter().map(layer).collect();
        }
        let first_windowed = self.get("max_window_layers").and_then(Value::as_u64).unwrap_or(28) as usize;
        let slides = |layer: usize| match family {
            Family::Gemma2 => layer.is_multiple_of(2),
            Family::Qwen2 | Family::Qwen3 => layer >= first_windowed,
            Family::Llama | Family::Mistral => true,
        };
        Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect())
    }
}

impl DecoderConfig {
    /// Reads `config.json` of a model folder. Refuses by name what the decoder would compute wrongly.
    pub fn load(folder: &Path) -> Result<Self, TrainingError> {
        let path = folder.join("config.json");
        Self::parse(&read_json(&path)?, &path)
    }

    /// Reads an already parsed `config.json`; `path` is for messages. Defaults are those of transformers.
    pub fn parse(json: &Value, path: &Path) -> Result<Self, TrainingError> {
        let fields = Fields { path: path.to_owned(), json };
        let family = fields.family()?;
        let activations = match family {
            Family::Gemma2 => ["gelu_pytorch_tanh", "gelu_pytorch_tanh"],
            _ => ["silu", "swish"],
        };
        // Gemma's own field wins over the one that older files carry beside it.
        let activation =
            if fields.get("hidden_activation").is_some() { "hidden_activation" } else { "hidden_act" };
        fields.refuse_unless(activation, &activations.map(|name| json!(name)))?;
        if family != Family::Qwen2 {
            fields.refuse_unless("attention_bias", &[json!(false)])?;
        }
        fields.refuse_unless("mlp_bias", &[json!(false)])?;
        fields.refuse_unless("quantization_config", &[])?;
        fields.refuse_unless("pretraining_tp", &[json!(1)])?;
        let (rope_theta, rope_scaling) = fields.rope()?;
        let hidden = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let kv_heads = fields.optional_size("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match (fields.optional_size("head_dim")?, family) {
            (Some(head_dim), _) => head_dim,
            (None, Family::Qwen3) => 128,
            (None, Family::Gemma2) => 256,
            (None, _) if hidden % heads == 0 => hidden / heads,
            (None, _) => return Err(fields.wrong("num_attention_heads", "does not divide hidden_size")),
        };
        if heads % kv_heads != 0 {
            return Err(fields.wrong("num_key_value_heads", "does not divide num_attention_heads"));
        }
        if head_dim % 2 != 0 {
            return Err(fields.wrong("head_dim", "is odd"));
        }
        let layers = fields.size("num_hidden_layers")?;
        let gemma = family == Family::Gemma2;
        let query_scalar = match fields.get("query_pre_attn_scalar").filter(|_| gemma) {
            Some(value) => fields.positive("query_pre_attn_scalar", value)?,
            None if gemma => 256.0,
            None => head_dim as f64,
        };
        let cap = |field: &str, default| if gemma { fields.cap(field, default) } else { Ok(None) };
        Ok(Self {
            family,
            hidden,
            intermediate: fields.size("intermediate_size")?,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocabulary: fields.size("vocab_size")?,
            max_positions: fields.optional_size("max_position_embeddings")?.unwrap_or(2048),
            rms_eps: match fields.get("rms_norm_eps") {
                Some(value) => fields.positive("rms_norm_eps", value)?,
                None => 1e-6,
            },
            rope_theta,
            rope_scaling,
            tied: fields.flag("tie_word_embeddings", gemma),
            windows: fields.windows(family, layers)?,
            score_scale: 1.0 / query_scalar.sqrt(),
            score_cap: cap("attn_logit_softcapping", 50.0)?,
            logit_cap: cap("final_logit_softcapping", 30.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(edit: impl Fn(&mut serde_json::Map<String, Value>)) -> Result<DecoderConfig, String> {
        let mut json = json!({
            "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 100, "sliding_window": 16,
        });
        edit(json.as_object_mut().unwrap());
        DecoderConfig::parse(&json, Path::new("config.json")).map_err(|error| error.to_string())
    }

    fn class(name: &str) -> impl Fn(&mut serde_json::Map<String, Value>) {
        move |json| drop(json.insert("architectures".to_owned(), json!([name])))
    }

    #[test]
    fn every_family_brings_its_own_defaults() {
        let llama = parse(|_| {}).unwrap();
        assert_eq!((llama.head_dim, llama.kv_heads, llama.tied), (16, 4, false));
        assert_eq!(llama.windows, [None; 4]);
        let mistral = parse(class("MistralForCausalLM")).unwrap();
        assert_eq!(mistral.windows, [Some(16); 4]);
        let qwen = parse(class("Qwen3ForCausalLM")).unwrap();
        assert_eq!((qwen.head_dim, &qwen.windows), (128, &vec![None; 4]));
        let gemma = parse(class("Gemma2ForCausalLM")).unwrap();
        assert_eq!(
            (gemma.head_dim, gemma.tied, gemma.score_cap, gemma.logit_cap),
            (256, true, Some(50.0), Some(30.0))
        );
        assert_eq!(gemma.windows, [Some(16), None, Some(16), None]);
        let typed = parse(|json| {
            json.remove("architectures");
            json.insert("model_type".to_owned(), json!("qwen2"));
            json.insert("use_sliding_window".to_owned(), json!(true));
            json.insert("max_window_layers".to_owned(), json!(3));
        });
        assert_eq!(typed.unwrap().windows, [None, None, None, Some(16)]);
    }

    #[test]
    fn what_would_be_computed_wrongly_is_refused_by_name() {
        let refused =
            |name: &str, value: Value| parse(|json| drop(json.insert(name.to_owned(), value.clone())));
        for (field, value) in [
            ("architectures", json!(["Phi3ForCausalLM"])),
            ("attention_bias", json!(true)),
            ("hidden_act", json!("gelu")),
            ("rope_scaling", json!({ "rope_type": "yarn", "factor": 4.0 })),
            ("rope_scaling", json!({ "rope_type": "llama3", "factor": 4.0 })),
            ("quantization_config", json!({})),
            ("rms_norm_eps", json!("small")),
            ("num_key_value_heads", json!(3)),
        ] {
            let said = refused(field, value.clone()).unwrap_err();
            let named = if field == "architectures" { "Phi3ForCausalLM" } else { field };
            assert!(said.contains("config.json") && said.contains(named), "{value}: {said}");
        }
    }

    #[test]
    fn rotary_parameters_are_read_flat_and_nested() {
        let llama3 = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_theta": 5e5 });
        let nested = parse(|json| drop(json.insert("rope_parameters".to_owned(), llama3.clone()))).unwrap();
        let flat = parse(|json| {
            json.insert("rope_scaling".to_owned(), llama3.clone());
            json.insert("rope_theta".to_owned(), json!(5e5));
        });
        assert_eq!(nested, flat.unwrap());
        let frequencies = nested.frequencies();
        assert!((frequencies[0] - 1.0).abs() < 1e-6, "fast ones stay");
        let plain = 5e5_f64.powf(-14.0 / 16.0);
        assert!((f64::from(frequencies[7]) * 8.0 / plain - 1.0).abs() < 1e-5, "slow ones are divided");
    }
}
