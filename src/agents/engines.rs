//! Data generation engines.

mod procedural;
mod selection;

pub use procedural::Procedural;
pub use selection::Selection;

/// Names under which engines are configured.
pub const NAMES: &[&str] = &["procedural", "selection"];
