//! `dataenvgym delete`: a run's folder, socket and scratch.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use color_eyre::eyre::{Result, WrapErr, bail};

use super::{format, runs};
use crate::config::Paths;
use crate::runner::client;
use crate::runner::filesystem::SystemProbe;
use crate::runner::residence::{Residence, live_of, roots};
use crate::store::DATABASE;

/// In the name of a folder whose deletion has begun; it is no run any more.
const DELETED: &str = ".deleted-";

/// Deletes runs after a question, which `yes` answers beforehand.
pub(super) fn delete(paths: &Paths, names: &[String], yes: bool) -> Result<ExitCode> {
    let mut folders = Vec::new();
    for name in names {
        folders.push((name, known(paths, name)?));
    }
    sweep(paths);
    for (name, folder) in folders {
        if !yes && !agreed(name, &folder)? {
            println!("run `{name}` stays");
            continue;
        }
        let size = size(&folder);
        remove(paths, name, &folder)?;
        println!("run `{name}` is deleted ({})", format::bytes(size));
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes one run after a question that somebody else asked.
pub(super) fn one(paths: &Paths, name: &str) -> Result<()> {
    let folder = known(paths, name)?;
    sweep(paths);
    remove(paths, name, &folder)
}

/// The folder of a run, also of one that is damaged or was never finished.
fn known(paths: &Paths, name: &str) -> Result<PathBuf> {
    let folder = paths.run(name);
    let is_run = [DATABASE, "run.db.new", "config.toml"].iter().any(|file| folder.join(file).exists());
    if !runs::is_plain(name) || !is_run {
        bail!("no run `{name}` in {}; `dataenvgym runs` lists what there is", paths.runs.display());
    }
    if folder.is_symlink() {
        bail!("{} is a link; delete the run where the link leads, then the link", folder.display());
    }
    Ok(folder)
}

fn agreed(name: &str, folder: &Path) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked whether run `{name}` is to be deleted; give --yes");
    }
    print!("delete run `{name}`, {} in {}? [y/N] ", format::bytes(size(folder)), folder.display());
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Under the run's lock, so that nobody has it and nobody takes it meanwhile. The name is gone at once; what
/// a kill leaves of the rest is removed by the next deletion.
fn remove(paths: &Paths, name: &str, folder: &Path) -> Result<()> {
    let before = live_of(folder);
    let socket = client::socket_of(&before);
    let is_left = std::fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket());
    let residence = Residence::settle(folder, &SystemProbe::from_environment(), &roots())
        .wrap_err_with(|| format!("run `{name}` is not deleted"))?;
    let gone = paths.runs.join(format!(".{name}{DELETED}{}", std::process::id()));
    std::fs::rename(folder, &gone).wrap_err_with(|| format!("cannot rename {}", folder.display()))?;
    if is_left {
        // As a rule the runner removed it.
        let _ = std::fs::remove_file(socket);
    }
    for scratch in [residence.live(), &before].into_iter().filter(|live| *live != folder) {
        let _ = std::fs::remove_dir_all(scratch);
    }
    std::fs::remove_dir_all(&gone).wrap_err_with(|| {
        format!(
            "run `{name}` is no run any more, but not everything could be removed: delete {}",
            gone.display()
        )
    })
}

/// Removes what deletions that were cut short left behind.
fn sweep(paths: &Paths) {
    for entry in std::fs::read_dir(&paths.runs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.contains(DELETED) {
            // Another deletion may be at work on it.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Bytes below a folder; links are not followed.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
