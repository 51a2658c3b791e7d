//! Where the client is measured: a home of its own, runs in it, and a load on all cores.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::scratch::Scratch;
use crate::bench::{BenchError, train};
use crate::gym::episode::{self, Episode};
use crate::runner::client;
use crate::store::Reader;

/// A scripted run; what is in the braces is put in.
const CONFIGURATION: &str = r#"
[task]
kind = "arithmetic"
validation_per_skill = 40
test_per_skill = 40
[student]
model = "scripted"
workers = 2
script = { skill = 0.4, ceiling = 0.95, examples = 4000, latency_ms = {latency} }
[trainer]
update = "continue"
[policy]
kind = "by_error"
data = 200
[episode]
iterations = 1000
gates = [{gates}]
"#;

/// How long a run may take to come to where it is wanted.
const PATIENCE: Duration = Duration::from_mins(2);

/// The user of the bench: no key, theme or run of the real one is in it.
pub(super) struct Stage {
    program: PathBuf,
    home: Scratch,
    runs: Vec<String>,
}

impl Stage {
    pub(super) fn new(program: &Path) -> Result<Self, BenchError> {
        let home = Scratch::new()?;
        let stage = Self { program: program.to_owned(), home, runs: Vec::new() };
        for folder in ["run", "runs"] {
            let path = stage.home.path().join(folder);
            std::fs::create_dir(&path).map_err(io(&path))?;
        }
        Ok(stage)
    }

    /// The program with this home.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().stdin(Stdio::null());
        for (name, folder) in [
            ("HOME", "."),
            ("XDG_CONFIG_HOME", "settings"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("DATAENVGYM_RUNS_DIR", "runs"),
        ] {
            command.env(name, self.home.path().join(folder));
        }
        command
    }

    /// Folder of a run.
    pub(super) fn folder(&self, run: &str) -> PathBuf {
        self.home.path().join("runs").join(run)
    }

    /// Starts a scripted run that waits before a phase, or before none.
    pub(super) fn start(&mut self, run: &str, latency_ms: u32, gate: Option<&str>) -> Result<(), BenchError> {
        let gates = gate.map_or_else(String::new, |gate| format!("{gate:?}"));
        let text = CONFIGURATION.replace("{latency}", &latency_ms.to_string()).replace("{gates}", &gates);
        let path = self.home.path().join(format!("{run}.toml"));
        std::fs::write(&path, text).map_err(io(&path))?;
        let mut command = self.command(&["run", "--name", run, "--config"]);
        let output = command.arg(&path).output().map_err(io(&self.program))?;
        self.runs.push(run.to_owned());
        if output.status.success() { Ok(()) } else { Err(BenchError::Unfinished(format!("run `{run}`"))) }
    }

    /// Waits until a run is where it is wanted.
    pub(super) fn until(&self, run: &str, wanted: impl Fn(&Episode) -> bool) -> Result<(), BenchError> {
        let begun = Instant::now();
        while !Reader::open(&self.folder(run)).and_then(|reader| reader.episode()).is_ok_and(|e| wanted(&e)) {
            if begun.elapsed() > PATIENCE {
                return Err(BenchError::Unfinished(format!("run `{run}`")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Another client of the run writes a note into its journal.
    pub(super) fn note(&self, run: &str, text: &str) -> Result<(), BenchError> {
        let command = episode::Command::Note { text: text.to_owned() };
        let sent = client::command(&client::socket_of(&self.folder(run)), command);
        sent.map_err(|error| BenchError::Unfinished(format!("a note to run `{run}` ({error})")))
    }

    /// Trainings of our own trainer that keep all cores busy.
    pub(super) fn load(&self) -> Result<Load, BenchError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut command = self.command(&["bench", "train", "--cell", &train::load(threads, 1e6)]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Load).map_err(io(&self.program))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for run in &self.runs {
            // One that ended already is fine.
            let _ = self.command(&["stop", "--now", run]).output();
        }
    }
}

/// The load; it ends when dropped.
pub(super) struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BenchError + '_ {
    |source| BenchError::Io { what: path.display().to_string(), source }
}
