//! The terminal interface: shows a run and passes a person's commands on.
//!
//! Owns the screen, the keys and the themes. Reads the run database and listens on the control socket; knows
//! nothing of how processes are started, and never changes a run itself.
//!
//! One thread draws: `update(&mut App, Message) -> Vec<Effect>` and `view(&App, &mut Buffer)` are pure, everything
//! else feeds them messages or carries their effects out. Threads: drawing (the caller's), keys, database
//! (`source`), control socket (`link`), machine ([`crate::probes`]), signals and the watch over the terminal
//! (`session`).

mod action;
mod app;
mod canvas;
mod charts;
mod compare;
mod desk;
mod errands;
pub(crate) mod escape;
mod facets;
mod facts;
mod filter;
mod input;
mod keymap;
mod layout;
mod lines;
mod link;
mod look;
mod mailbox;
mod memory;
mod new_run;
mod numbers;
mod overlay;
mod pacer;
mod palette;
mod picture;
mod plan_edit;
mod runs;
mod screen;
mod session;
mod skills;
mod source;
mod status;
mod text;
mod text_box;
mod theme;
mod update;
mod view;
mod wording;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::StoreError;

pub use escape::Shown;
pub use keymap::{Keymap, KeymapError};
pub use look::{Look, LookError};
pub use runs::{Changes, Finding, Level, NoRuns, RunRow, Runs, Setting};
pub use theme::{Depth, Theme, ThemeError, Themes};
pub use update::Exit;

#[cfg(test)]
mod tests;

/// Opens a connection to the run's runner; `None` when there is none. Called every second while not connected.
pub type Connect = Box<dyn Fn() -> Option<UnixStream> + Send>;
/// Starts a runner for the run; an error is a sentence for a person.
pub type Resume = Box<dyn Fn() -> Result<(), String> + Send>;

/// What the screen is told at its start.
pub struct Options {
    /// Folder of the run.
    pub run_folder: PathBuf,
    /// How to reach the runner.
    pub connect: Connect,
    /// How to start one.
    pub resume: Resume,
    /// Lists, makes and deletes runs.
    pub runs: Arc<dyn Runs>,
    /// Themes, keys and marks.
    pub look: Look,
    /// Whether the terminal is far away: frames are drawn less often.
    pub remote: bool,
    /// File that keeps what a person chose on the screen: hidden panes, theme, flags.
    pub memory: Option<PathBuf>,
    /// File for whatever is written to standard output or error while the screen is up.
    pub log: Option<PathBuf>,
    /// File for one JSON line per frame: bytes and times.
    pub frame_log: Option<PathBuf>,
}

impl Options {
    /// The usual options; distance and frame log from the environment (`SSH_CONNECTION`, `DATAENVGYM_FRAME_LOG`).
    pub fn new(run_folder: PathBuf, connect: Connect, resume: Resume) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            run_folder,
            connect,
            resume,
            runs: Arc::new(NoRuns),
            look: Look::default(),
            remote: set("SSH_CONNECTION").is_some(),
            memory: None,
            log: None,
            frame_log: set("DATAENVGYM_FRAME_LOG").map(PathBuf::from),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("run_folder", &self.run_folder).finish_non_exhaustive()
    }
}

/// Why the screen could not be shown or had to end.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// There is no terminal.
    #[error("no terminal to draw on ({0}); run this in a terminal, or use `run --headless`")]
    NoTerminal(io::Error),
    /// The terminal cannot do what is needed.
    #[error(
        "the terminal says that it cannot place a cursor (TERM is `{0}`); set TERM to what it is, such as \
         `xterm-256color`, or use `attach --text`"
    )]
    Dumb(Shown),
    /// The terminal failed.
    #[error("the terminal failed: {0}; the run itself is not affected")]
    Terminal(#[from] io::Error),
    /// The run cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows the run until the person leaves. The terminal is restored on every way out; a signal or the loss of the
/// terminal ends the process.
pub fn run(options: Options) -> Result<Exit, TuiError> {
    desk::run(options)
}
