//! How large a model is: what its memory is planned from.

use super::config::ModelConfig;
use super::weights::{TensorEntry, Weights, bits};

/// Sizes of a model, whatever it is stored as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelSize {
    /// Numbers in all tensors.
    pub parameters: u64,
    /// Bytes of all tensors as stored.
    pub stored_bytes: u64,
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Width of keys, and of values, of one token in one block.
    pub kv_width: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Whether the scores of the attention are capped.
    pub capped: bool,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Longest prompt and answer together, in tokens.
    pub context: usize,
    /// Whether it is computed in 16 bits on an accelerator where nothing else is asked for: it says that it is
    /// stored so.
    pub half: bool,
}

impl ModelSize {
    pub(super) fn of_folder(config: &ModelConfig, weights: &Weights) -> Self {
        // The check of the files has worked out every product.
        let elements = |entry: &TensorEntry| entry.shape.iter().map(|axis| *axis as u64).product::<u64>();
        let bytes = |entry: &TensorEntry| elements(entry) * bits(&entry.dtype).unwrap_or(32) / 8;
        Self {
            parameters: weights.values().map(elements).sum(),
            stored_bytes: weights.values().map(bytes).sum(),
            layers: config.layers,
            hidden: config.hidden,
            intermediate: config.intermediate,
            kv_width: config.kv_width,
            heads: config.heads,
            capped: config.capped,
            vocabulary: config.vocabulary,
            context: config.context,
            half: matches!(config.dtype.as_deref(), Some("bfloat16" | "float16")),
        }
    }
}
