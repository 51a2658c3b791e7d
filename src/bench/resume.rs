//! `bench resume`: a scripted run is killed at every fail point and at random instants, resumed, and
//! compared with the run that nobody harmed. So is a training of the embedded student.

mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use self::way::{LESSONS, Way};
use super::scratch::Scratch;
use super::{BenchError, Figure, Sink};
use crate::environments;
use crate::faults;
use crate::gym::episode::Episode;
use crate::gym::hex::hex;
use crate::gym::instance::Split;
use crate::gym::ports::Ledger;
use crate::gym::review::{DataSelection, DatumEdit};
use crate::gym::rng::CounterRng;
use crate::store::{Request, Store, read_artifact};

/// Point that a teacher passes with every answer.
const ANSWERED: &str = "teacher.answered";

/// Points that are passed with every answer.
const ASKING: [&str; 3] = ["store.calls.before", "store.calls.after", ANSWERED];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Kills at fail points: every name, every time it is passed.
    pub kill_points: u64,
    /// Names of fail points at which the run was killed.
    pub names: BTreeSet<&'static str>,
    /// Kills at random instants.
    pub random_kills: u64,
    /// Resumed runs that came to something else.
    pub differing: Vec<String>,
    /// Most teacher answers that one kill made necessary again.
    pub repeated_calls_max: u64,
}

/// When a process is killed.
#[derive(Debug, Clone, PartialEq)]
enum At {
    /// At a fail point when it is passed for the n-th time.
    Point(&'static str, u64),
    /// After this share of the unharmed run's time.
    Random(f64),
}

type Kill = (Way, At);

/// What a run that nobody harmed came to.
struct Unharmed {
    state: String,
    passed: BTreeMap<String, u64>,
    time: Duration,
}

/// The runs' home and what the unharmed ones came to.
struct Bench {
    program: PathBuf,
    home: PathBuf,
    expected: BTreeMap<Way, Unharmed>,
}

/// Measures, hands the figures over, and says whether every run came to the same end.
///
/// # Errors
/// As [`sweep_all`].
pub fn run(program: &Path, random: u64, sink: &mut Sink<'_>) -> Result<bool, BenchError> {
    // A run mostly waits for the disk.
    let threads = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    let findings = sweep_all(program, 1, random, threads)?;
    let conditions = format!(
        "a run of 2 iterations of 2 rounds with images, also on scratch, reviewed and with discovered skills, runs whose \
         plans and checks ask models, and a training; {} of {} fail points, \
each at every passing; {threads} threads; {}",
        findings.names.len(),
        faults::POINTS.len(),
        if findings.differing.is_empty() {
            "no run differs".to_owned()
        } else {
            findings.differing.join(", ")
        },
    );
    let mut say = |name: &str, value: f64, unit: &'static str| {
        sink(Figure::new(format!("resume.{name}"), value, unit, &conditions));
    };
    say("kill_points", findings.kill_points as f64, "kills");
    say("random_kills", findings.random_kills as f64, "kills");
    say("differing_end_states", findings.differing.len() as f64, "runs");
    say("repeated_calls_max", findings.repeated_calls_max as f64, "calls");
    say("seconds", began.elapsed().as_secs_f64(), "s");
    Ok(findings.differing.is_empty())
}

/// Kills runs of `program` at every `stride`-th passing of the fail points and at `random` instants.
///
/// # Errors
/// When the unharmed run does not finish, or a run cannot be started at all.
pub fn sweep_all(program: &Path, stride: u64, random: u64, threads: usize) -> Result<Findings, BenchError> {
    let home = Scratch::new()?;
    sweep(program, home.path(), stride, random, threads)
}

