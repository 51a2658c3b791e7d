//! Reading weights: Hugging Face safetensors to f32 tensors, with errors that name file and key.

use super::config::DecoderConfig;
use super::error::TrainingError;
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Tensors by their Hugging Face names, f32 on the CPU.
pub(super) type Weights = BTreeMap<String, Tensor>;

fn convert(path: &Path, key: &str, view: &TensorView<'_>) -> Result<Tensor, TrainingError> {
    let bytes = view.data();
    let data: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::BF16 => {
            bytes.as_chunks::<2>().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()
        }
        Dtype::F16 => {
            bytes.as_chunks::<2>().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => return Err(TrainingError::tensor(path, key, format!("has type {other:?}: not supported"))),
    };
    if !data.iter().all(|x| x.is_finite()) {
        return Err(TrainingError::tensor(path, key, "holds values that are not finite"));
    }
    Ok(Tensor::from_vec(data, view.shape(), &Device::Cpu)?)
}

/// Every tensor of one safetensors file, as f32.
pub(super) fn read_safetensors(path: &Path) -> Result<Weights, TrainingError> {
    from_bytes(path, &std::fs::read(path).map_err(|source| TrainingError::read(path, source))?)
}

/// The same of a file's bytes.
pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Weights, TrainingError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|source| TrainingError::Safetensors { path: path.to_owned(), source })?;
    file.iter().map(|(key, view)| Ok((key.to_owned(), convert(path, key, &view)?))).collect()
}

/// A copy on a device; matrices become `frozen`, vectors stay f32.
pub(super) fn place(weights: &Weights, device: &Device, frozen: DType) -> Result<Weights, TrainingError> {
    let moved = |(key, tensor): (&String, &Tensor)| {
        let dtype = if tensor.rank() >= 2 { frozen } else { DType::F32 };
        Ok((key.clone(), tensor.to_dtype(dtype)?.to_device(device)?))
    };
    weights.iter().map(moved).collect()
}

/// The weight files of a folder: `model.safetensors`, or every `model-*.safetensors`.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, TrainingError> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let entries = std::fs::read_dir(folder).map_err(|source| TrainingError::read(folder, source))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            name.starts_with("model-") && path.extension().is_some_and(|extension| extension == "safetensors")
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(TrainingError::read(&single, std::io::ErrorKind::NotFound.into()));
    }
    Ok(files)
}

/// The weights that `config` calls for, checked for presence and shape. Others in the files are ignored.
pub(super) fn load(folder: &Path, config: &DecoderConfig) -> Result<Weights, TrainingError> {
    let mut found = Weights::new();
    for file in weight_files(folder)? {
        found.extend(read_safetensors(&file)?);
    }
    config
        .tensors()
        .into_iter()
        .map(|(key, shape)| {
            let tensor =
                found.remove(&key).ok_or_else(|| TrainingError::tensor(folder, &key, "is missing"))?;
            if tensor.dims() == shape {
                Ok((key, tensor))
            } else {
                let problem = format!("has shape {:?}, config.json calls for {shape:?}", tensor.dims());
                Err(TrainingError::tensor(folder, &key, problem))
            }
        })
        .collect()
}
