//! What a model needs, part by part.

use crate::gym::ports::{Device, Precision, Serving, TrainingMethod, TrainingSettings};
use crate::models::folder::ModelSize;
use crate::training::SLAB;

/// What memory is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The weights.
    Weights,
    /// Keys and values of the requests in flight.
    Cache,
    /// Gradients and the optimiser's moments.
    Optimiser,
    /// What a forward pass, or a backward pass, holds in between.
    Activations,
    /// The process itself and its libraries.
    Process,
    /// What the worker has in hand while it merges an adapter into the base.
    Merging,
}

impl Part {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Cache => "keys and values",
            Self::Optimiser => "gradients and optimiser",
            Self::Activations => "activations",
            Self::Process => "process",
            Self::Merging => "merging of adapters",
        }
    }
}

/// The cache of mistral.rs grows by so many tokens (`kv_cache`).
const CACHE_STEP: u64 = 512;
/// It puts so many tokens of a prompt through at once (`ATTENTION_CHUNK_SIZE`).
const PROMPT_STEP: u64 = 1024;
/// The process with its libraries: measured 42 MB with a model of 2.4 million parameters.
const PROCESS: u64 = 48 << 20;
/// A CUDA context with its kernels.
const CUDA_PROCESS: u64 = 600 << 20;

fn process(device: Device) -> u64 {
    if matches!(device, Device::Cuda(_)) { CUDA_PROCESS } else { PROCESS }
}

/// Bytes of a process that answers, per part. `quantised` weights keep their stored size, but for the embedding, which is
/// unpacked.
pub fn serving_parts(
    size: &ModelSize,
    quantised: bool,
    serving: Serving,
    device: Device,
) -> Vec<(Part, u64)> {
    let width: u64 = match serving.precision {
        Precision::F32 => 4,
        Precision::Auto if device == Device::Cpu || !size.half => 4,
        Precision::Bf16 | Precision::F16 | Precision::Auto => 2,
    };
    let embedding = (size.vocabulary * size.hidden) as u64;
    let weights = match serving.quantisation.bits() {
        _ if quantised => size.stored_bytes + embedding * width,
        Some(bits) => {
            let linear = size.parameters.saturating_sub(embedding);
            (linear as f64 * bits / 8.0) as u64 + embedding * width
        }
        None => size.parameters * width,
    };
    let tokens = (size.context as u64).min(u64::from(serving.context)).next_multiple_of(CACHE_STEP);
    let requests = u64::from(serving.in_flight.max(1));
    // Requests in a batch are copied when the batch changes.
    let copies = if requests > 1 { 2 } else { 1 };
    // Whatever a damaged file says of its sizes, the answer is a number.
    let cache = [copies * requests, tokens, 2 * size.layers as u64, size.kv_width as u64, width];
    let cache = cache.into_iter().fold(1, u64::saturating_mul);
    let wide = (8 * size.hidden + 3 * size.intermediate) as u64 * 4;
    let activations = tokens.min(PROMPT_STEP) * wide + requests * size.vocabulary as u64 * 8;
    vec![
        (Part::Weights, weights),
        (Part::Cache, cache),
        (Part::Activations, activations),
        (Part::Process, process(device)),
    ]
}

/// Numbers of an adapter: queries and output, keys and values, gate, up and down, inputs and outputs of each.
fn adapter_numbers(size: &ModelSize, rank: u32) -> u64 {
    let (hidden, wide, kv) = (size.hidden as u64, size.intermediate as u64, size.kv_width as u64);
    size.layers as u64 * u64::from(rank) * (4 * hidden + 2 * (hidden + kv) + 3 * (hidden + wide))
}

/// Bytes of the host that a worker has in hand while it merges an adapter of a rank: the adapter as its file has it and
/// as numbers, and of the largest tensor its stored bytes, its numbers and what is added to them. Embeddings are not
/// added to.
pub fn merging_memory(size: &ModelSize, rank: u32) -> u64 {
    let (hidden, wide, rows) = (size.hidden as u64, size.intermediate as u64, size.vocabulary as u64);
    8 * adapter_numbers(size, rank) + (8 * rows * hidden).max(12 * hidden * wide)
}

/// Bytes of the model that it writes for a device.
pub fn merged_bytes(size: &ModelSize, device: Device) -> u64 {
    let width = if device != Device::Cpu && size.half { 2 } else { 4 };
    size.parameters * width
}

/// Bytes of the trainer, per part: frozen weights of `f32` on the processor and of 16 bits elsewhere, moved ones,
/// their gradients and two moments of `f32`. On the processor every adapted matrix is there a second time, with its
/// adapter put in, and a micro-batch goes through in slabs.
pub fn training_parts(size: &ModelSize, settings: &TrainingSettings, device: Device) -> Vec<(Part, u64)> {
    let (hidden, wide, kv) = (size.hidden as u64, size.intermediate as u64, size.kv_width as u64);
    let layers = size.layers as u64;
    let host = device == Device::Cpu;
    let (weights, moved) = match settings.method {
        TrainingMethod::Full => (size.parameters * 4, size.parameters),
        TrainingMethod::Lora { rank, .. } => {
            let moved = adapter_numbers(size, rank);
            let adapted = size.parameters.saturating_sub((size.vocabulary * size.hidden) as u64);
            let frozen = if host { (size.parameters + adapted) * 4 } else { size.parameters * 2 };
            (frozen + moved * 4, moved)
        }
    };
    let longest = u64::from(settings.max_length);
    let micro = u64::from(settings.micro_tokens).max(longest);
    let tokens = if host { micro.min(longest.max(SLAB as u64)) } else { micro };
    // Per token and block: normed inputs, queries, output, residuals; keys and values; gate, up and their product.
    let block = 6 * hidden + 2 * kv + 4 * wide;
    let kept = if settings.checkpointing { layers * hidden + 2 * block } else { layers * block };
    // The loss goes through the vocabulary in chunks of rows.
    let logits = 2 * tokens.min(1024) * size.vocabulary as u64;
    vec![
        (Part::Weights, weights),
        (Part::Optimiser, moved * 12),
        (Part::Activations, (tokens * kept + logits) * 4),
        (Part::Process, process(device)),
    ]
}
