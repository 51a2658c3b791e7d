//! What runs there are, and telling one to stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use color_eyre::eyre::{Result, bail};

use super::outcome::Standing;
use super::{format, logs};
use crate::config::Paths;
use crate::gym::episode::{Command, Episode, Halt};
use crate::runner::client::{self, ClientError};
use crate::runner::lock::{self, RunLock};
use crate::runner::residence::{CLAIM, Claim, live_of};
use crate::store::{DATABASE, Reader, RunRecord, spending};
use crate::tui::{RunRow, Shown};

/// One run as found on disk.
pub(super) struct Found {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What was fixed at its creation.
    pub(super) record: RunRecord,
    /// Its state.
    pub(super) episode: Episode,
}

/// Every folder that may be a run, with the run in it or what keeps it from being read; newest run first.
pub(super) fn all(paths: &Paths) -> (Vec<Found>, Vec<(PathBuf, String)>) {
    let entries = std::fs::read_dir(&paths.runs).into_iter().flatten().flatten();
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for folder in entries.map(|entry| entry.path()) {
        // A deletion that was cut short leaves a hidden folder.
        let hidden = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || !folder.join(DATABASE).exists() {
            continue;
        }
        match read(&folder) {
            Ok(run) => found.push(run),
            Err(error) => broken.push((folder, error.to_string())),
        }
    }
    // The name decides where a clock that was set back gives two runs one time.
    found.sort_by(|a, b| (b.record.created_ms, &b.record.name).cmp(&(a.record.created_ms, &a.record.name)));
    broken.sort();
    (found, broken)
}

fn read(folder: &Path) -> Result<Found> {
    let reader = Reader::open(&live_of(folder))?;
    Ok(Found { folder: folder.to_owned(), record: reader.record()?, episode: reader.episode()? })
}

/// The newest run that fits.
pub(super) fn newest(paths: &Paths, fits: impl Fn(&Found) -> bool) -> Option<Found> {
    all(paths).0.into_iter().find(fits)
}

/// The folder of the run of that name; without one, of the newest.
pub(super) fn find(paths: &Paths, name: Option<&str>) -> Result<PathBuf> {
    let Some(name) = name else {
        let Some(found) = newest(paths, |_| true) else {
            bail!("no runs in {}; `dataenvgym run` starts one", paths.runs.display());
        };
        return Ok(found.folder);
    };
    let folder = paths.run(name);
    if !is_plain(name) || !folder.join(DATABASE).exists() {
        bail!("no run `{name}` in {}; `dataenvgym runs` lists what there is", paths.runs.display());
    }
    Ok(folder)
}

/// Whether a name names a folder directly below the runs, and not a hidden one.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

/// The first of `base`, `base-2`, `base-3`, ... that is no run yet.
pub(super) fn fresh_name(paths: &Paths, base: &str) -> String {
    let free = |name: &String| !paths.run(name).exists();
    let numbered = (2_u32..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.to_owned()).chain(numbered).find(free).unwrap_or_else(|| base.to_owned())
}

/// `dataenvgym runs`.
pub(super) fn list(paths: &Paths) -> ExitCode {
    let (found, broken) = all(paths);
    if found.is_empty() && broken.is_empty() {
        println!("no runs in {}", paths.runs.display());
        return ExitCode::SUCCESS;
    }
    println!("{:<24} {:<10} {:>9}  {:<22}", "run", "state", "iteration", "validation (95 %)");
    for run in &found {
        let score = run.episode.latest_report().map(|r| format::accuracy(&r.overall)).unwrap_or_default();
        let iteration = run.episode.iterations.len() - 1;
        let (name, state) = (format::on_one_line(&run.record.name), state(run));
        let paid = spending::read(&run.folder).unwrap_or_default().words();
        let paid = paid.map_or(String::new(), |paid| format!("  spent {paid}"));
        println!("{name:<24} {state:<10} {iteration:>9}  {score:<22}{paid}");
        if let Some(message) = run.episode.halt.as_ref().and_then(Halt::message) {
            let first = message.lines().next().unwrap_or_default();
            println!("  {}", format::on_one_line(first));
            println!("  log: {}", Shown::from(logs::runner_log(&run.folder).display().to_string()));
        }
    }
    for (folder, error) in &broken {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        println!("{:<24} {:<10}", format::on_one_line(&name), "unreadable");
        println!("  {}", format::on_one_line(error));
    }
    println!("\nfolders and logs: {}/RUN/logs", paths.runs.display());
    ExitCode::SUCCESS
}

fn state(run: &Found) -> String {
    match Claim::of(&run.folder) {
        Ok(Some(claim)) if !claim.is_of_this_host() => format!("on {}", format::on_one_line(&claim.host)),
        _ => standing(run).word().to_owned(),
    }
}

/// Every run as a row of the list on the screen.
pub(super) fn rows(paths: &Paths) -> Vec<RunRow> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let row = |run: Found| RunRow {
        state: state(&run),
        iterations: run.episode.iterations.len() - 1,
        accuracy: run.episode.latest_report().map(|report| report.overall),
        age_ms: u64::try_from(now - run.record.created_ms).unwrap_or(0),
        name: run.record.name,
        database: live_of(&run.folder),
        folder: run.folder,
    };
    all(paths).0.into_iter().map(row).collect()
}

/// How a run stands now.
pub(super) fn standing(run: &Found) -> Standing {
    Standing::of(&run.episode, RunLock::is_held(&live_of(&run.folder)))
}

/// `dataenvgym stop`.
pub(super) fn stop(paths: &Paths, name: &str, now: bool) -> Result<ExitCode> {
    let folder = find(paths, Some(name))?;
    let command = if now { Command::StopNow } else { Command::Stop };
    match order(&folder, name, command) {
        Ok(()) if now => println!("run `{name}` stops now"),
        Ok(()) => println!("run `{name}` stops after the running phase"),
        Err(ClientError::NoRunner(_)) if !RunLock::is_held(&live_of(&folder)) => not_running(&folder, name)?,
        Err(ClientError::NoRunner(socket)) => {
            let pid =
                lock::holder(&live_of(&folder)).map_or_else(String::new, |holder| holder.pid.to_string());
            bail!(
                "the process {pid} of run `{name}` does not listen at {}: `kill -TERM {pid}` pauses it, and \
                 {} says what it does",
                socket.display(),
                logs::runner_log(&folder).display()
            )
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a command to the process of a run and waits until it is journalled.
pub(super) fn order(folder: &Path, name: &str, command: Command) -> Result<(), ClientError> {
    let socket = client::socket_of(&live_of(folder));
    let mut client = client::Client::connect(&socket, Some(name), &client::fresh_name())?;
    note_version(client.greeting());
    client.command(1, command)
}

/// Another version that speaks the same protocol is worth a word.
pub(super) fn note_version(greeting: &client::Greeting) {
    let ours = env!("CARGO_PKG_VERSION");
    if greeting.version != ours {
        let theirs = format::on_one_line(&greeting.version).into_owned();
        eprintln!("the run's process is version {theirs}, this program is {ours}");
    }
}

fn not_running(folder: &Path, name: &str) -> Result<()> {
    match Claim::of(folder)? {
        Some(claim) if !claim.is_of_this_host() => bail!(
            "run `{name}` is worked on by {}: stop it there. If that machine is gone, remove {}",
            claim.host,
            folder.join(CLAIM).display()
        ),
        _ => println!("run `{name}` is not running"),
    }
    Ok(())
}
