//! A student served by mistral.rs in this process; the only room that touches the library.
//!
//! Folders and GGUF files are checked before the library sees them, adapters are merged while loading, tokens are
//! chosen by [`super::sampler`] and text is decoded from the tokens chosen, so an answer is what the
//! model wrote and nothing else. Nothing is printed and nothing is fetched. The library creates its
//! cache folder at every load: `HF_HUB_CACHE` should name a folder of ours in the environment.

mod batch_test;
mod build;
mod chooser;
mod generate;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::folder::{self, FolderError};
use super::source::{self, Source};
use super::{Aside, LocalStudent, Written};
use crate::gym::ports::{
    BatchTest, ChatModel, ChatRequest, Checkpoint, Device, PortError, Quantisation, ReplySink, Serving,
    Student,
};
use generate::Loaded;

/// A model loaded from a folder, alone or with an adapter.
pub struct MistralStudent {
    device: Device,
    serving: Serving,
    runtime: Runtime,
    loaded: Option<Arc<Loaded>>,
    in_flight: u32,
    batch_test: Option<BatchTest>,
    aside: Option<Aside>,
    /// Outcome by base folder: batching depends on the shapes, not on what was learned.
    proven: HashMap<PathBuf, BatchTest>,
}

impl MistralStudent {
    /// A student without weights; [`Student::refresh`] loads them. `serving.in_flight` requests are worked on
    /// together if that proves to change no token, otherwise one; on the processor always one.
    ///
    /// # Errors
    /// When the system refuses a runtime.
    pub fn new(device: Device, serving: Serving) -> Result<Self, PortError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| PortError::transient(format!("no runtime for the student's engine: {error}")))?;
        Ok(Self {
            device,
            serving: Serving { in_flight: serving.in_flight.max(1), ..serving },
            runtime,
            loaded: None,
            in_flight: 1,
            batch_test: None,
            aside: None,
            proven: HashMap::new(),
        })
    }

    fn loaded(&self) -> Result<Arc<Loaded>, PortError> {
        self.loaded.clone().ok_or_else(|| PortError::fatal("the student was asked before it was loaded"))
    }

    fn prove(&mut self, loaded: &Arc<Loaded>, base: &Source) -> Result<(), PortError> {
        self.batch_test = None;
        self.in_flight = 1;
        let wanted = self.serving.in_flight;
        if wanted == 1 {
            return Ok(());
        }
        let test = match self.proven.get(base.path()) {
            Some(test) => *test,
            None => self.runtime.block_on(batch_test::run(loaded, wanted))?,
        };
        self.proven.insert(base.path().to_owned(), test);
        self.batch_test = Some(test);
        if test.differing == 0 && self.device == Device::Cpu {
            // There it is known that rows of a batch are mixed. A few greedy answers of a model that is sure of them, or
            // repeats itself, come out alike all the same: one passed of which 25 of 480 answers then differed.
            tracing::warn!(
                "batches change tokens on the processor, whatever the self-test found: one request at a time"
            );
        } else if test.differing == 0 {
            self.in_flight = wanted;
        } else {
            tracing::warn!(
                differing = test.differing,
                prompts = test.prompts,
                "batches change tokens on {}: one request at a time",
                self.device
            );
        }
        Ok(())
    }
}

impl ChatModel for MistralStudent {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        let loaded = self.loaded()?;
        let together = (self.in_flight, self.aside.clone());
        self.runtime.block_on(generate::all(&loaded, requests, together, &mut |index, answer| {
            sink(index, answer.reply)
        }))
    }
}

impl Student for MistralStudent {
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        let (base, adapter) = check(checkpoint).map_err(|fault| PortError::fatal(fault.to_string()))?;
        // The old weights go first: both need not fit.
        self.loaded = None;
        let model = build::build(&base, adapter.as_ref(), self.device, self.serving)?;
        let loaded = Arc::new(Loaded::new(model, &base, self.serving)?);
        self.prove(&loaded, &base)?;
        self.loaded = Some(loaded);
        Ok(())
    }

    fn release(&mut self) {
        self.loaded = None;
    }
}

impl LocalStudent for MistralStudent {
    fn in_flight(&self) -> u32 {
        self.in_flight
    }

    fn batch_test(&self) -> Option<BatchTest> {
        self.batch_test
    }

    fn write(&mut self, requests: &[ChatRequest], in_flight: u32) -> Result<Vec<Written>, PortError> {
        let loaded = self.loaded()?;
        let in_flight = in_flight.clamp(1, self.serving.in_flight);
        self.runtime.block_on(batch_test::written(&loaded, requests, in_flight))
    }

    fn attend(&mut self, aside: Aside) {
        self.aside = Some(aside);
    }

    /// The library merges adapters on the host, into numbers that are not quantised.
    fn takes_adapters(&self) -> bool {
        self.device == Device::Cpu && self.serving.quantisation == Quantisation::None
    }
}

fn check(checkpoint: &Checkpoint) -> Result<(Source, Option<folder::AdapterFolder>), FolderError> {
    match checkpoint {
        Checkpoint::Full { folder } => Ok((source::check(folder)?, None)),
        Checkpoint::Adapter { base, adapter } => {
            let base = folder::check(base)?;
            let adapter = folder::check_adapter(adapter, &base)?;
            Ok((Source::Folder(Box::new(base)), Some(adapter)))
        }
    }
}
