//! The thread that reads keys, sizes and the focus from the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, poll, read};

/// How often the thread looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(250);
/// How often it looks whether it may read again.
const REST: Duration = Duration::from_millis(20);

/// Keeps the thread from reading, so that another program gets the keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold {
    wanted: Arc<AtomicBool>,
    reading: Arc<Mutex<()>>,
}

/// As long as it lives nothing is read.
pub(super) struct Held<'a> {
    wanted: &'a AtomicBool,
    _reading: MutexGuard<'a, ()>,
}

impl Hold {
    /// Waits until nothing is being read any more.
    pub(super) fn hold(&self) -> Held<'_> {
        self.wanted.store(true, Ordering::SeqCst);
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        Held { wanted: &self.wanted, _reading: reading }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::SeqCst);
    }
}

/// What the terminal says.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    Resize(u16, u16),
    Focus(bool),
    /// Nothing more can be read.
    Ended(std::io::Error),
}

/// Reads until told to stop or until nothing can be read.
pub(super) fn run(stop: &AtomicBool, hold: &Hold, send: impl Fn(Input)) {
    while !stop.load(Ordering::Relaxed) {
        if hold.wanted.load(Ordering::SeqCst) {
            thread::sleep(REST);
            continue;
        }
        let _reading = hold.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been asked for between the two lines above.
        if hold.wanted.load(Ordering::SeqCst) {
            continue;
        }
        let event = match poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => read(),
            Err(error) => Err(error),
        };
        match event {
            Ok(Event::Key(key)) => send(Input::Key(key)),
            Ok(Event::Paste(text)) => send(Input::Paste(text)),
            Ok(Event::Resize(width, height)) => send(Input::Resize(width, height)),
            Ok(Event::FocusGained) => send(Input::Focus(true)),
            Ok(Event::FocusLost) => send(Input::Focus(false)),
            Ok(_) => {}
            Err(error) => return send(Input::Ended(error)),
        }
    }
}
