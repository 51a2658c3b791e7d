//! What a snapshot means: pure, so that every machine can be judged on any machine.

use super::Finding;
use super::snapshot::{Colours, Folder, Gpus, Run, Snapshot, Terminal};
use crate::cli::format;
use crate::runner::filesystem::FileSystem;

/// Smallest screen of the terminal interface, in columns and rows.
const SCREEN: (u16, u16) = (80, 24);
/// Memory below which a small real model does not fit beside the system, in bytes.
const LITTLE_MEMORY: u64 = 2 << 30;
/// Open files that a run with many workers and clients may need.
const FILES: u64 = 256;

/// Judges everything, in the order in which a person would mend it.
pub(super) fn findings(seen: &Snapshot) -> Vec<Finding> {
    let mut all = vec![version(seen)];
    all.push(terminal(&seen.terminal));
    all.extend(seen.folders.iter().map(|folder| self::folder(folder, seen)));
    all.extend(floor(seen));
    all.push(socket(seen));
    all.extend(runs(seen));
    all.extend(clock(seen));
    all.push(processor(seen));
    all.push(memory(seen));
    all.extend(limits(seen));
    all.push(gpus(seen));
    all.push(session(seen));
    all.extend(configurations(seen));
    all
}

fn version(seen: &Snapshot) -> Finding {
    let features: Vec<&str> = seen.features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let list = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let found = format!("{}, features: {list}, SQLite {}", seen.version, seen.database);
    if seen.features.iter().any(|(name, on)| *name == "mistralrs" && !on) {
        let remedy = "only scripted students can be served: build with the default features for real ones";
        return Finding::warn("version", found, remedy);
    }
    Finding::ok("version", found)
}

fn terminal(seen: &Terminal) -> Finding {
    const CHECK: &str = "terminal";
    if !seen.present {
        let found = "none: runs are headless, `attach` prints lines";
        return Finding::ok(CHECK, found);
    }
    let term = seen.term.as_deref().unwrap_or("");
    let (columns, rows) = seen.size.unwrap_or_default();
    let colours = match seen.colours {
        Colours::Unwanted => "no colours (NO_COLOR)",
        Colours::All => "24-bit colours",
        Colours::Some => "256 colours or fewer",
    };
    let found = format!("{term}, {columns} x {rows}, {colours}");
    if term.is_empty() || term == "dumb" {
        let remedy = "the terminal interface cannot draw: set TERM, or use `attach --text`";
        return Finding::warn(CHECK, format!("TERM is `{term}`"), remedy);
    }
    if columns < SCREEN.0 || rows < SCREEN.1 {
        let remedy = format!("enlarge it to {} x {}, or use `attach --text`", SCREEN.0, SCREEN.1);
        return Finding::warn(CHECK, found, remedy);
    }
    if !seen.utf8 {
        return Finding::warn(
            CHECK,
            format!("{found}, no UTF-8"),
            "set LANG to a UTF-8 locale, such as C.UTF-8",
        );
    }
    Finding::ok(CHECK, found)
}

fn folder(folder: &Folder, seen: &Snapshot) -> Finding {
    let path = folder.path.display();
    let on = folder.file_system.map_or("an unknown file system", FileSystem::name);
    let free = folder.free.map_or("unknown".to_owned(), format::bytes);
    let found = format!("{path} on {on}, {free} free");
    let check = folder.purpose;
    if let Some(why) = &folder.refused {
        let remedy = match check {
            "runs folder" => {
                "make it writable, or give another folder with --runs-dir or DATAENVGYM_RUNS_DIR"
            }
            "cache" => "make it writable, or set XDG_CACHE_HOME to another folder",
            "scratch" => "set DATAENVGYM_SCRATCH to a folder on a disk of this machine",
            _ => "make it writable, or set TMPDIR to another folder",
        };
        return Finding::fail(check, format!("{path} cannot be written: {why}"), remedy);
    }
    let short = seen.floor.as_ref().is_ok_and(|floor| folder.free.is_some_and(|free| free < *floor));
    if short && check != "temporary" {
        let remedy = "a run pauses before its next phase: free some space, or lower DATAENVGYM_MIN_FREE_MIB";
        return Finding::fail(check, found, remedy);
    }
    match (check, folder.file_system) {
        ("scratch", Some(FileSystem::Network(_))) => {
            let remedy = "no local folder was found: set DATAENVGYM_SCRATCH to one";
            Finding::fail(check, found, remedy)
        }
        ("runs folder", Some(FileSystem::Network(_))) => {
            let remedy = "databases of runs work on the scratch folder below and are copied back after every phase; \
                          when this machine dies, the phase in hand is lost and done again";
            Finding::warn(check, found, remedy)
        }
        ("runs folder", Some(FileSystem::Memory(_))) => Finding::warn(
            check,
            found,
            "runs are gone with the machine's next start: give another --runs-dir",
        ),
        ("temporary", Some(FileSystem::Memory(_))) => {
            Finding::ok(check, format!("{found}; what is written there, such as merged models, takes memory"))
        }
        _ => Finding::ok(check, found),
    }
}

