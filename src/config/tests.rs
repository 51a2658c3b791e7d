//! Tests of the layers, of the messages, and of the agreement of schema, checks and types.

mod layers;
mod messages;
mod properties;
mod schema;

use super::document::parse;
use super::layers::above_defaults;
use super::{ConfigError, Mistake, Mistakes, Resolved};

/// A text above the built-in layer.
fn checked(text: &str) -> Result<Resolved, ConfigError> {
    above_defaults(parse(text, "my.toml")?)
}

/// The mistakes of a text.
fn mistakes(text: &str) -> Vec<Mistake> {
    match checked(text) {
        Err(ConfigError::Invalid(Mistakes(found))) => found,
        other => panic!("{text}\n{other:?}"),
    }
}
