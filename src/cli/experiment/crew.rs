//! The processes of an experiment: as many at a time as there are places.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use super::grid::{Cell, Grid};
use crate::runner::residence::is_held;

/// Time between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);

/// Which GPUs a process sees.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// What became of the processes.
pub(super) enum Ended {
    /// One ended.
    Run {
        /// Name of its run.
        name: String,
        /// Whether the run is finished.
        success: bool,
    },
    /// None is left.
    Nothing,
}

/// A process, and the place it has.
struct Place {
    name: String,
    number: usize,
    work: Work,
}

enum Work {
    /// A process of ours.
    Own(Child),
    /// A process that an earlier experiment left behind; it goes on by itself.
    Found,
}

/// The processes.
pub(super) struct Crew<'d> {
    jobs: usize,
    devices: &'d [String],
    places: Vec<Place>,
    stop: Arc<AtomicBool>,
    told: bool,
}

impl<'d> Crew<'d> {
    /// Room for `jobs` processes.
    pub(super) fn new(jobs: usize, devices: &'d [String]) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGUSR1] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self { jobs, devices, places: Vec::new(), stop, told: false })
    }

    /// Whether one more can start.
    pub(super) fn has_room(&self) -> bool {
        self.places.len() < self.jobs
    }

    /// Whether a signal asked for the end.
    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Starts a run in the first free place, or goes along with the process that has it.
    pub(super) fn start(&mut self, grid: &Grid, cell: &Cell) -> Result<()> {
        let taken = |number: &usize| self.places.iter().any(|place| place.number == *number);
        let number = (0..self.jobs).find(|number| !taken(number)).unwrap_or(0);
        let name = cell.name.clone();
        if is_held(&grid.runs().join(&name)) {
            self.places.push(Place { name, number, work: Work::Found });
            return Ok(());
        }
        let output = grid.output(&name);
        let file = File::create(&output).wrap_err_with(|| format!("cannot write {}", output.display()))?;
        let program = std::env::current_exe().wrap_err("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.arg("--runs-dir").arg(grid.runs()).args(["run", "--headless", "--name"]).arg(&name);
        if let Some(device) = self.devices.get(number % self.devices.len().max(1)) {
            command.env(VISIBLE, device);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().wrap_err("cannot start a process for a run")?;
        self.places.push(Place { name, number, work: Work::Own(child) });
        Ok(())
    }

    /// Waits for the next end. After a signal the processes are asked to pause, once.
    pub(super) fn next(&mut self, grid: &Grid) -> Result<Ended> {
        loop {
            if self.stopping() && !self.told {
                self.told = true;
                self.tell_all();
            }
            if self.places.is_empty() {
                return Ok(Ended::Nothing);
            }
            for n in 0..self.places.len() {
                let Place { name, work, .. } = &mut self.places[n];
                let success = match work {
                    Work::Own(child) => child.try_wait()?.map(|status| status.success()),
                    Work::Found if is_held(&grid.runs().join(&*name)) => None,
                    Work::Found => Some(grid.is_finished(name)),
                };
                if let Some(success) = success {
                    let name = self.places.swap_remove(n).name;
                    return Ok(Ended::Run { name, success });
                }
            }
            std::thread::sleep(LOOK);
        }
    }

    fn tell_all(&self) {
        for place in &self.places {
            let pid = match &place.work {
                Work::Own(child) => i32::try_from(child.id()).ok().and_then(Pid::from_raw),
                Work::Found => None,
            };
            if let Some(pid) = pid {
                // One that has ended already is not told.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}
