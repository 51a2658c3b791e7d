//! `attach` without a screen, and `wait`: clients that print.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use color_eyre::eyre::Result;
use signal_hook::consts::SIGINT;

use super::outcome::Standing;
use super::{format, runs, table};
use crate::config::Paths;
use crate::gym::episode::{Episode, Halt};
use crate::protocol::control::Live;
use crate::runner::client::{self, Client};
use crate::runner::residence::{is_held, live_of};
use crate::store::{Reader, StoreError};
use crate::tui::Shown;

/// Time between two looks at the database.
const LOOK: Duration = Duration::from_millis(150);
/// A run that was just started is paused for a moment before it hears that it shall run.
const SETTLED: Duration = Duration::from_secs(1);
/// Exit code of a wait that was over before the run was, as of timeout(1).
const TIMED_OUT: u8 = 124;

/// Looks at a run until it does not go on by itself.
struct Watch<'a> {
    folder: &'a Path,
    resting: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, resting: None }
    }

    /// The run now, and how it stands once it stands still.
    fn look(&mut self) -> Result<(Reader, Episode, Option<Standing>), StoreError> {
        // In this order: a runner that ends between the two looks has written its last event before.
        let held = is_held(self.folder);
        let reader = Reader::open(&live_of(self.folder))?;
        let episode = reader.episode()?;
        let standing = Standing::of(&episode, held);
        let still = match standing {
            Standing::Running => {
                self.resting = None;
                false
            }
            // Between a failure and the command that tries again as well.
            _ if held => self.resting.get_or_insert_with(Instant::now).elapsed() >= SETTLED,
            _ => true,
        };
        Ok((reader, episode, still.then_some(standing)))
    }
}

/// `dataenvgym wait`.
pub(super) fn wait(paths: &Paths, name: Option<&str>, timeout: Option<Duration>) -> Result<ExitCode> {
    let folder = runs::find(paths, name)?;
    let began = Instant::now();
    let mut watch = Watch::new(&folder);
    loop {
        let (reader, episode, standing) = watch.look()?;
        if let Some(standing) = standing {
            println!("run `{}`: {}", format::on_one_line(&reader.record()?.name), standing.word());
            if let Some(message) = episode.halt.as_ref().and_then(Halt::message) {
                eprintln!("{}", format::escaped(message));
            }
            return Ok(standing.exit_code());
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            println!("run `{}`: still running", format::on_one_line(&reader.record()?.name));
            return Ok(ExitCode::from(TIMED_OUT));
        }
        std::thread::sleep(LOOK);
    }
}

/// `dataenvgym attach` without a screen: prints what a headless run prints, until the run stands still or an
/// interrupt. The run notices nothing of it.
pub(super) fn attach(paths: &Paths, name: Option<&str>) -> Result<ExitCode> {
    let folder = runs::find(paths, name)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;
    let record = Reader::open(&live_of(&folder))?.record()?;
    table::print_header(&record, &folder);
    let (mut watch, mut printed, mut failure) = (Watch::new(&folder), 0, None);
    let mut progress = Progress::default();
    loop {
        let (reader, episode, standing) = watch.look()?;
        printed = table::print_rows(&reader, &episode, printed);
        if episode.last_failure.is_some() && episode.last_failure != failure {
            eprintln!("{}", format::escaped(episode.last_failure.as_deref().unwrap_or_default()));
        }
        failure.clone_from(&episode.last_failure);
        if let Some(standing) = standing {
            progress.clear();
            table::print_end(&reader, &record, &episode, &folder)?;
            return Ok(standing.exit_code());
        }
        if interrupted.load(Ordering::Relaxed) {
            progress.clear();
            let name = Shown::from(&record.name);
            println!("run `{name}` goes on; come back with: dataenvgym attach {name}");
            return Ok(ExitCode::SUCCESS);
        }
        progress.show(&folder, &record.name);
        std::thread::sleep(LOOK);
    }
}

/// Live progress on standard error: one line that is rewritten on a terminal, a line every ten seconds elsewhere.
#[derive(Default)]
struct Progress {
    frames: Option<Receiver<Live>>,
    newest: Option<Live>,
    asked: Option<Instant>,
    shown: Option<Instant>,
}

impl Progress {
    fn show(&mut self, folder: &Path, run: &str) {
        if self.frames.is_none() && self.asked.is_none_or(|asked| asked.elapsed() > SETTLED) {
            self.asked = Some(Instant::now());
            self.frames = connect(folder, run);
        }
        let terminal = std::io::stderr().is_terminal();
        if let Some(frames) = &self.frames {
            loop {
                match frames.try_recv() {
                    Ok(live) => self.newest = Some(live),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                        self.frames = None;
                        break;
                    }
                }
            }
        }
        let interval = if terminal { Duration::from_millis(450) } else { Duration::from_secs(10) };
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= interval);
        let line = self.newest.as_ref().map(table::progress_line).filter(|line| due && !line.is_empty());
        if let Some(line) = line {
            self.shown = Some(Instant::now());
            if terminal {
                eprint!("\r\x1b[K{line}");
            } else {
                eprintln!("{line}");
            }
        }
    }

    fn clear(&self) {
        if self.shown.is_some() && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}

/// Without a connection the table alone is shown.
fn connect(folder: &Path, run: &str) -> Option<Receiver<Live>> {
    let socket = client::socket_of(&live_of(folder));
    let client = Client::connect(&socket, Some(run), &client::fresh_name()).ok()?;
    runs::note_version(client.greeting());
    client.live().ok()
}
