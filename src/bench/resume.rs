//! `bench resume`: a scripted run is killed at every fail point and at random instants, resumed, and
//! compared with the run that nobody harmed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use color_eyre::eyre::{Result, WrapErr, bail, eyre};
use sha2::{Digest, Sha256};

use crate::faults;
use crate::gym::episode::Episode;
use crate::gym::instance::Split;
use crate::gym::ports::Ledger;
use crate::gym::rng::CounterRng;
use crate::store::{Store, read_artifact};

/// The run that is killed: images, a teacher that breaks off now and then, two rounds, both splits.
const CONFIGURATION: &str = "
name = \"resume\"
[task]
kind = \"scripted\"
domain = \"visual_question_answering\"
skills = 2
per_skill = 5
[policy]
kind = \"alternating\"
explore = { new_subskills = 1, data_per_subskill = 5 }
[engine]
kind = \"taught\"
data_per_question = 3
[teacher]
model = \"scripted\"
workers = 1
script = { truncated = 0.2 }
[student]
model = \"scripted\"
workers = 1
[trainer]
epochs = 1
[episode]
iterations = 2
rounds = 2
retries = 0
";

/// Point that a teacher passes with every answer.
const ANSWERED: &str = "teacher.answered";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Kills at fail points: every name, every time it is passed.
    pub kill_points: u64,
    /// Names of fail points at which the run was killed.
    pub names: Vec<&'static str>,
    /// Kills at random instants.
    pub random_kills: u64,
    /// Resumed runs that came to something else.
    pub differing: Vec<String>,
    /// Most teacher answers that one kill made necessary again.
    pub repeated_calls_max: u64,
}

