//! Taking the terminal and giving it back, on every way out: the end, an error, a panic, a signal, a lost line.
//!
//! While the terminal is taken, standard output and error lead to a log, so that nothing is written over the
//! screen. Giving back happens once, whoever asks for it first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::queue;
use crossterm::style::ResetColor;
use crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;

use super::screen::open_terminal;

/// What is needed to give the terminal back.
struct Taken {
    terminal: File,
    /// Its settings before it was taken.
    before: Option<Termios>,
    outputs: Option<(OwnedFd, OwnedFd)>,
    /// Whether another program has it for a while: keys that mean a signal are for that program.
    lent: bool,
    /// Told when the process is to stop or goes on after a stop, and when the terminal has another size.
    jobs: Sender<Job>,
}

/// What a shell asks of a program that it can stop, and what a terminal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Stop,
    Continued,
    Resized,
}

/// How long the end of the process waits for a terminal that accepts nothing: long enough for a machine under
/// load, on which half a second was seen to be too short.
const RESTORE_LIMIT: Duration = Duration::from_secs(3);
/// The same after a hang-up: as a rule there is no terminal any more.
const HANG_UP_LIMIT: Duration = Duration::from_millis(700);

/// At most one screen at a time has the terminal.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
/// The thread that waits for signals is started once and stays.
static SIGNALS: OnceLock<()> = OnceLock::new();
/// Every signal that concerns the terminal.
const HEARD: [i32; 7] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH];

type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync>;

/// Holds the terminal; dropping it gives the terminal back.
pub(crate) struct Session {
    previous: Option<Arc<Hook>>,
    alive: Arc<AtomicBool>,
}

impl Session {
    /// Takes the terminal. `log` receives whatever is written to standard output or error meanwhile.
    pub(crate) fn begin(log: Option<&Path>, jobs: Sender<Job>) -> io::Result<Self> {
        let terminal = open_terminal()?;
        let watched = terminal.try_clone()?;
        *lock() = Some(Taken { terminal, before: None, outputs: None, lent: false, jobs });
        let mut session = Self { previous: None, alive: Arc::new(AtomicBool::new(true)) };
        session.install_hook();
        listen()?;
        enter()?;
        let outputs = divert(log)?;
        if let Some(taken) = lock().as_mut() {
            taken.outputs = Some(outputs);
        }
        let alive = Arc::clone(&session.alive);
        thread::Builder::new().name("terminal watch".into()).spawn(move || watch(&watched, &alive))?;
        Ok(session)
    }

