//! Worker processes behind the ports: several as one student, one as the trainer.
//!
//! Owns their start, their share of the work, their end and the words about it. A worker that dies fails
//! the call with what it left in its log; the next call starts another one, after a wait that grows, until too
//! many have died. No call is retried here.

mod launch;
mod log;
mod process;
mod queue;
mod roster;
mod seat;
mod supervision;
mod trainer;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::protocol::worker::Role;

pub use launch::{TRAINER_ALLOCATOR, WorkerCommand};
pub use roster::Roster;
pub use trainer::TrainerProcess;

use super::purse::Purse;
use crate::gym::ports::{
    BatchTest, ChatModel, ChatRequest, Checkpoint, Device, PieceSink, PortError, ReplySink, Serving, Student,
};
use process::Event;
use queue::Queue;
use seat::{Seat, Told};

/// Longest wait for a sign of a worker that was just started.
const START: Duration = Duration::from_mins(1);
/// Longest wait for what an endpoint's client was paid for a call that ended early.
const SETTLE: Duration = Duration::from_secs(5);
/// How often the start of workers is looked after while nothing arrives.
const TICK: Duration = Duration::from_millis(500);

/// What one worker said when it loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatReport {
    /// `student@cpu#0`.
    pub name: String,
    /// Where it computes.
    pub device: Device,
    /// Requests it keeps in flight.
    pub in_flight: u32,
    /// Its batch self-test, where one was made.
    pub batch_test: Option<BatchTest>,
}

/// A student served by several worker processes.
///
/// Workers start with the first answer and load what the last refresh named. Requests are handed out in
/// index order, or those of like length together to workers that take several at a time, in chunks that shrink towards
/// the end; answers arrive in any order.
pub struct WorkerPool {
    command: WorkerCommand,
    roster: Roster,
    seats: Vec<Seat>,
    checkpoint: Option<Checkpoint>,
    /// Number of the last refresh.
    edition: u64,
    /// What endpoints are paid from.
    purse: Purse,
    /// Number of the last call.
    call: u64,
    /// Who hears what is being written.
    listener: Option<PieceSink>,
    sender: Sender<(u64, Event)>,
    events: Receiver<(u64, Event)>,
}

impl WorkerPool {
    /// A pool with one worker per entry of `devices`, each serving the model so and with `threads` threads. Starts
    /// nothing yet.
    pub fn new(
        command: WorkerCommand,
        role: Role,
        devices: &[Device],
        (serving, threads): (Serving, u32),
        roster: Roster,
    ) -> Self {
        let (sender, events) = channel();
        let seats = devices
            .iter()
            .enumerate()
            .map(|(index, device)| Seat::new((role, index), *device, serving, threads))
            .collect();
        let purse = Purse::default();
        Self {
            command,
            roster,
            seats,
            checkpoint: None,
            edition: 0,
            purse,
            call: 0,
            listener: None,
            sender,
            events,
        }
    }

    /// The client of endpoints in a worker of its own, which is paid from `purse`. Starts nothing yet.
    pub fn of_endpoint(
        command: WorkerCommand,
        role: Role,
        endpoint: &str,
        purse: Purse,
        roster: Roster,
    ) -> Self {
        let seats = vec![Seat::of_endpoint(role, endpoint)];
        Self { seats, purse, ..Self::new(command, role, &[], (Serving::default(), 1), roster) }
    }

    /// Starts every worker and loads the checkpoint now instead of with the first answer.
    ///
    /// # Errors
    /// As [`ChatModel::answer`].
    pub fn load(&mut self) -> Result<(), PortError> {
        self.drive(&[], &mut |_, _| std::ops::ControlFlow::Continue(()), self.seats.len())
    }

    /// What the workers said when they loaded; empty before.
    pub fn reports(&self) -> Vec<SeatReport> {
        self.seats.iter().filter_map(Seat::report).collect()
    }

