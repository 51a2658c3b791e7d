//! Our own trainer: decoder, fused operations, LoRA and full training, optimiser, export.

mod ops;
