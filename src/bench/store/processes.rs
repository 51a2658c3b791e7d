//! The other processes of the bench: a client that reads, a runner that is killed, a runner that resumes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{BenchError, Times};
use crate::gym::episode::{self, Effect, Event};
use crate::gym::rng::CounterRng;
use crate::store::{At, DataFilter, Patience, Reader, Store};

fn spawn(program: &Path, part: &str, folder: &Path) -> Result<Child, BenchError> {
    let mut command = Command::new(program);
    command.args(["bench", "store", "--part", part, "--folder"]).arg(folder);
    let io = |source| BenchError::Io { what: program.display().to_string(), source };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(io)
}

/// A process that reads while this one writes.
pub(super) struct Client(Child);

impl Client {
    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self, BenchError> {
        spawn(program, "read", folder).map(Self)
    }

    /// Tells it to end; what it measured.
    pub(super) fn end(mut self) -> Result<Vec<(String, f64)>, BenchError> {
        drop(self.0.stdin.take());
        let mut said = String::new();
        let output = self.0.stdout.as_mut().ok_or(BenchError::Process)?;
        output.read_to_string(&mut said).map_err(|_| BenchError::Process)?;
        let _ = self.0.wait();
        serde_json::from_str(&said).map_err(|_| BenchError::Process)
    }
}

/// The reading process: looks as a terminal does, until its input ends. Names and values of what it measured.
pub fn read(folder: &Path) -> Result<Vec<(String, f64)>, BenchError> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let mut reader = Reader::open(folder)?;
    let mut rng = CounterRng::keyed(1, "client");
    let (mut page, mut look) = (Times::default(), Times::default());
    let filter = DataFilter::default();
    while !over.load(Ordering::Relaxed) {
        look.take(|| reader.changed().and_then(|_| reader.episode()))?;
        page.take(|| {
            let total = reader.count_data(&filter, Patience::default())?.rows;
            reader.data(&filter, At::Position(rng.below(total.max(1)) as usize), 60, Patience::default())
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let named = [
        ("pages", page.len() as f64),
        ("page_p50_ms", page.quantile(0.5)),
        ("page_p99_ms", page.quantile(0.99)),
        ("page_max_ms", page.quantile(1.0)),
        ("episode_p99_ms", look.quantile(0.99)),
    ];
    Ok(named.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// The process that is killed: takes the store, commits something, says so and waits.
pub fn hold(folder: &Path, ready: impl FnOnce()) -> Result<(), BenchError> {
    let mut store = Store::open(folder)?;
    commit(&mut store, &Event::Opened)?;
    ready();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// The process that resumes: up to the moment in which a phase runs, or would.
pub fn resume(folder: &Path, running: impl FnOnce()) -> Result<(), BenchError> {
    let mut store = Store::open(folder)?;
    commit(&mut store, &Event::Opened)?;
    let effects = commit(&mut store, &Event::Commanded { command: episode::Command::Run })?;
    for effect in effects {
        if let Effect::Perform { work, .. } = effect {
            store.begin(work)?;
        }
    }
    running();
    Ok(())
}

fn commit(store: &mut Store, event: &Event) -> Result<Vec<Effect>, BenchError> {
    let mut episode = store.replay()?;
    let effects = episode.handle(event.clone());
    store.append(event, &episode)?;
    Ok(effects)
}

/// Milliseconds from starting a process to its running phase, after a clean end or a kill.
pub(super) fn resumed(program: &Path, folder: &Path, killed: bool) -> Result<f64, BenchError> {
    if killed {
        let mut victim = spawn(program, "hold", folder)?;
        let output = victim.stdout.take().ok_or(BenchError::Process)?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|_| BenchError::Process)?;
        let _ = victim.kill();
        let _ = victim.wait();
    }
    let begun = Instant::now();
    let mut child = spawn(program, "resume", folder)?;
    let mut said = String::new();
    let output = child.stdout.as_mut().ok_or(BenchError::Process)?;
    BufReader::new(output).read_line(&mut said).map_err(|_| BenchError::Process)?;
    let elapsed = begun.elapsed().as_secs_f64() * 1000.0;
    let ended = child.wait().map_err(|_| BenchError::Process)?;
    if ended.success() && said.trim() == "running" { Ok(elapsed) } else { Err(BenchError::Process) }
}
