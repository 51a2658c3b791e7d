//! A run in the foreground: the table of iterations on standard output, progress on standard error.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use color_eyre::eyre::Result;

use super::{format, serve};
use crate::config::Paths;
use crate::gym::episode::{Episode, Event, Halt};
use crate::gym::instance::Split;
use crate::gym::ports::Fact;
use crate::gym::statistics::paired_gain;
use crate::protocol::control::Live;
use crate::runner::driver::Leave;
use crate::runner::live::LiveBoard;
use crate::store::{PhaseTiming, Reader, RunRecord};

/// Runs to the end, to a gate, or to a failure.
pub(super) fn run(paths: &Paths, folder: &Path) -> Result<ExitCode> {
    let reader = Reader::open(folder)?;
    let record = reader.record()?;
    print_header(&record, folder);
    let board = LiveBoard::default();
    let over = Arc::new(AtomicBool::new(false));
    let progress = show_progress(board.clone(), Arc::clone(&over));
    let mut printed = 0;
    let result = serve::own(paths, folder, true, Leave::WhenIdle, &board, &mut |event, episode| {
        if let Event::Failed { message, .. } = event {
            eprintln!("\r\x1b[K{}", format::escaped(message));
        }
        if matches!(event, Event::Opened | Event::Completed { fact: Fact::Evaluated { .. }, .. }) {
            printed = print_rows(&reader, episode, printed);
        }
    });
    over.store(true, Ordering::Relaxed);
    // It holds nothing that could be lost.
    let _ = progress.join();
    let episode = result?;
    print_end(&reader, &record, &episode)?;
    Ok(serve::exit_code(&episode))
}

fn print_header(record: &RunRecord, folder: &Path) {
    println!("run {} in {}", record.name, folder.display());
    println!(
        "task {}, student {}, policy {}, engine {}, seed {}",
        record.task, record.student, record.policy, record.engine, record.seed
    );
    println!();
    println!(
        "{:>9}  {:<22}  {:>8}  {:>8}  {:>12}",
        "iteration", "validation (95 %)", "accepted", "rejected", "time"
    );
}

/// Prints the rows of evaluated iterations from `from` on; returns the next one to print.
fn print_rows(reader: &Reader, episode: &Episode, from: usize) -> usize {
    let timings = reader.timings().unwrap_or_default();
    let mut next = from;
    while let Some(report) = episode.iterations.get(next).and_then(|i| i.validation.as_ref()) {
        let iteration = &episode.iterations[next];
        let (accepted, rejected) = (iteration.accepted, iteration.rejected);
        let time = format::duration(spent(&timings, next as u32));
        let score = format::accuracy(&report.overall);
        eprint!("{}", if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" });
        println!("{next:>9}  {score:<22}  {accepted:>8}  {rejected:>8}  {time:>12}");
        next += 1;
    }
    // A reader behind a pipe sees a row when it is there.
    let _ = std::io::stdout().flush();
    next
}

/// Milliseconds spent in an iteration's phases up to its validation score.
fn spent(timings: &[PhaseTiming], iteration: u32) -> u64 {
    let of_iteration = timings.iter().filter(|t| t.iteration == iteration && t.split != Split::Test.as_str());
    of_iteration.filter_map(|t| Some((t.ended_ms? - t.began_ms).max(0) as u64)).sum()
}

fn print_end(reader: &Reader, record: &RunRecord, episode: &Episode) -> Result<()> {
    println!();
    match &episode.halt {
        Some(Halt::Finished) => print_result(reader, episode)?,
        Some(Halt::Failure { message }) => {
            println!("paused by a failure: {}", format::escaped(message));
            println!("resume with: dataenvgym run --name {}", record.name);
        }
        Some(Halt::Gate { phase }) => {
            println!("waits at the gate before {}", phase.as_str());
            println!("go on with: dataenvgym run --name {}", record.name);
        }
        _ => println!("stopped; resume with: dataenvgym run --name {}", record.name),
    }
    Ok(())
}

fn print_result(reader: &Reader, episode: &Episode) -> Result<()> {
    let selected = episode.selected.unwrap_or(0);
    println!("selected by validation: iteration {selected}");
    for n in [0, selected].into_iter().take(if selected == 0 { 1 } else { 2 }) {
        if let Some(report) = &episode.iterations[n as usize].test {
            println!(
                "test, iteration {n}: {} of {} questions",
                format::accuracy(&report.overall),
                report.overall.n
            );
        }
    }
    let pairs = reader.paired(Split::Test, 0, selected)?;
    match paired_gain(pairs.iter().map(|(key, before, after)| (key.as_str(), *before, *after))) {
        Some(gain) if selected > 0 => println!("paired gain on the test split: {}", format::gain(&gain)),
        _ => println!("no iteration beats the untrained student on the validation split"),
    }
    Ok(())
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
                let line = progress_line(&live);
                if terminal {
                    eprint!("\r\x1b[K{line}");
                } else {
                    eprintln!("{line}");
                }
            }
        }
        if terminal {
            eprint!("\r\x1b[K");
        }
    })
}

fn progress_line(live: &Live) -> String {
    let Some(work) = live.work else { return String::new() };
    let split = work.split.map_or(String::new(), |s| format!(" ({})", s.as_str()));
    let rate = if live.tokens_per_second > 0.0 {
        format!(", {:.0} tokens/s", live.tokens_per_second)
    } else {
        String::new()
    };
    let loss = live.training.map_or(String::new(), |t| format!(", loss {:.3}", t.loss));
    format!(
        "iteration {}: {}{split} {} of {}{rate}{loss}, {}",
        work.iteration,
        work.phase.as_str(),
        live.done,
        live.total,
        format::duration(live.elapsed_ms)
    )
}
