//! The scripted text-to-image model.

use crate::gym::ports::{Drawing, PortError, TextToImage};
use crate::worlds::scripted::picture;

/// Draws coloured squares, the same for the same description and seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScriptedPainter;

impl TextToImage for ScriptedPainter {
    fn draw(&mut self, description: &str, seed: u64) -> Result<Drawing, PortError> {
        picture(description, seed).map_err(|error| PortError::fatal(format!("drawing an image: {error}")))
    }
}