/// A kind of kill.
#[derive(Debug, Clone, PartialEq)]
enum Kill {
    /// At a fail point when it is passed for the n-th time.
    Point(&'static str, u64),
    /// After this share of the unharmed run's time.
    Random(f64),
}

/// The runs' home and what the unharmed one came to.
struct Bench {
    program: PathBuf,
    home: PathBuf,
    expected: String,
    answers: u64,
    time: Duration,
}

/// Kills runs of `program` at every `stride`-th passing of the fail points and at `random` instants.
///
/// # Errors
/// When the unharmed run does not finish, or a run cannot be started at all.
pub fn resume(program: &Path, stride: u64, random: u64, threads: usize) -> Result<Findings> {
    let home = tempfile_folder()?;
    let result = sweep(program, &home, stride, random, threads);
    std::fs::remove_dir_all(&home).wrap_err_with(|| format!("removing {}", home.display()))?;
    result
}

fn sweep(program: &Path, home: &Path, stride: u64, random: u64, threads: usize) -> Result<Findings> {
    std::fs::write(home.join("resume.toml"), CONFIGURATION)?;
    let mut bench = Bench {
        program: program.to_owned(),
        home: home.to_owned(),
        expected: String::new(),
        answers: 0,
        time: Duration::ZERO,
    };
    let began = Instant::now();
    bench.go("unharmed", None)?.wait()?;
    bench.time = began.elapsed();
    bench.expected = end_state(&bench.folder("unharmed"))?;
    let passed = bench.passed("unharmed")?;
    bench.answers = passed.get(ANSWERED).copied().unwrap_or(0);
    let kills = kills(&passed, stride, random);
    let mut findings = Findings::default();
    for kill in &kills {
        match kill {
            Kill::Point(name, _) => {
                findings.kill_points += 1;
                if findings.names.last() != Some(name) {
                    findings.names.push(name);
                }
            }
            Kill::Random(_) => findings.random_kills += 1,
        }
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Ok(findings)));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(kill) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = bench.harmed(kill);
                    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match (outcome, found.as_mut()) {
                        (Ok((same, repeated)), Ok(findings)) => {
                            findings.repeated_calls_max = findings.repeated_calls_max.max(repeated);
                            if !same {
                                findings.differing.push(format!("{kill:?}"));
                            }
                        }
                        (Err(error), Ok(_)) => *found = Err(error),
                        (_, Err(_)) => {}
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn kills(passed: &BTreeMap<String, u64>, stride: u64, random: u64) -> Vec<Kill> {
    let mut kills = Vec::new();
    for name in faults::POINTS {
        for n in (1..=passed.get(*name).copied().unwrap_or(0)).step_by(stride.max(1) as usize) {
            kills.push(Kill::Point(name, n));
        }
    }
    let mut rng = CounterRng::keyed(0, "random kills");
    kills.extend((0..random).map(|_| Kill::Random(rng.unit())));
    kills
}

impl Bench {
    fn folder(&self, name: &str) -> PathBuf {
        self.home.join("runs").join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.passed"))
    }

    /// Starts the run headless, new or resumed.
    fn go(&self, name: &str, fault: Option<String>) -> Result<std::process::Child> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--headless", "--name", name, "--config"]).arg(self.home.join("resume.toml"));
        command.env_clear().env("HOME", &self.home).env("DATAENVGYM_RUNS_DIR", self.home.join("runs"));
        command.env("DATAENVGYM_FAULT_LOG", self.log(name));
        command.envs(fault.map(|fault| ("DATAENVGYM_FAULT", fault)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().wrap_err_with(|| format!("cannot start {}", self.program.display()))
    }

    /// How often each point was passed in a run, over all its processes.
    fn passed(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        let text = std::fs::read_to_string(self.log(name))?;
        let mut passed: BTreeMap<String, u64> = BTreeMap::new();
        for line in text.lines() {
            *passed.entry(line.to_owned()).or_default() += 1;
        }
        Ok(passed)
    }

    /// Kills a run, resumes it, and says whether it came to the same and how many answers were given twice.
    fn harmed(&self, kill: &Kill) -> Result<(bool, u64)> {
        let name = match kill {
            Kill::Point(point, n) => format!("{point}-{n}"),
            Kill::Random(share) => format!("random-{:09}", (share * 1e9) as u64),
        };
        match kill {
            Kill::Point(point, n) => drop(self.go(&name, Some(format!("{point}:{n}")))?.wait()?),
            Kill::Random(share) => {
                let mut child = self.go(&name, None)?;
                std::thread::sleep(self.time.mul_f64(*share));
                // It may have ended already.
                let _ = child.kill();
                child.wait()?;
            }
        }
        // A worker that died paused the run; one start more continues it.
        if !self.go(&name, None)?.wait()?.success() {
            return Err(eyre!("the run killed at {kill:?} did not finish when it was resumed"));
        }
        let same = end_state(&self.folder(&name))? == self.expected;
        let answers = self.passed(&name)?.get(ANSWERED).copied().unwrap_or(0);
        std::fs::remove_dir_all(self.folder(&name))?;
        std::fs::remove_file(self.log(&name))?;
        Ok((same, answers.saturating_sub(self.answers)))
    }
}

/// A hash of everything a run came to: the episode, predictions, data, teacher calls and images. Durations
/// and the run's own folder are left out: two honest runs differ in them.
///
/// # Errors
/// When the run cannot be read, or is not finished.
pub fn end_state(folder: &Path) -> Result<String> {
    let store = Store::open(folder)?;
    let mut episode: Episode = store.replay()?;
    if !episode.finished() {
        bail!("{} is not finished", folder.display());
    }
    for row in &mut episode.iterations {
        row.elapsed_ms = 0;
    }
    let own = folder.to_string_lossy().into_owned();
    let mut hash = Sha256::new();
    hash.update(serde_json::to_string(&episode)?.replace(&own, "."));
    for iteration in 0..episode.iterations.len() as u32 {
        for split in [Split::Validation, Split::Test] {
            let mut predictions = store.predictions(iteration, split)?;
            predictions.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
            hash.update(serde_json::to_string(&predictions)?);
        }
    }
    for judged in store.data()? {
        if let Some(call) = &judged.datum.provenance.teacher_call {
            hash.update(serde_json::to_string(&store.teacher_call(call)?)?);
        }
        for image in &judged.datum.images {
            hash.update(read_artifact(folder, image)?);
        }
        hash.update(serde_json::to_string(&judged)?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new folder among the temporary ones.
fn tempfile_folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("dataenvgym-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
