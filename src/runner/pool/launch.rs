//! The command line and the environment of a worker process.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, getpriority_process, setpriority_process};

use crate::gym::ports::Device;
use crate::protocol::worker::Role;

/// What a training process is told of its allocator: that freed memory is kept for ten seconds. Products ask for
/// buffers of megabytes and free them again; given back at once, they cost a twentieth of the time in fresh pages.
pub const TRAINER_ALLOCATOR: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10000");

/// How worker processes are started: `PROGRAM worker ROLE ARGUMENTS...`.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program: as a rule the current executable.
    pub program: PathBuf,
    /// What follows the role on the command line.
    pub arguments: Vec<OsString>,
    /// Folder of the workers' logs, one file per worker; created when missing.
    pub log_folder: PathBuf,
    /// Folder that libraries take for their download cache. Nothing is downloaded; they create it.
    pub cache_folder: PathBuf,
    /// Identities of the GPUs that this process may use, in the order of their indices here; empty where they are
    /// not known.
    pub gpus: Arc<Vec<String>>,
    /// Niceness of the workers, from -20 to 19; `None` leaves it alone.
    pub nice: Option<i32>,
    /// Environment variables that the worker is not to see: the keys of endpoints that it does not ask.
    pub without: Vec<String>,
}

impl WorkerCommand {
    /// Identity of the GPU behind a device, where it is known: indices count what this process may use.
    pub(super) fn gpu(&self, device: Device) -> Option<String> {
        match device {
            Device::Cuda(index) => self.gpus.get(index as usize).cloned(),
            Device::Cpu | Device::Metal => None,
        }
    }

    /// Starts a worker with one end of `stream` as its standard input and everything it prints in `log`.
    pub(super) fn spawn(
        &self,
        role: Role,
        devices: &[Device],
        threads: u32,
        stream: UnixStream,
        log: &File,
    ) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .arg("worker")
            .arg(role.as_str())
            .args(&self.arguments)
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            // A key pressed in the runner's terminal is the runner's business.
            .process_group(0)
            .env("RAYON_NUM_THREADS", threads.max(1).to_string())
            // Freed weights go back to the system instead of into the allocator's arenas.
            .env("MALLOC_ARENA_MAX", "2")
            .env("MALLOC_MMAP_THRESHOLD_", "131072")
            .env("TOKENIZERS_PARALLELISM", "false")
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HUB_CACHE", &self.cache_folder);
        for name in &self.without {
            command.env_remove(name);
        }
        if role == Role::Trainer {
            command.env(TRAINER_ALLOCATOR.0, TRAINER_ALLOCATOR.1);
        }
        let host = devices.iter().all(|device| *device == Device::Cpu);
        if role != Role::Trainer && host && threads <= 1 {
            command.arg("--one-core");
        }
        let shown = env::var_os("CUDA_VISIBLE_DEVICES");
        command.env("CUDA_VISIBLE_DEVICES", self.visible(devices, shown.as_deref()));
        let child = command.spawn()?;
        if let Some(nice) = self.nice {
            // A runner that was made nicer still has nicer workers too.
            let nice = nice.max(getpriority_process(None).unwrap_or(nice));
            // Before the child has threads of its own; a refused niceness is no reason to stop.
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let Err(error) = setpriority_process(pid, nice) {
                tracing::warn!(%error, nice, "the niceness of a worker could not be set");
            }
        }
        Ok(child)
    }

    /// The GPUs that a worker on these devices is to see, given what this process sees: its own, in their order.
    fn visible(&self, devices: &[Device], shown: Option<&OsStr>) -> String {
        let entry = |device: &Device| match device {
            Device::Cuda(index) => Some(self.gpu(*device).unwrap_or_else(|| visible_device(shown, *index))),
            Device::Cpu | Device::Metal => None,
        };
        devices.iter().filter_map(entry).collect::<Vec<_>>().join(",")
    }
}

/// The device a worker is to see, given what this process sees, where no identity is known.
fn visible_device(visible: Option<&OsStr>, index: u32) -> String {
    visible
        .and_then(OsStr::to_str)
        .and_then(|list| list.split(',').nth(index as usize))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map_or_else(|| index.to_string(), str::to_owned)
}

/// The devices as the worker sees them: its own are the only CUDA devices there.
pub(super) fn inside(devices: &[Device]) -> Vec<Device> {
    let mut own = 0..;
    let seen = |device: &Device| match device {
        Device::Cuda(_) => Device::Cuda(own.next().unwrap_or_default()),
        other => *other,
    };
    devices.iter().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_sees_its_own_device_of_those_visible_here() {
        assert_eq!(visible_device(None, 3), "3");
        assert_eq!(visible_device(Some(OsStr::new("4, 7")), 1), "7");
        assert_eq!(visible_device(Some(OsStr::new("GPU-abc")), 0), "GPU-abc");
        assert_eq!(visible_device(Some(OsStr::new("")), 0), "0");
        assert_eq!(inside(&[Device::Cuda(5), Device::Cuda(2)]), [Device::Cuda(0), Device::Cuda(1)]);
        assert_eq!(inside(&[Device::Cpu]), [Device::Cpu]);
    }

    #[test]
    fn a_trainer_on_several_gpus_sees_those_in_their_order() {
        let command = WorkerCommand {
            program: PathBuf::new(),
            arguments: vec![],
            log_folder: PathBuf::new(),
            cache_folder: PathBuf::new(),
            gpus: Arc::new(vec!["GPU-a".into(), "GPU-b".into()]),
            nice: None,
            without: vec![],
        };
        let both = [Device::Cuda(1), Device::Cuda(0)];
        assert_eq!(command.visible(&both, None), "GPU-b,GPU-a");
        assert_eq!(command.visible(&[Device::Cuda(2)], Some(OsStr::new("4,5,7"))), "7");
        assert_eq!(command.visible(&[Device::Cpu], Some(OsStr::new("4"))), "");
    }
}
