//! The plan of devices and memory of a configuration: made, shown, refused.

use color_eyre::eyre::{Result, bail};

use super::{scene, work};
use crate::config::{Config, ENDPOINT, Paths};
use crate::gym::ports::{Device, Quantisation, Serving, TrainingMethod, TrainingSettings};
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
    let (temporary, probe) = (std::env::temp_dir(), SystemProbe::from_environment());
    let student = &config.student;
    let served = student.model.starts_with(ENDPOINT);
    let own = if served { &student.weights } else { &student.model };
    if own != "scripted" {
        let model = source::check(&scene::weights(paths, own)?)?;
        let settings = work::training(&config.trainer)?;
        if !served {
            let (serving, devices) =
                (student.serving(), seats("student.device", &student.device, student.workers)?);
            let in_memory = matches!(probe.kind(&temporary), Ok(FileSystem::Memory(_)));
            charges.push(Charge {
                role: "student",
                size: model.size(),
                quantised: matches!(model, Source::Gguf(_)),
                merging: merging(&settings, serving, &devices).map(|rank| Merging { rank, in_memory }),
                devices,
                work: Work::Serve(serving),
                stays: student.keep_while_training,
            });
        }
        built_for("trainer.device", &settings.devices)?;
        charges.push(Charge {
            role: "trainer",
            size: model.size(),
            quantised: false,
            devices: if settings.devices.is_empty() { vec![Device::Cpu] } else { settings.devices.clone() },
            work: Work::Train(settings),
            stays: true,
            merging: None,
        });
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
    let placed = plan(&charges, &rooms())?;
    Ok(Plan { scratch: scratch(&charges, &temporary, probe.free_bytes(&temporary).ok())?, ..placed })
}

/// The rank of the adapters that the student's workers merge themselves; nothing where they need not.
fn merging(settings: &TrainingSettings, serving: Serving, devices: &[Device]) -> Option<u32> {
    let plain =
        serving.quantisation == Quantisation::None && devices.iter().all(|device| *device == Device::Cpu);
    match settings.method {
        TrainingMethod::Lora { rank, .. } if !plain => Some(rank),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let lora =
            TrainingSettings { method: TrainingMethod::Lora { rank: 8, alpha: 8.0 }, ..Default::default() };
        let full = TrainingSettings { method: TrainingMethod::Full, ..Default::default() };
        let packed = Serving { quantisation: Quantisation::Q8_0, ..Serving::default() };
        let (host, card) = ([Device::Cpu; 2], [Device::Cpu, Device::Cuda(0)]);
        assert_eq!(merging(&lora, Serving::default(), &host), None);
        assert_eq!(merging(&lora, Serving::default(), &card), Some(8));
        assert_eq!(merging(&lora, packed, &host), Some(8));
        assert_eq!(merging(&full, packed, &card), None);
    }
}
