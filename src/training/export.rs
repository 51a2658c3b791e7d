//! Writing folders so that a reader sees the whole of one or none of it.

use super::config::{DecoderConfig, RopeScaling, read_json};
use super::error::TrainingError;
use super::lora::Adapter;
use super::weights::{Stored, Weights};
use crate::checksums;
use crate::faults::Span;
use crate::gym::ports::Checkpoint;
use candle_core::Tensor;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const RENAME: Span = Span::new("checkpoint.rename.before", "checkpoint.rename.after");
const STATE: Span = Span::new("training.state.before", "training.state.after");

/// Number format of exported tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    F32,
    Bf16,
}

impl Precision {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }
}

/// The numbers of a tensor that is to be written, read when its turn comes.
pub(super) enum Numbers<'a> {
    Tensor(&'a Tensor),
    Slice(&'a [f32]),
    Made(Box<dyn Fn() -> Result<Vec<f32>, TrainingError> + 'a>),
}

/// Tensors on their way into a safetensors file. Beside where they are only one of them is in memory at a time.
pub(super) struct Archive<'a> {
    precision: Precision,
    notes: HashMap<String, String>,
    /// By name, which is the order of the file.
    tensors: BTreeMap<String, (Vec<usize>, Numbers<'a>)>,
}

/// Numbers that are turned into bytes at once.
const PIECE: usize = 1 << 16;

impl<'a> Archive<'a> {
    /// Without tensors yet; `notes` beside the metadata that other readers insist on.
    pub(super) fn new(precision: Precision, mut notes: HashMap<String, String>) -> Self {
        notes.insert("format".to_owned(), "pt".to_owned());
        Self { precision, notes, tensors: BTreeMap::new() }
    }

    /// Of these tensors.
    pub(super) fn of(tensors: &'a Weights, precision: Precision) -> Self {
        let mut archive = Self::new(precision, HashMap::new());
        for (name, tensor) in tensors {
            archive.add(name.clone(), tensor.dims(), Numbers::Tensor(tensor));
        }
        archive
    }

    /// Takes a tensor in.
    pub(super) fn add(&mut self, name: String, shape: &[usize], numbers: Numbers<'a>) {
        self.tensors.insert(name, (shape.to_vec(), numbers));
    }

    /// The length of the header and the header, as the library of the format writes them.
    fn header(&self, path: &Path) -> Result<Vec<u8>, TrainingError> {
        let (dtype, width) = match self.precision {
            Precision::F32 => (Dtype::F32, 4),
            Precision::Bf16 => (Dtype::BF16, 2),
        };
        let mut end = 0;
        let infos = self.tensors.iter().map(|(name, (shape, _))| {
            let begin = end;
            end += width * shape.iter().product::<usize>();
            (name.clone(), TensorInfo { dtype, shape: shape.clone(), data_offsets: (begin, end) })
        });
        let metadata = Metadata::new(Some(self.notes.clone()), infos.collect())
            .map_err(|source| TrainingError::Safetensors { path: path.to_owned(), source })?;
        let mut text = serde_json::to_vec(&metadata)
            .map_err(|source| TrainingError::Json { path: path.to_owned(), source })?;
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut header = (text.len() as u64).to_le_bytes().to_vec();
        header.extend(text);
        Ok(header)
    }

    /// Writes the whole file; `path` is for messages.
    fn write(&self, path: &Path, out: &mut impl Write) -> Result<(), TrainingError> {
        let failed = |error| TrainingError::write(path, error);
        out.write_all(&self.header(path)?).map_err(failed)?;
        let mut bytes = Vec::new();
        for (_, numbers) in self.tensors.values() {
            let own;
            let numbers = match numbers {
                Numbers::Slice(numbers) => *numbers,
                Numbers::Tensor(tensor) => {
                    own = tensor.flatten_all()?.to_vec1::<f32>()?;
                    own.as_slice()
                }
                Numbers::Made(make) => {
                    own = make()?;
                    own.as_slice()
                }
            };
            for piece in numbers.chunks(PIECE) {
                bytes.clear();
                match self.precision {
                    Precision::F32 => bytes.extend(piece.iter().flat_map(|x| x.to_le_bytes())),
                    Precision::Bf16 => {
                        bytes.extend(piece.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()));
                    }
                }
                out.write_all(&bytes).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The file in memory.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, TrainingError> {
        let mut bytes = Vec::new();
        self.write(Path::new("(memory)"), &mut bytes)?;
        Ok(bytes)
    }
}

/// What a file of a folder is filled with.
pub(super) enum Content<'a> {
    Bytes(Vec<u8>),
    Archive(Archive<'a>),
    /// What another file holds.
    Copy(PathBuf),
}

impl Content<'_> {
    /// Writes the whole file; `path` is for messages.
    fn write(&self, path: &Path, out: &mut impl Write) -> Result<(), TrainingError> {
        let failed = |error| TrainingError::write(path, error);
        match self {
            Self::Bytes(bytes) => out.write_all(bytes).map_err(failed),
            Self::Archive(archive) => archive.write(path, out),
            Self::Copy(from) => {
                let mut file = File::open(from).map_err(|error| TrainingError::read(from, error))?;
                std::io::copy(&mut file, out).map(drop).map_err(failed)
            }
        }
    }
}

/// A file of a folder: its name and what is in it.
pub(super) type NewFile<'a> = (String, Content<'a>);

/// JSON as it lies in a folder.
pub(super) fn pretty(json: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn sync_folder(folder: &Path) -> Result<(), TrainingError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|e| TrainingError::write(folder, e))
}

fn sibling(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!(".{name}.{suffix}-{}", std::process::id()))
}

