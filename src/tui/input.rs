//! The thread that reads keys, sizes and the focus from the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, poll, read};

/// How often the thread looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(250);

/// What the terminal says.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    Resize(u16, u16),
    Focus(bool),
    /// Nothing more can be read.
    Ended(std::io::Error),
}

/// Reads until told to stop or until nothing can be read.
pub(super) fn run(stop: &AtomicBool, send: impl Fn(Input)) {
    while !stop.load(Ordering::Relaxed) {
        let event = match poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => read(),
            Err(error) => Err(error),
        };
        match event {
            Ok(Event::Key(key)) => send(Input::Key(key)),
            Ok(Event::Resize(width, height)) => send(Input::Resize(width, height)),
            Ok(Event::FocusGained) => send(Input::Focus(true)),
            Ok(Event::FocusLost) => send(Input::Focus(false)),
            Ok(_) => {}
            Err(error) => return send(Input::Ended(error)),
        }
    }
}
