//! The thread that reads keys, pastes and the focus from the terminal.
//!
//! It reads by itself, because crossterm's reader trusts edges: keys that came together with a change of size lay
//! unread until the next key.

mod keys;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::event::KeyEvent;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use keys::Keys;

/// How often the thread looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(250);
/// How often it looks whether it may read again.
const REST: Duration = Duration::from_millis(20);
/// How long the rest of a sequence may take. A person who presses Escape alone waits so long.
const SEQUENCE: Duration = Duration::from_millis(20);

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
    Focus(bool),
    /// Nothing more can be read.
    Ended(io::Error),
}

/// Reads until told to stop or until nothing can be read.
pub(super) fn run(terminal: File, stop: &AtomicBool, hold: &Hold, send: impl Fn(Input)) {
    if let Err(error) = read(terminal, stop, hold, &send) {
        send(Input::Ended(error));
    }
}

fn read(mut terminal: File, stop: &AtomicBool, hold: &Hold, send: &impl Fn(Input)) -> io::Result<()> {
    let (mut keys, mut bytes) = (Keys::default(), [0; 4096]);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    let fd = terminal.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE)?;
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
        // Registered anew, it says what is there and not only what is new.
        poll.registry().reregister(&mut SourceFd(&fd), Token(0), Interest::READABLE)?;
        let wait = if keys.waits() { SEQUENCE } else { LOOK };
        let inputs = match poll.poll(&mut events, Some(wait)) {
            Ok(()) if events.is_empty() => keys.rest(),
            Ok(()) => match terminal.read(&mut bytes)? {
                // A terminal that hung up says so at once, and for ever; whoever watches it ends the process.
                0 => {
                    thread::sleep(LOOK);
                    Vec::new()
                }
                read => keys.take(&bytes[..read]),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        inputs.into_iter().for_each(send);
    }
    Ok(())
}
