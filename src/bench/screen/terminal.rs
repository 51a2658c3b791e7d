//! A terminal of our own with the real client in it: keys go in, bytes come out and are counted and shown.

use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::bench::BenchError;
use crate::bench::usage;

/// What every frame of the client begins and ends with: the synchronised update.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came out of the client so far.
pub(super) struct Wire {
    emulator: vt100::Parser,
    /// Bytes and whole frames since the start.
    pub(super) bytes: u64,
    pub(super) frames: u64,
    /// When the last of it came.
    last: Instant,
    /// The end of it, in which the mark of a frame may have begun.
    tail: Vec<u8>,
    open: bool,
    ended: bool,
}

impl Wire {
    fn take_in(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        self.bytes += bytes.len() as u64;
        self.emulator.process(bytes);
        self.tail.extend_from_slice(bytes);
        for n in 0..self.tail.len().saturating_sub(END.len() - 1) {
            let mark = &self.tail[n..n + END.len()];
            if mark == END && self.open {
                self.frames += 1;
            }
            self.open = mark == BEGIN || self.open && mark != END;
        }
        let keep = self.tail.len().min(END.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
    }

    /// When the last of it came.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// Whether the screen has these words.
    pub(super) fn has(&self, words: &str) -> bool {
        self.emulator.screen().contents().contains(words)
    }

    /// The row that is selected: the first one in which many cells are reversed.
    pub(super) fn selected(&self) -> Option<u16> {
        let screen = self.emulator.screen();
        let (rows, columns) = screen.size();
        let reversed = |row| {
            let cells = (0..columns).filter_map(|column| screen.cell(row, column));
            cells.filter(|cell| cell.inverse()).count()
        };
        (0..rows).find(|row| reversed(*row) >= 10)
    }
}

/// The client and its terminal. Dropped, the client is killed.
pub(super) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    wire: Arc<(Mutex<Wire>, Condvar)>,
    _master: Box<dyn MasterPty + Send>,
    pub(super) began: Instant,
}

impl Terminal {
    /// Starts the client of that command in a terminal of that size.
    pub(super) fn open(
        command: &std::process::Command,
        (columns, rows): (u16, u16),
    ) -> Result<Self, BenchError> {
        let wrong = |error: &dyn std::fmt::Display| BenchError::Io {
            what: "a pseudo-terminal".to_owned(),
            source: std::io::Error::other(error.to_string()),
        };
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).map_err(|e| wrong(&e))?;
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        for (name, value) in command.get_envs() {
            builder.env(name, value.unwrap_or_default());
        }
        builder.env("TERM", "xterm-256color");
        let mut reader = pair.master.try_clone_reader().map_err(|e| wrong(&e))?;
        let keys = pair.master.take_writer().map_err(|e| wrong(&e))?;
        let began = Instant::now();
        let child = pair.slave.spawn_command(builder).map_err(|e| wrong(&e))?;
        drop(pair.slave);
        let wire = Wire {
            emulator: vt100::Parser::new(rows, columns, 0),
            bytes: 0,
            frames: 0,
            last: began,
            tail: Vec::new(),
            open: false,
            ended: false,
        };
        let wire = Arc::new((Mutex::new(wire), Condvar::new()));
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                lock(&shared.0).take_in(&buffer[..n]);
                shared.1.notify_all();
            }
            lock(&shared.0).ended = true;
            shared.1.notify_all();
        });
        Ok(Self { child, keys, wire, _master: pair.master, began })
    }

    /// Waits until the screen is as wanted at the end of a frame; the moment that frame came.
    pub(super) fn until(
        &self,
        what: &str,
        mut wanted: impl FnMut(&Wire) -> bool,
    ) -> Result<Instant, BenchError> {
        let (wire, news) = &*self.wire;
        let begun = Instant::now();
        let mut now = lock(wire);
        loop {
            if !now.open && wanted(&now) {
                return Ok(now.last);
            }
            if now.ended || begun.elapsed() > PATIENCE {
                return Err(BenchError::Screen {
                    wanted: what.to_owned(),
                    shown: now.emulator.screen().contents(),
                });
            }
            now = news.wait_timeout(now, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for words.
    pub(super) fn words(&self, words: &str) -> Result<Instant, BenchError> {
        self.until(words, |wire| wire.has(words))
    }

    /// Waits until nothing has come for so long, from now on.
    pub(super) fn quiet(&self, long: Duration) {
        let begun = Instant::now();
        let still = || self.look(|wire| wire.last.elapsed()).min(begun.elapsed());
        while let Some(rest) = long.checked_sub(still()).filter(|rest| !rest.is_zero()) {
            std::thread::sleep(rest);
        }
    }

    /// Looks at what came so far.
    pub(super) fn look<T>(&self, see: impl FnOnce(&Wire) -> T) -> T {
        see(&lock(&self.wire.0))
    }

    /// Bytes and frames that came since `before`.
    pub(super) fn since(&self, before: (u64, u64)) -> (u64, u64) {
        let now = self.count();
        (now.0 - before.0, now.1 - before.1)
    }

    /// Bytes and frames so far.
    pub(super) fn count(&self) -> (u64, u64) {
        self.look(|wire| (wire.bytes, wire.frames))
    }

    /// Presses keys; the moment.
    pub(super) fn press(&mut self, keys: &str) -> Result<Instant, BenchError> {
        let moment = Instant::now();
        let written = self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush());
        written.map_err(|source| BenchError::Io { what: "the client's terminal".to_owned(), source })?;
        Ok(moment)
    }

    /// Processor seconds of the client so far.
    pub(super) fn cpu_seconds(&self) -> f64 {
        usage::cpu_seconds(&self.process()).unwrap_or(0.0)
    }

    /// Most memory the client had, in MB.
    pub(super) fn peak_megabytes(&self) -> f64 {
        usage::status(&self.process(), "VmHWM").map_or(0.0, |kib| kib as f64 * 1024.0 / 1e6)
    }

    fn process(&self) -> String {
        self.child.process_id().unwrap_or_default().to_string()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_wherever_they_are_cut() {
        let bytes = b"x\x1b[?2026h\x1b[2Jone\x1b[?2026l\x1b[?2026h\x1b[7m0123456789\x1b[0m\x1b[?2026lrest";
        for cut in 1..bytes.len() {
            let mut wire = Wire {
                emulator: vt100::Parser::new(3, 20, 0),
                bytes: 0,
                frames: 0,
                last: Instant::now(),
                tail: Vec::new(),
                open: false,
                ended: false,
            };
            bytes.chunks(cut).for_each(|chunk| wire.take_in(chunk));
            assert_eq!((wire.frames, wire.bytes, wire.open), (2, bytes.len() as u64, false), "cut at {cut}");
            assert!(wire.has("one") && wire.selected() == Some(0));
        }
    }
}
