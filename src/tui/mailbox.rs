//! What waits for the drawing thread. It may wait long: a terminal that takes nothing blocks a write for hours.
//! So news that a newer piece makes worthless is replaced, and what waits stays small.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something that waits.
pub(super) trait Mail {
    /// Whether `self`, being newer, makes `older` worthless.
    fn replaces(&self, older: &Self) -> bool;
}

/// A queue in which the newest news of a kind stands for all of them. Every clone is the same one.
#[derive(Debug)]
pub(super) struct Mailbox<T>(Arc<(Mutex<VecDeque<T>>, Condvar)>);

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Mail> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new((Mutex::new(VecDeque::new()), Condvar::new())))
    }

    /// Puts something in. The place of what it replaces is given up: what it answers was put in before it.
    pub(super) fn post(&self, mail: T) {
        let (queue, news) = &*self.0;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.retain(|older| !mail.replaces(older));
        queue.push_back(mail);
        news.notify_one();
    }

    /// Takes out what is there, `most` at most; waits for it so long, or for ever.
    pub(super) fn take(&self, wait: Option<Duration>, most: usize) -> Vec<T> {
        let (queue, news) = &*self.0;
        let until = wait.map(|wait| Instant::now() + wait);
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        while queue.is_empty() {
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            queue = match rest {
                Some(Duration::ZERO) => break,
                Some(rest) => news.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => news.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let most = most.min(queue.len());
        queue.drain(..most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Piece {
        Key(char),
        Progress(u32),
    }

    impl Mail for Piece {
        fn replaces(&self, older: &Self) -> bool {
            matches!((self, older), (Self::Progress(_), Self::Progress(_)))
        }
    }

    #[test]
    fn keys_stay_in_order_and_only_the_newest_progress_stays() {
        let mailbox = Mailbox::new();
        for n in 0..1000 {
            mailbox.post(Piece::Progress(n));
            if n % 500 == 0 {
                mailbox.post(Piece::Key(if n == 0 { 'a' } else { 'b' }));
            }
        }
        assert_eq!(mailbox.take(None, 1), [Piece::Key('a')]);
        assert_eq!(mailbox.take(None, 9), [Piece::Key('b'), Piece::Progress(999)]);
        assert_eq!(mailbox.take(Some(Duration::ZERO), 9), []);
    }

    #[test]
    fn whoever_waits_is_woken() {
        let mailbox = Mailbox::new();
        let other = mailbox.clone();
        let sender = std::thread::spawn(move || other.post(Piece::Key('x')));
        assert_eq!(mailbox.take(None, 1), [Piece::Key('x')]);
        sender.join().unwrap();
    }
}
