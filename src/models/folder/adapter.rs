//! PEFT LoRA adapters: only what is merged exactly is let through.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::weights::{Weights, header};
use super::{FolderError, ModelFolder, object};
use crate::checksums;

/// An adapter folder that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFolder {
    /// The weights, `adapter_model.safetensors`.
    pub file: PathBuf,
    /// Rank of the update (`r`).
    pub rank: usize,
    /// Scale numerator (`lora_alpha`): the update is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Last names of the linear layers that are updated.
    pub targets: Vec<String>,
}

const PLAIN: &str = "Train the adapter without it, or merge it into the base and give the merged folder";

/// Checks an adapter against the base it is for: the settings of `adapter_config.json`, the file, and
/// that every update fits a layer of the base and every targeted layer has one.
///
/// # Errors
/// The first fault found, in that order.
pub fn check_adapter(folder: &Path, base: &ModelFolder) -> Result<AdapterFolder, FolderError> {
    if !folder.is_dir() {
        return Err(FolderError::Missing { folder: folder.to_owned() });
    }
    checksums::verify(folder)?;
    let file = folder.join("adapter_config.json");
    let config = object(&file)?;
    refuse_variants(&file, &config)?;
    let rank = config.get("r").and_then(Value::as_u64).filter(|rank| *rank > 0).ok_or_else(|| {
        FolderError::key(&file, "r", "is missing or not a whole number above 0", "Copy the adapter again")
    })? as usize;
    let alpha = config.get("lora_alpha").and_then(Value::as_f64).ok_or_else(|| {
        FolderError::key(&file, "lora_alpha", "is missing or not a number", "Copy the adapter again")
    })?;
    let targets = targets(&file, &config)?;
    let weights = folder.join("adapter_model.safetensors");
    check_tensors(&weights, &header(&weights)?, base, rank, &targets)?;
    Ok(AdapterFolder { file: weights, rank, alpha, targets })
}

fn refuse_variants(file: &Path, config: &Map<String, Value>) -> Result<(), FolderError> {
    let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or("LORA");
    if kind != "LORA" {
        let remedy = "Only LoRA adapters can be served: merge it into the base and give the merged folder";
        return Err(FolderError::key(file, "peft_type", format!("is `{kind}`"), remedy));
    }
    for key in ["use_rslora", "use_dora", "use_qalora", "lora_bias", "fan_in_fan_out"] {
        if config.get(key) == Some(&Value::Bool(true)) {
            return Err(FolderError::key(file, key, "is true, which is not supported", PLAIN));
        }
    }
    let bias = config.get("bias").and_then(Value::as_str).unwrap_or("none");
    if bias != "none" {
        return Err(FolderError::key(file, "bias", format!("is `{bias}`, which is not supported"), PLAIN));
    }
    let filled = [
        "alpha_pattern",
        "rank_pattern",
        "modules_to_save",
        "layers_to_transform",
        "layer_replication",
        "target_parameters",
        "trainable_token_indices",
        "alora_invocation_tokens",
        "arrow_config",
        "kasa_config",
        "monteclora_config",
        "use_bdlora",
    ];
    for key in filled {
        let empty = match config.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(other) => *other == Value::Bool(false),
        };
        if !empty {
            return Err(FolderError::key(file, key, "is set, which is not supported", PLAIN));
        }
    }
    // These start from a base with a part taken out, which is not the base on disk.
    let start = config.get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
    if ["pissa", "olora", "corda", "loftq"].iter().any(|method| start.starts_with(method)) {
        let problem = format!("is `{start}`, which changes the base");
        return Err(FolderError::key(file, "init_lora_weights", problem, PLAIN));
    }
    Ok(())
}

fn targets(file: &Path, config: &Map<String, Value>) -> Result<Vec<String>, FolderError> {
    let fault = |problem: &str| {
        let remedy = "It must be a list of the layers' names, for instance [\"q_proj\", \"v_proj\"]";
        FolderError::key(file, "target_modules", problem, remedy)
    };
    let list =
        config.get("target_modules").and_then(Value::as_array).ok_or_else(|| fault("is not a list"))?;
    let mut names = Vec::with_capacity(list.len());
    for name in list {
        let plain =
            |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = name.as_str().filter(plain).ok_or_else(|| fault(&format!("holds {name}")))?;
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    if names.is_empty() { Err(fault("is empty")) } else { Ok(names) }
}

fn check_tensors(
    file: &Path,
    tensors: &Weights,
    base: &ModelFolder,
    rank: usize,
    targets: &[String],
) -> Result<(), FolderError> {
    let fault = |tensor: &str, problem: String| FolderError::Tensor {
        file: file.to_owned(),
        tensor: tensor.to_owned(),
        problem,
    };
    // Every tensor is one side of an update of a targeted layer.
    for (name, entry) in tensors {
        let bare = name.strip_prefix("base_model.model.").unwrap_or(name);
        let (module, is_a) = match (bare.strip_suffix(".lora_A.weight"), bare.strip_suffix(".lora_B.weight"))
        {
            (Some(module), _) => (module, true),
            (_, Some(module)) => (module, false),
            _ => return Err(fault(name, "is neither a lora_A nor a lora_B weight".to_owned())),
        };
        if !targets.iter().any(|target| is_target(module, target)) {
            return Err(fault(name, "updates a layer that target_modules does not name".to_owned()));
        }
        let layer = base.weights.get(&format!("{module}.weight"));
        let Some([outputs, inputs]) = layer.map(|layer| layer.shape.as_slice()) else {
            return Err(fault(name, format!("updates `{module}`, which {} lacks", base.path.display())));
        };
        let expected = if is_a { [rank, *inputs] } else { [*outputs, rank] };
        if entry.shape != expected {
            return Err(fault(name, format!("has shape {:?}, {expected:?} is needed", entry.shape)));
        }
    }
    // Every targeted layer has both sides.
    for (name, layer) in &base.weights {
        let Some(module) = name.strip_suffix(".weight") else { continue };
        if layer.shape.len() != 2 || !targets.iter().any(|target| is_target(module, target)) {
            continue;
        }
        for side in ["lora_A", "lora_B"] {
            let bare = format!("{module}.{side}.weight");
            if !tensors.contains_key(&bare) && !tensors.contains_key(&format!("base_model.model.{bare}")) {
                let problem = "is missing, though target_modules names its layer".to_owned();
                return Err(fault(&bare, problem));
            }
        }
    }
    Ok(())
}

/// Whether the last part of a module's path is the target.
fn is_target(module: &str, target: &str) -> bool {
    module.rsplit('.').next() == Some(target)
}