    /// A panic of the drawing thread gives the terminal back before it is reported; the report of any other
    /// thread goes to the log.
    fn install_hook(&mut self) {
        let previous: Arc<Hook> = Arc::new(panic::take_hook());
        let drawing = thread::current().id();
        let next = Arc::clone(&previous);
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == drawing {
                give_back();
            }
            next(info);
        }));
        self.previous = Some(previous);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
        give_back();
        if let Some(previous) = self.previous.take().filter(|_| !thread::panicking()) {
            panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raw mode and the alternate screen. Whoever continued this process may have changed both, so they are set again
/// even where they were not given back.
pub(crate) fn enter() -> io::Result<()> {
    let mut taken = lock();
    let Some(taken) = taken.as_mut() else { return Ok(()) };
    let now = tcgetattr(&taken.terminal)?;
    let mut raw = taken.before.get_or_insert(now).clone();
    raw.make_raw();
    tcsetattr(&taken.terminal, OptionalActions::Now, &raw)?;
    send(&mut taken.terminal, |out| {
        queue!(out, EnterAlternateScreen, Hide, EnableFocusChange, EnableBracketedPaste)
    })
}

/// Back to the shell for a while; [`enter`] returns.
pub(crate) fn leave() {
    if let Some(taken) = lock().as_mut() {
        restore(taken);
    }
}

/// Lends the terminal to another program; [`take_back`] and [`enter`] return.
pub(crate) fn lend() {
    leave();
    if let Some(taken) = lock().as_mut() {
        taken.lent = true;
    }
}

/// The other program ended.
pub(crate) fn take_back() {
    if let Some(taken) = lock().as_mut() {
        taken.lent = false;
    }
}

/// Stops this process until the shell continues it. Without a shell that could, nothing happens.
pub(crate) fn stop() {
    use rustix::process::{Signal, getpgrp, getpid, getppid, getsid, kill_process};
    let shell = getppid().filter(|shell| {
        // A shell with job control gives each job a group of its own.
        getsid(Some(*shell)).ok() == getsid(None).ok()
            && rustix::process::getpgid(Some(*shell)).is_ok_and(|group| group != getpgrp())
    });
    if shell.is_some() {
        // It can only fail for a process that is not there.
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

/// Ends the possession of the terminal. Only the first call does anything.
fn give_back() {
    let Some(mut taken) = lock().take() else { return };
    restore(&mut taken);
    if let Some((output, error)) = taken.outputs {
        // Without them there is nowhere to report a failure to.
        let _ = rustix::stdio::dup2_stdout(&output);
        let _ = rustix::stdio::dup2_stderr(&error);
    }
}

/// As far as the terminal is still there; a part that fails must not keep the rest from happening. The settings come
/// first: they can be changed while a terminal takes no bytes.
fn restore(taken: &mut Taken) {
    if let Some(before) = taken.before.take() {
        let _ = tcsetattr(&taken.terminal, OptionalActions::Now, &before);
    }
    let _ = send(&mut taken.terminal, |out| {
        queue!(
            out,
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            DisableFocusChange,
            ResetColor,
            LeaveAlternateScreen,
            Show
        )
    });
}

fn send(terminal: &mut File, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    terminal.write_all(&bytes)
}

/// Leads standard output and error to the log; returns where they led before.
fn divert(log: Option<&Path>) -> io::Result<(OwnedFd, OwnedFd)> {
    let before = (io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?);
    let opened = log.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
    let target = match opened {
        Some(file) => file,
        None => OpenOptions::new().write(true).open("/dev/null")?,
    };
    rustix::stdio::dup2_stdout(&target)?;
    rustix::stdio::dup2_stderr(&target)?;
    Ok(before)
}

/// Ends the process when the terminal is gone: a read of a terminal that hung up may only say that nothing came.
fn watch(terminal: &File, alive: &AtomicBool) {
    while alive.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(500));
        if tcgetattr(terminal).is_err() && alive.load(Ordering::Relaxed) {
            end_process(SIGHUP);
        }
    }
}

/// Signals are heard before the terminal is changed: one that came between the two would leave it changed.
fn listen() -> io::Result<()> {
    if SIGNALS.set(()).is_ok() {
        let signals = Signals::new(HEARD)?;
        thread::Builder::new().name("signals".into()).spawn(move || wait_for_signals(signals))?;
    }
    Ok(())
}

fn wait_for_signals(mut signals: Signals) {
    for signal in signals.forever() {
        let (lent, screen) = lock().as_ref().map_or((false, None), |t| (t.lent, Some(t.jobs.clone())));
        match (screen, signal) {
            (Some(_), SIGINT | SIGQUIT | SIGCONT) if lent => {}
            (Some(_), SIGTSTP) if lent => stop(),
            (Some(jobs), SIGTSTP | SIGCONT | SIGWINCH) => {
                let job = match signal {
                    SIGTSTP => Job::Stop,
                    SIGCONT => Job::Continued,
                    _ => Job::Resized,
                };
                // A screen that ended meanwhile needs no news.
                let _ = jobs.send(job);
            }
            (Some(_), _) => end_process(signal),
            (None, _) => {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    }
}

/// Gives the terminal back and ends the process, even when the terminal accepts nothing any more.
fn end_process(signal: i32) -> ! {
    let (done, wait) = channel();
    let helper = thread::Builder::new().name("restore".into()).spawn(move || {
        give_back();
        // The other side may have stopped waiting.
        let _ = done.send(());
    });
    if helper.is_ok() {
        let _ = wait.recv_timeout(if signal == SIGHUP { HANG_UP_LIMIT } else { RESTORE_LIMIT });
    }
    std::process::exit(128 + signal)
}
