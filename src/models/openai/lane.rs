//! The way to one endpoint: how many requests are on it, when the next may start, and when it is closed.
//!
//! The number in flight rises by one with every answer until the endpoint is first found overloaded, from
//! then on by one per round of answers, and is halved by every overload (additive increase, multiplicative
//! decrease; Chiu and Jain 1989).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Requests in flight at the start.
const FIRST: f64 = 8.0;

/// The way to one endpoint.
#[derive(Debug)]
pub(super) struct Lane {
    pace: Mutex<Pace>,
    turn: Notify,
    most: f64,
    patience: Duration,
}

#[derive(Debug)]
struct Pace {
    limit: f64,
    in_flight: usize,
    /// Whether no overload was met so far.
    rising: bool,
    /// Nothing starts before.
    hold: Option<Instant>,
    /// When the limit was halved last: what started before does not halve it again.
    halved: Option<Instant>,
    /// Since when there was no answer.
    outage: Option<Instant>,
    /// Answers so far.
    answers: u64,
    /// Answers in a row that could not be used.
    odd: u32,
    /// Why it is closed.
    closed: Option<String>,
}

/// Leave to send one request; ends with this value.
pub(super) struct Pass<'a> {
    lane: &'a Lane,
    began: Instant,
}

impl Lane {
    pub(super) fn new(most: u32, patience: Duration) -> Self {
        let most = f64::from(most.max(1));
        let pace = Pace {
            limit: FIRST.min(most),
            in_flight: 0,
            rising: true,
            hold: None,
            halved: None,
            outage: None,
            answers: 0,
            odd: 0,
            closed: None,
        };
        Self { pace: Mutex::new(pace), turn: Notify::new(), most, patience }
    }

    /// Waits for a turn, first come first served; `None` when the lane is closed.
    pub(super) async fn enter(&self) -> Option<Pass<'_>> {
        loop {
            let turn = self.turn.notified();
            let hold = {
                let mut pace = self.lock();
                let now = Instant::now();
                if pace.closed.is_some() {
                    self.turn.notify_one();
                    return None;
                }
                let hold = pace.hold.filter(|hold| *hold > now);
                if hold.is_none() && (pace.in_flight as f64) < pace.limit.floor() {
                    pace.in_flight += 1;
                    // There may be room for one more.
                    self.turn.notify_one();
                    return Some(Pass { lane: self, began: now });
                }
                hold
            };
            match hold {
                // The time being over is as good as being called.
                Some(hold) => _ = timeout_at(hold, turn).await,
                None => turn.await,
            }
        }
    }

    /// Why nothing goes here any more.
    pub(super) fn closed(&self) -> Option<String> {
        self.lock().closed.clone()
    }

    /// Nothing goes here any more.
    pub(super) fn close(&self, why: &str) {
        self.lock().closed.get_or_insert_with(|| why.to_owned());
        self.turn.notify_one();
    }

    /// Lets requests in again.
    pub(super) fn reopen(&self) {
        let mut pace = self.lock();
        (pace.closed, pace.outage, pace.odd, pace.hold) = (None, None, 0, None);
    }

    /// Answers so far.
    pub(super) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// Answers in a row that could not be used, which may have been paid all the same.
    pub(super) fn odd(&self) -> u32 {
        self.lock().odd
    }

    /// Requests that may be in flight now.
    pub(super) fn limit(&self) -> u32 {
        self.lock().limit as u32
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// An answer came.
    pub(super) fn succeeded(self) {
        let mut pace = self.lane.lock();
        pace.outage = None;
        pace.odd = 0;
        pace.answers += 1;
        let step = if pace.rising { 1.0 } else { 1.0 / pace.limit };
        pace.limit = (pace.limit + step).min(self.lane.most);
    }

    /// An answer came that cannot be used.
    pub(super) fn odd(self) -> bool {
        self.lane.lock().odd += 1;
        self.failed(false, None)
    }

    /// No answer came; `overloaded` when fewer requests may help, `wait` when that was asked for. Returns
    /// whether the endpoint counts as down: it was given time and did not answer anybody.
    pub(super) fn failed(self, overloaded: bool, wait: Option<Duration>) -> bool {
        let mut pace = self.lane.lock();
        let now = Instant::now();
        if overloaded && pace.halved.is_none_or(|halved| self.began > halved) {
            pace.limit = (pace.limit / 2.0).max(1.0);
            pace.halved = Some(now);
            pace.rising = false;
        }
        let since = *pace.outage.get_or_insert(now);
        if let Some(wait) = wait {
            let until = now + wait;
            pace.hold = pace.hold.max(Some(until));
            // A wait that was asked for is no outage.
            pace.outage = Some(since.max(until));
            return false;
        }
        now.saturating_duration_since(since) >= self.lane.patience
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.lane.lock().in_flight -= 1;
        self.lane.turn.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    const PATIENCE: Duration = Duration::from_millis(40);

    #[test]
    fn the_limit_rises_with_answers_and_is_halved_once_by_one_overload() {
        block(async {
            let lane = Lane::new(64, PATIENCE);
            for _ in 0..20 {
                lane.enter().await.unwrap().succeeded();
            }
            assert_eq!(lane.limit(), 28);
            let mut round = Vec::new();
            for _ in 0..6 {
                round.push(lane.enter().await.unwrap());
            }
            for pass in round {
                assert!(!pass.failed(true, None));
            }
            assert_eq!(lane.limit(), 14);
            for _ in 0..16 {
                lane.enter().await.unwrap().succeeded();
            }
            assert_eq!(lane.limit(), 15);
            for _ in 0..100 {
                lane.enter().await.unwrap().failed(true, None);
            }
            assert_eq!(lane.limit(), 1);
        });
    }

    #[test]
    fn no_more_than_the_limit_are_under_way() {
        block(async {
            let lane = Lane::new(2, PATIENCE);
            let (first, second) = (lane.enter().await.unwrap(), lane.enter().await.unwrap());
            let third = tokio::time::timeout(Duration::from_millis(5), lane.enter()).await;
            assert!(third.is_err());
            drop(first);
            let third = tokio::time::timeout(PATIENCE, lane.enter()).await.unwrap();
            assert!(third.is_some());
            drop(second);
        });
    }

    #[test]
    fn a_wait_that_was_asked_for_holds_everybody_and_is_no_outage() {
        block(async {
            let lane = Lane::new(4, PATIENCE);
            let wait = Duration::from_millis(60);
            let began = Instant::now();
            assert!(!lane.enter().await.unwrap().failed(true, Some(wait)));
            let pass = lane.enter().await.unwrap();
            assert!(began.elapsed() >= wait);
            assert!(!pass.failed(false, None));
            tokio::time::sleep(PATIENCE).await;
            assert!(lane.enter().await.unwrap().failed(false, None));
            lane.enter().await.unwrap().succeeded();
            assert!(!lane.enter().await.unwrap().failed(false, None));
        });
    }

    #[test]
    fn a_closed_lane_lets_nobody_in() {
        block(async {
            let lane = Lane::new(1, PATIENCE);
            let pass = lane.enter().await;
            lane.close("down");
            assert!(lane.enter().await.is_none() && lane.enter().await.is_none());
            drop(pass);
            assert_eq!(lane.closed().as_deref(), Some("down"));
        });
    }
}
