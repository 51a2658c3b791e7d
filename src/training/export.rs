//! Writing folders so that a reader sees the whole of one or none of it.

use super::error::TrainingError;
use super::weights::Weights;
use candle_core::Tensor;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

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
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
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

/// Writes files into a temporary folder beside `folder`, flushes them, and renames it into place. An
/// earlier folder of that name is replaced.
pub(super) fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), TrainingError> {
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|e| TrainingError::write(parent, e))?;
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
    for (name, bytes) in files {
        let path = partial.join(name);
        File::create(&path)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|e| TrainingError::write(&path, e))?;
    }
    sync_folder(partial)
}

fn put_in_place(partial: &Path, folder: &Path) -> Result<(), TrainingError> {
    if !folder.exists() {
        return fs::rename(partial, folder).map_err(|e| TrainingError::write(folder, e));
    }
    let old = sibling(folder, "old");
    fs::rename(folder, &old).map_err(|e| TrainingError::write(folder, e))?;
    fs::rename(partial, folder).map_err(|e| TrainingError::write(folder, e))?;
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
