use std::path::PathBuf;

use super::super::Level;
use super::super::snapshot::{Processor, Session};
use super::*;
use crate::probes::Memory;

/// A machine without a fault.
fn sound() -> Snapshot {
    Snapshot {
        version: "1.0.0".into(),
        features: vec![("mistralrs", true)],
        database: "3.50".into(),
        terminal: Terminal {
            present: true,
            term: Some("xterm-256color".into()),
            colours: Colours::All,
            size: Some((120, 40)),
            utf8: true,
        },
        folders: vec![
            folder_of("runs folder", FileSystem::Local("ext4")),
            folder_of("cache", FileSystem::Local("xfs")),
        ],
        floor: Ok(256 << 20),
        socket: Ok(PathBuf::from("/run/user/1/dataenvgym/x.sock")),
        runtime_dir: Some(PathBuf::from("/run/user/1")),
        gpus: Gpus::Found(vec!["GPU, 80 GiB".into()]),
        processor: Processor {
            name: "A processor".into(),
            x86: true,
            has: vec!["avx2", "fma"],
            lacks: vec!["avx512f"],
            usable: 8,
            present: 16,
        },
        memory: Some(Memory { used: 1 << 10, total: 16 << 10 }),
        limits: vec![("open files", Some(1024)), ("file size", None)],
        session: Session { linger: Some(true), kills: Some(true), user: "ada".into(), ..Session::default() },
        configurations: vec![("quickstart".into(), None)],
        runs: Vec::new(),
        broken: Vec::new(),
        ahead_ms: -1,
        memory_limit: None,
    }
}

fn folder_of(purpose: &'static str, file_system: FileSystem) -> Folder {
    let (path, file_system, free) = (PathBuf::from("/x").join(purpose), Some(file_system), Some(9 << 30));
    Folder { purpose, path, refused: None, file_system, free }
}

/// The findings that are not fine after a change to a sound machine.
fn complaints(change: impl FnOnce(&mut Snapshot)) -> Vec<(&'static str, Level, String)> {
    let mut seen = sound();
    change(&mut seen);
    let found = findings(&seen).into_iter().filter(|finding| finding.level > Level::Ok);
    found.map(|f| (f.check, f.level, format!("{} -> {}", f.found, f.remedy))).collect()
}

fn one(level: Level, words: &[&str], change: impl FnOnce(&mut Snapshot)) {
    let found = complaints(change);
    assert!(found.len() == 1 && found[0].1 == level, "{words:?}: {found:?}");
    for word in words {
        assert!(found[0].2.contains(word), "{word}: {found:?}");
    }
}

#[test]
fn a_sound_machine_has_no_complaint() {
    assert_eq!(complaints(|_| {}), []);
    assert_eq!(complaints(|seen| seen.terminal = Terminal::default()), []);
    assert_eq!(complaints(|seen| seen.gpus = Gpus::NoTool), []);
}

#[test]
fn folders_are_judged_by_use() {
    one(Level::Fail, &["/x/runs folder", "read-only", "--runs-dir"], |s| {
        s.folders[0].refused = Some("read-only".into());
    });
    one(Level::Fail, &["/x/cache", "XDG_CACHE_HOME"], |s| s.folders[1].refused = Some("no".into()));
    one(Level::Fail, &["/x/runs folder", "100 MiB", "MIN_FREE"], |s| s.folders[0].free = Some(100 << 20));
    one(Level::Warn, &["nfs", "copied back"], |s| {
        s.folders[0].file_system = Some(FileSystem::Network("nfs"));
    });
    one(Level::Warn, &["tmpfs", "gone"], |s| s.folders[0].file_system = Some(FileSystem::Memory("tmpfs")));
    one(Level::Fail, &["DATAENVGYM_SCRATCH"], |s| {
        s.folders.push(folder_of("scratch", FileSystem::Network("nfs")));
    });
    one(Level::Fail, &["`x`"], |s| s.floor = Err("MIN_FREE is `x`".into()));
}

#[test]
fn runs_that_were_left_in_disorder_are_named_with_the_way_out() {
    let run = |change: fn(&mut Run)| {
        let mut run = Run { name: "r".into(), pid: Some(77), ..Run::default() };
        change(&mut run);
        move |s: &mut Snapshot| s.runs.push(run)
    };
    one(Level::Warn, &["77", "stale", "run --name r"], run(|r| r.working = true));
    one(Level::Warn, &["kill -TERM 77"], run(|r| r.held = true));
    one(Level::Warn, &["/s.sock", "harmless"], run(|r| r.left_socket = Some("/s.sock".into())));
    assert_eq!(complaints(run(|r| (r.held, r.answers, r.working) = (true, true, true))), []);
    assert_eq!(complaints(run(|r| r.elsewhere = Some("node-2".into()))), []);
    one(Level::Warn, &["/runs/b", "malformed", "delete b"], |s| {
        s.broken.push(("/runs/b".into(), "malformed".into()));
    });
    one(Level::Warn, &["5 min after now"], |s| s.ahead_ms = 5 * 60_000);
}

#[test]
fn the_machine_and_the_session_are_judged() {
    one(Level::Warn, &["scripted"], |s| s.features = vec![("mistralrs", false)]);
    one(Level::Warn, &["40 x 10", "80 x 24"], |s| s.terminal.size = Some((40, 10)));
    one(Level::Warn, &["dumb", "--text"], |s| s.terminal.term = Some("dumb".into()));
    one(Level::Warn, &["UTF-8"], |s| s.terminal.utf8 = false);
    one(Level::Warn, &["AVX2"], |s| s.processor.lacks.push("avx2"));
    one(Level::Warn, &["1 of 16 cores"], |s| s.processor.usable = 1);
    one(Level::Warn, &["control group", "1.0 GiB"], |s| s.memory_limit = Some(1 << 30));
    one(Level::Warn, &["open files: 64", "ulimit -n"], |s| s.limits[0].1 = Some(64));
    one(Level::Warn, &["file size", "ulimit -f"], |s| s.limits[1].1 = Some(1 << 20));
    one(Level::Warn, &["driver"], |s| s.gpus = Gpus::Failed("exit status 9".into()));
    one(Level::Warn, &["enable-linger ada"], |s| s.session.linger = Some(false));
    one(Level::Warn, &["/run/user/1", "no folder"], |s| s.socket = Ok(PathBuf::new()));
    one(Level::Fail, &["others can enter"], |s| s.socket = Err("others can enter it".into()));
    one(Level::Fail, &["quickstart", "line 3"], |s| s.configurations[0].1 = Some("line 3".into()));
}
