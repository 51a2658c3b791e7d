//! What earlier processes, copies and clocks leave behind: the run goes on, or says which file and what to do.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataenvgym::runner::client::socket_of;
use dataenvgym::runner::lock::{LOCK, RunLock};

use crate::faults::{current_phase, unharmed};
use crate::home::{Home, Outcome, outcome, text, wait_for};

#[test]
fn a_stale_lock_and_a_socket_left_behind_stop_nobody() {
    let home = Home::new();
    let config = home.scripted(2, 1);
    let expected = unharmed(&home, &config);
    let arguments = ["run", "--config", &config, "--headless", "--name", "killed"];
    let mut child = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let folder = home.run_folder("killed");
    wait_for("an evaluation", || current_phase(&folder));
    let socket = socket_of(&folder);
    child.kill().unwrap();
    child.wait().unwrap();
    // Both are there, and neither means anything.
    assert!(socket.exists() && folder.join(LOCK).exists() && !RunLock::is_held(&folder));
    assert!(home.stdout(&["stop", "killed"]).contains("is not running"));
    assert_eq!(home.output(&["wait", "killed"]).status.code(), Some(75));
    // A plain file in the socket's place is replaced as well.
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "not a socket").unwrap();
    std::fs::write(folder.join(LOCK), "1").unwrap();
    home.stdout(&["run", "--headless", "--name", "killed"]);
    assert_eq!(outcome(&folder), expected);
    assert!(!socket.exists());
}

#[test]
fn a_runner_whose_socket_was_removed_is_named_with_the_way_to_end_it() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    let socket = socket_of(&folder);
    std::fs::remove_file(&socket).unwrap();
    let pid = dataenvgym::runner::lock::holder(&folder).unwrap().pid;
    let said = text(&home.output(&["stop", "scripted"]).stderr);
    for words in [socket.to_str().unwrap(), &format!("kill -TERM {pid}"), "runner.log"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Something else that listens there is no runner.
    let _listener = UnixListener::bind(&socket).unwrap();
    crate::signals::send(pid, rustix::process::Signal::TERM);
    wait_for("the end of the process", || (!RunLock::is_held(&folder)).then_some(()));
}

#[test]
fn two_runners_on_one_run_started_together_are_one() {
    let home = Home::new();
    let config = home.scripted(1, 1);
    home.stdout(&["run", "--config", &config, "--headless", "--name", "twice", "--iterations", "1"]);
    let expected = outcome(&home.run_folder("twice"));
    let config = home.scripted(10, 1);
    let arguments = ["run", "--config", &config, "--headless", "--name", "both"];
    home.stdout(&["run", "--config", &config, "--name", "both"]);
    let folder = home.run_folder("both");
    let others: Vec<_> = (0..3)
        .map(|_| home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for other in others {
        let output = other.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("has a runner already (process "), "{said}");
        assert!(said.contains("dataenvgym attach"), "{said}");
    }
    assert_eq!(home.output(&["wait", "both"]).status.code(), Some(0));
    assert_eq!(outcome(&folder), expected);
}

/// No home, an open mask, few files, another time zone.
#[test]
fn a_narrow_environment_changes_nothing() {
    let home = Home::new();
    let config = home.scripted(1, 1);
    let expected = unharmed(&home, &config);
    let program = env!("CARGO_BIN_EXE_dataenvgym");
    let script = format!(
        "umask 0; ulimit -n 64; unset HOME; exec {program} run --headless --name narrow --config {config}"
    );
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).env_clear().env("TZ", "Pacific/Kiritimati").stdin(Stdio::null());
    for (key, value) in home.command(&[]).get_envs() {
        shell.env(key, value.unwrap_or_default());
    }
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let folder = home.run_folder("narrow");
    assert_eq!(outcome(&folder), expected);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&home.path("run/dataenvgym"))), (0o700, 0o700));
}

#[test]
fn a_clock_that_was_set_back_makes_no_wrong_number() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    // The run is created tomorrow, and its first phase ends before it began.
    let mut command = home.command(&["run", "--config", &config, "--headless", "--name", "early"]);
    let output = command.env("DATAENVGYM_FAULT_CLOCK", "4:86400000").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = home.stdout(&["attach", "--text", "early"]);
    let rows: Vec<&str> = out.lines().filter(|line| line.contains(" % [") && line.ends_with(" s")).collect();
    assert!(rows.len() == 2 && rows[0].ends_with(" 0.0 s"), "{out}");
    let doctor = text(&home.output(&["doctor"]).stdout);
    assert!(doctor.contains("the clock was set back"), "{doctor}");
    // It is shown, resumed and continued like any other.
    assert!(
        home.stdout(&["runs"]).lines().any(|line| line.starts_with("early") && line.contains("finished"))
    );
    assert!(home.stdout(&["run", "--headless", "--name", "early"]).contains("selected by validation"));
}