/// Creates a file and has it on the disk when this returns.
fn fill_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), TrainingError>,
) -> Result<(), TrainingError> {
    let failed = |error| TrainingError::write(path, error);
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    write(&mut file)?;
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// Writes one file so that a reader sees the whole of the new one or of the old.
pub(super) fn write_file(path: &Path, archive: &Archive<'_>) -> Result<(), TrainingError> {
    let parent = parent(path)?;
    let partial = sibling(path, "partial");
    fill_file(&partial, |file| archive.write(&partial, file))?;
    STATE.around(|| fs::rename(&partial, path)).map_err(|e| TrainingError::write(path, e))?;
    sync_folder(parent)
}

/// The folder that holds `path`, created if need be.
fn parent(path: &Path) -> Result<&Path, TrainingError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|e| TrainingError::write(parent, e))?;
    Ok(parent)
}

/// Writes files and their checksums into a temporary folder beside `folder`, flushes them, and renames it
/// into place. An earlier folder of that name is replaced.
pub(super) fn write_folder(folder: &Path, files: &[NewFile<'_>]) -> Result<(), TrainingError> {
    let parent = parent(folder)?;
    let partial = sibling(folder, "partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|e| TrainingError::write(&partial, e))?;
    }
    fs::create_dir(&partial).map_err(|e| TrainingError::write(&partial, e))?;
    let written = fill(&partial, files).and_then(|()| put_in_place(&partial, folder));
    if written.is_err() {
        // The failure is what matters; a leftover temporary folder is replaced by the next attempt.
        let _ = fs::remove_dir_all(&partial);
    }
    written?;
    sync_folder(parent)
}

fn fill(partial: &Path, files: &[NewFile<'_>]) -> Result<(), TrainingError> {
    let mut sums = String::new();
    for (name, content) in files {
        let path = partial.join(name);
        fill_file(&path, |file| {
            let mut summed = checksums::Summed::new(file);
            content.write(&path, &mut summed)?;
            sums += &summed.line(name);
            Ok(())
        })?;
    }
    let path = partial.join(checksums::FILE);
    fill_file(&path, |file| Content::Bytes(sums.into_bytes()).write(&path, file))?;
    sync_folder(partial)
}

fn put_in_place(partial: &Path, folder: &Path) -> Result<(), TrainingError> {
    if !folder.exists() {
        return RENAME.around(|| fs::rename(partial, folder)).map_err(|e| TrainingError::write(folder, e));
    }
    let old = sibling(folder, "old");
    RENAME
        .around(|| fs::rename(folder, &old).and_then(|()| fs::rename(partial, folder)))
        .map_err(|e| TrainingError::write(folder, e))?;
    fs::remove_dir_all(&old).map_err(|e| TrainingError::write(&old, e))
}

/// The files beside the weights that make a folder loadable, as they are in `folder`.
fn companions(folder: &Path) -> Result<Vec<NewFile<'static>>, TrainingError> {
    const NAMES: [&str; 8] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
    ];
    let mut out = Vec::new();
    for name in NAMES {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => out.push((name.to_owned(), Content::Bytes(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(TrainingError::read(&path, error)),
        }
    }
    Ok(out)
}

/// Writes a PEFT adapter folder.
pub(super) fn adapter(
    output: &Path,
    base: &Path,
    adapter: Adapter,
    tensors: &Weights,
) -> Result<(), TrainingError> {
    let config = adapter.to_json(&base.to_string_lossy());
    let tensors = Archive::of(tensors, Precision::F32);
    let files = [
        ("adapter_config.json".to_owned(), Content::Bytes(pretty(&config))),
        ("adapter_model.safetensors".to_owned(), Content::Archive(tensors)),
    ];
    write_folder(output, &files)
}

/// Writes a model folder with the tokenizer and the other files of `base`, and `more` beside them.
pub(super) fn model<'a>(
    output: &Path,
    (base, config): (&Path, &DecoderConfig),
    archive: Archive<'a>,
    more: Vec<NewFile<'a>>,
) -> Result<(), TrainingError> {
    let mut json = read_json(&base.join("config.json"))?;
    if let Some(fields) = json.as_object_mut() {
        fields.insert("torch_dtype".to_owned(), json!(archive.precision.name()));
        fields.remove("dtype");
        // mistral.rs reads these flat; newer transformers write them below `rope_parameters` only.
        fields.entry("rope_theta").or_insert(json!(config.rope_theta));
        let nested =
            fields.get("rope_parameters").filter(|_| config.rope_scaling != RopeScaling::None).cloned();
        if let Some(nested) = nested {
            fields.entry("rope_scaling").or_insert(nested);
        }
    }
    let mut files: Vec<NewFile<'a>> = companions(base)?;
    files.push(("config.json".to_owned(), Content::Bytes(pretty(&json))));
    files.extend(more);
    files.push(("model.safetensors".to_owned(), Content::Archive(archive)));
    write_folder(output, &files)
}

/// In which numbers a merged model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergedAs {
    /// In 32 bits: nothing is lost.
    Single,
    /// In 16 bits where the base says that it is stored so: the base and what is made of it are then computed alike
    /// and need the same room.
    Base,
}

