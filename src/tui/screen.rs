//! The terminal while this program has it: frames out, and everything restored on the way out.

mod encode;
mod scroll;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use scroll::Move;

/// Room for one frame; the largest first paint is about half of it.
const FRAME: usize = 64 * 1024;

/// A frame is shown at once: synchronised updates. Terminals that do not know them ignore both.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Everything gone.
const CLEAR: &str = "\x1b[2J";

/// What a frame cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) bytes: usize,
    pub(crate) draw: Duration,
    pub(crate) write: Duration,
}

/// Turns buffers into bytes: only cells that changed, in one synchronised update.
#[derive(Debug)]
pub(crate) struct Frames<W> {
    out: W,
    bytes: String,
    previous: Buffer,
    next: Buffer,
    repaint: bool,
}

impl<W: Write> Frames<W> {
    /// Sends a text to the clipboard, between two frames.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(&clipboard(text))?;
        self.out.flush()
    }

    pub(crate) fn new(out: W, size: (u16, u16)) -> Self {
        let area = Rect::new(0, 0, size.0, size.1);
        Self {
            out,
            bytes: String::with_capacity(FRAME),
            previous: Buffer::empty(area),
            next: Buffer::empty(area),
            repaint: true,
        }
    }

    /// The size changed, or somebody else wrote on the screen: send everything next time.
    pub(crate) fn repaint(&mut self, size: (u16, u16)) {
        let area = Rect::new(0, 0, size.0, size.1);
        self.previous = Buffer::empty(area);
        self.next = Buffer::empty(area);
        self.repaint = true;
    }

    /// Draws and sends a frame. `None` when nothing changed, and then nothing is sent.
    pub(crate) fn draw(&mut self, view: impl FnOnce(&mut Buffer)) -> io::Result<Option<Cost>> {
        let begun = Instant::now();
        self.next.reset();
        view(&mut self.next);
        if self.previous == self.next && !self.repaint {
            return Ok(None);
        }
        self.bytes.clear();
        self.bytes.push_str(BEGIN);
        if self.repaint {
            self.bytes.push_str(CLEAR);
        } else if let Some(found) = Move::find(&self.previous, &self.next) {
            self.bytes.push_str(&found.bytes());
            found.apply(&mut self.previous);
        }
        encode::changes(&self.previous, &self.next, &mut self.bytes);
        self.bytes.push_str(END);
        self.repaint = false;
        std::mem::swap(&mut self.previous, &mut self.next);
        let draw = begun.elapsed();
        let begun = Instant::now();
        self.out.write_all(self.bytes.as_bytes())?;
        self.out.flush()?;
        Ok(Some(Cost { bytes: self.bytes.len(), draw, write: begun.elapsed() }))
    }
}

impl Frames<File> {
    /// Asks the terminal how large it is and sends everything next time.
    pub(crate) fn resize(&mut self) -> io::Result<(u16, u16)> {
        let size = size(&self.out)?;
        self.repaint(size);
        Ok(size)
    }
}

/// What asks a terminal to put a text into the clipboard (OSC 52). Terminals that do not know it ignore it.
pub(crate) fn clipboard(text: &str) -> Vec<u8> {
    format!("\x1b]52;c;{}\x07", BASE64.encode(text)).into_bytes()
}

/// The controlling terminal, apart from whatever standard output is. Some containers have a terminal and none that
/// controls; there standard output must be it.
pub(crate) fn open_terminal() -> io::Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
    match opened {
        Err(_) if io::stdout().is_terminal() => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        result => result,
    }
}

/// Columns and rows of a terminal; one that does not know them has the usual ones.
pub(crate) fn size(terminal: &File) -> io::Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal)?;
    let known = |n: u16, usual| if n == 0 { usual } else { n };
    Ok((known(size.ws_col, 80), known(size.ws_row, 24)))
}
