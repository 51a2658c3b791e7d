//! Where a process without a terminal writes what happened, and `dataenvgym logs`.

mod sink;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, bail};
use tracing_subscriber::EnvFilter;

use super::{format, runs};
use crate::config::Paths;
use crate::runner::lock::RunLock;
use crate::runner::log_file::{self, Follower, RotatingFile};
use crate::runner::residence::live_of;

pub(super) use sink::LogHandle;

/// Time between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(150);

/// The runner's log of a run.
pub(super) fn runner_log(run_folder: &Path) -> PathBuf {
    log_file::path(&log_file::folder(run_folder), log_file::RUNNER)
}

/// Makes the folder of a run's logs and returns it.
pub(super) fn made_folder(run_folder: &Path) -> Result<PathBuf> {
    let folder = log_file::folder(run_folder);
    std::fs::create_dir_all(&folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Sends the program's own events to the runner's log; `DATAENVGYM_LOG` sets the level. Panics of library
/// threads go there too, never to the terminal.
pub(super) fn install(run_folder: &Path) -> Result<LogHandle> {
    made_folder(run_folder)?;
    let path = runner_log(run_folder);
    let file = RotatingFile::open(&path, log_file::LIMIT, log_file::KEEP)
        .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    let (sink, handle) = sink::start(file)?;
    let filter = EnvFilter::try_from_env("DATAENVGYM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(sink);
    // Only a second installation in one process fails, and then the first one serves.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(|info| {
        tracing::error!(panic = %info, "a thread panicked");
    }));
    Ok(handle)
}

/// `dataenvgym logs`: the last lines of a log, and with `follow` what comes after, until the run's process ends.
pub(super) fn show(
    paths: &Paths,
    name: Option<&str>,
    worker: Option<&str>,
    lines: usize,
    follow: bool,
) -> Result<ExitCode> {
    let folder = runs::find(paths, name)?;
    let logs = log_file::folder(&folder);
    let path = log_file::path(&logs, worker.unwrap_or(log_file::RUNNER));
    // The runner makes its own when it starts.
    let may_come = follow && worker.is_none();
    if !path.exists() && !may_come {
        let known = names(&logs);
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        bail!("there is no log {}; the logs of this run: {known}", path.display());
    }
    eprintln!("{}", path.display());
    let mut follower = Follower::begin(&path, lines, log_file::KEEP);
    loop {
        // Looked at before reading, so that the last words of a process are read.
        let over = !follow || !RunLock::is_held(&live_of(&folder));
        let mut out = std::io::stdout().lock();
        for line in follower.read().wrap_err_with(|| format!("cannot read {}", path.display()))? {
            match writeln!(out, "{}", format::on_one_line(&line)) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                written => written?,
            }
        }
        out.flush()?;
        if over {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK);
    }
}

/// Names that `--worker` takes, without the runner's.
fn names(logs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".log")?.to_owned());
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}
