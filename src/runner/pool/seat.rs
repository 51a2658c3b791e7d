//! One place of the pool: the worker in it, what it has loaded and what it is asked.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::SeatReport;
use super::launch::{WorkerCommand, inside};
use super::process::{Event, WorkerProcess};
use super::roster::Roster;
use crate::gym::ports::{
    Allowance, BatchTest, ChatReply, ChatRequest, Checkpoint, Device, PortError, Served, Serving,
};
use crate::protocol::worker::{Reply, Request, Role};

/// Most requests per worker and request in flight that are handed over at once.
const CHUNK: usize = 8;

/// What a worker is doing.
#[derive(Debug)]
enum State {
    /// Nobody is there.
    Vacant,
    /// Started then, not heard of yet.
    Starting(Instant),
    /// Up, without a model or done with its work.
    Idle,
    /// Loading that edition of the checkpoint.
    Loading(u64),
    /// Answering for that call; what is still to come.
    Answering(u64, Vec<usize>),
}

/// News for the pool.
pub(super) enum Told {
    /// Nothing it has to act on.
    Nothing,
    /// What is written so far of an answer of the present call.
    Wrote(usize, String),
    /// An answer of the present call.
    Answered(usize, ChatReply),
    /// Something was paid for that nobody waits for.
    Paid(Served),
}

pub(super) struct Seat {
    name: String,
    role: Role,
    device: Device,
    serving: Serving,
    threads: u32,
    /// Whether it is handed everything at once: an endpoint's client keeps its own order.
    whole: bool,
    process: Option<WorkerProcess>,
    state: State,
    /// Edition of the checkpoint that is loaded, with the worker's report.
    loaded: Option<(u64, u32, Option<BatchTest>)>,
}

impl Seat {
    pub(super) fn new((role, index): (Role, usize), device: Device, serving: Serving, threads: u32) -> Self {
        let name = format!("{}@{device}#{index}", role.as_str());
        Self {
            name,
            role,
            device,
            serving,
            threads,
            whole: false,
            process: None,
            state: State::Vacant,
            loaded: None,
        }
    }

    /// The seat of an endpoint's client.
    pub(super) fn of_endpoint(role: Role, endpoint: &str) -> Self {
        let name = format!("{}@{endpoint}", role.as_str());
        Self { name, whole: true, ..Self::new((role, 0), Device::Cpu, Serving::default(), 1) }
    }

    /// Whether this seat's worker has that number.
    pub(super) fn is(&self, id: u64) -> bool {
        self.process.as_ref().is_some_and(|process| process.id() == id)
    }

    /// Whether its worker waits for requests with that edition loaded.
    pub(super) fn is_idle(&self, edition: u64) -> bool {
        matches!(self.state, State::Idle) && self.loaded.as_ref().is_some_and(|loaded| loaded.0 == edition)
    }

    pub(super) fn report(&self) -> Option<SeatReport> {
        let (_, in_flight, batch_test) = self.loaded?;
        Some(SeatReport { name: self.name.clone(), device: self.device, in_flight, batch_test })
    }

    /// Makes room when the worker's process has ended.
    pub(super) fn vacate_if_dead(&mut self, roster: &Roster) {
        if self.process.as_ref().is_some_and(|process| !roster.lives(process.id())) {
            let error = self.ended(None);
            tracing::warn!(%error, "a worker ended between two calls");
        }
    }

    /// Ends the worker.
    pub(super) fn vacate(&mut self) -> Option<WorkerProcess> {
        self.state = State::Vacant;
        self.loaded = None;
        self.process.take()
    }

    /// Brings the worker one step nearer to answering: starts it, or makes it load.
    pub(super) fn advance(
        &mut self,
        command: &WorkerCommand,
        roster: &Roster,
        events: &Sender<(u64, Event)>,
        (checkpoint, edition): (&Checkpoint, u64),
    ) -> Result<(), PortError> {
        match self.state {
            State::Vacant => {
                let placement = (self.role, std::slice::from_ref(&self.device), self.threads);
                self.process = Some(WorkerProcess::start(command, placement, &self.name, roster, events)?);
                self.state = State::Starting(Instant::now());
                Ok(())
            }
            State::Idle if !self.is_idle(edition) => {
                let load = Request::Load {
                    checkpoint: checkpoint.clone(),
                    device: inside(&[self.device]).pop().unwrap_or_default(),
                    serving: self.serving,
                };
                self.loaded = None;
                self.state = State::Loading(edition);
                self.send(&load, "loading")
            }
            _ => Ok(()),
        }
    }

    /// How many of the remaining requests to hand over: enough to keep the worker busy, few enough that
    /// all workers end together.
    pub(super) fn chunk(&self, remaining: usize, workers: usize) -> usize {
        if self.whole {
            return remaining;
        }
        let in_flight = self.granted() as usize;
        (remaining / (2 * workers)).clamp(in_flight, CHUNK * in_flight).min(remaining)
    }

