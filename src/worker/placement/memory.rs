//! What a model needs, part by part.

use crate::gym::ports::{Device, Precision, Serving, TrainingMethod, TrainingSettings};
use crate::models::folder::ModelSize;
use crate::models::pages;
use crate::training::{LOGITS, SLAB};

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
    let held = match device {
        // Pages are made while loading, and never copied.
        Device::Cuda(_) => pages::tokens(size, serving) as u64,
        Device::Cpu | Device::Metal => (copies * requests).saturating_mul(tokens),
    };
    // Whatever a damaged file says of its sizes, the answer is a number.
    let cache = [held, 2 * size.layers as u64, size.kv_width as u64, width];
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

/// Bytes of the trainer on a device, per part: frozen weights of `f32` on the processor and of 16 bits elsewhere, and moved
/// ones of `f32`. On the processor their gradients and two moments are there too, every adapted matrix is there a second
/// time, with its adapter put in, and a micro-batch goes through in slabs. What a trainer elsewhere keeps on the
/// host is in [`training_host_parts`].
pub fn training_parts(size: &ModelSize, settings: &TrainingSettings, device: Device) -> Vec<(Part, u64)> {
    let host = device == Device::Cpu;
    let moved = moved(size, settings);
    let weights = match settings.method {
        TrainingMethod::Full => size.parameters * 4,
        TrainingMethod::Lora { .. } => {
            let adapted = size.parameters.saturating_sub((size.vocabulary * size.hidden) as u64);
            let frozen = if host { (size.parameters + adapted) * 4 } else { size.parameters * 2 };
            frozen + moved * 4
        }
    };
    // The moments of a trainer elsewhere are on the host, and gradients pass through.
    let optimiser = if host { moved * 12 } else { moved * 4 };
    let activations = if host { fused(size, settings) } else { composed(size, settings) };
    vec![
        (Part::Weights, weights),
        (Part::Optimiser, optimiser),
        (Part::Activations, activations.saturating_mul(4)),
        (Part::Process, process(device)),
    ]
}

/// Bytes of the host under a trainer on so many other devices, per part: the base as it is read, in `f32`, with what is
/// moved; both moments and the sums of the gradients, one for each device.
pub fn training_host_parts(
    size: &ModelSize,
    settings: &TrainingSettings,
    devices: usize,
) -> Vec<(Part, u64)> {
    let moved = moved(size, settings);
    let adapter = if settings.method == TrainingMethod::Full { 0 } else { moved };
    vec![
        (Part::Weights, (size.parameters + adapter) * 4),
        (Part::Optimiser, moved * 4 * (2 + devices as u64)),
        (Part::Process, PROCESS),
    ]
}

/// Numbers that a training moves.
fn moved(size: &ModelSize, settings: &TrainingSettings) -> u64 {
    match settings.method {
        TrainingMethod::Full => size.parameters,
        TrainingMethod::Lora { rank, .. } => adapter_numbers(size, rank),
    }
}

/// Numbers that a pass holds in between where its operations are fused.
fn fused(size: &ModelSize, settings: &TrainingSettings) -> u64 {
    let (hidden, wide, kv) = (size.hidden as u64, size.intermediate as u64, size.kv_width as u64);
    let (layers, longest) = (size.layers as u64, u64::from(settings.max_length));
    let micro = u64::from(settings.micro_tokens).max(longest);
    let tokens = micro.min(longest.max(SLAB as u64));
    // Per token and block: normed inputs, queries, output, residuals; keys and values; gate, up and their product.
    let block = 6 * hidden + 2 * kv + 4 * wide;
    let kept = if settings.checkpointing { layers * hidden + 2 * block } else { layers * block };
    // The loss goes through the vocabulary in chunks of rows.
    tokens * kept + 2 * tokens.min(1024) * size.vocabulary as u64
}

/// Numbers that a pass holds in between where it is composed of a library's operations, each of which keeps what its
/// backward pass needs. Counted in `training::composed`; rows are as long as the longest example may be.
fn composed(size: &ModelSize, settings: &TrainingSettings) -> u64 {
    let (hidden, wide, kv) = (size.hidden as u64, size.intermediate as u64, size.kv_width as u64);
    let (layers, longest) = (size.layers as u64, u64::from(settings.max_length));
    let tokens = u64::from(settings.micro_tokens).max(longest);
    // Per token and block: two norms, projections before and after they are made wide, with their adapters, queries and
    // keys rotated and repeated, gate, up and their product.
    let block = 36 * hidden + 15 * kv + 12 * wide;
    // Per head, a number for every pair of tokens in a row: scores, scaled, masked, shifted, their exponentials and
    // shares; three more for a cap. In the backward pass of a block some gradients of the same size.
    let pairs = tokens.saturating_mul(longest).saturating_mul(size.heads as u64);
    let (scores, gradients) = (if size.capped { 9 } else { 6 }, 5);
    let whole = tokens.saturating_mul(block).saturating_add(pairs.saturating_mul(scores));
    let blocks = if settings.checkpointing { 1 } else { layers };
    // The inputs of all blocks, what the blocks keep, and what goes on in the backward pass of one.
    let kept = (tokens * layers * hidden).saturating_add(whole.saturating_mul(blocks));
    let passing = tokens.saturating_mul(block).saturating_add(pairs.saturating_mul(gradients));
    // Of the logits, some chunk: themselves, shifted, their exponentials, and a gradient of each.
    let logits = 6 * (tokens * size.vocabulary as u64).min((LOGITS as u64).max(size.vocabulary as u64));
    kept.saturating_add(passing).saturating_add(logits)
}