fn floor(seen: &Snapshot) -> Option<Finding> {
    let wrong = seen.floor.as_ref().err()?;
    Some(Finding::fail("disk floor", wrong.clone(), "correct or unset the variable"))
}

fn socket(seen: &Snapshot) -> Finding {
    const CHECK: &str = "socket";
    match (&seen.socket, &seen.runtime_dir) {
        (Err(why), _) => Finding::fail(CHECK, why.clone(), "runs cannot be controlled without it"),
        (Ok(path), Some(runtime)) if path.as_os_str().is_empty() => Finding::warn(
            CHECK,
            format!("XDG_RUNTIME_DIR is {}, which is no folder", runtime.display()),
            "sockets lie in the runs' folders instead; unset the variable or make the folder (mode 700)",
        ),
        (Ok(_), None) => Finding::ok(CHECK, "XDG_RUNTIME_DIR is not set: sockets lie in the runs' folders"),
        (Ok(path), Some(_)) => Finding::ok(CHECK, format!("in {}", path.parent().unwrap_or(path).display())),
    }
}

fn runs(seen: &Snapshot) -> Vec<Finding> {
    const CHECK: &str = "runs";
    let mut all: Vec<Finding> = seen.runs.iter().filter_map(run).collect();
    all.extend(seen.broken.iter().map(|(folder, why)| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let remedy = format!("restore it from a copy, or `dataenvgym delete {name}`");
        Finding::warn(CHECK, format!("{}: {why}", folder.display()), remedy)
    }));
    let held = seen.runs.iter().filter(|run| run.held).count();
    if all.is_empty() {
        all.push(Finding::ok(CHECK, format!("{} runs, {held} with a process", seen.runs.len())));
    }
    all
}

fn run(run: &Run) -> Option<Finding> {
    const CHECK: &str = "runs";
    let (name, pid) = (&run.name, run.pid.map_or("?".to_owned(), |pid| pid.to_string()));
    if let Some(host) = &run.elsewhere {
        return Some(Finding::ok(CHECK, format!("`{name}` is worked on by {host}")));
    }
    if run.held && !run.answers {
        let found = format!("`{name}`: process {pid} has the run and does not listen");
        return Some(Finding::warn(CHECK, found, format!("`kill -TERM {pid}` pauses it; then resume")));
    }
    if !run.held && run.working {
        let found = format!("`{name}`: process {pid} ended in the middle of a phase; its lock is stale");
        return Some(Finding::warn(CHECK, found, format!("`dataenvgym run --name {name}` goes on")));
    }
    let left = run.left_socket.as_ref()?;
    let found = format!("`{name}`: nobody listens at {}", left.display());
    Some(Finding::warn(CHECK, found, "harmless: the next start replaces it; it can be removed"))
}

fn clock(seen: &Snapshot) -> Option<Finding> {
    // A minute is the difference between two machines.
    let minutes = seen.ahead_ms / 60_000;
    (minutes > 0).then(|| {
        let found = format!("the newest run was created {minutes} min after now");
        let remedy = "the clock was set back, or the run comes from another machine: times shown are off, \
                      nothing else is";
        Finding::warn("clock", found, remedy)
    })
}

fn processor(seen: &Snapshot) -> Finding {
    const CHECK: &str = "processor";
    let it = &seen.processor;
    let has = if it.has.is_empty() { "no vector extensions".to_owned() } else { it.has.join(" ") };
    let found = format!("{}, {} of {} cores usable, {has}", it.name, it.usable, it.present.max(it.usable));
    if it.x86 && it.lacks.iter().any(|name| matches!(*name, "avx2" | "fma")) {
        return Finding::warn(CHECK, found, "training and generation are several times slower without AVX2");
    }
    if it.usable == 1 {
        return Finding::warn(CHECK, found, "one core serves one student: give the job more cores");
    }
    Finding::ok(CHECK, found)
}

