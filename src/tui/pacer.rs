//! When to draw: at once for a person, seldom for the rest, never for nothing. Pure; times are milliseconds.

use super::update::Urgency;

/// Longest interval of lazy frames.
const SLOWEST: u64 = 1000;
/// A write that takes longer says that the terminal cannot keep up.
const SLOW_WRITE: u64 = 30;
/// A write that takes less says that it can.
const FAST_WRITE: u64 = 5;
/// How much rarer lazy frames are while nobody looks.
const UNFOCUSED: u64 = 4;

/// Decides when the next frame is drawn.
#[derive(Debug)]
pub(crate) struct Pacer {
    cap: u64,
    fastest: u64,
    lazy: u64,
    focused: bool,
    last: Option<u64>,
    wanted: Urgency,
}

impl Pacer {
    /// Over SSH frames are rarer.
    pub(crate) fn new(remote: bool) -> Self {
        let (cap, lazy) = if remote { (33, 250) } else { (16, 100) };
        Self { cap, fastest: lazy, lazy, focused: true, last: None, wanted: Urgency::None }
    }

    /// A frame is wanted.
    pub(crate) fn want(&mut self, urgency: Urgency) {
        self.wanted = self.wanted.max(urgency);
    }

    /// The terminal gained or lost the focus.
    pub(crate) fn focus(&mut self, focused: bool) {
        self.focused = focused;
    }

    /// Milliseconds until the next frame is due; `None` when none is wanted.
    pub(crate) fn wait(&self, now: u64) -> Option<u64> {
        let lazy = if self.focused { self.lazy } else { self.lazy * UNFOCUSED };
        let interval = match self.wanted {
            Urgency::None => return None,
            Urgency::Lazy => lazy,
            Urgency::Urgent => self.cap,
        };
        Some(self.last.map_or(0, |last| (last + interval).saturating_sub(now)))
    }

    /// A frame was drawn; writing it took so many milliseconds. One with nothing to write says nothing of the terminal.
    pub(crate) fn drawn(&mut self, now: u64, write: Option<u64>) {
        self.last = Some(now);
        self.wanted = Urgency::None;
        self.lazy = match write {
            Some(w) if w > SLOW_WRITE => (self.lazy * 2).min(SLOWEST),
            Some(w) if w < FAST_WRITE => (self.lazy * 3 / 4).max(self.fastest),
            _ => self.lazy,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wanted_is_nothing_drawn() {
        let mut pacer = Pacer::new(false);
        assert_eq!(pacer.wait(0), None);
        pacer.want(Urgency::Lazy);
        assert_eq!(pacer.wait(5), Some(0));
        pacer.drawn(5, Some(0));
        assert_eq!(pacer.wait(10_000), None);
    }

    #[test]
    fn urgent_frames_overtake_lazy_ones() {
        let mut pacer = Pacer::new(true);
        pacer.drawn(1000, Some(0));
        pacer.want(Urgency::Lazy);
        assert_eq!(pacer.wait(1010), Some(240));
        pacer.want(Urgency::Urgent);
        assert_eq!((pacer.wait(1010), pacer.wait(1040)), (Some(23), Some(0)));
        pacer.want(Urgency::Lazy);
        assert_eq!(pacer.wait(1040), Some(0));
    }

    #[test]
    fn a_slow_terminal_is_spared() {
        let mut pacer = Pacer::new(false);
        for _ in 0..9 {
            pacer.drawn(0, Some(100));
        }
        for _ in 0..9 {
            pacer.drawn(0, None);
        }
        pacer.want(Urgency::Lazy);
        assert_eq!(pacer.wait(0), Some(SLOWEST));
        pacer.focus(false);
        assert_eq!(pacer.wait(0), Some(4 * SLOWEST));
        pacer.focus(true);
        for _ in 0..20 {
            pacer.drawn(0, Some(0));
        }
        pacer.want(Urgency::Lazy);
        assert_eq!(pacer.wait(0), Some(100));
    }
}
