//! The runner as a process: lock, socket, signals, workers, driver.

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use color_eyre::eyre::Result;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::{RESUME_ME, launch, logs, scene, work};
use crate::config::{Paths, socket};
use crate::gym::episode::{Command, Episode, Event, Halt};
use crate::runner::control;
use crate::runner::driver::{Leave, Mail, drive};
use crate::runner::live::LiveBoard;
use crate::runner::lock::RunLock;
use crate::store::Store;

/// A detached runner: a session of its own, so that no terminal can take it down.
pub(super) fn detached(paths: &Paths, folder: &Path, go: bool) -> Result<ExitCode> {
    // Fails when this process leads a group already, as under a service manager: then it needs no new one.
    let _ = rustix::process::setsid();
    let episode = own(paths, folder, go, Leave::WhenFinished, &LiveBoard::default(), &mut |_, _| {})?;
    Ok(exit_code(&episode))
}

/// Takes the run and drives it until the driver leaves.
pub(super) fn own(
    paths: &Paths,
    folder: &Path,
    go: bool,
    leave: Leave,
    board: &LiveBoard,
    observer: &mut dyn FnMut(&Event, &Episode),
) -> Result<Episode> {
    logs::install(logs::runner_log(folder)?);
    let _lock = RunLock::take(folder)?;
    let config = launch::config_of(folder)?;
    let scene = scene::scene(paths, &config, folder)?;
    let store = Store::open(folder)?;
    let (sender, mail) = channel();
    let socket = socket(folder)?;
    control::serve(control::bind(&socket)?, sender.clone(), board.clone());
    stop_on_signals(sender.clone())?;
    if go {
        // The receiver is in this function.
        let _ = sender.send(Mail::Command { command: Command::Run, journalled: None });
    }
    let hands = work::hands(paths, &config, folder)?;
    let episode = drive(store, &scene, hands, (sender, mail), board, leave, observer)?;
    // Still under the lock: nobody else can have bound the name.
    let _ = std::fs::remove_file(&socket);
    Ok(episode)
}

/// Phases are idempotent, so a signal ends the process at once; the next start repeats the phase in hand.
fn stop_on_signals(mail: Sender<Mail>) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let _ = mail.send(Mail::Command { command: Command::StopNow, journalled: None });
        }
    });
    Ok(())
}

/// What the end of a run means to whoever started it.
pub(super) fn exit_code(episode: &Episode) -> ExitCode {
    match &episode.halt {
        Some(Halt::Finished) => ExitCode::SUCCESS,
        Some(Halt::Failure { .. }) => ExitCode::FAILURE,
        _ => ExitCode::from(RESUME_ME),
    }
}