fn memory(seen: &Snapshot) -> Finding {
    const CHECK: &str = "memory";
    let Some(memory) = seen.memory else {
        return Finding::warn(CHECK, "unknown: there is no /proc/meminfo", "watch it by other means");
    };
    let (total, used) = (memory.total << 20, memory.used << 20);
    let mut available = total.saturating_sub(used);
    let mut found = format!("{} of {} available", format::bytes(available), format::bytes(total));
    if let Some(limit) = seen.memory_limit.filter(|limit| *limit < total) {
        available = available.min(limit);
        found = format!("{found}, limited to {} by the control group", format::bytes(limit));
    }
    if available < LITTLE_MEMORY {
        let remedy = "enough for the embedded student; larger ones need their weights twice: end other programs, \
                      or ask for more";
        return Finding::warn(CHECK, found, remedy);
    }
    Finding::ok(CHECK, found)
}

fn limits(seen: &Snapshot) -> Vec<Finding> {
    const CHECK: &str = "limits";
    let judge = |(name, value): &(&'static str, Option<u64>)| {
        let value = (*value)?;
        match *name {
            "open files" if value < FILES => Some(Finding::warn(
                CHECK,
                format!("{name}: {value}"),
                format!("`ulimit -n {}` before the start", FILES * 4),
            )),
            "file size" => Some(Finding::warn(
                CHECK,
                format!("{name}: {}", format::bytes(value)),
                "checkpoints and databases may grow beyond it: `ulimit -f unlimited`",
            )),
            "address space" => Some(Finding::warn(
                CHECK,
                format!("{name}: {}", format::bytes(value)),
                "model files are mapped and count in full: `ulimit -v unlimited`",
            )),
            _ => None,
        }
    };
    let mut all: Vec<Finding> = seen.limits.iter().filter_map(judge).collect();
    if all.is_empty() {
        let word = |value: &Option<u64>| value.map_or("unlimited".to_owned(), |n| n.to_string());
        let list = seen.limits.iter().map(|(name, value)| format!("{name} {}", word(value)));
        all.push(Finding::ok(CHECK, list.collect::<Vec<_>>().join(", ")));
    }
    all
}

fn gpus(seen: &Snapshot) -> Finding {
    const CHECK: &str = "GPUs";
    match &seen.gpus {
        Gpus::NoTool => Finding::ok(CHECK, "none seen: there is no nvidia-smi"),
        Gpus::Failed(why) => {
            let remedy = "the driver does not answer: students run on the processor until it does";
            Finding::warn(CHECK, why.clone(), remedy)
        }
        Gpus::Found(list) if list.is_empty() => Finding::ok(CHECK, "none"),
        Gpus::Found(list) => Finding::ok(CHECK, list.join("; ")),
    }
}

fn session(seen: &Snapshot) -> Finding {
    const CHECK: &str = "session";
    let it = &seen.session;
    let place = match (it.ssh, it.tmux) {
        (true, true) => "over SSH, inside a multiplexer",
        (true, false) => "over SSH",
        (false, true) => "inside a multiplexer",
        (false, false) => "local",
    };
    if it.kills == Some(true) && it.linger == Some(false) {
        let remedy = format!(
            "runs would end too, in tmux as well: `loginctl enable-linger {0}` keeps them \
             (or `systemd-run --user --scope dataenvgym run ...` once lingering is on)",
            it.user
        );
        return Finding::warn(CHECK, format!("{place}; this system kills processes at logout"), remedy);
    }
    Finding::ok(CHECK, format!("{place}; runs go on after logout"))
}

fn configurations(seen: &Snapshot) -> Vec<Finding> {
    const CHECK: &str = "configurations";
    let wrong = |(name, wrong): &(String, Option<String>)| {
        let wrong = wrong.as_ref()?;
        Some(Finding::fail(CHECK, format!("`{name}`: {wrong}"), "this program is damaged: install it again"))
    };
    let mut all: Vec<Finding> = seen.configurations.iter().filter_map(wrong).collect();
    if all.is_empty() {
        let names: Vec<&str> = seen.configurations.iter().map(|(name, _)| name.as_str()).collect();
        all.push(Finding::ok(CHECK, names.join(", ")));
    }
    all
}

#[cfg(test)]
mod tests;
