//! Frames: a little-endian `u32` length and that many bytes of JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame between runner and worker, in bytes: the training data of one iteration must fit.
pub const WORKER_LIMIT: usize = 1 << 30;
/// Longest frame on the control socket, in bytes.
pub const CONTROL_LIMIT: usize = 1 << 20;

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed, or ended within a frame.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// A frame announced more bytes than allowed.
    #[error("a frame of {size} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Announced size in bytes.
        size: usize,
        /// Allowed size in bytes.
        limit: usize,
    },
    /// The bytes are not the expected message.
    #[error("a frame could not be understood: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The bytes of one frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let size = bytes.len() - 4;
    let header = u32::try_from(size).map_err(|_| FrameError::TooLong { size, limit: u32::MAX as usize })?;
    bytes[..4].copy_from_slice(&header.to_le_bytes());
    Ok(bytes)
}

/// Writes one frame and flushes.
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    Ok(stream.flush()?)
}

/// Reads one frame; `None` when the stream ended between frames.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read, limit: usize) -> Result<Option<T>, FrameError> {
    let mut header = [0; 4];
    match stream.read(&mut header[..1])? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut header[1..])?,
    }
    let size = u32::from_le_bytes(header) as usize;
    if size > limit {
        return Err(FrameError::TooLong { size, limit });
    }
    let mut body = Vec::new();
    stream.take(size as u64).read_to_end(&mut body)?;
    if body.len() < size {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_end_cleanly() {
        let mut bytes = encode(&"one").unwrap();
        write(&mut bytes, &"two").unwrap();
        let mut stream = bytes.as_slice();
        let mut next = || read::<String>(&mut stream, 100).unwrap();
        assert_eq!([next(), next(), next()], [Some("one".into()), Some("two".into()), None]);
    }

    #[test]
    fn a_cut_a_lie_and_nonsense_are_errors() {
        let bytes = encode(&"some text").unwrap();
        let read = |mut bytes: &[u8]| read::<String>(&mut bytes, 64);
        assert!(matches!(read(&bytes[..7]), Err(FrameError::Io(_))));
        assert!(matches!(read(&bytes[..2]), Err(FrameError::Io(_))));
        assert!(matches!(read(&[255, 255, 255, 255]), Err(FrameError::TooLong { .. })));
        assert!(matches!(read(&[1, 0, 0, 0, b'x']), Err(FrameError::Malformed(_))));
    }
}
