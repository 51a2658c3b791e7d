//! Adapters for students that cannot put them on while loading: they are given the merged model.
//!
//! mistral.rs merges adapters on the host and into plain numbers only. The merged folder lies in the system's folder
//! for temporary files and goes as soon as it is loaded.

use std::fs;
use std::path::{Path, PathBuf};

use crate::gym::ports::{Checkpoint, Device, PortError};
use crate::models::LocalStudent;
use crate::training::{self, MergedAs};

/// Has a student serve a checkpoint.
pub(super) fn refresh(
    student: &mut dyn LocalStudent,
    checkpoint: &Checkpoint,
    device: Device,
) -> Result<(), PortError> {
    match checkpoint {
        Checkpoint::Adapter { base, adapter } if !student.takes_adapters() => {
            let folder = Scratch::beside_no_other();
            merge(base, adapter, &folder.0, device)?;
            student.refresh(&Checkpoint::Full { folder: folder.0.clone() })
        }
        _ => student.refresh(checkpoint),
    }
}

/// On the host weights become 32 bits anyway; elsewhere the merged model takes the room that was planned for the base.
fn merge(base: &Path, adapter: &Path, folder: &Path, device: Device) -> Result<(), PortError> {
    let merged_as = if device == Device::Cpu { MergedAs::Single } else { MergedAs::Base };
    training::merge_adapter(base, adapter, folder, merged_as).map_err(|error| {
        PortError::fatal(format!(
            "the adapter {} cannot be merged for the student's device: {error}\n  {}",
            adapter.display(),
            error.hint()
        ))
    })
}

/// A folder that goes with this value. A process has one name for it: what was proven of the student's batches is
/// remembered by the folder.
struct Scratch(PathBuf);

impl Scratch {
    fn beside_no_other() -> Self {
        let scratch = Self(std::env::temp_dir().join(format!("dataenvgym-merged-{}", std::process::id())));
        scratch.clear();
        scratch
    }

    fn clear(&self) {
        // As a rule it is not there; what cannot be removed is named when it is written.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::gym::ports::{
        BatchTest, ChatModel, ChatRequest, ReplySink, Student, TrainingMethod, TrainingOrder,
        TrainingSettings,
    };
    use crate::models::embedded::Embedded;
    use crate::models::folder;
    use crate::training::Resources;

    /// Checks what it is given, and notes it.
    struct Noting {
        takes_adapters: bool,
        given: Option<Checkpoint>,
        /// Type and first bytes of what it would load.
        seen: Option<(String, Vec<u8>)>,
    }

    impl ChatModel for Noting {
        fn answer(&mut self, _: &[ChatRequest], _: &mut ReplySink<'_>) -> Result<(), PortError> {
            Ok(())
        }
    }

    impl Student for Noting {
        fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
            if let Checkpoint::Full { folder } = checkpoint {
                let sound = folder::check(folder).map_err(|error| PortError::fatal(error.to_string()))?;
                let bytes = fs::read(folder.join("model.safetensors")).unwrap();
                self.seen = Some((sound.config.dtype.unwrap_or_default(), bytes));
            }
            self.given = Some(checkpoint.clone());
            Ok(())
        }
    }

    impl LocalStudent for Noting {
        fn in_flight(&self) -> u32 {
            1
        }

        fn batch_test(&self) -> Option<BatchTest> {
            None
        }

        fn takes_adapters(&self) -> bool {
            self.takes_adapters
        }
    }

    #[test]
    fn a_student_that_cannot_take_an_adapter_is_given_the_merged_model_and_nothing_is_left() {
        let temporary = tempfile::tempdir().unwrap();
        let base = Embedded::Student.folder(temporary.path()).unwrap();
        let order = TrainingOrder {
            start: Checkpoint::Full { folder: base.clone() },
            examples: vec![("What is 1 + 1?".to_owned(), "2".to_owned()); 2],
            replay: vec![],
            settings: TrainingSettings {
                method: TrainingMethod::Lora { rank: 1, alpha: 1.0 },
                learning_rate: 1e-2,
                epochs: 1,
                ..TrainingSettings::default()
            },
            seed: 1,
            output: temporary.path().join("adapter"),
        };
        let trained = training::train(&order, &Resources::default(), &mut |_| ControlFlow::Continue(()));
        let checkpoint = trained.unwrap().checkpoint;
        let served = |takes_adapters, device| {
            let mut student = Noting { takes_adapters, given: None, seen: None };
            refresh(&mut student, &checkpoint, device).unwrap();
            (student.given.unwrap(), student.seen)
        };
        assert_eq!(served(true, Device::Cpu), (checkpoint.clone(), None));
        let stored = fs::read(base.join("model.safetensors")).unwrap();
        for (device, dtype) in [(Device::Cpu, "float32"), (Device::Cuda(0), "bfloat16")] {
            let (given, seen) = served(false, device);
            let Checkpoint::Full { folder } = given else { panic!("{given:?}") };
            let (found, bytes) = seen.unwrap();
            assert_eq!(found, dtype);
            assert!(bytes != stored, "nothing was merged");
            assert!(!folder.exists(), "it is left behind");
        }
        let whole = Checkpoint::Full { folder: base };
        let mut student = Noting { takes_adapters: false, given: None, seen: None };
        refresh(&mut student, &whole, Device::Cpu).unwrap();
        assert_eq!(student.given, Some(whole));
    }
}
