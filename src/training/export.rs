//! Writing folders so that a reader sees the whole of one or none of it.

use super::config::{DecoderConfig, RopeScaling, read_json};
use super::error::TrainingError;
use super::lora::Adapter;
use super::weights::{self, Weights};
use crate::checksums;
use crate::faults::Span;
use candle_core::Tensor;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

const RENAME: Span = Span::new("checkpoint.rename.before", "checkpoint.rename.after");
const STATE: Span = Span::new("training.state.before", "training.state.after");

/// Number format of exported tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    F32,
    Bf16,
}

impl Precision {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }
}

/// A safetensors file with the metadata that other readers insist on.
pub(super) fn serialise(tensors: &Weights, precision: Precision) -> Result<Vec<u8>, TrainingError> {
    serialise_with(tensors, precision, HashMap::new())
}

/// As [`serialise`], with further metadata.
pub(super) fn serialise_with(
    tensors: &Weights,
    precision: Precision,
    notes: HashMap<String, String>,
) -> Result<Vec<u8>, TrainingError> {
    let mut buffers: Vec<(&String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(tensors.len());
    for (key, tensor) in tensors {
        buffers.push((key, tensor.dims().to_vec(), bytes(tensor, precision)?));
    }
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::Bf16 => Dtype::BF16,
    };
    let broken = |error: safetensors::SafeTensorError| TrainingError::Safetensors {
        path: PathBuf::from("(memory)"),
        source: error,
    };
    let mut views = Vec::with_capacity(buffers.len());
    for (key, shape, bytes) in &buffers {
        views.push((key.as_str(), TensorView::new(dtype, shape.clone(), bytes).map_err(broken)?));
    }
    let mut metadata = notes;
    metadata.insert("format".to_owned(), "pt".to_owned());
    safetensors::serialize(views, Some(metadata)).map_err(broken)
}

fn bytes(tensor: &Tensor, precision: Precision) -> Result<Vec<u8>, TrainingError> {
    let data = tensor.flatten_all()?.to_vec1::<f32>()?;
    Ok(match precision {
        Precision::F32 => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Precision::Bf16 => data.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
    })
}

/// JSON as it lies in a folder.
pub(super) fn pretty(json: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn sync_folder(folder: &Path) -> Result<(), TrainingError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|e| TrainingError::write(folder, e))
}

fn sibling(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!(".{name}.{suffix}-{}", std::process::id()))
}

/// Writes one file so that a reader sees the whole of the new one or of the old.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), TrainingError> {
    let parent = parent(path)?;
    let partial = sibling(path, "partial");
    File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| TrainingError::write(&partial, e))?;
    STATE.around(|| fs::rename(&partial, path)).map_err(|e| TrainingError::write(path, e))?;
    sync_folder(parent)
}

/// The folder that holds `path`, created if need be.
fn parent(path: &Path) -> Result<&Path, TrainingError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|e| TrainingError::write(parent, e))?;
    Ok(parent)
}

/// Writes files and their checksums into a temporary folder beside `folder`, flushes them, and renames it
/// into place. An earlier folder of that name is replaced.
pub(super) fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), TrainingError> {
    let parent = parent(folder)?;
    let partial = sibling(folder, "partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|e| TrainingError::write(&partial, e))?;
    }
    fs::create_dir(&partial).map_err(|e| TrainingError::write(&partial, e))?;
    let written = fill(&partial, files).and_then(|()| put_in_place(&partial, folder));
    if written.is_err() {
        // The failure is what matters; a leftover temporary folder is replaced by the next attempt.
        let _ = fs::remove_dir_all(&partial);
    }
    written?;
    sync_folder(parent)
}

fn fill(partial: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), TrainingError> {
    let sums = checksums::list(files.iter().map(|(name, bytes)| (*name, bytes.as_slice()))).into_bytes();
    for (name, bytes) in files.iter().map(|(name, bytes)| (*name, bytes)).chain([(checksums::FILE, &sums)]) {
        let path = partial.join(name);
        File::create(&path)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|e| TrainingError::write(&path, e))?;
    }
    sync_folder(partial)
}

fn put_in_place(partial: &Path, folder: &Path) -> Result<(), TrainingError> {
    if !folder.exists() {
        return RENAME.around(|| fs::rename(partial, folder)).map_err(|e| TrainingError::write(folder, e));
    }
    let old = sibling(folder, "old");
    RENAME
        .around(|| fs::rename(folder, &old).and_then(|()| fs::rename(partial, folder)))
        .map_err(|e| TrainingError::write(folder, e))?;
    fs::remove_dir_all(&old).map_err(|e| TrainingError::write(&old, e))
}

/// The files beside the weights that make a folder loadable, as they are in `folder`.
pub(super) fn companions(folder: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, TrainingError> {
    const NAMES: [&str; 8] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
    ];
    let mut out = Vec::new();
    for name in NAMES {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => out.push((name, bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(TrainingError::read(&path, error)),
        }
    }
    Ok(out)
}

/// Writes a PEFT adapter folder.
pub(super) fn adapter(
    output: &Path,
    base: &Path,
    adapter: Adapter,
    tensors: &Weights,
) -> Result<(), TrainingError> {
    let config = adapter.to_json(&base.to_string_lossy());
    let bytes = serialise(tensors, Precision::F32)?;
    write_folder(output, &[("adapter_config.json", pretty(&config)), ("adapter_model.safetensors", bytes)])
}

/// Writes a model folder with the tokenizer and the other files of `base`.
pub(super) fn model(
    output: &Path,
    base: &Path,
    config: &DecoderConfig,
    tensors: &Weights,
) -> Result<(), TrainingError> {
    let mut json = read_json(&base.join("config.json"))?;
    if let Some(fields) = json.as_object_mut() {
        fields.insert("torch_dtype".to_owned(), json!(Precision::F32.name()));
        fields.remove("dtype");
        // mistral.rs reads these flat; newer transformers write them below `rope_parameters` only.
        fields.entry("rope_theta").or_insert(json!(config.rope_theta));
        let nested =
            fields.get("rope_parameters").filter(|_| config.rope_scaling != RopeScaling::None).cloned();
        if let Some(nested) = nested {
            fields.entry("rope_scaling").or_insert(nested);
        }
    }
    let mut files = companions(base)?;
    files.push(("config.json", pretty(&json)));
    files.push(("model.safetensors", serialise(tensors, Precision::F32)?));
    write_folder(output, &files)
}

/// Writes the model folder that an adapter folder and its base amount to: `W + alpha / r B A` in place of
/// every adapted W.
pub fn merge_adapter(base: &Path, adapter: &Path, output: &Path) -> Result<(), TrainingError> {
    let config = DecoderConfig::load(base)?;
    let weights = weights::load(base, &config)?;
    let (adapter, variables) = Adapter::load(adapter, &config)?;
    model(output, base, &config, &adapter.merge(&config, &weights, &variables)?)
}
