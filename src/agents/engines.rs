//! Data generation engines.

mod selection;

pub use selection::Selection;

/// Names under which engines are configured.
pub const NAMES: &[&str] = &["procedural", "selection"];
