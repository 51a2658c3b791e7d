//! Images of a question on their way to an endpoint: as data addresses within the request, because an endpoint
//! cannot reach the files of a run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::gym::instance::ImageRef;

/// Largest image that is sent; providers refuse more.
const MOST_BYTES: u64 = 20 << 20;
/// What the interface takes.
const KINDS: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "image/gif"];
/// Edge of the squares that vision models cut an image into, in pixels, at the least; and what they add to it.
const PATCH: u64 = 14;
const FRAME: u64 = 256;

/// The images as addresses, from the folder that holds them by their names.
///
/// # Errors
/// A sentence about the first one that cannot be sent.
pub(super) fn addresses(folder: Option<&Path>, images: &[ImageRef]) -> Result<Vec<String>, String> {
    let folder = match folder {
        Some(folder) => folder,
        None if images.is_empty() => return Ok(Vec::new()),
        None => return Err("there are no images here to send to an endpoint".to_owned()),
    };
    images.iter().map(|image| address(folder, image)).collect()
}

fn address(folder: &Path, image: &ImageRef) -> Result<String, String> {
    let path = folder.join(image.file_name());
    let wrong = |why: &dyn std::fmt::Display| format!("the image {} is not sent: {why}", path.display());
    if !KINDS.contains(&image.media_type.as_str()) {
        return Err(wrong(&format!("it is {:?}, endpoints take {}", image.media_type, KINDS.join(", "))));
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| wrong(&error))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(&format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    if ImageRef::of(&bytes, &image.media_type, image.size) != *image {
        return Err(wrong(&"its bytes are not those of its name: restore the file from a copy"));
    }
    Ok(format!("data:{};base64,{}", image.media_type, STANDARD.encode(bytes)))
}

/// Tokens that an image may cost at most.
pub(super) fn tokens(image: &ImageRef) -> u64 {
    let side = |pixels: u32| u64::from(pixels).div_ceil(PATCH);
    side(image.size.0) * side(image.size.1) + FRAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_verified_and_becomes_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let image = ImageRef::of(b"bytes", "image/png", (28, 15));
        let at = |image: &ImageRef| addresses(Some(folder.path()), std::slice::from_ref(image));
        assert!(at(&image).unwrap_err().contains(&image.sha256));
        std::fs::write(folder.path().join(image.file_name()), b"bytes").unwrap();
        assert_eq!(at(&image).unwrap(), ["data:image/png;base64,Ynl0ZXM="]);
        assert_eq!(tokens(&image), 2 * 2 + 256);
        std::fs::write(folder.path().join(image.file_name()), b"bites").unwrap();
        assert!(at(&image).unwrap_err().contains("restore"));
        let drawing = ImageRef { media_type: "image/svg+xml".into(), ..image.clone() };
        assert!(at(&drawing).unwrap_err().contains("image/svg+xml"));
        assert!(addresses(None, &[image]).is_err() && addresses(None, &[]).unwrap().is_empty());
    }
}
