//! When a worker that ended is started again: after a growing wait, and not for ever.

use std::time::{Duration, Instant};

use crate::gym::ports::PortError;

/// The wait after the first end; it doubles with every further one. There is no jitter: one run starts its
/// own workers on its own machine, and a schedule that is always the same can be read in a log.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);
/// How long an end counts.
const WINDOW: Duration = Duration::from_mins(10);
/// Ends in the window after which a person has to look.
const LIMIT: usize = 5;
/// Ends closer together have one cause, such as memory that all workers of a machine lacked.
const TOGETHER: Duration = Duration::from_millis(200);

/// The ends of the workers of one role.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    ends: Vec<Instant>,
    cause: String,
}

impl Supervision {
    /// A worker ended without having been asked to.
    pub(super) fn ended(&mut self, now: Instant, cause: String) {
        let last = self.ends.last().copied();
        if last.is_none_or(|last| now.saturating_duration_since(last) > TOGETHER) {
            self.ends.push(now);
        }
        self.cause = cause;
    }

    /// How long to wait before another worker is started.
    ///
    /// # Errors
    /// When too many ended. The next question begins anew: it comes from a person who has looked.
    pub(super) fn admit(&mut self, role: &str, now: Instant) -> Result<Duration, PortError> {
        self.ends.retain(|end| now.saturating_duration_since(*end) < WINDOW);
        let Some(last) = self.ends.last().copied() else { return Ok(Duration::ZERO) };
        if self.ends.len() >= LIMIT {
            let count = self.ends.len();
            let cause = std::mem::take(self).cause;
            return Err(PortError::fatal(format!(
                "workers of the {role} ended {count} times within {} min, so no other is started. The last one: \
                 {cause}\n  Mend that, then resume the run",
                WINDOW.as_secs() / 60
            )));
        }
        let wait = FIRST.saturating_mul(1 << (self.ends.len() - 1).min(16)).min(LONGEST);
        Ok((last + wait).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_the_fifth_end_is_the_last() {
        let mut supervision = Supervision::default();
        let mut now = Instant::now();
        assert_eq!(supervision.admit("student", now).unwrap(), Duration::ZERO);
        for expected in [250, 500, 1000, 2000] {
            supervision.ended(now, format!("after {expected}"));
            let wait = supervision.admit("student", now).unwrap();
            assert_eq!(wait, Duration::from_millis(expected));
            assert_eq!(supervision.admit("student", now + wait).unwrap(), Duration::ZERO);
            now += Duration::from_secs(5);
        }
        supervision.ended(now, "killed by SIGSEGV".into());
        let error = supervision.admit("student", now).unwrap_err();
        assert!(!error.transient && error.message.contains("5 times"), "{error}");
        assert!(error.message.contains("SIGSEGV") && error.message.contains("resume"), "{error}");
        assert_eq!(supervision.admit("student", now).unwrap(), Duration::ZERO);
    }

    #[test]
    fn ends_at_one_moment_count_once_and_old_ones_not_at_all() {
        let mut supervision = Supervision::default();
        let now = Instant::now();
        for n in 0..32 {
            supervision.ended(now + Duration::from_millis(n), "memory".into());
        }
        assert_eq!(supervision.admit("student", now).unwrap(), FIRST);
        assert_eq!(supervision.admit("student", now + WINDOW).unwrap(), Duration::ZERO);
    }
}
