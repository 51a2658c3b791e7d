//! The header of a GGUF file: metadata and the place of every tensor, without reading the weights.
//!
//! Layout after the format's description (ggml, `docs/gguf.md`): magic, version, counts, metadata, tensor infos,
//! padding, data. Every length is held against the length of the file before anything is allocated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::models::folder::{FolderError, TensorEntry, Weights};

/// Nesting of arrays that is followed.
const DEPTH: u32 = 2;

/// One value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Any whole number.
    Whole(i64),
    Fraction(f64),
    Truth(bool),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    pub(super) fn as_count(&self) -> Option<usize> {
        match self {
            Self::Whole(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts; nothing when one of them is none.
    pub(super) fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::List(list) => list.iter().map(Self::as_text).collect(),
            _ => None,
        }
    }
}

/// What stands before the weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    /// Shapes as safetensors has them, outermost axis first; GGUF writes the innermost first.
    pub(super) tensors: Weights,
    /// Bytes of all tensors.
    pub(super) bytes: u64,
}

/// Name, elements per block and bytes per block of the tensor types that candle reads.
fn kind(number: u32) -> Result<(&'static str, u64, u64), String> {
    Ok(match number {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        30 => ("BF16", 1, 2),
        16..=23 | 29 => return Err("has an IQ type, which the library cannot read".to_owned()),
        other => return Err(format!("has the unknown type {other}")),
    })
}

/// Reads the header of a file.
///
/// # Errors
/// [`FolderError::Gguf`] for what does not follow the format, [`FolderError::Length`] for a file that is shorter
/// than its header says.
pub(super) fn header(path: &Path) -> Result<Header, FolderError> {
    let unreadable = |source| FolderError::Unreadable { file: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut reader = Reader { input: BufReader::new(file), at: 0, length };
    reader.header().map_err(|fault| match fault {
        Fault::Wrong(problem) => FolderError::Gguf { file: path.to_owned(), problem },
        Fault::Short(expected) => FolderError::Length { file: path.to_owned(), expected, found: length },
        Fault::System(source) => unreadable(source),
    })
}

enum Fault {
    Wrong(String),
    /// The file would have to have at least so many bytes.
    Short(u64),
    System(std::io::Error),
}

struct Reader {
    input: BufReader<File>,
    at: u64,
    length: u64,
}

impl Reader {
    fn header(&mut self) -> Result<Header, Fault> {
        if self.length < 24 {
            return Err(Fault::Short(24));
        }
        if &self.array::<4>()? != b"GGUF" {
            return Err(Fault::Wrong("does not begin with `GGUF`: it is another kind of file".to_owned()));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(Fault::Wrong(format!("has version {version}; versions 2 and 3 are read")));
        }
        let (tensors, pairs) = (self.u64()?, self.u64()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..pairs {
            let key = self.text()?;
            let of = self.u32()?;
            let value = self.value(of, 0)?;
            metadata.insert(key, value);
        }
        let aligned = metadata.get("general.alignment").and_then(Value::as_count).unwrap_or(32) as u64;
        if aligned == 0 || !aligned.is_power_of_two() {
            return Err(Fault::Wrong(format!("has `general.alignment` {aligned}, which is no power of two")));
        }
        self.tensors(metadata, tensors, aligned)
    }

    fn tensors(
        &mut self,
        metadata: BTreeMap<String, Value>,
        count: u64,
        aligned: u64,
    ) -> Result<Header, Fault> {
        let mut spans = Vec::new();
        let mut found = Weights::new();
        for _ in 0..count {
            let name = self.text()?;
            let wrong = |problem: String| Fault::Wrong(format!("tensor `{name}` {problem}"));
            let axes = self.u32()?;
            if !(1..=4).contains(&axes) {
                return Err(wrong(format!("has {axes} axes")));
            }
            let mut shape = Vec::new();
            for _ in 0..axes {
                shape.push(self.u64()? as usize);
            }
            let (dtype, block, size) = kind(self.u32()?).map_err(wrong)?;
            let offset = self.u64()?;
            let elements = shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis as u64));
            let bytes = elements
                .filter(|elements| *elements > 0 && (shape[0] as u64).is_multiple_of(block))
                .and_then(|elements| (elements / block).checked_mul(size));
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            let (Some(bytes), Some(end)) = (bytes, end) else {
                return Err(wrong(format!("of type {dtype} cannot have the shape {shape:?}")));
            };
            if !offset.is_multiple_of(aligned) {
                return Err(wrong(format!("begins at {offset}, which is not aligned to {aligned}")));
            }
            spans.push((offset, end, bytes));
            shape.reverse();
            if found.insert(name.clone(), TensorEntry { dtype: dtype.to_owned(), shape }).is_some() {
                return Err(wrong("is there twice".to_owned()));
            }
        }
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            return Err(Fault::Wrong("has tensors that overlap".to_owned()));
        }
        let begin = self.at.next_multiple_of(aligned);
        let end = spans.last().map_or(Some(begin), |last| begin.checked_add(last.1));
        let end = end.ok_or_else(|| Fault::Wrong("announces more than any file can hold".to_owned()))?;
        if end > self.length {
            return Err(Fault::Short(end));
        }
        Ok(Header { metadata, tensors: found, bytes: spans.iter().map(|span| span.2).sum() })
    }

    fn value(&mut self, of: u32, depth: u32) -> Result<Value, Fault> {
        Ok(match of {
            0 => Value::Whole(i64::from(self.array::<1>()?[0])),
            1 => Value::Whole(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Whole(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Whole(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Whole(i64::from(self.u32()?)),
            5 => Value::Whole(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Fraction(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Truth(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 if depth < DEPTH => {
                let (of, count) = (self.u32()?, self.u64()?);
                // An element has one byte at least.
                self.room(count)?;
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(of, depth + 1)?);
                }
                Value::List(list)
            }
            10 => Value::Whole(i64::try_from(self.u64()?).unwrap_or(i64::MAX)),
            11 => Value::Whole(i64::from_le_bytes(self.array()?)),
            12 => Value::Fraction(f64::from_le_bytes(self.array()?)),
            other => return Err(Fault::Wrong(format!("has metadata of the unknown type {other}"))),
        })
    }

    fn text(&mut self) -> Result<String, Fault> {
        let length = self.u64()?;
        self.room(length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        // A token may be a piece of a character.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether so many bytes are left.
    fn room(&self, bytes: u64) -> Result<(), Fault> {
        match self.at.checked_add(bytes) {
            Some(end) if end <= self.length => Ok(()),
            Some(end) => Err(Fault::Short(end)),
            None => Err(Fault::Wrong("announces more than any file can hold".to_owned())),
        }
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.room(N as u64)?;
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.input.read_exact(bytes).map_err(Fault::System)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
