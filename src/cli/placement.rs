//! The plan of devices and memory of a configuration: made, shown, refused.

use color_eyre::eyre::{Result, bail};

use super::{scene, work};
use crate::config::{Config, ENDPOINT, Paths, StudentConfig};
use crate::gym::ports::{Checkpoint, Device, Quantisation, Serving, TrainingMethod, TrainingSettings};
use crate::models::folder;
use crate::models::source::{self, Source};
use crate::probes;
use crate::protocol::worker::Role;
use crate::runner::filesystem::{FileSystem, FileSystemProbe, SystemProbe};
use crate::worker::placement::{Charge, Merging, Plan, Room, Work, plan, scratch};

/// Identities of the GPUs that this process may use, in the order of `cuda:0`, `cuda:1` ...
pub(super) fn identities() -> Vec<String> {
    gpus().into_iter().map(|gpu| gpu.uuid).collect()
}

fn gpus() -> Vec<probes::Gpu> {
    probes::visible(std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), &probes::gpus())
}

/// Every device of this machine with its memory.
pub(super) fn rooms() -> Vec<Room> {
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| probes::parse_memory(&text));
    let free = memory.map(|memory| memory.total.saturating_sub(memory.used) << 20);
    let host = Room {
        device: Device::Cpu,
        name: "the host's memory".to_owned(),
        // What a control group still allows is less than what the machine has.
        free: free.into_iter().chain(probes::group_memory().map(|(_, left)| left)).min(),
        total: memory.map(|memory| memory.total << 20),
    };
    let mib = |number: Option<f32>| number.map(|mib| (f64::from(mib) * f64::from(1 << 20)) as u64);
    let gpus = gpus().into_iter().enumerate().map(|(index, gpu)| Room {
        device: Device::Cuda(index as u32),
        free: mib(gpu.memory_total.zip(gpu.memory_used).map(|(total, used)| (total - used).max(0.0))),
        total: mib(gpu.memory_total),
        name: gpu.name,
    });
    let mut rooms: Vec<Room> = std::iter::once(host).chain(gpus).collect();
    if cfg!(target_os = "macos") {
        rooms.push(Room { device: Device::Metal, name: "the Apple GPU".to_owned(), free: None, total: None });
    }
    rooms
}

/// Refuses a device that this program was built without: its workers would find out one by one.
fn built_for(key: &str, devices: &[Device]) -> Result<()> {
    let lacking = |device: &Device| match device {
        Device::Cpu => None,
        Device::Cuda(_) => (!cfg!(feature = "cuda")).then_some("cuda"),
        Device::Metal => (!cfg!(feature = "metal")).then_some("metal"),
    };
    if let Some((device, feature)) = devices.iter().find_map(|device| Some((device, lacking(device)?))) {
        bail!(
            "`{key}` is `{device}`, and this program was built without it: build it with `--features {feature}`, or \
             choose `cpu`"
        );
    }
    Ok(())
}

/// The devices of a role, once per worker, all of which this program can use.
fn seats(key: &str, words: &str, workers: u32) -> Result<Vec<Device>> {
    let devices = work::seats(key, words, workers)?;
    built_for(key, &devices)?;
    Ok(devices)
}

/// The plan of a configuration. Scripted models need nothing worth planning; of a student behind an endpoint only the
/// trainer is here.
///
/// # Errors
/// When a model cannot be had, a device is not there, or something does not fit.
pub(super) fn of(paths: &Paths, config: &Config) -> Result<Plan> {
    let mut charges = Vec::new();
    let student = &config.student;
    let served = student.model.starts_with(ENDPOINT);
    let own = if served { &student.weights } else { &student.model };
    if own != "scripted" {
        let model = source::check(&scene::weights(paths, own)?)?;
        let settings = work::training(&config.trainer)?;
        if !served {
            let rank = match settings.method {
                TrainingMethod::Lora { rank, .. } => Some(rank),
                TrainingMethod::Full => None,
            };
            charges.push(student_charge(student, &model, rank)?);
        }
        charges.push(trainer_charge(&model, settings)?);
    }
    for (role, asked, hired) in [
        (Role::Teacher, config.asks(), &config.teacher),
        (Role::Verifier, config.verifies(), &config.verifier),
    ] {
        let elsewhere =
            ["none", "scripted"].contains(&hired.model.as_str()) || hired.model.starts_with(ENDPOINT);
        if asked && !elsewhere {
            let model = source::check(&scene::teacher_weights(paths, config, role)?)?;
            let key = format!("{}.device", role.as_str());
            charges.push(Charge {
                role: role.as_str(),
                size: model.size(),
                quantised: matches!(model, Source::Gguf(_)),
                devices: seats(&key, &hired.device, hired.workers)?,
                work: Work::Serve(hired.serving()),
                stays: hired.keep_while_training,
                merging: None,
            });
        }
    }
    fitted(&charges, &rooms())
}

