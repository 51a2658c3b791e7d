//! Safetensors files: header and length, without reading the weights.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{FolderError, object};

/// One tensor of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Type as safetensors names it: `F32`, `BF16` ...
    pub dtype: String,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
}

/// Every tensor of a folder by name.
pub type Weights = BTreeMap<String, TensorEntry>;

/// Longest header that is read, in bytes; the format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

#[derive(Deserialize)]
struct HeaderEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The list of the files that a model is stored in, where it is several.
pub(in crate::models) const INDEX: &str = "model.safetensors.index.json";

/// The files of a folder that hold its weights: those that the index names, otherwise `model*.safetensors`. Some
/// folders hold the same weights a second time, as `consolidated.safetensors`.
pub(in crate::models) fn chosen<'a>(
    names: impl IntoIterator<Item = &'a str>,
    index: Option<&Map<String, Value>>,
) -> Vec<&'a str> {
    let map = index.and_then(|index| index.get("weight_map")).and_then(Value::as_object);
    let listed: Option<BTreeSet<&str>> = map.map(|map| map.values().filter_map(Value::as_str).collect());
    let mut files: Vec<&str> = names
        .into_iter()
        .filter(|name| match &listed {
            Some(listed) => listed.contains(name),
            None => name.starts_with("model") && name.ends_with(".safetensors"),
        })
        .collect();
    files.sort_unstable();
    files
}

/// Checks the weight files of a folder.
pub(super) fn check(folder: &Path) -> Result<Weights, FolderError> {
    let entries =
        folder.read_dir().map_err(|source| FolderError::Unreadable { file: folder.to_owned(), source })?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let index = folder.join(INDEX);
    let listed = if index.exists() { Some(object(&index)?) } else { None };
    let mut tensors = Weights::new();
    for name in chosen(names.iter().map(String::as_str), listed.as_ref()) {
        tensors.extend(header(&folder.join(name))?);
    }
    if let Some(listed) = listed {
        let map = listed.get("weight_map").and_then(Value::as_object);
        for (tensor, shard) in map.into_iter().flatten() {
            let shard = folder.join(shard.as_str().unwrap_or_default());
            if !shard.is_file() {
                let source = std::io::ErrorKind::NotFound.into();
                return Err(FolderError::Unreadable { file: shard, source });
            }
            if !tensors.contains_key(tensor) {
                return Err(FolderError::Tensor {
                    file: shard,
                    tensor: tensor.clone(),
                    problem: "is listed in model.safetensors.index.json, but not in the file".to_owned(),
                });
            }
        }
    }
    if tensors.is_empty() {
        return Err(FolderError::NoWeights { folder: folder.to_owned() });
    }
    Ok(tensors)
}

/// The tensors of one file; its length must be what the header says.
pub(super) fn header(path: &Path) -> Result<Weights, FolderError> {
    let unreadable = |source| FolderError::Unreadable { file: path.to_owned(), source };
    let damaged = |problem: String| FolderError::Header { file: path.to_owned(), problem };
    let mut file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.len();
    if found < 8 {
        return Err(FolderError::Length { file: path.to_owned(), expected: 8, found });
    }
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(unreadable)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_LIMIT {
        return Err(damaged(format!("it announces {length} bytes of header")));
    }
    if 8 + length > found {
        return Err(FolderError::Length { file: path.to_owned(), expected: 8 + length, found });
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(unreadable)?;
    let mut entries: BTreeMap<String, Value> =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    entries.remove("__metadata__");

    let mut tensors = Weights::new();
    let mut spans = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let entry: HeaderEntry =
            serde_json::from_value(entry).map_err(|error| damaged(format!("`{name}`: {error}")))?;
        let (begin, end) = entry.data_offsets;
        let size = bits(&entry.dtype)
            .and_then(|bits| entry.shape.iter().try_fold(bits, |size, axis| size.checked_mul(*axis as u64)))
            .map(|bits| bits / 8);
        if end.checked_sub(begin) != size {
            let shape = &entry.shape;
            return Err(damaged(format!(
                "`{name}` of type {} and shape {shape:?} spans bytes {begin} to {end}",
                entry.dtype
            )));
        }
        spans.push((begin, end));
        tensors.insert(name, TensorEntry { dtype: entry.dtype, shape: entry.shape });
    }
    spans.sort_unstable();
    let mut position = 0;
    for (begin, end) in spans {
        if begin != position {
            return Err(damaged(format!("there is a gap or an overlap at byte {begin}")));
        }
        position = end;
    }
    let expected = 8 + length + position;
    if expected != found {
        return Err(FolderError::Length { file: path.to_owned(), expected, found });
    }
    Ok(tensors)
}

/// Bits per element; `None` for a type that is not known here.
pub(super) fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F64" | "I64" | "U64" => 64,
        "F32" | "I32" | "U32" => 32,
        "F16" | "BF16" | "I16" | "U16" => 16,
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "I8" | "U8" | "BOOL" => 8,
        "F4" => 4,
        _ => return None,
    })
}
