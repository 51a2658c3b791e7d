//! The live board: what is going on now, newest wins.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::environments::Moment;
use crate::gym::budget::Spending;
use crate::gym::episode::Work;
use crate::protocol::control::{Live, WorkerStatus};

/// Shared by the performing thread, which writes, and the clients' threads, which wait for news.
#[derive(Clone, Default)]
pub struct LiveBoard {
    inner: Arc<(Mutex<Board>, Condvar)>,
}

#[derive(Default)]
struct Board {
    live: Live,
    version: u64,
    began: Option<Instant>,
    /// When the models began to answer, and the tokens that were there already: those do not count towards the rate.
    first: Option<(Instant, Moment)>,
}

impl LiveBoard {
    /// Work begins.
    pub fn begin(&self, work: Work) {
        self.change(|board| {
            board.live = Live {
                work: Some(work),
                workers: std::mem::take(&mut board.live.workers),
                spending: std::mem::take(&mut board.live.spending),
                ..Live::default()
            };
            board.began = Some(Instant::now());
            board.first = None;
        });
    }

    /// The running work came to a moment.
    pub fn note(&self, moment: Moment, workers: Vec<WorkerStatus>) {
        self.change(|board| {
            let elapsed = board.began.map_or(Duration::ZERO, |began| began.elapsed());
            // What is asked on the way is counted apart from the phase's own.
            let (since, first) = match board.first {
                Some(first) if first.1.asking == moment.asking => first,
                _ => *board.first.insert((Instant::now(), moment)),
            };
            let live = &mut board.live;
            (live.done, live.total, live.correct) = (moment.done, moment.total, moment.correct);
            live.asking = moment.asking;
            live.before = first.done;
            live.elapsed_ms = elapsed.as_millis() as u64;
            live.tokens_per_second = if let Some(progress) = moment.training {
                progress.tokens_per_second
            } else {
                let seconds = since.elapsed().as_secs_f64().max(1e-3);
                moment.tokens.saturating_sub(first.tokens) as f64 / seconds
            };
            live.training = moment.training;
            live.workers = workers;
        });
    }

    /// The workers wrote on.
    pub fn wrote(&self, workers: Vec<WorkerStatus>) {
        self.change(|board| board.live.workers = workers);
    }

    /// Endpoints were paid.
    pub fn paid(&self, spending: Spending) {
        self.change(|board| board.live.spending = spending);
    }

    /// Nothing runs any more.
    pub fn rest(&self, workers: Vec<WorkerStatus>) {
        self.change(|board| {
            let spending = std::mem::take(&mut board.live.spending);
            board.live = Live { workers, spending, ..Live::default() };
            board.began = None;
        });
    }

    /// The board now, with the running time brought up to date.
    pub fn now(&self) -> Live {
        let board = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        current(&board)
    }

    /// Waits until the board is newer than `seen`, or the time is over; returns its version and content.
    pub fn wait(&self, seen: u64, at_most: Duration) -> (u64, Live) {
        let (lock, condition) = &*self.inner;
        let board = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = condition.wait_timeout_while(board, at_most, |board| board.version == seen);
        let (board, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (board.version, current(&board))
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        let mut board = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut board);
        board.version += 1;
        self.inner.1.notify_all();
    }
}

fn current(board: &Board) -> Live {
    let elapsed = board.began.map_or(0, |began| began.elapsed().as_millis() as u64);
    Live { elapsed_ms: elapsed, ..board.live.clone() }
}
