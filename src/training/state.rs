//! The state of an unfinished training: one file beside its output, from which it goes on exactly.

use super::error::TrainingError;
use super::export::{self, Archive, Numbers, Precision};
use super::ops::AdamW;
use super::pretrain::hex;
use super::session::Session;
use super::weights::{Weights, from_bytes};
use crate::gym::ports::{Checkpoint, TrainingOrder};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Where a training stands, apart from its tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Steps done.
    pub(super) step: usize,
    pub(super) tokens: u64,
    pub(super) response_tokens: u64,
    pub(super) first_loss: f64,
    pub(super) last_loss: f64,
    /// Lowest held-out loss so far.
    pub(super) best: Option<f64>,
    /// Epochs in a row without a lower one.
    pub(super) stale: u32,
    /// Whether an epoch ended whose held-out loss is still to be measured.
    #[serde(default)]
    pub(super) unmeasured: bool,
}

/// The file and the training it belongs to.
pub(super) struct Saved {
    path: PathBuf,
    identity: String,
}

const PREFIXES: [&str; 3] = ["variable", "first", "second"];
const BEST: &str = "best";
/// Bytes read of both ends of a weight file to tell it from another.
const SAMPLE: u64 = 1 << 20;

/// Length and both ends of every weight file of a folder, hashed.
fn fingerprint(folder: &Path) -> Result<String, TrainingError> {
    let failed = |error| TrainingError::read(folder, error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    files.sort();
    let mut bytes = Vec::new();
    for path in files {
        let mut file = File::open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        bytes.extend(length.to_le_bytes());
        (&file).take(SAMPLE).read_to_end(&mut bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(length.saturating_sub(SAMPLE))).map_err(failed)?;
        file.read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(hex(&bytes))
}

impl Saved {
    /// The place for an order's state. Another order, or changed weights below it, will not resume from it.
    pub(super) fn of(order: &TrainingOrder) -> Result<Self, TrainingError> {
        let folders: Vec<&Path> = match &order.start {
            Checkpoint::Full { folder } => vec![folder],
            Checkpoint::Adapter { base, adapter } => vec![base, adapter],
        };
        let prints = folders.into_iter().map(fingerprint).collect::<Result<Vec<_>, _>>()?;
        let mut order = order.clone();
        // How often the state is saved does not change what comes out.
        order.settings.save_seconds = 0;
        let text = serde_json::to_vec(&(&order, prints, env!("CARGO_PKG_VERSION"))).unwrap_or_default();
        Ok(Self::at(&order.output, hex(&text)))
    }

    /// The place beside `output` for the state of a training of that identity.
    pub(super) fn at(output: &Path, identity: String) -> Self {
        let name = output.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let path = output.with_file_name(format!(".{name}.unfinished.safetensors"));
        Self { path, identity }
    }

    /// As [`resume`](Self::resume), for a state of at most `last` steps; otherwise the session stays at its beginning.
    pub(super) fn resume_until(&self, session: &mut Session, last: usize) -> Result<Standing, TrainingError> {
        if self.read().is_none_or(|(standing, _)| standing.step > last) {
            return Ok(Standing::default());
        }
        Ok(self.resume(session)?.map_or_else(Standing::default, |(standing, _)| standing))
    }

    /// Writes the state; the earlier one stays until the new one is whole.
    pub(super) fn write(
        &self,
        standing: &Standing,
        session: &Session,
        best: Option<&Weights>,
    ) -> Result<(), TrainingError> {
        let standing = serde_json::to_string(standing).unwrap_or_default();
        let notes = [("identity".to_owned(), self.identity.clone()), ("standing".to_owned(), standing)];
        let moments: Vec<_> = session.optimisers().iter().map(AdamW::moments).collect();
        let mut archive = Archive::new(Precision::F32, notes.into());
        for ((name, variable), moments) in session.variables().iter().zip(&moments) {
            let parts = [
                Numbers::Tensor(variable.as_tensor()),
                Numbers::Slice(&moments.0),
                Numbers::Slice(&moments.1),
            ];
            for (prefix, numbers) in PREFIXES.into_iter().zip(parts) {
                archive.add(format!("{prefix}/{name}"), variable.dims(), numbers);
            }
        }
        for (name, tensor) in best.into_iter().flatten() {
            archive.add(format!("{BEST}/{name}"), tensor.dims(), Numbers::Tensor(tensor));
        }
        export::write_file(&self.path, &archive)
    }

    /// The saved state, if there is one of this training. Its variables and moments are put into the
    /// session; the best weights are returned. A file that is another's or damaged is as good as none.
    pub(super) fn resume(
        &self,
        session: &mut Session,
    ) -> Result<Option<(Standing, Option<Weights>)>, TrainingError> {
        let Some((standing, tensors)) = self.read() else { return Ok(None) };
        let best: Weights = tensors
            .iter()
            .filter_map(|(key, tensor)| {
                Some((key.strip_prefix(BEST)?.strip_prefix('/')?.to_owned(), tensor.clone()))
            })
            .collect();
        let complete = session.variables().iter().all(|(name, variable)| {
            let found = |prefix: &str| tensors.get(&format!("{prefix}/{name}"));
            PREFIXES
                .iter()
                .all(|prefix| found(prefix).is_some_and(|tensor| tensor.shape() == variable.shape()))
        });
        if !complete {
            return Ok(None);
        }
        for ((name, variable), optimiser) in session.variables().iter().zip(session.optimisers()) {
            let [value, first, second] = PREFIXES.map(|prefix| tensors.get(&format!("{prefix}/{name}")));
            let (Some(value), Some(first), Some(second)) = (value, first, second) else { continue };
            variable.set(value)?;
            *optimiser.moments() = (first.flatten_all()?.to_vec1()?, second.flatten_all()?.to_vec1()?);
        }
        session.resume(standing.step)?;
        Ok(Some((standing, (!best.is_empty()).then_some(best))))
    }

    fn read(&self) -> Option<(Standing, Weights)> {
        let bytes = fs::read(&self.path).ok()?;
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).ok()?;
        let notes = header.metadata().clone()?;
        if notes.get("identity") != Some(&self.identity) {
            return None;
        }
        let standing = serde_json::from_str(notes.get("standing")?).ok()?;
        Some((standing, from_bytes(&self.path, &bytes).ok()?))
    }

    /// The training is done: its state goes.
    pub(super) fn remove(&self) {
        // A file that cannot be removed does no harm: it belongs to an order that has its output.
        let _ = fs::remove_file(&self.path);
    }
}
