//! A run in the foreground: the table of iterations on standard output, progress on standard error.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use color_eyre::eyre::Result;

use super::{format, outcome, serve, table};
use crate::config::Paths;
use crate::gym::episode::Event;
use crate::gym::ports::Fact;
use crate::runner::client::fresh_name;
use crate::runner::driver::Leave;
use crate::runner::live::LiveBoard;
use crate::runner::residence::live_of;
use crate::store::Reader;

/// Runs to the end, to a gate, or to a failure.
pub(super) fn run(paths: &Paths, folder: &Path) -> Result<ExitCode> {
    let record = Reader::open(&live_of(folder))?.record()?;
    table::print_header(&record, folder);
    let board = LiveBoard::default();
    let over = Arc::new(AtomicBool::new(false));
    let progress = show_progress(board.clone(), Arc::clone(&over));
    let mut printed = 0;
    let result =
        serve::own(paths, folder, Some(fresh_name()), Leave::WhenIdle, &board, &mut |event, episode| {
            match event {
                Event::Failed { message, .. } => {
                    eprintln!("{}{}", table::line_anew(), format::escaped(message));
                }
                Event::NoRoom { message } => {
                    eprintln!("{}disk full: {}", table::line_anew(), format::escaped(message));
                }
                _ => {}
            }
            if matches!(event, Event::Opened | Event::Completed { fact: Fact::Evaluated { .. }, .. })
            // Where it lives is known now; nothing but rows would be missing without.
            && let Ok(reader) = Reader::open(&live_of(folder))
            {
                printed = table::print_rows(&reader, episode, printed);
            }
        });
    over.store(true, Ordering::Relaxed);
    // It holds nothing that could be lost.
    let _ = progress.join();
    let episode = result?;
    table::print_end(&Reader::open(&live_of(folder))?, &record, &episode, folder)?;
    Ok(outcome::exit_code(&episode))
}

/// One line that is rewritten on a terminal, and a line every ten seconds elsewhere.
fn show_progress(board: LiveBoard, over: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let terminal = std::io::stderr().is_terminal();
    let interval = if terminal { 5 } else { 100 };
    std::thread::spawn(move || {
        for tick in 1_u64.. {
            std::thread::sleep(Duration::from_millis(100));
            if over.load(Ordering::Relaxed) {
                break;
            }
            let live = board.now();
            if tick % interval == 0 && live.work.is_some() {
                let line = table::progress_line(&live);
                let line = if terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") };
                // A terminal that was lost is no reason to panic; the signal that tells of it is on its way.
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
        if terminal {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    })
}