/// An output that is there already is refused: it may be what it is made of.
fn new_folder(output: &Path) -> Result<(), TrainingError> {
    if output.exists() {
        let problem =
            format!("{} exists already; a whole model goes into a folder of its own", output.display());
        return Err(TrainingError::Job(problem));
    }
    Ok(())
}

/// Writes the model folder that an adapter folder and its base amount to: `W + alpha / r B A` in place of
/// every adapted W. Beside the adapter a few tensors are in memory at a time. An output that exists is refused.
pub fn merge_adapter(
    base: &Path,
    adapter: &Path,
    output: &Path,
    merged_as: MergedAs,
) -> Result<(), TrainingError> {
    merge((base, adapter), output, merged_as, Vec::new())
}

fn merge(
    (base, adapter): (&Path, &Path),
    output: &Path,
    merged_as: MergedAs,
    more: Vec<NewFile<'_>>,
) -> Result<(), TrainingError> {
    new_folder(output)?;
    checksums::verify(base)?;
    checksums::verify(adapter)?;
    let config = DecoderConfig::load(base)?;
    let json = read_json(&base.join("config.json"))?;
    let stored = json.get("dtype").or_else(|| json.get("torch_dtype")).and_then(Value::as_str);
    let precision = match (merged_as, stored) {
        (MergedAs::Base, Some("bfloat16" | "float16")) => Precision::Bf16,
        _ => Precision::F32,
    };
    let (adapter, variables) = Adapter::load(adapter, &config)?;
    let stored = Stored::open(base, &config)?;
    let mut archive = Archive::new(precision, HashMap::new());
    for (key, shape) in stored.shapes() {
        let (stored, adapter, variables) = (&stored, &adapter, &variables);
        let made = move || {
            let mut numbers = stored.read(key)?;
            for (number, addition) in
                numbers.iter_mut().zip(adapter.addition(key, variables)?.into_iter().flatten())
            {
                *number += addition;
            }
            Ok(numbers)
        };
        archive.add(key.to_owned(), shape, Numbers::Made(Box::new(made)));
    }
    model(output, (base, &config), archive, more)
}

/// Writes the student of a checkpoint as a whole model folder for use elsewhere, with `card` as its `README.md`: an
/// adapter merged in 32 bits as [`merge_adapter`] does it, a full model file by file. An output that exists is refused.
pub fn publish(checkpoint: &Checkpoint, output: &Path, card: &str) -> Result<(), TrainingError> {
    const CARD: &str = "README.md";
    let card = (CARD.to_owned(), Content::Bytes(card.as_bytes().to_vec()));
    let folder = match checkpoint {
        Checkpoint::Adapter { base, adapter } => {
            return merge((base, adapter), output, MergedAs::Single, vec![card]);
        }
        Checkpoint::Full { folder } => folder,
    };
    new_folder(output)?;
    checksums::verify(folder)?;
    DecoderConfig::load(folder)?;
    let mut files = vec![card];
    for entry in fs::read_dir(folder).map_err(|error| TrainingError::read(folder, error))? {
        let path = entry.map_err(|error| TrainingError::read(folder, error))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && ![CARD, checksums::FILE].contains(&name.as_str()) {
            files.push((name, Content::Copy(path)));
        }
    }
    write_folder(output, &files)
}
