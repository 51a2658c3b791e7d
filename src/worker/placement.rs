//! Which role computes where, and whether it fits: a plan of memory, made before anything starts.
//!
//! Pure: what devices there are and how large the models are is handed in. The parts are estimates from the shapes;
//! where the libraries' own buffers are not known exactly they are rounded up.

mod memory;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::gym::ports::{Device, Serving, TrainingSettings};
use crate::models::folder::ModelSize;
pub use memory::{Part, merged_bytes, merging_memory, serving_parts, training_host_parts, training_parts};

/// The memory of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which device.
    pub device: Device,
    /// What it is: a product name, or the host.
    pub name: String,
    /// Bytes that are free now; nothing where the driver does not say.
    pub free: Option<u64>,
    /// Bytes in all.
    pub total: Option<u64>,
}

/// What one role does on its devices.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Answers, in one process per entry of the devices.
    Serve(Serving),
    /// Trains.
    Train(TrainingSettings),
}

/// One role with its model and its devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// Section of the configuration: `student`, `teacher`, `trainer`.
    pub role: &'static str,
    /// The model.
    pub size: ModelSize,
    /// Bytes per number of the stored weights, rounded up.
    pub quantised: bool,
    /// Once per process.
    pub devices: Vec<Device>,
    /// What it does.
    pub work: Work,
    /// Whether it stays in memory while the trainer works.
    pub stays: bool,
    /// How its adapters are merged by its workers, where they are.
    pub merging: Option<Merging>,
}

/// Workers merge the adapters of a student that cannot put them on while loading: into a folder for temporary files, one
/// for each worker, that goes when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merging {
    /// Rank of the adapters.
    pub rank: u32,
    /// Whether the folder for temporary files lies in memory.
    pub in_memory: bool,
}

/// The folder for temporary files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Where it is.
    pub folder: PathBuf,
    /// Bytes that are free; nothing where the system does not say.
    pub free: Option<u64>,
    /// Bytes that merged models take there at once.
    pub needed: u64,
}

/// What one role needs on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The role.
    pub role: &'static str,
    /// Processes of it there.
    pub processes: u64,
    /// Bytes per part, of all its processes there.
    pub parts: Vec<(Part, u64)>,
    /// Whether it is there while models answer.
    answers: bool,
    /// Whether it is there while the trainer works.
    trains: bool,
}

impl Share {
    fn put(&mut self, (part, bytes): (Part, u64)) {
        match self.parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, sum)) => *sum += bytes,
            None => self.parts.push((part, bytes)),
        }
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// One device with what is put on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The device.
    pub room: Room,
    /// The roles on it.
    pub shares: Vec<Share>,
}

impl Placed {
    /// Most bytes at one time: while models answer, or while the trainer works.
    pub fn peak(&self) -> u64 {
        self.moment().0
    }

    /// The peak, and who is there then.
    fn moment(&self) -> (u64, Vec<&Share>) {
        let at = |there: fn(&Share) -> bool| {
            let shares: Vec<&Share> = self.shares.iter().filter(|share| there(share)).collect();
            (shares.iter().map(|share| share.bytes()).sum::<u64>(), shares)
        };
        let (answering, training) = (at(|share| share.answers), at(|share| share.trains));
        if training.0 > answering.0 { training } else { answering }
    }
}

/// Where everything goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Devices in use, in the order of their first role.
    pub devices: Vec<Placed>,
    /// The folder for temporary files, where models are merged.
    pub scratch: Option<Scratch>,
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// A device is not there.
    #[error("`{role}.device` is `{device}`, and this machine shows {there}. Choose another device{visible}")]
    NoDevice {
        /// The role.
        role: &'static str,
        /// The device.
        device: Device,
        /// What there is.
        there: String,
        /// A hint at the variable that hides devices.
        visible: &'static str,
    },
    /// It does not fit.
    #[error(transparent)]
    TooLarge(Box<TooLarge>),
    /// Merged models do not fit into the folder for temporary files.
    #[error(
        "{}: the student's workers merge adapters there before they load them, which needs {needed} at once, and {free} \
         are free. Set TMPDIR to a folder with more room, or lower `student.workers`, or set `trainer.method = \"full\"`",
        folder.display()
    )]
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// Bytes needed, in words.
        needed: String,
        /// Bytes free, in words.
        free: String,
    },
}

