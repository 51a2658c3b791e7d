//! Low-rank adapters in PEFT's terms.

use super::config::DecoderConfig;
use super::error::TrainingError;
use super::model::Variables;
use super::ops::{Matrix, multiply};
use super::weights::{Weights, read_safetensors};
use crate::gym::rng::CounterRng;
use candle_core::{Device, Tensor, Var};
use serde_json::{Value, json};
use std::path::Path;

/// The projections of a layer that adapters sit on: all of them.
pub(super) const TARGETS: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// Rank and weight of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Adapter {
    pub(super) rank: usize,
    pub(super) alpha: f64,
}

impl Adapter {
    /// Factor on `B A x`.
    pub(super) fn scale(&self) -> f32 {
        (self.alpha / self.rank as f64) as f32
    }

    /// The key of a module's matrix in an adapter file: `which` is `A` or `B`.
    pub(super) fn key(module: &str, which: &str) -> String {
        format!("base_model.model.{module}.lora_{which}.weight")
    }

    /// PEFT's initial values: A uniform within `1 / sqrt(in)`, B zero.
    pub(super) fn init(&self, config: &DecoderConfig, seed: u64) -> Result<Variables, TrainingError> {
        let mut variables = Variables::new();
        for (module, out, inner) in modules(config) {
            let key = Self::key(&module, "A");
            let mut rng = CounterRng::keyed(seed, &key);
            let bound = 1.0 / (inner as f64).sqrt();
            let a: Vec<f32> =
                (0..self.rank * inner).map(|_| ((rng.unit() * 2.0 - 1.0) * bound) as f32).collect();
            let a = Tensor::from_vec(a, (self.rank, inner), &Device::Cpu)?;
            let b = Tensor::from_vec(vec![0.0_f32; out * self.rank], (out, self.rank), &Device::Cpu)?;
            variables.insert(key, Var::from_tensor(&a)?);
            variables.insert(Self::key(&module, "B"), Var::from_tensor(&b)?);
        }
        Ok(variables)
    }

    /// Reads an adapter folder. Refuses what would be applied wrongly.
    pub(super) fn load(folder: &Path, config: &DecoderConfig) -> Result<(Self, Variables), TrainingError> {
        let path = folder.join("adapter_config.json");
        let json = super::config::read_json(&path)?;
        for field in ["use_rslora", "use_dora", "alpha_pattern", "rank_pattern", "layers_to_transform"] {
            let set = match json.get(field) {
                None | Some(Value::Null | Value::Bool(false)) => false,
                Some(Value::Object(entries)) => !entries.is_empty(),
                Some(_) => true,
            };
            if set {
                return Err(TrainingError::field(&path, field, "is set: not supported"));
            }
        }
        // These start from a base with a part taken out, which is not the base on disk.
        let start = json.get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
        if ["pissa", "olora", "corda", "loftq"].iter().any(|method| start.starts_with(method)) {
            let problem = format!("is `{start}`, which changes the base: not supported");
            return Err(TrainingError::field(&path, "init_lora_weights", problem));
        }
        let missing = |field: &str| TrainingError::field(&path, field, "is missing or not a positive number");
        let rank =
            json.get("r").and_then(Value::as_u64).filter(|rank| *rank > 0).ok_or_else(|| missing("r"))?;
        let alpha = json.get("lora_alpha").and_then(Value::as_f64).ok_or_else(|| missing("lora_alpha"))?;
        let adapter = Self { rank: rank as usize, alpha };
        let file = folder.join("adapter_model.safetensors");
        let mut tensors = read_safetensors(&file)?;
        let mut variables = Variables::new();
        for (module, out, inner) in modules(config) {
            for (which, shape) in [("A", [adapter.rank, inner]), ("B", [out, adapter.rank])] {
                let key = Self::key(&module, which);
                let tensor =
                    tensors.remove(&key).ok_or_else(|| TrainingError::tensor(&file, &key, "is missing"))?;
                if tensor.dims() != shape {
                    let problem = format!("has shape {:?}, expected {shape:?}", tensor.dims());
                    return Err(TrainingError::tensor(&file, &key, problem));
                }
                variables.insert(key, Var::from_tensor(&tensor)?);
            }
        }
        if let Some(key) = tensors.keys().next() {
            return Err(TrainingError::tensor(&file, key, "belongs to no projection of this model"));
        }
        Ok((adapter, variables))
    }

    /// `adapter_config.json`.
    pub(super) fn to_json(self, base: &str) -> Value {
        let alpha = if self.alpha.fract() == 0.0 { json!(self.alpha as i64) } else { json!(self.alpha) };
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": self.rank,
            "lora_alpha": alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "target_modules": TARGETS,
            "modules_to_save": null,
        })
    }

    /// What is added to a matrix of the base, `scale B A`; nothing to one that the adapter does not sit on.
    pub(super) fn addition(
        &self,
        key: &str,
        variables: &Variables,
    ) -> Result<Option<Vec<f32>>, TrainingError> {
        let Some(module) = key.strip_suffix(".weight") else { return Ok(None) };
        let of = |which| variables.get(&Self::key(module, which));
        let (Some(a), Some(b)) = (of("A"), of("B")) else { return Ok(None) };
        let (out, inner) = (b.dims()[0], a.dims()[1]);
        let (a, b) = (a.flatten_all()?.to_vec1::<f32>()?, b.flatten_all()?.to_vec1::<f32>()?);
        let mut addition = vec![0.0; out * inner];
        let (a, b) = (Matrix::new(&a, self.rank, inner), Matrix::new(&b, out, self.rank));
        multiply(&mut addition, b, a, self.scale(), false);
        Ok(Some(addition))
    }

    /// The base with `W + scale B A` in place of every adapted W, which goes as the new one comes.
    pub(super) fn merge(&self, mut merged: Weights, variables: &Variables) -> Result<Weights, TrainingError> {
        for (key, slot) in &mut merged {
            if let Some(addition) = self.addition(key, variables)? {
                *slot = (&*slot + Tensor::from_vec(addition, slot.dims(), &Device::Cpu)?)?;
            }
        }
        Ok(merged)
    }
}

/// Every adapted module: name, output width, input width.
fn modules(config: &DecoderConfig) -> impl Iterator<Item = (String, usize, usize)> {
    config.tensors().into_iter().filter_map(|(key, shape)| {
        let module = key.strip_suffix(".weight")?;
        let last = module.rsplit('.').next()?;
        match shape[..] {
            [out, inner] if TARGETS.contains(&last) => Some((module.to_owned(), out, inner)),
            _ => None,
        }
    })
}
