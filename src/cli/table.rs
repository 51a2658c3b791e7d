//! A run as lines of text: header, rows of iterations, progress, result.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

use color_eyre::eyre::Result;

use super::launch::LEAKAGE;
use super::{format, logs};
use crate::gym::episode::{Episode, Halt};
use crate::gym::instance::Split;
use crate::gym::leakage::Contamination;
use crate::gym::statistics::paired_gain;
use crate::protocol::control::Live;
use crate::store::{PhaseTiming, Reader, RunRecord, spending};
use crate::tui::Shown;

pub(super) fn print_header(record: &RunRecord, folder: &Path) {
    let place = folder.display().to_string();
    println!("run {} in {}", format::on_one_line(&record.name), format::on_one_line(&place));
    println!(
        "task {}, student {}, policy {}, engine {}, seed {}",
        format::on_one_line(&record.task),
        format::on_one_line(&record.student),
        format::on_one_line(&record.policy),
        format::on_one_line(&record.engine),
        record.seed
    );
    if let Some(found) = contamination(folder) {
        println!("leakage: {found}");
    }
    println!();
    println!(
        "{:>9}  {:<22}  {:>8}  {:>8}  {:>12}",
        "iteration", "validation (95 %)", "accepted", "rejected", "time"
    );
}

/// What was found between the splits when the run was made, where they were compared.
pub(super) fn contamination(folder: &Path) -> Option<Contamination> {
    serde_json::from_str(&std::fs::read_to_string(folder.join(LEAKAGE)).ok()?).ok()?
}

/// What begins the line of progress on standard error anew; nothing where there is no such line.
pub(super) fn line_anew() -> &'static str {
    if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" }
}

/// Prints the rows of evaluated iterations from `from` on; returns the next one to print.
pub(super) fn print_rows(reader: &Reader, episode: &Episode, from: usize) -> usize {
    let timings = reader.timings().unwrap_or_default();
    let mut next = from;
    while let Some(report) = episode.iterations.get(next).and_then(|i| i.validation.as_ref()) {
        let iteration = &episode.iterations[next];
        let (accepted, rejected) = (iteration.accepted, iteration.rejected);
        let time = format::duration(spent(&timings, next as u32));
        let score = format::accuracy(&report.overall);
        eprint!("{}", line_anew());
        println!("{next:>9}  {score:<22}  {accepted:>8}  {rejected:>8}  {time:>12}");
        next += 1;
    }
    // A reader behind a pipe sees a row when it is there.
    let _ = std::io::stdout().flush();
    next
}

/// Milliseconds spent in an iteration's phases up to its validation score. A clock that was set back makes a
/// phase look short, never negative.
fn spent(timings: &[PhaseTiming], iteration: u32) -> u64 {
    let of_iteration = timings.iter().filter(|t| t.iteration == iteration && t.split != Split::Test.as_str());
    of_iteration.filter_map(|t| Some((t.ended_ms? - t.began_ms).max(0) as u64)).sum()
}

/// Why the run does not go on, and how to make it.
pub(super) fn print_end(reader: &Reader, record: &RunRecord, episode: &Episode, folder: &Path) -> Result<()> {
    println!();
    if let Some(paid) = spending::read(folder).unwrap_or_default().words() {
        println!("spent {paid}");
    }
    let name = Shown::from(&record.name);
    let resume = || println!("resume with: dataenvgym run --name {name}");
    match &episode.halt {
        Some(Halt::Finished) => {
            print_result(reader, episode)?;
            print_findings(episode);
            return Ok(());
        }
        Some(Halt::NoRoom { message }) => {
            println!("paused: disk full: {}", format::escaped(message));
            resume();
        }
        Some(Halt::Failure { message }) => {
            println!("paused by a failure: {}", format::escaped(message));
            resume();
        }
        Some(Halt::Gate { phase }) => {
            println!("waits at the gate before {}", phase.as_str());
            println!("go on with: dataenvgym run --name {name}");
        }
        _ => println!("stopped; resume with: dataenvgym run --name {name}"),
    }
    println!("log: {}", Shown::from(logs::runner_log(folder).display().to_string()));
    Ok(())
}

/// What the checks found, and the scores by facet where the task has some.
fn print_findings(episode: &Episode) {
    let mut failed: BTreeMap<&str, u32> = BTreeMap::new();
    for (check, count) in episode.iterations.iter().flat_map(|iteration| &iteration.failed) {
        *failed.entry(check).or_default() += count;
    }
    if !failed.is_empty() {
        let found: Vec<String> = failed.iter().map(|(check, count)| format!("{check} {count}")).collect();
        println!("data that failed a check: {}", format::on_one_line(&found.join(", ")));
    }
    let selected = episode.selected.and_then(|n| episode.iterations.get(n as usize));
    let report = selected.and_then(|row| row.test.as_ref().or(row.validation.as_ref()));
    for slice in report.into_iter().flat_map(|report| &report.slices) {
        let split = report.map_or("", |report| report.split.as_str());
        let named = format!("{} {}", slice.facet, slice.name);
        let (named, accuracy) = (format::on_one_line(&named), format::accuracy(&slice.accuracy));
        println!("{named}: {accuracy} of {} {split} questions", slice.accuracy.n);
    }
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

/// What is going on, on one line; empty when nothing is.
pub(super) fn progress_line(live: &Live) -> String {
    let Some(work) = live.work else { return String::new() };
    let split = work.split.map_or(String::new(), |s| format!(" ({})", s.as_str()));
    let rate = if live.tokens_per_second > 0.0 {
        format!(", {:.0} tokens/s", live.tokens_per_second)
    } else {
        String::new()
    };
    let paid = live.spending.words().map_or(String::new(), |paid| format!(", spent {paid}"));
    let loss = live.training.map_or(String::new(), |t| format!(", loss {:.3}", t.loss));
    format!(
        "iteration {}: {}{split} {} of {}{rate}{loss}{paid}, {}",
        work.iteration,
        work.phase.as_str(),
        live.done,
        live.total,
        format::duration(live.elapsed_ms)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_makes_no_negative_time() {
        let timing = |phase: &str, began_ms, ended_ms| PhaseTiming {
            iteration: 1,
            round: 0,
            phase: phase.to_owned(),
            split: String::new(),
            began_ms,
            ended_ms,
        };
        let timings =
            [timing("plan", 9_000, Some(1_000)), timing("train", 1_000, Some(3_000)), timing("x", 5, None)];
        assert_eq!(spent(&timings, 1), 2_000);
    }
}
