//! Images as files: what kind they are, how large, and as texts.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::table::Picture;
use crate::gym::instance::ImageRef;

/// Folder of the images of an export.
pub(super) const FOLDER: &str = "images";
/// Largest image that is read.
const LARGEST: u64 = 128 << 20;

/// File name of an image in an export: only the hash and a known ending make it.
pub(super) fn file_name(image: &ImageRef) -> String {
    let hash: String = image.sha256.chars().filter(char::is_ascii_hexdigit).collect();
    let ending = match image.media_type.as_str() {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        _ => "bin",
    };
    format!("{FOLDER}/{hash}.{ending}")
}

/// The bytes as a `data:` address.
pub(super) fn inline(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", encoded(bytes))
}

/// The bytes in base64.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes written in base64.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text.trim()).map_err(|e| format!("an image is not base64: {e}"))
}

/// The bytes of a picture in a row of the file in `folder`.
pub(super) fn bytes_of(picture: Picture, folder: &Path) -> Result<Vec<u8>, String> {
    if let Some(bytes) = picture.bytes {
        return Ok(bytes);
    }
    let path = picture.path.ok_or("an image has neither bytes nor a path")?;
    if let Some(address) = path.strip_prefix("data:") {
        let (_, payload) = address.split_once(";base64,").ok_or("an image's address is not base64")?;
        return decoded(payload);
    }
    let shown = path.escape_debug();
    // A file from elsewhere must not make us read anything else of this machine.
    let inside = Path::new(&path).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    if !inside {
        return Err(format!(
            "the image path `{shown}` leads out of the file's folder; put the image below it"
        ));
    }
    let full = folder.join(&path);
    let refused = |e: std::io::Error| format!("cannot read the image `{shown}`: {e}");
    let length = std::fs::metadata(&full).map_err(refused)?.len();
    if length > LARGEST {
        return Err(format!("the image `{shown}` is larger than {} MiB", LARGEST >> 20));
    }
    std::fs::read(&full).map_err(refused)
}

/// MIME type, width and height, from the file's first bytes.
///
/// # Errors
/// When it is neither PNG nor JPEG, or cut off before its size.
pub(super) fn facts(bytes: &[u8]) -> Result<(&'static str, (u32, u32)), String> {
    let found = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png_size(bytes).map(|size| ("image/png", size))
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg_size(bytes).map(|size| ("image/jpeg", size))
    } else {
        return Err("an image is neither PNG nor JPEG; convert it to PNG".to_owned());
    };
    found.ok_or_else(|| "an image is cut off or damaged".to_owned())
}

/// PNG specification, section 11.2.1: width and height lead the first chunk.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((number(16)?, number(20)?))
}

/// ITU-T T.81, section B.2.2: height and width in the frame header, after other segments.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((u32::from(number(at + 7)?), u32::from(number(at + 5)?)));
            }
            _ => at += 2 + usize::from(number(at + 2)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_first_bytes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02";
        assert_eq!(facts(png), Ok(("image/png", (3, 2))));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x05\0\x07\x03";
        assert_eq!(facts(jpeg), Ok(("image/jpeg", (7, 5))));
        for cut in 2..jpeg.len() - 1 {
            assert!(facts(&jpeg[..cut]).is_err());
        }
        assert!(facts(b"GIF89a").unwrap_err().contains("convert it to PNG"));
    }

    #[test]
    fn a_path_may_not_leave_the_folder() {
        for path in ["/etc/hostname", "../x.png", "a/../../x.png"] {
            let picture = Picture { path: Some(path.to_owned()), bytes: None };
            let said = bytes_of(picture, Path::new(".")).unwrap_err();
            assert!(said.contains("leads out"), "{said}");
        }
    }
}
