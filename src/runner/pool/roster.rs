//! The living worker processes of a run: who they are, and how to end them all at once.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::supervision::Supervision;
use crate::gym::ports::PortError;
use crate::protocol::control::WorkerStatus;
use crate::protocol::frame;
use crate::protocol::worker::Request;

/// A handle on every worker process of a run; clones are the same roster.
///
/// Cancelling holds until [`Roster::resume`]: a call that begins in between is cancelled as well, so
/// there is no gap between two calls in which a cancellation gets lost.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: bool,
    next: u64,
    entries: BTreeMap<u64, Entry>,
    /// By the role's word.
    supervision: BTreeMap<String, Supervision>,
}

#[derive(Debug)]
struct Entry {
    child: Child,
    status: WorkerStatus,
    /// Where it is told to end before it is killed, where that is worth something.
    farewell: Option<UnixStream>,
    /// Whether it was told, and is ended by whoever told it.
    leaving: bool,
    /// What one of its steps takes, where it was heard of one: it ends between two parts of a step.
    step: Duration,
}

/// How long a worker whose steps take so long is waited for once it was told to end.
fn patience(step: Duration) -> Duration {
    FAREWELL.saturating_add(step).min(LONGEST)
}

/// How long a worker that was told to end may take to save where it stands before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);
/// The same with the step that it has in hand, at most: shorter than the runner waits for its work, which is shorter than
/// its process lives after a signal.
const LONGEST: Duration = Duration::from_secs(20);
/// Most characters of what a worker is writing that are kept.
const TEXT: usize = 1000;

impl Roster {
    /// An empty roster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills every worker; a trainer once it has saved where it stands, or the time for that is over. Calls under way
    /// return [`PortError::cancelled`], and so does every call until [`Roster::resume`].
    pub fn cancel(&self) {
        let mut inner = self.lock();
        inner.cancelled = true;
        for (id, entry) in &mut inner.entries {
            match entry.farewell.take() {
                Some(stream) => {
                    entry.leaving = true;
                    self.bid_farewell(*id, stream, patience(entry.step));
                }
                None if entry.leaving => {}
                // Fails only for a process that has ended already.
                None => drop(entry.child.kill()),
            }
        }
    }

    /// On a thread of its own: a worker that does not read keeps nobody waiting.
    fn bid_farewell(&self, id: u64, mut stream: UnixStream, patience: Duration) {
        let roster = self.clone();
        thread::spawn(move || {
            let until = Instant::now() + patience;
            let told = stream
                .set_write_timeout(Some(patience))
                .is_ok_and(|()| frame::write(&mut stream, &Request::Stop).is_ok());
            while told && roster.lives(id) && Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
            }
            roster.end(id);
        });
    }

    /// Allows calls again after a cancellation.
    pub fn resume(&self) {
        self.lock().cancelled = false;
    }

    /// Whether calls are cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// The workers alive, in the order of their start.
    pub fn statuses(&self) -> Vec<WorkerStatus> {
        self.lock().entries.values().map(|entry| entry.status.clone()).collect()
    }

    /// An error when calls are cancelled.
    pub(super) fn check(&self) -> Result<(), PortError> {
        if self.is_cancelled() { Err(PortError::cancelled()) } else { Ok(()) }
    }

    /// Waits until another worker of a role may be started.
    ///
    /// # Errors
    /// When too many of them ended, or the wait was cancelled.
    pub(super) fn admit(&self, role: &str) -> Result<(), PortError> {
        loop {
            self.check()?;
            let wait = match self.lock().supervision.get_mut(role) {
                Some(supervision) => supervision.admit(role, Instant::now())?,
                None => Duration::ZERO,
            };
            if wait.is_zero() {
                return Ok(());
            }
            thread::sleep(wait.min(Duration::from_millis(50)));
        }
    }

    /// Notes that a worker of a role ended without having been asked to.
    pub(super) fn ended(&self, role: &str, cause: String) {
        self.lock().supervision.entry(role.to_owned()).or_default().ended(Instant::now(), cause);
    }

    /// Takes a child in, with the identities of its GPUs; returns its number here, which is never given twice.
    pub(super) fn enter(
        &self,
        name: &str,
        gpus: Vec<String>,
        mut child: Child,
        farewell: Option<UnixStream>,
    ) -> Result<u64, PortError> {
        let mut inner = self.lock();
        if inner.cancelled {
            drop(inner);
            let _ = child.kill();
            let _ = child.wait();
            return Err(PortError::cancelled());
        }
        let id = inner.next;
        inner.next += 1;
        let status = WorkerStatus {
            name: name.to_owned(),
            pid: child.id(),
            state: "starting".to_owned(),
            gpus,
            notes: vec![],
            text: String::new(),
        };
        let (leaving, step) = (false, Duration::ZERO);
        inner.entries.insert(id, Entry { child, status, farewell, leaving, step });
        Ok(id)
    }

    /// Notes what a worker does.
    pub(super) fn note(&self, id: u64, state: &str) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            state.clone_into(&mut entry.status.state);
            entry.status.text.clear();
        }
    }

    /// Notes what a worker is writing.
    pub(super) fn wrote(&self, id: u64, text: &str) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            let skipped = text.chars().count().saturating_sub(TEXT);
            entry.status.text = text.chars().skip(skipped).collect();
        }
    }

    /// Notes what one of a worker's steps takes.
    pub(super) fn paced(&self, id: u64, step: Duration) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.step = step;
        }
    }

    /// How long a worker may take to end once it was told.
    pub(super) fn patience(&self, id: u64) -> Duration {
        patience(self.lock().entries.get(&id).map_or(Duration::ZERO, |entry| entry.step))
    }

    /// Notes what a person should know about a worker.
    pub(super) fn remark(&self, id: u64, notes: &[String]) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.status.notes = notes.to_vec();
        }
    }

    /// Whether a worker's process is alive.
    pub(super) fn lives(&self, id: u64) -> bool {
        self.lock().entries.get_mut(&id).is_some_and(|entry| matches!(entry.child.try_wait(), Ok(None)))
    }

    /// Ends a worker if it lives and returns how it ended; `None` when it is gone already.
    pub(super) fn end(&self, id: u64) -> Option<ExitStatus> {
        let mut entry = self.lock().entries.remove(&id)?;
        // One that has ended keeps its own status.
        let _ = entry.child.kill();
        entry.child.wait().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_step_is_waited_for_and_no_longer_than_the_runner_waits() {
        let after = |seconds: f64| patience(Duration::from_secs_f64(seconds)).as_secs_f64();
        assert!((after(0.0) - 10.0).abs() < 1e-9, "nothing was heard of a step");
        assert!((after(7.5) - 17.5).abs() < 1e-9, "its save would have begun when it was killed");
        assert!((after(90.0) - 20.0).abs() < 1e-9);
    }
}
