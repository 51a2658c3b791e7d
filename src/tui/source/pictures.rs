//! Images of the selected sample, read and made small once: the sample is loaded anew with every commit.

use std::collections::VecDeque;
use std::path::Path;

use crate::gym::instance::ImageRef;
use crate::store::read_artifact;
use crate::tui::picture::Picture;

/// Images that are kept; each takes 77 kB at most.
const MOST: usize = 32;

/// What came of an image: small enough for cells, or why it cannot be shown.
type Shown = Result<Picture, String>;

/// Images by their hash, the one that was wanted last at the end.
#[derive(Debug, Default)]
pub(super) struct Pictures(VecDeque<(String, Shown)>);

impl Pictures {
    /// The image of a run.
    pub(super) fn of(&mut self, run: &Path, image: &ImageRef) -> Shown {
        if let Some(at) = self.0.iter().position(|(hash, _)| *hash == image.sha256)
            && let Some(known) = self.0.remove(at)
        {
            let shown = known.1.clone();
            self.0.push_back(known);
            return shown;
        }
        // A file that cannot be read may be put back.
        let bytes = read_artifact(run, image).map_err(|error| error.to_string())?;
        let shown = Picture::decode(&bytes);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((image.sha256.clone(), shown.clone()));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{artifact_path, put_artifact};

    fn dot(colour: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(&[colour]).unwrap();
        bytes
    }

    #[test]
    fn an_image_is_read_once_and_a_missing_one_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let put = |bytes: &[u8]| put_artifact(folder.path(), bytes, "image/png", (1, 1)).unwrap();
        let images: Vec<ImageRef> = (0..=MOST as u8).map(|n| put(&dot(n))).collect();
        let mut pictures = Pictures::default();
        let first = pictures.of(folder.path(), &images[0]).unwrap();
        let file = artifact_path(folder.path(), &images[0]);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(pictures.of(folder.path(), &images[0]), Ok(first.clone()));
        // The one that was not wanted for longest makes way.
        for image in &images[1..] {
            pictures.of(folder.path(), image).unwrap();
        }
        assert_eq!(pictures.0.len(), MOST);
        assert!(pictures.of(folder.path(), &images[0]).is_err());
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(pictures.of(folder.path(), &images[0]), Ok(first));
        let broken = put(b"no image");
        assert!(pictures.of(folder.path(), &broken).unwrap_err().contains("PNG"));
    }
}