    /// Requests that its worker works on together: what it granted when it loaded.
    fn granted(&self) -> u32 {
        self.loaded.as_ref().map_or(1, |loaded| loaded.1.max(1))
    }

    /// Whether its worker makes batches. An endpoint's client does not, however many it has under way.
    pub(super) fn takes_several(&self) -> bool {
        !self.whole && self.granted() > 1
    }

    /// Hands requests over.
    pub(super) fn ask(
        &mut self,
        requests: Vec<(usize, ChatRequest)>,
        allowance: Allowance,
        call: u64,
    ) -> Result<(), PortError> {
        self.state = State::Answering(call, requests.iter().map(|(index, _)| *index).collect());
        self.send(&Request::Answer { requests, allowance }, "answering")
    }

    /// Tells a worker that is answering that nobody waits any more. Whether there was something to tell.
    pub(super) fn stop(&mut self) -> bool {
        let answering = matches!(self.state, State::Answering(..));
        if let Some(process) = self.process.as_mut().filter(|_| answering) {
            process.stop();
        }
        answering
    }

    /// Whether it still has to say what an answer that nobody waits for has cost.
    pub(super) fn owes(&self) -> bool {
        self.whole && matches!(self.state, State::Answering(..))
    }

    fn send(&mut self, request: &Request, state: &str) -> Result<(), PortError> {
        self.process.as_mut().map_or(Ok(()), |process| process.ask(request, state))
    }

    /// An error when the worker gave no sign since its start for that long.
    pub(super) fn look_after(&mut self, patience: Duration) -> Result<(), PortError> {
        match self.state {
            State::Starting(since) if since.elapsed() > patience => {
                Err(self.ended(Some(&format!("no sign of it for {} s", patience.as_secs()))))
            }
            _ => Ok(()),
        }
    }

    /// Takes in what was heard of the worker. What concerns an earlier call or an older checkpoint is
    /// no error of this one.
    pub(super) fn told(
        &mut self,
        event: Event,
        (call, edition): (u64, u64),
        roster: &Roster,
    ) -> Result<Told, PortError> {
        let needed = match self.state {
            State::Starting(_) => true,
            State::Loading(of) => of == edition,
            State::Answering(of, _) => of == call,
            State::Vacant | State::Idle => false,
        };
        let reply = match event {
            Event::Reply(reply) => reply,
            Event::Gone(why) => {
                let error = self.ended(why.as_deref());
                if needed || error.cancelled {
                    return Err(error);
                }
                tracing::warn!(%error, "a worker ended between two calls");
                return Ok(Told::Nothing);
            }
        };
        match (reply, &mut self.state) {
            (Reply::Ready { version, .. }, State::Starting(_)) => {
                if let Some(Err(error)) = self.process.as_ref().map(|process| process.check_version(&version))
                {
                    self.vacate();
                    return Err(error);
                }
                self.idle();
            }
            (Reply::Loaded { in_flight, batch_test, notes }, State::Loading(of)) => {
                if let Some(process) = &self.process {
                    process.remark(&notes);
                }
                self.loaded = Some((*of, in_flight, batch_test));
                self.idle();
            }
            (Reply::Piece { index, text }, State::Answering(of, _)) => {
                if *of == call {
                    if let Some(process) = &self.process {
                        process.wrote(&text);
                    }
                    return Ok(Told::Wrote(index, text));
                }
            }
            (Reply::Answered { index, reply }, State::Answering(of, open)) => {
                let Some(place) = open.iter().position(|waiting| *waiting == index) else {
                    return Err(self.ended(Some("it answered what it was not asked")));
                };
                open.swap_remove(place);
                if *of == call {
                    return Ok(Told::Answered(index, reply));
                }
                return Ok(reply.served.map_or(Told::Nothing, |served| Told::Paid(*served)));
            }
            (Reply::Paid { served }, _) => return Ok(Told::Paid(served)),
            (Reply::Done, State::Answering(of, open)) => {
                if *of == call && !open.is_empty() {
                    return Err(self.ended(Some("it left requests unanswered")));
                }
                self.idle();
            }
            (Reply::Failed { error }, _) if !needed => {
                // It failed for an earlier call, which has returned.
                tracing::warn!(worker = self.name, %error, "a worker failed after its call had ended");
                self.vacate();
            }
            (Reply::Failed { error }, _) => {
                self.vacate();
                roster.check()?;
                return Err(PortError { message: format!("{}: {}", self.name, error.message), ..error });
            }
            _ => return Err(self.ended(Some("it spoke out of turn"))),
        }
        Ok(Told::Nothing)
    }

    fn idle(&mut self) {
        self.state = State::Idle;
        if let Some(process) = &self.process {
            process.note("idle");
        }
    }

    fn ended(&mut self, why: Option<&str>) -> PortError {
        match self.vacate() {
            Some(process) => process.obituary(why),
            None => PortError::transient(format!("{}: the worker ended", self.name)),
        }
    }
}
