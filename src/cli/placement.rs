//! The plan of devices and memory of a configuration: made, shown, refused.

use color_eyre::eyre::Result;

use super::{scene, work};
use crate::config::{Config, ENDPOINT, Paths};
use crate::gym::ports::Device;
use crate::models::source::{self, Source};
use crate::probes;
use crate::worker::placement::{Charge, Plan, Room, Work, plan};

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

/// The plan of a configuration. Scripted models need nothing worth planning; of a student behind an endpoint only the
/// trainer is here.
///
/// # Errors
/// When a model cannot be had, a device is not there, or something does not fit.
pub(super) fn of(paths: &Paths, config: &Config) -> Result<Plan> {
    let mut charges = Vec::new();
    let (student, teacher) = (&config.student, &config.teacher);
    let served = student.model.starts_with(ENDPOINT);
    let own = if served { &student.weights } else { &student.model };
    if own != "scripted" {
        let model = source::check(&scene::weights(paths, own)?)?;
        if !served {
            charges.push(Charge {
                role: "student",
                size: model.size(),
                quantised: matches!(model, Source::Gguf(_)),
                devices: work::seats("student.device", &student.device, student.workers)?,
                work: Work::Serve(student.serving()),
                stays: student.keep_while_training,
            });
        }
        charges.push(Charge {
            role: "trainer",
            size: model.size(),
            quantised: false,
            devices: vec![Device::Cpu],
            work: Work::Train(config.trainer.settings()),
            stays: true,
        });
    }
    let elsewhere =
        ["none", "scripted"].contains(&teacher.model.as_str()) || teacher.model.starts_with(ENDPOINT);
    if config.asks() && !elsewhere {
        let model = source::check(&scene::teacher_weights(paths, config)?)?;
        charges.push(Charge {
            role: "teacher",
            size: model.size(),
            quantised: matches!(model, Source::Gguf(_)),
            devices: work::seats("teacher.device", &teacher.device, teacher.workers)?,
            work: Work::Serve(teacher.serving()),
            stays: teacher.keep_while_training,
        });
    }
    Ok(plan(&charges, &rooms())?)
}
