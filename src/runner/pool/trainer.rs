//! The trainer as a process of its own, started for each training and ended after it.

use std::sync::mpsc::{RecvTimeoutError, channel};

use super::START;
use super::launch::WorkerCommand;
use super::process::{Event, WorkerProcess};
use super::roster::Roster;
use crate::gym::ports::{Device, PortError, Trainer, TrainingOrder, TrainingOutcome, TrainingSink};
use crate::protocol::worker::{Reply, Request, Role};

/// A trainer in a worker process. Its memory comes back after every training.
pub struct TrainerProcess {
    command: WorkerCommand,
    device: Device,
    threads: u32,
    roster: Roster,
}

impl TrainerProcess {
    /// A trainer on a device with `threads` threads. Starts nothing yet.
    pub fn new(command: WorkerCommand, device: Device, threads: u32, roster: Roster) -> Self {
        Self { command, device, threads, roster }
    }
}

impl Trainer for TrainerProcess {
    /// A sink that breaks ends the process at once; the call then fails as cancelled, and the output
    /// folder is not there. Fails with a transient error when the process dies.
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let name = format!("{}@{}", Role::Trainer.as_str(), self.device);
        let placement = (Role::Trainer, self.device, self.threads);
        let (sender, events) = channel();
        let mut process = WorkerProcess::start(&self.command, placement, &name, &self.roster, &sender)?;
        drop(sender);
        let mut up = false;
        loop {
            let news = if up {
                events.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                events.recv_timeout(START)
            };
            let reply = match news {
                Ok((_, Event::Reply(reply))) => reply,
                Ok((_, Event::Gone(why))) => return Err(process.obituary(why.as_deref())),
                Err(RecvTimeoutError::Disconnected) => return Err(process.obituary(None)),
                Err(RecvTimeoutError::Timeout) => {
                    let why = format!("no sign of it for {} s", START.as_secs());
                    return Err(process.obituary(Some(&why)));
                }
            };
            match reply {
                Reply::Ready { version, .. } => {
                    process.check_version(&version)?;
                    up = true;
                    process.ask(&Request::Train { order: order.clone() }, "training")?;
                }
                Reply::Progress { progress } => {
                    if sink(progress).is_break() {
                        return Err(PortError::cancelled());
                    }
                }
                Reply::Trained { outcome } => return Ok(outcome),
                Reply::Failed { error } => {
                    self.roster.check()?;
                    let message = format!("{}: {}", process.name(), error.message);
                    return Err(PortError { message, ..error });
                }
                Reply::Loaded { .. } | Reply::Answered { .. } | Reply::Paid { .. } | Reply::Done => {
                    return Err(process.obituary(Some("it spoke out of turn")));
                }
            }
        }
    }
}
