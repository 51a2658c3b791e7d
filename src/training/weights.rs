//! Reading weights: Hugging Face safetensors to f32 tensors, with errors that name file and key.

use super::config::DecoderConfig;
use super::error::TrainingError;
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tensors by their Hugging Face names, f32 on the CPU.
pub(super) type Weights = BTreeMap<String, Tensor>;

/// Longest header that is read, in bytes; the format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

/// The numbers of a tensor in single precision.
fn numbers(path: &Path, key: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, TrainingError> {
    let data: Vec<f32> = match dtype {
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
    Ok(data)
}

/// Every tensor of one safetensors file, as f32.
pub(super) fn read_safetensors(path: &Path) -> Result<Weights, TrainingError> {
    from_bytes(path, &std::fs::read(path).map_err(|source| TrainingError::read(path, source))?)
}

/// The same of a file's bytes.
pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Weights, TrainingError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|source| TrainingError::Safetensors { path: path.to_owned(), source })?;
    let read = |(key, view): (&str, safetensors::tensor::TensorView<'_>)| {
        let data = numbers(path, key, view.dtype(), view.data())?;
        Ok((key.to_owned(), Tensor::from_vec(data, view.shape(), &Device::Cpu)?))
    };
    file.iter().map(read).collect()
}

/// An open safetensors file: where its tensors begin.
struct Opened {
    path: PathBuf,
    file: File,
    begin: u64,
}

impl Opened {
    /// Reads the header; the file must be as long as it says.
    fn open(path: PathBuf) -> Result<(Self, Metadata), TrainingError> {
        let unreadable = |source| TrainingError::read(&path, source);
        let damaged = |source| TrainingError::Safetensors { path: path.clone(), source };
        let mut file = File::open(&path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        if length < 8 {
            return Err(damaged(SafeTensorError::HeaderTooSmall));
        }
        let mut header = [0; 8];
        file.read_exact(&mut header).map_err(unreadable)?;
        let header = u64::from_le_bytes(header);
        if header > HEADER_LIMIT {
            return Err(damaged(SafeTensorError::HeaderTooLarge));
        }
        if 8 + header > length {
            return Err(damaged(SafeTensorError::InvalidHeaderLength));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(unreadable)?;
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|error| damaged(SafeTensorError::InvalidHeaderDeserialization(error)))?;
        let begin = 8 + header;
        if begin + metadata.data_len() as u64 != length {
            return Err(damaged(SafeTensorError::MetadataIncompleteBuffer));
        }
        Ok((Self { path, file, begin }, metadata))
    }
}

/// The weights of a model folder where they lie: reading one brings its numbers alone into memory.
pub(super) struct Stored(BTreeMap<String, (Arc<Opened>, TensorInfo)>);

impl Stored {
    /// The weights that `config` calls for, checked for presence and shape. Others in the files are ignored.
    pub(super) fn open(folder: &Path, config: &DecoderConfig) -> Result<Self, TrainingError> {
        let mut found = BTreeMap::new();
        for path in weight_files(folder)? {
            let (file, metadata) = Opened::open(path)?;
            let file = Arc::new(file);
            let tensors = metadata.tensors().into_iter();
            found.extend(tensors.map(|(key, info)| (key, (Arc::clone(&file), info.clone()))));
        }
        let wanted = config.tensors().into_iter().map(|(key, shape)| {
            let stored =
                found.remove(&key).ok_or_else(|| TrainingError::tensor(folder, &key, "is missing"))?;
            if stored.1.shape == shape {
                Ok((key, stored))
            } else {
                let problem = format!("has shape {:?}, config.json calls for {shape:?}", stored.1.shape);
                Err(TrainingError::tensor(folder, &key, problem))
            }
        });
        wanted.collect::<Result<_, _>>().map(Self)
    }

    /// Names and shapes.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(key, (_, info))| (key.as_str(), info.shape.as_slice()))
    }

    /// The numbers of one of [`Stored::shapes`].
    pub(super) fn read(&self, key: &str) -> Result<Vec<f32>, TrainingError> {
        let (opened, info) = &self.0[key];
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end - begin];
        let read = opened.file.read_exact_at(&mut bytes, opened.begin + begin as u64);
        read.map_err(|source| TrainingError::read(&opened.path, source))?;
        numbers(&opened.path, key, info.dtype, &bytes)
    }
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

/// The weights that `config` calls for, as [`Stored`] checks them.
pub(super) fn load(folder: &Path, config: &DecoderConfig) -> Result<Weights, TrainingError> {
    let stored = Stored::open(folder, config)?;
    let read = |(key, shape): (&str, &[usize])| {
        Ok((key.to_owned(), Tensor::from_vec(stored.read(key)?, shape, &Device::Cpu)?))
    };
    stored.shapes().map(read).collect()
}
