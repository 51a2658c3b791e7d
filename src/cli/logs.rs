//! Where a process without a terminal writes what happened.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use color_eyre::eyre::{Result, WrapErr};
use tracing_subscriber::EnvFilter;

/// Folder of a run's logs.
pub(super) fn folder(run_folder: &Path) -> PathBuf {
    run_folder.join("logs")
}

/// The runner's log, opened for appending.
pub(super) fn runner_log(run_folder: &Path) -> Result<File> {
    let folder = folder(run_folder);
    std::fs::create_dir_all(&folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join("runner.log");
    let open = OpenOptions::new().create(true).append(true).open(&path);
    open.wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// Sends the program's own events to `file`; `DATAENVGYM_LOG` sets the level. Panics of library threads go
/// there too, never to the terminal.
pub(super) fn install(file: File) {
    let filter = EnvFilter::try_from_env("DATAENVGYM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Arc::new(file));
    // Only a second installation in one process fails, and then the first one serves.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(|info| {
        tracing::error!(panic = %info, "a thread panicked");
    }));
}
