//! The terminal interface on a run.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail};

use super::{launch, logs, runs};
use crate::config::{Paths, socket};
use crate::runner::lock::RunLock;
use crate::store::Reader;
use crate::tui::{self, Exit, Options};

/// Opens the quick start: a fresh one starts to work at once, an unfinished one goes on.
pub(super) fn open(paths: &Paths) -> Result<ExitCode> {
    let folder = launch::quick_start(paths)?;
    if !RunLock::is_held(&folder) {
        launch::start(paths, &folder, true)?;
    }
    show(paths, &folder)
}

/// Opens a run as it is: nothing is started before a key asks for it.
pub(super) fn attach(paths: &Paths, name: Option<&str>) -> Result<ExitCode> {
    let found = match name {
        Some(name) => Some(paths.run(name)),
        None => runs::newest(paths, |_| true).map(|run| run.folder),
    };
    match found {
        Some(folder) => show(paths, &folder),
        None => bail!("no runs in {}; `dataenvgym run` starts one", paths.runs.display()),
    }
}

fn show(paths: &Paths, folder: &Path) -> Result<ExitCode> {
    let name = Reader::open(folder)?.record()?.name;
    let address = socket(folder)?;
    let connect = Box::new(move || UnixStream::connect(&address).ok());
    let (resume_paths, resume_folder) = (paths.clone(), folder.to_owned());
    let resume = Box::new(move || {
        launch::start(&resume_paths, &resume_folder, false).map_err(|error| error.to_string())
    });
    let mut options = Options::new(folder.to_owned(), connect, resume);
    options.log = Some(logs::folder(folder).join("client.log"));
    std::fs::create_dir_all(logs::folder(folder))?;
    match tui::run(options)? {
        Exit::Detached => println!(
            "run `{name}` goes on in the background\n  come back: dataenvgym attach {name}\n  stop it:   dataenvgym stop {name}"
        ),
        Exit::Stopping => println!("run `{name}` stops; resume it with: dataenvgym run --name {name}"),
        Exit::NoRunner => println!("run `{name}` is in {}", folder.display()),
    }
    Ok(ExitCode::SUCCESS)
}
