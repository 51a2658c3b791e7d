//! What there is, and telling it to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail};

use super::format;
use crate::config::{Paths, socket};
use crate::gym::episode::{Command, Episode, Halt};
use crate::runner::client::{self, ClientError};
use crate::runner::lock::RunLock;
use crate::store::{DATABASE, Reader, RunRecord};

/// One run as found on disk.
pub(super) struct Found {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What was fixed at its creation.
    pub(super) record: RunRecord,
    /// Its state.
    pub(super) episode: Episode,
}

/// Every run that can be read, newest first.
fn all(paths: &Paths) -> Vec<Found> {
    let entries = std::fs::read_dir(&paths.runs).into_iter().flatten().flatten();
    let mut found: Vec<Found> = entries.filter_map(|entry| read(entry.path())).collect();
    found.sort_by_key(|run| std::cmp::Reverse(run.record.created_ms));
    found
}

fn read(folder: PathBuf) -> Option<Found> {
    let reader = Reader::open(&folder).ok()?;
    let (record, episode) = (reader.record().ok()?, reader.episode().ok()?);
    Some(Found { folder, record, episode })
}

/// The newest run that fits.
pub(super) fn newest(paths: &Paths, fits: impl Fn(&Found) -> bool) -> Option<Found> {
    all(paths).into_iter().find(fits)
}

/// The first of `base`, `base-2`, `base-3`, ... that is no run yet.
pub(super) fn fresh_name(paths: &Paths, base: &str) -> String {
    let free = |name: &String| !paths.run(name).exists();
    let numbered = (2_u32..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.to_owned()).chain(numbered).find(free).unwrap_or_else(|| base.to_owned())
}

/// `dataenvgym runs`.
pub(super) fn list(paths: &Paths) -> ExitCode {
    let found = all(paths);
    if found.is_empty() {
        println!("no runs in {}", paths.runs.display());
        return ExitCode::SUCCESS;
    }
    println!("{:<24} {:<10} {:>9}  {:<22}", "run", "state", "iteration", "validation (95 %)");
    for run in found {
        let score = run.episode.latest_report().map(|r| format::accuracy(&r.overall)).unwrap_or_default();
        let iteration = run.episode.iterations.len() - 1;
        println!("{:<24} {:<10} {iteration:>9}  {score:<22}", run.record.name, state(&run));
    }
    ExitCode::SUCCESS
}

fn state(run: &Found) -> &'static str {
    match (RunLock::is_held(&run.folder), &run.episode.halt) {
        (_, Some(Halt::Finished)) => "finished",
        (_, Some(Halt::Failure { .. })) => "failed",
        (true, Some(Halt::Gate { .. })) => "at a gate",
        (true, Some(_)) => "paused",
        (true, None) => "running",
        (false, _) => "stopped",
    }
}

/// `dataenvgym stop`.
pub(super) fn stop(paths: &Paths, name: &str, now: bool) -> Result<ExitCode> {
    let folder = paths.run(name);
    if !folder.join(DATABASE).exists() {
        bail!("no run `{name}` in {}; `dataenvgym runs` lists what there is", paths.runs.display());
    }
    let command = if now { Command::StopNow } else { Command::Stop };
    match client::command(&socket(&folder)?, command) {
        Ok(()) if now => println!("run `{name}` stops now"),
        Ok(()) => println!("run `{name}` stops after the running phase"),
        Err(ClientError::NoRunner) => println!("run `{name}` is not running"),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
