//! Data generation policies, one file each.

mod alternating;
mod by_error;

pub use alternating::Alternating;
pub use by_error::ByError;

/// Names under which policies are configured.
pub const NAMES: &[&str] = &["by_error", "alternating"];
