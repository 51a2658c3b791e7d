//! What there is on this machine, looked at once and judged nowhere here.

use std::io::{IsTerminal, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Resource;

use crate::cli::runs;
use crate::config::{Paths, READY, Sources, resolve, socket};
use crate::probes::{Memory, group_memory, parse_memory};
use crate::runner::disk;
use crate::runner::filesystem::{FileSystem, FileSystemProbe, SystemProbe};
use crate::runner::lock::{self, RunLock};
use crate::runner::machine;
use crate::runner::residence::{Claim, live_of, roots};
use crate::store;

/// How long a program that is asked may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) version: String,
    pub(super) features: Vec<(&'static str, bool)>,
    pub(super) database: String,
    pub(super) terminal: Terminal,
    pub(super) folders: Vec<Folder>,
    /// The floor of free room in bytes, or what is wrong with its setting.
    pub(super) floor: Result<u64, String>,
    pub(super) runs: Vec<Run>,
    /// Folders that look like runs and cannot be read, with the reason.
    pub(super) broken: Vec<(PathBuf, String)>,
    /// The newest run was created so many milliseconds after now.
    pub(super) ahead_ms: i64,
    /// The socket a run would have, or why there is none; empty when it would lie in the run's folder.
    pub(super) socket: Result<PathBuf, String>,
    pub(super) runtime_dir: Option<PathBuf>,
    pub(super) gpus: Gpus,
    pub(super) processor: Processor,
    pub(super) memory: Option<Memory>,
    /// What the control group allows, in bytes.
    pub(super) memory_limit: Option<u64>,
    /// Soft limits: name, value; `None` means unlimited.
    pub(super) limits: Vec<(&'static str, Option<u64>)>,
    pub(super) session: Session,
    /// Names of the ready configurations, with what is wrong with each.
    pub(super) configurations: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Terminal {
    /// Standard input and output lead to one.
    pub(super) present: bool,
    pub(super) term: Option<String>,
    pub(super) colours: Colours,
    pub(super) size: Option<(u16, u16)>,
    pub(super) utf8: bool,
}

/// What colours the environment promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Colours {
    /// `NO_COLOR` is set.
    Unwanted,
    /// 256 or fewer.
    #[default]
    Some,
    /// 24 bits.
    All,
}

#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) purpose: &'static str,
    pub(super) path: PathBuf,
    /// Why nothing can be written there.
    pub(super) refused: Option<String>,
    pub(super) file_system: Option<FileSystem>,
    pub(super) free: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) held: bool,
    /// Its journal says that a phase is going on.
    pub(super) working: bool,
    /// The process that has it, or had it last.
    pub(super) pid: Option<u32>,
    /// A socket that nobody listens at.
    pub(super) left_socket: Option<PathBuf>,
    /// Whether its process answers, when there is one.
    pub(super) answers: bool,
    /// The machine that has it, when it is another one.
    pub(super) elsewhere: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Gpus {
    /// There is no `nvidia-smi`.
    #[default]
    NoTool,
    /// It failed.
    Failed(String),
    /// Name and memory of each.
    Found(Vec<String>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Processor {
    pub(super) name: String,
    pub(super) x86: bool,
    /// Instruction sets that the trainer has code for.
    pub(super) has: Vec<&'static str>,
    pub(super) lacks: Vec<&'static str>,
    /// Cores that this process may use, control group and affinity included.
    pub(super) usable: usize,
    /// Cores of the machine.
    pub(super) present: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) tmux: bool,
    pub(super) ssh: bool,
    /// Whether processes of this user live on after the last logout, where systemd decides that.
    pub(super) linger: Option<bool>,
    /// Whether logout kills them.
    pub(super) kills: Option<bool>,
    pub(super) user: String,
}

/// Looks at everything once.
pub(super) fn take(paths: &Paths) -> Snapshot {
    let probe = SystemProbe::from_environment();
    let (found, broken) = runs::all(paths);
    let newest = found.iter().map(|run| run.record.created_ms).max().unwrap_or(0);
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = runtime_dir.as_ref().is_some_and(|folder| folder.is_dir());
    // Without it the folder of every run is as good as that of all others.
    let example = paths.runs.join("example");
    let socket =
        if usable { socket(&example, &example).map_err(|e| e.to_string()) } else { Ok(PathBuf::new()) };
    Snapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: vec![("mistralrs", cfg!(feature = "mistralrs"))],
        database: store::engine_version().to_owned(),
        terminal: terminal(),
        folders: folders(paths, &probe),
        floor: disk::floor(),
        runs: found.iter().map(run).collect(),
        broken,
        ahead_ms: newest - machine::now_ms(),
        socket,
        runtime_dir,
        gpus: gpus(),
        processor: processor(),
        memory: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_memory(&text)),
        memory_limit: group_memory().map(|(limit, _)| limit),
        limits: limits(),
        session: session(),
        configurations: READY.iter().map(|(name, _)| configuration(name)).collect(),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn terminal() -> Terminal {
    // While the screen is up the output leads into a log; the keys still come from the terminal.
    let input = std::io::stdin();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    Terminal {
        present: input.is_terminal(),
        term: variable("TERM"),
        colours: match variable("COLORTERM").as_deref() {
            _ if variable("NO_COLOR").is_some() => Colours::Unwanted,
            Some("truecolor" | "24bit") => Colours::All,
            _ => Colours::Some,
        },
        size: rustix::termios::tcgetwinsize(&input).ok().map(|size| (size.ws_col, size.ws_row)),
        utf8: locale.contains("utf-8") || locale.contains("utf8"),
    }
}

fn folders(paths: &Paths, probe: &SystemProbe) -> Vec<Folder> {
    let mut all = vec![
        folder("runs folder", &paths.runs, probe),
        folder("cache", &paths.cache, probe),
        folder("temporary", &std::env::temp_dir(), probe),
    ];
    if all[0].file_system.is_some_and(FileSystem::is_network) {
        let usable = |folder: &Folder| {
            folder.refused.is_none() && !folder.file_system.is_none_or(FileSystem::is_network)
        };
        let candidates: Vec<Folder> =
            roots().iter().map(|root| folder("scratch", &root.folder, probe)).collect();
        all.extend(candidates.iter().find(|f| usable(f)).or(candidates.first()).cloned());
    }
    all
}

/// Looks at a folder, or at the nearest one above it when it is not there yet.
fn folder(purpose: &'static str, path: &Path, probe: &SystemProbe) -> Folder {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    Folder {
        purpose,
        path: path.to_owned(),
        refused: writable(there).err().map(|error| error.to_string()),
        file_system: probe.kind(there).ok(),
        free: probe.free_bytes(there).ok(),
    }
}

/// Tries it: permissions alone do not say.
fn writable(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".dataenvgym-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}

fn run(found: &runs::Found) -> Run {
    let live = live_of(&found.folder);
    let held = RunLock::is_held(&live);
    let holder = lock::holder(&live);
    let socket = holder.as_ref().and_then(|holder| holder.socket.clone());
    let answers = crate::runner::client::stream(&live).is_some();
    let claim = Claim::of(&found.folder).ok().flatten().filter(|claim| !claim.is_of_this_host());
    Run {
        name: found.record.name.clone(),
        held,
        working: found.episode.running,
        pid: holder.map(|holder| holder.pid),
        left_socket: socket.filter(|path| !held && path.exists()),
        answers,
        elsewhere: claim.map(|claim| claim.host),
    }
}

fn gpus() -> Gpus {
    let arguments = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
    match output("nvidia-smi", &arguments) {
        Ok(text) => Gpus::Found(text.lines().map(|line| line.trim().to_owned()).collect()),
        Err(Refusal::Missing) => Gpus::NoTool,
        Err(Refusal::Failed(why)) => Gpus::Failed(why),
    }
}

enum Refusal {
    Missing,
    Failed(String),
}

/// What a program prints, within a time.
fn output(program: &str, arguments: &[&str]) -> Result<String, Refusal> {
    let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
    let command = &mut Command::new(program);
    let piped = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::Missing,
        _ => failed(error),
    })?;
    let began = Instant::now();
    // What is asked for fits into a pipe.
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Refusal::Failed(format!("{program} did not answer in {} s", PATIENCE.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut text).map_err(failed)?;
    }
    if status.success() { Ok(text) } else { Err(Refusal::Failed(format!("{program}: {status}"))) }
}

