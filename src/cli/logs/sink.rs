//! A log that blocks nobody: events go through a bounded queue to a thread that writes them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use crate::tui::escape::{Breaks, escape};

/// Events that wait for the disk at most; what comes when the queue is full is counted and left out.
const QUEUE: usize = 4096;
/// How long the end of the process waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    Flush(Sender<()>),
}

/// Takes events in.
#[derive(Clone)]
pub(super) struct Sink {
    queue: SyncSender<Entry>,
    left_out: Arc<AtomicU64>,
}

/// Writes out what waits when it is dropped, and on request.
#[derive(Clone)]
pub(in crate::cli) struct LogHandle {
    queue: SyncSender<Entry>,
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Sink, LogHandle)> {
    let (queue, entries) = sync_channel(QUEUE);
    let left_out = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&left_out);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(out, &entries, &counted))?;
    Ok((Sink { queue: queue.clone(), left_out }, LogHandle { queue }))
}

/// A log that cannot be written is no reason to stop a run: what fails is left out.
fn write(mut out: impl Write, entries: &Receiver<Entry>, left_out: &AtomicU64) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let missing = left_out.swap(0, Ordering::Relaxed);
                if missing > 0 {
                    let _ = writeln!(out, "({missing} events left out: the disk was too slow)");
                }
                let _ = out.write_all(&line);
            }
            Entry::Flush(done) => {
                let _ = out.flush();
                // Nobody may wait any more.
                let _ = done.send(());
            }
        }
    }
}

impl LogHandle {
    /// Waits until everything so far is written, but not for ever.
    pub(in crate::cli) fn flush(&self) {
        let until = Instant::now() + PATIENCE;
        let (done, wait) = channel();
        let mut entry = Entry::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(entry) {
            if Instant::now() > until {
                return;
            }
            entry = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        // In vain is in vain.
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Sink {
    /// One event, which is one line whatever texts from outside are in it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = escape(text.trim_end_matches('\n'), Breaks::Show).into_owned();
        line.push('\n');
        if self.queue.try_send(Entry::Line(line.into_bytes())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper {
        text: Arc<Mutex<Vec<u8>>>,
        held: Arc<Mutex<()>>,
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _free = self.held.lock().unwrap();
            self.text.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_and_cannot_drive_a_terminal() {
        let paper = Paper::default();
        let (mut sink, handle) = start(paper.clone()).unwrap();
        sink.write_all(b"INFO answer=\x1b[2J\nERROR forged\n").unwrap();
        handle.flush();
        let text = String::from_utf8(paper.text.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("[2J"), "{text}");
    }

    #[test]
    fn a_disk_that_hangs_blocks_nobody_and_the_gap_is_told() {
        let paper = Paper::default();
        let (mut sink, handle) = start(paper.clone()).unwrap();
        let held = paper.held.lock().unwrap();
        let began = Instant::now();
        for n in 0..QUEUE + 500 {
            writeln!(sink, "event {n}").unwrap();
        }
        assert!(began.elapsed() < PATIENCE * 20);
        drop(held);
        handle.flush();
        writeln!(sink, "after").unwrap();
        handle.flush();
        let text = String::from_utf8(paper.text.lock().unwrap().clone()).unwrap();
        assert!(text.contains("events left out") && text.ends_with("after\n"), "{}", text.len());
    }
}