fn sweep(
    program: &Path,
    home: &Path,
    stride: u64,
    random: u64,
    threads: usize,
) -> Result<Findings, BenchError> {
    for (file, text) in Way::ALL.map(Way::configuration) {
        std::fs::write(home.join(file), text).map_err(io(home))?;
    }
    std::fs::write(home.join("lessons.jsonl"), LESSONS).map_err(io(home))?;
    for folder in ["runs", "scratch"] {
        std::fs::create_dir_all(home.join(folder)).map_err(io(home))?;
    }
    let mut bench = Bench { program: program.to_owned(), home: home.to_owned(), expected: BTreeMap::new() };
    for way in Way::ALL {
        let unharmed = bench.unharmed(way)?;
        bench.expected.insert(way, unharmed);
    }
    let kills = bench.kills(stride, random);
    let mut findings = Findings::default();
    for (_, at) in &kills {
        match at {
            At::Point(name, _) => {
                findings.kill_points += 1;
                findings.names.insert(name);
            }
            At::Random(_) => findings.random_kills += 1,
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

impl Bench {
    fn folder(&self, name: &str) -> PathBuf {
        self.home.join("runs").join(name)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.passed"))
    }

    fn kills(&self, stride: u64, random: u64) -> Vec<Kill> {
        let passed =
            |(way, unharmed): (&Way, &Unharmed), name| Some((*way, *unharmed.passed.get(name)?, name));
        // Each point where it is first met.
        let first = faults::POINTS
            .iter()
            .filter_map(|name| self.expected.iter().find_map(|expected| passed(expected, *name)));
        let asking = self.expected.iter().filter(|(way, _)| way.asks());
        let asking =
            asking.flat_map(|expected| ASKING.into_iter().filter_map(move |name| passed(expected, name)));
        let passings = |(way, times, name)| {
            (1..=times).step_by(stride.max(1) as usize).map(move |n| (way, At::Point(name, n)))
        };
        let mut kills: Vec<Kill> = first.chain(asking).flat_map(passings).collect();
        let mut rng = CounterRng::keyed(0, "random kills");
        kills.extend((0..random).map(|_| (Way::Local, At::Random(rng.unit()))));
        kills
    }

    /// The program with these arguments, on a run of its own.
    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        command.env_clear().env("HOME", &self.home).env("DATAENVGYM_RUNS_DIR", self.home.join("runs"));
        command.env("DATAENVGYM_FAULT_LOG", self.log(name));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The run, headless, new or resumed; or the training.
    fn work(&self, way: Way, name: &str) -> Command {
        let mut command = if way == Way::Trained {
            let mut command = self.program(name, &["train", "--data"]);
            command.arg(self.home.join("lessons.jsonl")).arg("--out").arg(self.folder(name)).arg("--config");
            command
        } else {
            self.program(name, &["run", "--headless", "--name", name, "--config"])
        };
        command.arg(self.home.join(way.configuration().0));
        if way == Way::Shared {
            command.env("DATAENVGYM_NETWORK_FOLDERS", self.home.join("runs"));
            command.env("DATAENVGYM_SCRATCH", self.home.join("scratch"));
        }
        command
    }

    /// What is killed: the run, or the process that journals a review of it.
    fn victim(&self, way: Way, name: &str) -> Result<Command, BenchError> {
        if way != Way::Reviewed {
            return Ok(self.work(way, name));
        }
        self.end(&mut self.work(way, name), name)?;
        let mut command = self.program(name, &["bench", "resume", "--part", "review", "--folder"]);
        command.arg(self.folder(name));
        Ok(command)
    }

    fn start(&self, command: &mut Command) -> Result<Child, BenchError> {
        command.spawn().map_err(io(&self.program))
    }

    fn end(&self, command: &mut Command, what: &str) -> Result<(), BenchError> {
        let ended = self.start(command)?.wait().map_err(io(&self.program))?;
        if ended.success() {
            Ok(())
        } else {
            Err(BenchError::Unfinished(format!("the run {what} in {}", self.home.display())))
        }
    }

    fn unharmed(&self, way: Way) -> Result<Unharmed, BenchError> {
        let name = format!("unharmed-{way:?}").to_lowercase();
        let mut command = self.victim(way, &name)?;
        let began = Instant::now();
        self.end(&mut command, &name)?;
        let time = began.elapsed();
        Ok(Unharmed { state: self.state(way, &name)?, passed: self.passed(&name)?, time })
    }

    /// How often each point was passed in a run, over all its processes.
    fn passed(&self, name: &str) -> Result<BTreeMap<String, u64>, BenchError> {
        let log = self.log(name);
        let text = std::fs::read_to_string(&log).map_err(io(&log))?;
        let mut passed: BTreeMap<String, u64> = BTreeMap::new();
        for line in text.lines() {
            *passed.entry(line.to_owned()).or_default() += 1;
        }
        Ok(passed)
    }

    fn state(&self, way: Way, name: &str) -> Result<String, BenchError> {
        match way {
            Way::Trained => folder_state(&self.folder(name)),
            _ => end_state(&self.folder(name)),
        }
    }

    /// Kills a run, resumes it, and says whether it came to the same and how many answers were given twice.
    fn harmed(&self, (way, at): &Kill) -> Result<(bool, u64), BenchError> {
        let name = match at {
            At::Point(point, n) => format!("{way:?}-{point}-{n}").to_lowercase(),
            At::Random(share) => format!("random-{:09}", (share * 1e9) as u64),
        };
        let Some(expected) = self.expected.get(way) else { return Ok((false, 0)) };
        let mut victim = self.victim(*way, &name)?;
        match at {
            At::Point(point, n) => {
                victim.env("DATAENVGYM_FAULT", format!("{point}:{n}"));
                self.start(&mut victim)?.wait().map_err(io(&self.program))?;
            }
            At::Random(share) => {
                let mut child = self.start(&mut victim)?;
                std::thread::sleep(expected.time.mul_f64(*share));
                // It may have ended already.
                let _ = child.kill();
                child.wait().map_err(io(&self.program))?;
            }
        }
        // A worker that died paused the run; one start more continues it. A training is over with its folder.
        if *way != Way::Trained || !self.folder(&name).exists() {
            self.end(&mut self.victim(*way, &name)?, &format!("killed at {at:?}"))?;
        }
        let same = self.state(*way, &name)? == expected.state;
        let answers = |passed: &BTreeMap<String, u64>| passed.get(ANSWERED).copied().unwrap_or(0);
        let repeated = answers(&self.passed(&name)?).saturating_sub(answers(&expected.passed));
        let (folder, log) = (self.folder(&name), self.log(&name));
        std::fs::remove_dir_all(&folder).map_err(io(&folder))?;
        std::fs::remove_file(&log).map_err(io(&log))?;
        Ok((same, repeated))
    }
}

/// The process that journals a review: a person's request to reject the first datum, carried out once however
/// often it is made.
///
/// # Errors
/// When the run cannot be read or written.
pub fn review(folder: &Path) -> Result<(), BenchError> {
    let request = Request { id: "bench/1".to_owned(), origin: "the bench".to_owned() };
    let mut store = Store::open(folder)?;
    if store.is_journalled(&request.id)? {
        return Ok(());
    }
    let mut episode = store.replay()?;
    let first = store.data()?.first().map(|judged| judged.datum.id.clone()).unwrap_or_default();
    let (event, data) = environments::review(&store, DataSelection::one(first), DatumEdit::Reject)?;
    episode.handle(event.clone());
    Ok(store.append_review(&event, &episode, &data, Some(&request))?)
}

/// A hash of everything a run came to: the episode, predictions, data, teacher calls and images. Durations
/// and the run's own folder are left out: two honest runs differ in them.
///
/// # Errors
/// When the run cannot be read, or is not finished.
pub fn end_state(folder: &Path) -> Result<String, BenchError> {
    let store = Store::open(folder)?;
    let mut episode: Episode = store.replay()?;
    if !episode.finished() {
        return Err(BenchError::Unfinished(format!("the run in {}", folder.display())));
    }
    episode.iterations.change(|_| true, |row| row.elapsed_ms = 0);
    let own = folder.to_string_lossy().into_owned();
    let mut hash = Sha256::new();
    hash.update(text(&episode)?.replace(&own, "."));
    for iteration in 0..episode.iterations.len() as u32 {
        for split in [Split::Validation, Split::Test] {
            let mut predictions = store.predictions(iteration, split)?;
            predictions.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
            hash.update(text(&predictions)?);
        }
    }
    for judged in store.data()? {
        if let Some(call) = &judged.datum.provenance.teacher_call {
            hash.update(text(&store.teacher_call(call)?)?);
        }
        for image in &judged.datum.images {
            hash.update(read_artifact(folder, image)?);
        }
        hash.update(text(&judged)?);
    }
    Ok(hex(hash.finalize()))
}

/// A hash of the files of a folder.
fn folder_state(folder: &Path) -> Result<String, BenchError> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<PathBuf> =
        entries.map_err(io(folder))?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(std::fs::read(&file).map_err(io(&file))?);
    }
    Ok(hex(hash.finalize()))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BenchError + '_ {
    |source| BenchError::Io { what: path.display().to_string(), source }
}

fn text(record: &impl serde::Serialize) -> Result<String, BenchError> {
    serde_json::to_string(record)
        .map_err(|error| BenchError::Io { what: "a record".to_owned(), source: error.into() })
}