fn processor() -> Processor {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let (has, lacks) = instruction_sets().into_iter().partition::<Vec<_>, _>(|(_, there)| *there);
    let names = |list: Vec<(&'static str, bool)>| list.into_iter().map(|(name, _)| name).collect();
    Processor {
        name: crate::probes::processor_name(),
        x86: cfg!(target_arch = "x86_64"),
        has: names(has),
        lacks: names(lacks),
        usable: std::thread::available_parallelism().map_or(1, NonZero::get),
        present: text.lines().filter(|line| line.starts_with("processor")).count(),
    }
}

#[cfg(target_arch = "x86_64")]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    Vec::new()
}

fn limits() -> Vec<(&'static str, Option<u64>)> {
    let named = [
        ("open files", Resource::Nofile),
        ("processes", Resource::Nproc),
        ("file size", Resource::Fsize),
        ("address space", Resource::As),
    ];
    named.into_iter().map(|(name, limit)| (name, rustix::process::getrlimit(limit).current)).collect()
}

fn session() -> Session {
    let user = rustix::process::getuid().as_raw().to_string();
    let yes = |text: String| text.trim().rsplit('=').next().map(|value| value == "yes");
    let ask = |arguments: &[&str]| output("loginctl", arguments).ok().and_then(yes);
    Session {
        tmux: variable("TMUX").is_some() || variable("STY").is_some(),
        ssh: variable("SSH_CONNECTION").is_some(),
        linger: ask(&["show-user", &user, "--property=Linger"]),
        kills: ask(&["show", "--property=KillUserProcesses"]),
        user: variable("USER").unwrap_or(user),
    }
}

fn configuration(name: &str) -> (String, Option<String>) {
    let sources = Sources { config: Some(name.to_owned()), ..Sources::default() };
    let wrong = resolve(&sources).err().map(|error| error.to_string());
    (name.to_owned(), wrong)
}
