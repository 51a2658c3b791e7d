//! The terminal interface on a run.

use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::Result;

use super::{launch, logs, runs};
use crate::config::Paths;
use crate::runner::client;
use crate::runner::lock::RunLock;
use crate::runner::residence::live_of;
use crate::store::Reader;
use crate::tui::{self, Exit, Options};

/// Opens the quick start: a fresh one starts to work at once, an unfinished one goes on.
pub(super) fn open(paths: &Paths) -> Result<ExitCode> {
    let folder = launch::quick_start(paths)?;
    if !RunLock::is_held(&live_of(&folder)) {
        launch::start(paths, &folder, true)?;
    }
    show(paths, &folder)
}

/// Opens a run as it is: nothing is started before a key asks for it.
pub(super) fn attach(paths: &Paths, name: Option<&str>) -> Result<ExitCode> {
    show(paths, &runs::find(paths, name)?)
}

fn show(paths: &Paths, folder: &Path) -> Result<ExitCode> {
    let live = live_of(folder);
    let name = Reader::open(&live)?.record()?.name;
    let run = folder.to_owned();
    let connect = Box::new(move || client::stream(&live_of(&run)));
    let (resume_paths, resume_folder) = (paths.clone(), folder.to_owned());
    let resume = Box::new(move || {
        launch::start(&resume_paths, &resume_folder, false).map_err(|error| error.to_string())
    });
    let mut options = Options::new(live, connect, resume);
    // Looking at a run needs no right to write there.
    options.log = logs::made_folder(folder).ok().map(|logs| logs.join("client.log"));
    match tui::run(options)? {
        Exit::Detached => println!(
            "run `{name}` goes on in the background\n  come back: dataenvgym attach {name}\n  stop it:   dataenvgym stop {name}\n  its log:   {}",
            logs::runner_log(folder).display()
        ),
        Exit::Stopping => println!("run `{name}` stops; resume it with: dataenvgym run --name {name}"),
        Exit::NoRunner => println!("run `{name}` is in {}", folder.display()),
    }
    Ok(ExitCode::SUCCESS)
}
