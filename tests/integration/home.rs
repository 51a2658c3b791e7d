//! A user's machine in a temporary folder, and the real program on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dataenvgym::gym::datum::JudgedDatum;
use dataenvgym::gym::episode::Episode;
use dataenvgym::gym::instance::Split;
use dataenvgym::gym::ports::Ledger;
use dataenvgym::gym::prediction::Prediction;
use dataenvgym::store::{Reader, Store};

/// An empty home folder. Runs that are left over are ended when it is dropped.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn run_folder(&self, name: &str) -> PathBuf {
        self.path("runs").join(name)
    }

    /// The program, with nothing of this machine's user in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dataenvgym"));
        command.args(arguments).env_clear().stdin(Stdio::null());
        for (key, folder) in [
            ("HOME", "."),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("DATAENVGYM_RUNS_DIR", "runs"),
        ] {
            command.env(key, self.path(folder));
        }
        std::fs::create_dir_all(self.path("run")).unwrap();
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which must succeed; its standard output.
    pub fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out
    }

    /// Writes a configuration of a scripted run and returns its path.
    pub fn scripted(&self, latency_ms: u32, iterations: u32) -> String {
        self.scripted_with(latency_ms, iterations, 2)
    }

    /// The same with trainings of so many epochs of 8 steps and more, each of the latency.
    pub fn scripted_with(&self, latency_ms: u32, iterations: u32, epochs: u32) -> String {
        let path = self.path("scripted.toml");
        let text = format!(
            "name = \"scripted\"\n\
             [task]\nkind = \"arithmetic\"\nvalidation_per_skill = 10\ntest_per_skill = 10\n\
             [student]\nmodel = \"scripted\"\nworkers = 2\nscript = {{ latency_ms = {latency_ms} }}\n\
             [trainer]\nupdate = \"continue\"\nepochs = {epochs}\n\
             [policy]\nkind = \"by_error\"\ndata = 120\n\
             [episode]\niterations = {iterations}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let runs = std::fs::read_dir(self.path("runs")).into_iter().flatten().flatten();
        for run in runs {
            if let Some(name) = run.file_name().to_str() {
                self.output(&["stop", "--now", name]);
            }
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Looks every few milliseconds until `found` gives something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn episode(folder: &Path) -> Option<Episode> {
    Reader::open(folder).ok()?.episode().ok()
}

/// What a run comes to, without what differs between two honest runs: times and the run's own folder.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub accuracies: Vec<Option<f64>>,
    pub selected: Option<u32>,
    pub data: Vec<JudgedDatum>,
    pub predictions: Vec<Vec<Prediction>>,
}

pub fn outcome(folder: &Path) -> Outcome {
    let store = Store::open(folder).unwrap();
    let episode = store.replay().unwrap();
    let mean = |i: &dataenvgym::gym::episode::Iteration| i.validation.as_ref().map(|r| r.overall.mean);
    let of = |n, split| {
        let mut found = store.predictions(n, split).unwrap();
        found.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
        found
    };
    let iterations = 0..episode.iterations.len() as u32;
    Outcome {
        accuracies: episode.iterations.iter().map(mean).collect(),
        selected: episode.selected,
        data: store.data().unwrap(),
        predictions: iterations.flat_map(|n| [of(n, Split::Validation), of(n, Split::Test)]).collect(),
    }
}
