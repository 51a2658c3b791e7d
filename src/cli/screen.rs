//! The terminal interface on a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use color_eyre::eyre::Result;

use super::outcome::Standing;
use super::{delete, doctor, format, launch, logs, new_run, runs};
use crate::config::Paths;
use crate::runner::client;
use crate::runner::lock::RunLock;
use crate::runner::residence::live_of;
use crate::store::Reader;
use crate::tui::{self, Changes, Exit, Finding, Look, Options, RunRow, Runs, Setting, Shown};

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

/// Shows a run, and then whichever other one the person opens from there.
fn show(paths: &Paths, folder: &Path) -> Result<ExitCode> {
    let look = look(paths)?;
    let mut folder = folder.to_owned();
    while let Exit::Open(other) = show_one(paths, &folder, look.clone())? {
        folder = other;
    }
    Ok(ExitCode::SUCCESS)
}

/// Folder of a person's own keys, themes and preferences.
fn settings(paths: &Paths) -> &Path {
    paths.user_config.parent().unwrap_or(&paths.user_config)
}

/// Themes and keys, with the person's own files.
fn look(paths: &Paths) -> Result<Look> {
    Ok(Look::read(settings(paths), |name| std::env::var(name).ok())?)
}

/// `dataenvgym keys`: the key reference as Markdown.
pub(super) fn keys(paths: &Paths) -> Result<ExitCode> {
    let (file, look) = (settings(paths).join("keymap.toml"), look(paths)?);
    println!("<!-- keys of {} -->\n{}", file.display(), look.keys());
    for (line, said) in look.key_remarks() {
        eprintln!("{}, line {line}: {said}", format::on_one_line(&file.display().to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

fn show_one(paths: &Paths, folder: &Path, look: Look) -> Result<Exit> {
    let live = live_of(folder);
    // Whoever wrote the run's folder does not steer the terminal.
    let name = Shown::from(Reader::open(&live)?.record()?.name);
    let place = |path: &Path| Shown::from(path.display().to_string());
    let run = folder.to_owned();
    let connect = Box::new(move || client::stream(&live_of(&run)));
    let (resume_paths, resume_folder) = (paths.clone(), folder.to_owned());
    let resume = Box::new(move || {
        launch::start(&resume_paths, &resume_folder, false).map_err(|error| error.to_string())
    });
    let mut options = Options::new(live, connect, resume);
    options.look = look;
    options.memory = Some(paths.screen.clone());
    options.runs = Arc::new(RunsHere(paths.clone()));
    // Looking at a run needs no right to write there.
    options.log = logs::made_folder(folder).ok().map(|logs| logs.join("client.log"));
    let exit = tui::run(options)?;
    match &exit {
        Exit::Detached => println!(
            "run `{name}` goes on in the background\n  come back: dataenvgym attach {name}\n  stop it:   dataenvgym stop {name}\n  its log:   {}",
            place(&logs::runner_log(folder))
        ),
        Exit::Stopping => println!("run `{name}` stops; resume it with: dataenvgym run --name {name}"),
        Exit::NoRunner => println!("run `{name}` is in {}", place(folder)),
        Exit::Open(_) => {}
    }
    Ok(exit)
}

/// The runs of a folder, for the list on the screen.
struct RunsHere(Paths);

impl Runs for RunsHere {
    fn list(&self) -> Vec<RunRow> {
        runs::rows(&self.0)
    }

    fn ready(&self) -> Vec<(String, String)> {
        new_run::configurations(&self.0)
    }

    fn settings(&self, configuration: &str) -> Result<Vec<Setting>, String> {
        new_run::settings(&self.0, configuration).map_err(|error| format!("{error:#}"))
    }

    fn check(&self, configuration: &str, changes: &Changes) -> Result<(), String> {
        new_run::check(&self.0, configuration, changes).map_err(|error| format!("{error:#}"))
    }

    fn create(&self, configuration: &str, changes: &Changes) -> Result<PathBuf, String> {
        new_run::create(&self.0, configuration, changes).map_err(|error| format!("{error:#}"))
    }

    fn resume(&self, folder: &Path) -> Result<String, String> {
        if !folder.join(launch::CONFIG).exists() {
            return Err("this run was imported: it can be looked at, not resumed".into());
        }
        let live = live_of(folder);
        let episode = Reader::open(&live).and_then(|reader| reader.episode()).map_err(|e| e.to_string())?;
        if matches!(Standing::of(&episode, RunLock::is_held(&live)), Standing::Finished) {
            return Ok("is finished; open it and change its limits, and it goes on".into());
        }
        launch::go_on(&self.0, folder).map(str::to_owned).map_err(|error| format!("{error:#}"))
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        delete::one(&self.0, name).map_err(|error| format!("{error:#}"))
    }

    fn doctor(&self) -> Vec<Finding> {
        doctor::findings(&self.0)
    }
}
