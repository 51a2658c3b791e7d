//! The runner as a process: lock, residence, socket, signals, workers, driver.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, eyre};
use rustix::io::Errno;
use rustix::termios::tcgetattr;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use super::logs::LogHandle;
use super::{RESUME_ME, format, launch, logs, outcome, placement, scene, work};
use crate::config::{Paths, socket};
use crate::gym::episode::{Command, Episode, Event};
use crate::runner::control;
use crate::runner::custody::Custody;
use crate::runner::disk::{self, DiskGuard};
use crate::runner::driver::{Charge, Leave, Mail, drive};
use crate::runner::filesystem::SystemProbe;
use crate::runner::live::LiveBoard;
use crate::runner::machine;
use crate::runner::residence::{Residence, roots};
use crate::store::Request;
use crate::store::Store;
use crate::worker::placement::lines;

/// Batch systems kill 30 s after their signal; a pause is over before that.
const PAUSE_LIMIT: Duration = Duration::from_secs(25);

/// Number of the first command of the client that starts a run.
pub(super) const GO: u64 = 1;

/// A detached runner: a session of its own, so that no terminal can take it down.
pub(super) fn detached(paths: &Paths, folder: &Path, go: Option<String>) -> Result<ExitCode> {
    // Fails when this process leads a group already, as under a service manager: then it needs no new one.
    let _ = rustix::process::setsid();
    let episode = own(paths, folder, go, Leave::WhenFinished, &LiveBoard::default(), &mut |_, _| {})?;
    Ok(outcome::exit_code(&episode))
}

/// Takes the run and drives it until the driver leaves. With `go` it starts to work at once, as the first command
/// of a client of that name, which may therefore ask again over the socket.
pub(super) fn own(
    paths: &Paths,
    folder: &Path,
    go: Option<String>,
    leave: Leave,
    board: &LiveBoard,
    observer: &mut dyn FnMut(&Event, &Episode),
) -> Result<Episode> {
    let probe = SystemProbe::from_environment();
    let floor = disk::floor().map_err(|message| eyre!(message))?;
    // Before the log is touched: a second runner leaves no trace in the first one's.
    let mut residence = Residence::settle(folder, &probe, &roots())?;
    let log = logs::install(folder)?;
    for notice in residence.notices() {
        tracing::warn!(notice);
        eprintln!("{notice}");
    }
    let (sender, mail) = channel();
    pause_on_signals(sender.clone(), log.clone())?;
    let config = launch::config_of(folder)?;
    let scene = scene::scene(paths, &config, folder)?;
    let store = Store::open(residence.live())?;
    let socket = socket(folder, residence.live())?;
    let listener =
        control::bind(&socket).wrap_err_with(|| format!("cannot listen at {}", socket.display()))?;
    let answers = control::serve(listener, store.record()?.name, sender.clone(), board.clone())?;
    residence.announce(&socket)?;
    let disk = DiskGuard::new(residence.live(), folder, floor, Box::new(probe));
    let mut custody = Custody::new(residence, disk);
    if let Some(client) = go {
        let request = Some(Request { id: format!("{client}/{GO}"), origin: "the start".to_owned() });
        // The receiver is in this function.
        let _ = sender.send(Mail::Command { command: Command::Run, request, journalled: None });
    }
    for line in lines(&placement::of(paths, &config)?) {
        tracing::info!(plan = line, "memory");
        if leave == Leave::WhenIdle {
            eprintln!("{}", format::escaped(&line));
        }
    }
    let hands = work::hands(paths, &config, folder)?;
    let charge = Charge { store, scene: &scene, hands, custody: &mut custody };
    let driven = drive(charge, (sender, mail), board, leave, observer);
    // Still under the lock: nobody else can have bound the name.
    let _ = std::fs::remove_file(&socket);
    answers.settle();
    let left = custody.leave();
    tracing::info!("the run's process ends");
    log.flush();
    let episode = driven?;
    left.wrap_err_with(|| format!("the last copy of the run into {} failed", folder.display()))?;
    Ok(episode)
}

/// A signal pauses: what is answered is committed, the phase in hand is repeated on resume. An interrupt
/// after that ends the process at once, and so does the end of the batch system's patience; the journal is
/// consistent then as well.
fn pause_on_signals(mail: Sender<Mail>, log: LogHandle) -> Result<()> {
    let mut wanted = vec![SIGTERM, SIGINT, SIGUSR1];
    if !machine::ignores(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let wait = move || {
        let mut pausing = false;
        for signal in signals.forever() {
            let name = signal_name(signal).unwrap_or("a signal");
            if pausing && signal == SIGINT {
                tracing::warn!("ends at once, as a second interrupt asks");
                log.flush();
                std::process::exit(i32::from(RESUME_ME));
            }
            if pausing {
                continue;
            }
            pausing = true;
            tracing::info!(signal = name, "pauses");
            let command = Command::StopNow;
            let _ = mail.send(Mail::Command { command, request: None, journalled: None });
            leave_a_lost_terminal();
            let _ =
                writeln!(std::io::stderr(), "{name}: pausing; what is done is kept. Ctrl-C ends it at once");
            let log = log.clone();
            let watch = move || {
                std::thread::sleep(PAUSE_LIMIT);
                tracing::warn!("the pause took too long; the phase in hand is repeated on resume");
                log.flush();
                std::process::exit(i32::from(RESUME_ME));
            };
            // Without the watch the pause takes as long as it takes.
            let _ = std::thread::Builder::new().name("pause watch".to_owned()).spawn(watch);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// Printing to a terminal that hung up fails, and a run must not fail over that: from now on what is printed
/// goes nowhere.
fn leave_a_lost_terminal() {
    let lost = |state: Result<_, Errno>| state.err() == Some(Errno::IO);
    let Ok(null) = OpenOptions::new().write(true).open("/dev/null") else { return };
    if lost(tcgetattr(std::io::stdout()).map(drop)) {
        // The printing itself is all that can still fail.
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    if lost(tcgetattr(std::io::stderr()).map(drop)) {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
