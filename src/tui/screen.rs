//! The terminal while this program has it: frames out, and everything restored on the way out.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Room for one frame; the largest first paint is about half of it.
const FRAME: usize = 64 * 1024;

/// Collects the bytes of a frame. Flushing does nothing: the frame leaves whole, in one write.
#[derive(Debug, Clone, Default)]
struct Collected(Rc<RefCell<Vec<u8>>>);

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
    bytes: Collected,
    backend: CrosstermBackend<Collected>,
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
        // ratatui asks crossterm for colours even where there are none; with NO_COLOR set crossterm would answer
        // with a sequence that also ends bold and reverse. The theme decides about colour here.
        crossterm::style::force_color_output(true);
        let bytes = Collected(Rc::new(RefCell::new(Vec::with_capacity(FRAME))));
        let area = Rect::new(0, 0, size.0, size.1);
        Self {
            out,
            backend: CrosstermBackend::new(bytes.clone()),
            bytes,
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
        let changes = self.previous.diff(&self.next);
        if changes.is_empty() && !self.repaint {
            return Ok(None);
        }
        self.bytes.0.borrow_mut().clear();
        queue!(self.bytes, BeginSynchronizedUpdate)?;
        if self.repaint {
            queue!(self.bytes, Clear(ClearType::All))?;
        }
        self.backend.draw(changes.into_iter())?;
        queue!(self.bytes, EndSynchronizedUpdate)?;
        self.repaint = false;
        std::mem::swap(&mut self.previous, &mut self.next);
        let draw = begun.elapsed();
        let begun = Instant::now();
        let bytes = self.bytes.0.borrow();
        self.out.write_all(&bytes)?;
        self.out.flush()?;
        Ok(Some(Cost { bytes: bytes.len(), draw, write: begun.elapsed() }))
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
