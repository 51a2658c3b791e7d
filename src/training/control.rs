//! Pausing and stopping a training from another thread.

use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    GoOn,
    Pause,
    Stop,
}

/// What the owner of a training wishes. Heeded between two micro-batches: the step that is under way is
/// given up at a stop, and done again when the training is resumed.
#[derive(Debug, Default)]
pub struct Control {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Control {
    fn set(&self, wish: Wish) {
        let mut held = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        // A stop is not taken back.
        if *held != Wish::Stop {
            *held = wish;
        }
        self.changed.notify_all();
    }

    /// Waits after the running micro-batch until it is resumed or stopped.
    pub fn pause(&self) {
        self.set(Wish::Pause);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.set(Wish::GoOn);
    }

    /// Ends the training after the running micro-batch; its state is saved.
    pub fn stop(&self) {
        self.set(Wish::Stop);
    }

    /// Waits out a pause. Whether to go on.
    pub fn goes_on(&self) -> bool {
        let held = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = self.changed.wait_while(held, |wish| *wish == Wish::Pause);
        *paused.unwrap_or_else(PoisonError::into_inner) != Wish::Stop
    }
}