/// More is put on a device than it has room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{device} ({name}): {needed} are needed at once and {free} are free: {parts}. {remedy}")]
pub struct TooLarge {
    /// The device.
    pub device: Device,
    /// What it is.
    pub name: String,
    /// Bytes needed, in words.
    pub needed: String,
    /// Bytes free, in words.
    pub free: String,
    /// What needs them.
    pub parts: String,
    /// What to do.
    pub remedy: String,
}

/// Places the charges into the rooms; `rooms` holds every device there is. What merges adapters, or trains on another
/// device, takes of the host's memory as well.
///
/// # Errors
/// [`PlacementError::NoDevice`] for a device that is not there, otherwise [`PlacementError::TooLarge`] for the first one
/// that does not hold what is put on it. A device whose free memory is not known holds everything.
pub fn plan(charges: &[Charge], rooms: &[Room]) -> Result<Plan, PlacementError> {
    let mut plan = Plan::default();
    let host = rooms.iter().find(|room| room.device == Device::Cpu);
    for charge in charges {
        for device in &charge.devices {
            let Some(room) = rooms.iter().find(|room| room.device == *device) else {
                return Err(missing(charge.role, *device, rooms));
            };
            plan.on(room).add(charge, charge.parts(*device));
            if let (Some(merging), Some(host)) = (charge.merging, host) {
                let folder = if merging.in_memory { merged_bytes(&charge.size, *device) } else { 0 };
                let bytes = merging_memory(&charge.size, merging.rank) + folder;
                plan.on(host).merge(charge, bytes, *device == Device::Cpu);
            }
        }
        if let (Work::Train(settings), Some(host)) = (&charge.work, host)
            && !charge.devices.contains(&Device::Cpu)
        {
            plan.on(host).add(charge, training_host_parts(&charge.size, settings, charge.devices.len()));
        }
    }
    for placed in &plan.devices {
        let (peak, shares) = placed.moment();
        if let Some(free) = placed.room.free.filter(|free| peak > *free) {
            return Err(PlacementError::TooLarge(Box::new(TooLarge {
                device: placed.room.device,
                name: placed.room.name.clone(),
                needed: words(peak),
                free: words(free),
                parts: shares.iter().map(|share| share.words()).collect::<Vec<_>>().join("; "),
                remedy: remedy(&shares, charges),
            })));
        }
    }
    Ok(plan)
}

/// What merged models take of the folder for temporary files, where there are any.
///
/// # Errors
/// [`PlacementError::Scratch`] when they do not fit. A folder whose room is not known holds everything.
pub fn scratch(
    charges: &[Charge],
    folder: &Path,
    free: Option<u64>,
) -> Result<Option<Scratch>, PlacementError> {
    let merged = charges.iter().filter(|charge| charge.merging.is_some());
    let bytes =
        merged.flat_map(|charge| charge.devices.iter().map(|device| merged_bytes(&charge.size, *device)));
    let needed: u64 = bytes.sum();
    if needed == 0 {
        return Ok(None);
    }
    let folder = folder.to_owned();
    match free.filter(|free| needed > *free) {
        Some(free) => Err(PlacementError::Scratch { folder, needed: words(needed), free: words(free) }),
        None => Ok(Some(Scratch { folder, free, needed })),
    }
}

impl Charge {
    fn parts(&self, device: Device) -> Vec<(Part, u64)> {
        match &self.work {
            Work::Serve(serving) => serving_parts(&self.size, self.quantised, *serving, device),
            Work::Train(settings) => training_parts(&self.size, settings, device),
        }
    }
}

impl Plan {
    /// What is placed on a device.
    fn on(&mut self, room: &Room) -> &mut Placed {
        let known = self.devices.iter().position(|placed| placed.room.device == room.device);
        let place = known.unwrap_or_else(|| {
            self.devices.push(Placed { room: room.clone(), shares: Vec::new() });
            self.devices.len() - 1
        });
        &mut self.devices[place]
    }
}

impl Placed {
    /// One process more.
    fn add(&mut self, charge: &Charge, parts: Vec<(Part, u64)>) {
        let share = self.share(charge);
        share.processes += 1;
        share.answers = matches!(charge.work, Work::Serve(_));
        share.trains = charge.stays || matches!(charge.work, Work::Train(_));
        for part in parts {
            share.put(part);
        }
    }