/// The plan of a student that is asked outside a run, at most so many questions at once: no more workers are started. One
/// that is scripted or behind an endpoint needs nothing here.
///
/// # Errors
/// As [`of`].
pub(super) fn of_student(config: &Config, checkpoint: &Checkpoint, questions: usize) -> Result<Plan> {
    let student = &config.student;
    if student.model == "scripted" || student.model.starts_with(ENDPOINT) {
        return Ok(Plan::default());
    }
    let (Checkpoint::Full { folder } | Checkpoint::Adapter { base: folder, .. }) = checkpoint;
    let model = source::check(folder)?;
    let rank = match (checkpoint, &model) {
        (Checkpoint::Adapter { adapter, .. }, Source::Folder(base)) => {
            Some(folder::check_adapter(adapter, base)?.rank as u32)
        }
        _ => None,
    };
    let mut charge = student_charge(student, &model, rank)?;
    charge.devices.truncate(questions.max(1));
    fitted(&[charge], &rooms())
}

/// The plan of a training outside a run.
///
/// # Errors
/// As [`of`].
pub(super) fn of_training(start: &Checkpoint, settings: &TrainingSettings) -> Result<Plan> {
    let (Checkpoint::Full { folder } | Checkpoint::Adapter { base: folder, .. }) = start;
    fitted(&[trainer_charge(&source::check(folder)?, settings.clone())?], &rooms())
}

/// The charges in the rooms, and what is merged in the folder for temporary files.
fn fitted(charges: &[Charge], rooms: &[Room]) -> Result<Plan> {
    let (temporary, probe) = (std::env::temp_dir(), SystemProbe::from_environment());
    let placed = plan(charges, rooms)?;
    Ok(Plan { scratch: scratch(charges, &temporary, probe.free_bytes(&temporary).ok())?, ..placed })
}

/// The student's workers with a model; `rank` is that of the adapters that they are given.
fn student_charge(student: &StudentConfig, model: &Source, rank: Option<u32>) -> Result<Charge> {
    let (serving, devices) = (student.serving(), seats("student.device", &student.device, student.workers)?);
    let kind = SystemProbe::from_environment().kind(&std::env::temp_dir());
    let in_memory = matches!(kind, Ok(FileSystem::Memory(_)));
    Ok(Charge {
        role: "student",
        size: model.size(),
        quantised: matches!(model, Source::Gguf(_)),
        merging: rank.filter(|_| merges(serving, &devices)).map(|rank| Merging { rank, in_memory }),
        devices,
        work: Work::Serve(serving),
        stays: student.keep_while_training,
    })
}

fn trainer_charge(model: &Source, settings: TrainingSettings) -> Result<Charge> {
    built_for("trainer.device", &settings.devices)?;
    Ok(Charge {
        role: "trainer",
        size: model.size(),
        quantised: false,
        devices: if settings.devices.is_empty() { vec![Device::Cpu] } else { settings.devices.clone() },
        work: Work::Train(settings),
        stays: true,
        merging: None,
    })
}

/// Whether the student's workers merge adapters themselves, before they load.
fn merges(serving: Serving, devices: &[Device]) -> bool {
    serving.quantisation != Quantisation::None || devices.iter().any(|device| *device != Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::embedded::Embedded;

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    fn a_device_that_the_program_was_built_without_is_refused_with_the_feature() {
        for (device, feature) in [("cuda:1", "--features cuda"), ("cpu,metal", "--features metal")] {
            let said = seats("student.device", device, 0).unwrap_err().to_string();
            assert!(said.contains("student.device") && said.contains(feature), "{said}");
        }
        assert_eq!(seats("student.device", "cpu", 2).unwrap().len(), 2);
    }

    #[test]
    fn adapters_are_merged_for_other_devices_and_for_quantised_students() {
        let packed = Serving { quantisation: Quantisation::Q8_0, ..Serving::default() };
        let (host, card) = ([Device::Cpu; 2], [Device::Cpu, Device::Cuda(0)]);
        assert!(!merges(Serving::default(), &host));
        assert!(merges(Serving::default(), &card) && merges(packed, &host));
    }

    #[test]
    fn models_outside_a_run_are_planned_with_the_words_of_a_run() {
        let place = tempfile::tempdir().unwrap();
        let model = source::check(&Embedded::Student.folder(place.path()).unwrap()).unwrap();
        let tight = Room {
            device: Device::Cpu,
            name: "the host's memory".to_owned(),
            free: Some(64 << 20),
            total: Some(1 << 30),
        };
        let refused =
            |charge: Charge| fitted(&[charge], std::slice::from_ref(&tight)).unwrap_err().to_string();
        // A copy of the model in every worker.
        let student = StudentConfig { workers: 3, ..StudentConfig::default() };
        let said = refused(student_charge(&student, &model, None).unwrap());
        assert!(said.contains("student x 3") && said.contains("Lower `student.workers`"), "{said}");
        let full = TrainingSettings { method: TrainingMethod::Full, ..TrainingSettings::default() };
        let said = refused(trainer_charge(&model, full).unwrap());
        assert!(said.contains("are needed at once and 64 MiB are free: trainer: "), "{said}");
    }
}