/// Every small file of a run, with a bit changed, cut, emptied or gone: the run comes to the same end, or says
/// which file it is.
#[test]
fn a_damaged_file_of_a_run_is_named_or_changes_nothing() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    let expected = unharmed(&home, &config);
    let text_of = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text_of}gates = [\"generate\"]\n")).unwrap();
    let go = ["run", "--headless", "--name", "scripted"];
    assert_eq!(home.output(&["run", "--config", &config, "--headless"]).status.code(), Some(75));
    // It has a checkpoint, and waits before the second iteration's data.
    assert_eq!(home.output(&go).status.code(), Some(75));
    let (folder, kept) = (home.run_folder("scripted"), home.path("kept"));
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&folder, &kept);
    let sealed = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let checkpoint = "checkpoints/iteration-001/scripted.json";
    let learned = std::fs::read_to_string(folder.join(checkpoint)).unwrap();
    let sums = "checkpoints/iteration-001/SHA256SUMS";
    let changes: [(&str, Option<String>); 14] = [
        ("config.toml", Some(sealed.replace("data = 120", "data = 121"))),
        ("config.toml", Some(sealed.replace("seed = 1", "seed = 3"))),
        ("config.toml", Some(sealed[..sealed.len() / 2].to_owned())),
        ("config.toml", Some(String::new())),
        ("config.toml", None),
        ("run.lock", Some("{".to_owned())),
        (checkpoint, Some("{\"examples\":".to_owned())),
        (checkpoint, Some(String::new())),
        (checkpoint, None),
        // A number like any other, but not the one that was written.
        (checkpoint, Some(learned.replace(':', ":1"))),
        (sums, Some("0".repeat(30))),
        (sums, None),
        ("ballast", Some("too small".to_owned())),
        ("claim.json", Some("{\"host\":".to_owned())),
    ];
    for (name, content) in changes {
        copy(&kept, &folder);
        match &content {
            Some(content) => std::fs::write(folder.join(name), content).unwrap(),
            None => std::fs::remove_file(folder.join(name)).unwrap(),
        }
        let harmless = ["run.lock", "ballast"].contains(&name) || (name == sums && content.is_none());
        let finished = named_or_nothing(&home, name, &expected);
        assert_eq!(finished, harmless, "{name}, {content:?}");
    }
    // One bit in the middle of every file. The database has tests of its own for each of its pages.
    for file in files(&kept) {
        let name = file.strip_prefix(&kept).unwrap().to_str().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        if name.starts_with("run.db") || bytes.is_empty() {
            continue;
        }
        copy(&kept, &folder);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(folder.join(name), bytes).unwrap();
        named_or_nothing(&home, name, &expected);
    }
}

/// Goes on with the run. It comes to the expected end, which is true, or names the file.
fn named_or_nothing(home: &Home, name: &str, expected: &Outcome) -> bool {
    let output = home.output(&["run", "--headless", "--name", "scripted"]);
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{name}: {said}");
    if output.status.success() {
        assert_eq!(&outcome(&home.run_folder("scripted")), expected, "{name}");
    } else {
        assert!(said.contains(name.rsplit('/').next().unwrap()), "{name}: {said}");
    }
    output.status.success()
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let below = |entry: std::fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => vec![],
    };
    entries.flat_map(below).collect()
}

#[test]
fn a_damaged_database_is_listed_and_named() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    home.stdout(&["run", "--config", &config, "--headless"]);
    let database = home.run_folder("scripted").join("run.db");
    let cases: [(&str, Vec<u8>); 2] = [
        ("not a database", b"SQLite format 2, or so".repeat(100)),
        ("half of it", std::fs::read(&database).unwrap()[..8192].to_vec()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&database, bytes).unwrap();
        assert!(home.stdout(&["runs"]).contains("unreadable"), "{what}");
        for arguments in [&["run", "--headless", "--name", "scripted"][..], &["attach", "--text", "scripted"]]
        {
            let output = home.output(arguments);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{what}: {said}");
            assert!(said.contains("run.db") && !said.contains("panicked"), "{what}: {said}");
        }
    }
    home.stdout(&["delete", "--yes", "scripted"]);
}
