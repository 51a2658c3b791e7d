//! The trainer as a process of its own, started for each training and ended after it.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::START;
use super::launch::{WorkerCommand, inside};
use super::process::{Event, WorkerProcess};
use super::roster::Roster;
use crate::gym::ports::{
    Device, PortError, Trainer, TrainingOrder, TrainingOutcome, TrainingProgress, TrainingSink,
};
use crate::protocol::worker::{Reply, Request, Role};

/// A trainer in a worker process. Its memory comes back after every training.
pub struct TrainerProcess {
    command: WorkerCommand,
    threads: u32,
    roster: Roster,
}

impl TrainerProcess {
    /// A trainer with `threads` threads, on the devices that an order names. Starts nothing yet.
    pub fn new(command: WorkerCommand, threads: u32, roster: Roster) -> Self {
        Self { command, threads, roster }
    }
}

/// What a step takes on average, by the trainer's own reckoning; nothing after the last one.
fn step_time(progress: &TrainingProgress) -> Option<Duration> {
    let left = progress.steps.checked_sub(progress.step).filter(|left| *left > 0)?;
    Duration::try_from_secs_f64(progress.seconds_left / f64::from(left)).ok()
}

impl Trainer for TrainerProcess {
    /// A sink that breaks ends the training after its micro-batch, and the process once the state is saved; the call
    /// then fails as cancelled, and the output folder is not there. Fails with a transient error when the process dies.
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let devices: &[Device] = match order.settings.devices.as_slice() {
            [] => &[Device::Cpu],
            devices => devices,
        };
        let words: Vec<String> = devices.iter().map(Device::to_string).collect();
        let name = format!("{}@{}", Role::Trainer.as_str(), words.join(","));
        let placement = (Role::Trainer, devices, self.threads);
        let (sender, events) = channel();
        let mut process = WorkerProcess::start(&self.command, placement, &name, &self.roster, &sender)?;
        drop(sender);
        let mut up = false;
        let mut ending: Option<Instant> = None;
        loop {
            let news = match ending {
                Some(since) => {
                    let patience = self.roster.patience(process.id());
                    events.recv_timeout(patience.saturating_sub(since.elapsed()))
                }
                None if up => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                None => events.recv_timeout(START),
            };
            if ending.is_some() && !matches!(news, Ok((_, Event::Reply(Reply::Progress { .. })))) {
                return Err(PortError::cancelled());
            }
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
                    self.roster.check()?;
                    up = true;
                    let mut order = order.clone();
                    order.settings.devices = inside(&order.settings.devices);
                    process.ask(&Request::Train { order }, "training")?;
                }
                Reply::Progress { progress } => {
                    if let Some(step) = step_time(&progress) {
                        self.roster.paced(process.id(), step);
                    }
                    if ending.is_none() && sink(progress).is_break() {
                        process.stop();
                        ending = Some(Instant::now());
                    }
                }
                Reply::Trained { outcome } => return Ok(outcome),
                Reply::Failed { error } => {
                    self.roster.check()?;
                    let message = format!("{}: {}", process.name(), error.message);
                    return Err(PortError { message, ..error });
                }
                Reply::Loaded { .. }
                | Reply::Piece { .. }
                | Reply::Answered { .. }
                | Reply::Paid { .. }
                | Reply::Done => {
                    return Err(process.obituary(Some("it spoke out of turn")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_step_follows_from_the_time_left() {
        let progress = |step, seconds_left| TrainingProgress {
            step,
            steps: 12,
            loss: 1.0,
            learning_rate: 1e-4,
            tokens_per_second: 100.0,
            seconds_left,
            held_out_loss: None,
        };
        assert_eq!(step_time(&progress(2, 150.0)), Some(Duration::from_secs(15)));
        assert_eq!(step_time(&progress(12, 0.0)), None);
        assert_eq!(step_time(&progress(2, f64::NAN)), None, "what a worker says is not believed");
    }
}
