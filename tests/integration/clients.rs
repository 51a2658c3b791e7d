//! `attach` as text, `wait`, `logs`, `delete` and `doctor`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use dataenvgym::gym::episode::Phase;
use dataenvgym::runner::lock::RunLock;
use rustix::process::Signal;
use serde_json::Value;

use crate::faults::{children, current_phase, kill};
use crate::home::{Home, episode, text, wait_for};
use crate::signals::send;

#[test]
fn attach_without_a_terminal_prints_the_run_to_its_end() {
    let home = Home::new();
    let config = home.scripted(2, 2);
    home.stdout(&["run", "--config", &config]);
    // Without a name the newest run; without a terminal lines, as with --text.
    let out = home.stdout(&["attach"]);
    let rows = out.lines().filter(|line| line.contains(" % [") && !line.contains("test")).count();
    assert_eq!(rows, 3, "{out}");
    assert!(out.contains("run scripted in") && out.contains("paired gain on the test split"), "{out}");
    let again = home.stdout(&["attach", "--text", "scripted"]);
    assert!(again.contains("selected by validation"), "{again}");
}

#[test]
fn attach_as_text_leaves_at_an_interrupt_and_the_run_goes_on() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config]);
    let arguments = ["attach", "--text"];
    let command = &mut home.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("iteration 0: evaluate"), "{line}");
    send(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("goes on"), "{}", text(&output.stdout));
    assert!(episode(&home.run_folder("scripted")).unwrap().running);
}

#[test]
fn wait_tells_how_a_run_ends() {
    let home = Home::new();
    let config = home.scripted(2, 1);
    home.stdout(&["run", "--config", &config, "--name", "whole"]);
    assert_eq!(home.output(&["wait", "whole"]).status.code(), Some(0));
    let config = home.scripted(10, 50);
    home.stdout(&["run", "--config", &config, "--name", "long"]);
    let waited = home.output(&["wait", "long", "--timeout", "0"]);
    assert_eq!(waited.status.code(), Some(124), "{}", text(&waited.stderr));
    assert!(text(&waited.stdout).contains("still running"));
    let folder = home.run_folder("long");
    wait_for("an evaluation", || current_phase(&folder));
    home.stdout(&["stop", "--now", "long"]);
    assert_eq!(home.output(&["wait"]).status.code(), Some(75));
    assert!(text(&home.output(&["wait", "none"]).stderr).contains("no run `none`"));
}

/// A run whose worker is killed and which may not try again fails; its process stays for a person.
#[test]
fn a_failure_is_told_with_its_cause_to_everybody_who_asks() {
    let home = Home::new();
    let config = home.scripted(20, 2);
    let text_of = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text_of.replace("[episode]\n", "[episode]\nretries = 0\n")).unwrap();
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    let pid = dataenvgym::runner::lock::holder(&folder).unwrap().pid;
    let victim = wait_for("a student", || {
        current_phase(&folder).filter(|phase| *phase == Phase::Evaluate)?;
        children(pid, "student").pop()
    });
    kill(victim);
    let waited = home.output(&["wait", "scripted"]);
    assert_eq!(waited.status.code(), Some(1));
    assert!(text(&waited.stderr).contains("killed by SIGKILL, signal 9"), "{}", text(&waited.stderr));
    let list = home.stdout(&["runs"]);
    assert!(list.contains("failed") && list.contains("SIGKILL") && list.contains("runner.log"), "{list}");
    let attached = home.output(&["attach", "--text"]);
    assert_eq!(attached.status.code(), Some(1));
    assert!(text(&attached.stdout).contains("paused by a failure"), "{}", text(&attached.stdout));
}

#[test]
fn logs_are_printed_followed_and_named() {
    let home = Home::new();
    let config = home.scripted(3, 2);
    home.stdout(&["run", "--config", &config]);
    // Follows until the end of the run's process.
    let followed = home.output(&["logs", "--follow"]);
    let lines = text(&followed.stdout);
    assert!(followed.status.success() && lines.contains("the run's process ends"), "{lines}");
    assert!(text(&followed.stderr).contains("logs/runner.log"));
    let last = home.stdout(&["logs", "scripted", "-n", "2"]);
    assert_eq!(last.lines().count(), 2, "{last}");
    assert!(lines.ends_with(&last), "{last}");
    let missing = home.output(&["logs", "--worker", "nobody"]);
    let said = text(&missing.stderr);
    assert!(!missing.status.success() && said.contains("student@cpu#0") && said.contains("runner"), "{said}");
    assert!(home.output(&["logs", "--worker", "student@cpu#0"]).status.success());
}