    /// Answers `requests` with the first `workers` seats; with no requests, only loads.
    fn drive(
        &mut self,
        requests: &[ChatRequest],
        sink: &mut ReplySink<'_>,
        workers: usize,
    ) -> Result<(), PortError> {
        self.call += 1;
        self.roster.check()?;
        // Whoever died since the last call is replaced; only the log and the supervision hear of it.
        while let Ok((id, event)) = self.events.try_recv() {
            self.hear(id, event)?;
        }
        for seat in &mut self.seats {
            seat.vacate_if_dead(&self.roster);
        }
        let outcome = self.work(requests, sink, workers);
        if self.roster.is_cancelled() {
            self.release();
        } else {
            self.settle();
        }
        outcome
    }

    /// Takes in what was said for a call that is over: only what it cost matters.
    fn hear(&mut self, id: u64, event: Event) -> Result<(), PortError> {
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.is(id)) else { return Ok(()) };
        if let Told::Paid(served) = seat.told(event, (self.call, self.edition), &self.roster)? {
            self.purse.pay(&served, 0);
        }
        Ok(())
    }

    /// After a call that ended early: whoever still answers is told that nobody waits, and what endpoints were paid
    /// meanwhile is written down.
    fn settle(&mut self) {
        let stopped = self.seats.iter_mut().map(Seat::stop).filter(|answering| *answering).count();
        if stopped == 0 {
            return;
        }
        self.call += 1;
        let until = Instant::now() + SETTLE;
        while self.seats.iter().any(Seat::owes) {
            let Ok((id, event)) = self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
            else {
                tracing::warn!("an endpoint's client did not say in time what was paid last");
                return;
            };
            if let Err(error) = self.hear(id, event) {
                tracing::warn!(%error, "a worker ended after its call");
            }
        }
    }

    fn work(
        &mut self,
        requests: &[ChatRequest],
        sink: &mut ReplySink<'_>,
        workers: usize,
    ) -> Result<(), PortError> {
        let checkpoint = self
            .checkpoint
            .clone()
            .ok_or_else(|| PortError::fatal("the student was asked before it was given a checkpoint"))?;
        let mut queue = Queue::new(requests);
        let mut left = requests.len();
        loop {
            for seat in &mut self.seats[..workers] {
                seat.advance(&self.command, &self.roster, &self.sender, (&checkpoint, self.edition))?;
                if queue.left() > 0 && seat.is_idle(self.edition) {
                    let share = queue.take(seat.chunk(queue.left(), workers), seat.takes_several());
                    seat.ask(share, self.purse.left(), self.call)?;
                }
            }
            let at_work = self.seats[..workers].iter().any(|seat| !seat.is_idle(self.edition));
            if left == 0 && !at_work {
                return Ok(());
            }
            let (id, event) = match self.events.recv_timeout(TICK) {
                Ok(news) => news,
                Err(RecvTimeoutError::Timeout) => {
                    self.seats.iter_mut().try_for_each(|seat| seat.look_after(START))?;
                    continue;
                }
                // The pool holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PortError::transient("the workers' channel closed"));
                }
            };
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.is(id)) else { continue };
            match seat.told(event, (self.call, self.edition), &self.roster)? {
                Told::Nothing => {}
                Told::Wrote(index, text) => {
                    if let Some(listener) = &mut self.listener {
                        listener(index, &text);
                    }
                }
                Told::Paid(served) => self.purse.pay(&served, 0),
                Told::Answered(index, reply) => {
                    left -= 1;
                    if let Some(served) = &reply.served {
                        self.purse.pay(served, 1);
                    }
                    if sink(index, reply).is_break() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl ChatModel for WorkerPool {
    /// Fails with a transient error when a worker dies, and with a cancelled one after
    /// [`Roster::cancel`]. What workers still have at hand when it ends early ends at its next token.
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        if requests.is_empty() {
            return Ok(());
        }
        let workers = self.seats.len().min(requests.len());
        if workers == 0 {
            return Err(PortError::fatal("the student has no worker: give it a device in the configuration"));
        }
        self.drive(requests, sink, workers)
    }
}

impl Student for WorkerPool {
    /// Only takes note: each worker loads the checkpoint before its next answer.
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        self.checkpoint = Some(checkpoint.clone());
        self.edition += 1;
        Ok(())
    }

    fn listen(&mut self, pieces: PieceSink) {
        self.listener = Some(pieces);
    }

    /// Ends every worker.
    fn release(&mut self) {
        for seat in &mut self.seats {
            seat.vacate();
        }
    }
}