    /// What a process merges here, which may be at work on another device. It does so before it answers.
    fn merge(&mut self, charge: &Charge, bytes: u64, works_here: bool) {
        let share = self.share(charge);
        share.processes += u64::from(!works_here);
        share.answers = true;
        share.put((Part::Merging, bytes));
    }

    fn share(&mut self, charge: &Charge) -> &mut Share {
        let known = self.shares.iter().position(|share| share.role == charge.role);
        let place = known.unwrap_or_else(|| {
            let (role, parts) = (charge.role, Vec::new());
            self.shares.push(Share { role, processes: 0, parts, answers: false, trains: false });
            self.shares.len() - 1
        });
        &mut self.shares[place]
    }
}

impl Share {
    fn words(&self) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(part, n)| format!("{} {}", part.word(), words(*n)))
            .collect();
        let times = if self.processes > 1 { format!(" x {}", self.processes) } else { String::new() };
        format!("{}{times}: {}", self.role, parts.join(", "))
    }
}

fn missing(role: &'static str, device: Device, rooms: &[Room]) -> PlacementError {
    let gpus: Vec<String> = rooms.iter().map(|room| format!("{} ({})", room.device, room.name)).collect();
    let hidden = matches!(device, Device::Cuda(_));
    let visible =
        if hidden { "; CUDA_VISIBLE_DEVICES decides which GPUs are shown, and in which order" } else { "" };
    PlacementError::NoDevice { role, device, there: gpus.join(", "), visible }
}

/// What would help most: by the largest part of what is there at the peak.
fn remedy(shares: &[&Share], charges: &[Charge]) -> String {
    let all = shares.iter().flat_map(|share| share.parts.iter().map(move |(part, n)| (*n, *part, share)));
    let Some((_, part, share)) = all.max_by_key(|(n, _, _)| *n) else { return String::new() };
    let role = share.role;
    let charge = charges.iter().find(|charge| charge.role == role);
    let mut advice = match part {
        Part::Cache => vec![format!("lower `{role}.context` or `{role}.in_flight`")],
        Part::Weights if role != "trainer" => {
            vec![format!("set `{role}.quantisation = \"q8_0\"` or a smaller one")]
        }
        Part::Optimiser => vec!["set `trainer.method = \"lora\"`".to_owned()],
        Part::Merging => vec![
            "set `trainer.method = \"full\"`, which leaves nothing to merge".to_owned(),
            "set TMPDIR to a folder on a disk, where it lies in memory".to_owned(),
        ],
        Part::Activations if role == "trainer" => {
            vec![
                "set `trainer.checkpointing = true`".to_owned(),
                "lower `trainer.micro_tokens` or `trainer.max_length`".to_owned(),
            ]
        }
        Part::Weights | Part::Activations | Part::Process => Vec::new(),
    };
    if share.processes > 1 {
        advice.insert(0, format!("lower `{role}.workers`"));
    }
    if shares.iter().any(|other| other.trains && other.role != "trainer")
        && shares.iter().any(|other| other.role == "trainer")
    {
        advice.insert(0, "set `keep_while_training = false` for student and teacher".to_owned());
    }
    if charge.is_some_and(|charge| charge.devices != [Device::Cpu]) {
        advice.push(format!("choose another `{role}.device`"));
    }
    advice.push("choose a smaller model".to_owned());
    let mut text = advice.join(", or ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// One line per device: what is put on it and what is left; one for the folder where models are merged.
pub fn lines(plan: &Plan) -> Vec<String> {
    let line = |placed: &Placed| {
        let mut line =
            format!("{} ({}): {} at most", placed.room.device, placed.room.name, words(placed.peak()));
        // Writing to a text cannot fail.
        let _ = match placed.room.free {
            Some(free) => write!(line, " of {} free", words(free)),
            None => write!(line, ", free memory unknown"),
        };
        let shares: Vec<String> = placed.shares.iter().map(Share::words).collect();
        format!("{line}; {}", shares.join("; "))
    };
    let scratch = plan.scratch.iter().map(|Scratch { folder, free, needed }| {
        let free = free.map_or("an unknown number of bytes".to_owned(), words);
        format!(
            "{}: {} at most of {free} free; merged models of the student",
            folder.display(),
            words(*needed)
        )
    });
    plan.devices.iter().map(line).chain(scratch).collect()
}

/// Bytes as a person reads them.
fn words(count: u64) -> String {
    let mib = count as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{:.0} MiB", mib.ceil()) } else { format!("{:.1} GiB", mib / 1024.0) }
}