#[test]
fn a_log_is_followed_across_rotations_and_cannot_drive_the_terminal() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config]);
    let log = home.run_folder("scripted").join("logs/runner.log");
    let arguments = ["logs", "-f", "-n", "0"];
    let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::sleep(Duration::from_millis(500));
    let append = |text: &str| {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("one \x1b]0;owned\x07\n");
    std::fs::rename(&log, log.with_extension("log.1")).unwrap();
    append("two\n");
    let ours: Vec<String> =
        lines.by_ref().map(Result::unwrap).filter(|l| l.starts_with("one") || l == "two").take(2).collect();
    assert!(ours[0].starts_with("one ") && !ours[0].contains('\x1b'), "{ours:?}");
    assert_eq!(ours[1], "two");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn runs_are_deleted_whole_and_never_while_in_use() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config, "--name", "busy"]);
    home.stdout(&["run", "--config", &config, "--name", "old", "--headless", "--iterations", "0"]);
    let refused = home.output(&["delete", "busy", "--yes"]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("has a runner already"), "{said}");
    assert!(home.run_folder("busy").exists());
    let unasked = text(&home.output(&["delete", "old"]).stderr);
    assert!(unasked.contains("--yes") && home.run_folder("old").exists(), "{unasked}");
    for name in ["../runs/old", ".", "none", ""] {
        let output = home.output(&["delete", "--yes", name]);
        assert!(!output.status.success() && text(&output.stderr).contains("no run"), "{name}");
    }
    // What a deletion that was cut short left is no run, and goes with the next one.
    let left = home.path("runs/.gone.deleted-1");
    std::fs::create_dir(&left).unwrap();
    std::fs::copy(home.run_folder("old").join("run.db"), left.join("run.db")).unwrap();
    assert!(!home.stdout(&["runs"]).contains("gone"));
    let out = home.stdout(&["delete", "--yes", "old"]);
    assert!(out.contains("`old` is deleted"), "{out}");
    assert!(!home.run_folder("old").exists() && !left.exists());
    home.stdout(&["stop", "--now", "busy"]);
    wait_for("the end", || (!RunLock::is_held(&home.run_folder("busy"))).then_some(()));
    home.stdout(&["delete", "busy", "-y"]);
    assert_eq!(std::fs::read_dir(home.path("runs")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(home.path("run/dataenvgym")).unwrap().count(), 0);
}

fn examined(output: &std::process::Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let home = Home::new();
    let config = home.scripted(20, 2);
    let arguments = ["run", "--config", &config, "--headless", "--name", "killed"];
    let mut child = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("an evaluation", || current_phase(&home.run_folder("killed")));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::create_dir(home.path("runs/broken")).unwrap();
    std::fs::write(home.path("runs/broken/run.db"), "no database").unwrap();
    let well =
        |arguments: &[&str]| home.command(arguments).env("DATAENVGYM_MIN_FREE_MIB", "0").output().unwrap();
    let output = well(&["doctor", "--json"]);
    let findings = examined(&output);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let of = |check: &str| -> Vec<String> {
        findings.iter().filter(|f| f["check"] == check).map(Value::to_string).collect()
    };
    for check in [
        "version",
        "terminal",
        "cache",
        "socket",
        "processor",
        "memory",
        "limits",
        "GPUs",
        "session",
        "configurations",
    ] {
        assert_eq!(of(check).len(), 1, "{check}: {findings:?}");
    }
    let runs = of("runs").join("\n");
    for words in ["its lock is stale", "run --name killed", "runs/broken", "delete broken"] {
        assert!(runs.contains(words), "{words}: {runs}");
    }
    let plain = text(&well(&["doctor"]).stdout);
    assert!(
        plain.lines().any(|line| line.starts_with("ok    terminal")) && plain.contains("to mend"),
        "{plain}"
    );
    // A file where a folder should be.
    let wrong = well(&["--runs-dir", &config, "doctor", "--json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let failure = examined(&wrong).into_iter().find(|finding| finding["level"] == "fail").unwrap();
    assert!(failure["found"].as_str().unwrap().contains(&config), "{failure}");
    assert!(failure["remedy"].as_str().unwrap().contains("--runs-dir"), "{failure}");
}
