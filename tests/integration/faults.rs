//! Kills at any moment: the run completes and comes to the same end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dataenvgym::gym::episode::Phase;

use crate::home::{Home, Outcome, episode, outcome, text, wait_for};

pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // The process may have ended by itself in the meantime.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

pub fn unharmed(home: &Home, config: &str) -> Outcome {
    home.stdout(&["run", "--config", config, "--headless", "--name", "unharmed"]);
    outcome(&home.run_folder("unharmed"))
}

/// Ids of the child processes of `parent` whose command line contains `word`.
pub fn children(parent: u32, word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        fields.is_some_and(|f| f.get(1) == Some(&parent.to_string().as_str())) && command.contains(word)
    };
    pids.filter(child).collect()
}

pub fn current_phase(folder: &Path) -> Option<Phase> {
    episode(folder).filter(|e| e.running)?.work.map(|w| w.phase)
}

#[test]
fn a_runner_killed_at_any_moment_resumes_to_the_same_end() {
    let home = Home::new();
    let config = home.scripted(1, 2);
    let expected = unharmed(&home, &config);
    for (n, after) in (0..14_u64).map(|n| (n, 12 + 45 * n)) {
        let name = format!("killed-{n}");
        let arguments = ["run", "--config", &config, "--headless", "--name", &name];
        let mut child = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        home.stdout(&["run", "--headless", "--config", &config, "--name", &name]);
        assert_eq!(outcome(&home.run_folder(&name)), expected, "killed after {after} ms");
    }
}

#[test]
fn a_worker_killed_in_its_phase_is_replaced_and_the_run_goes_on() {
    let home = Home::new();
    // Slow enough that the victim is found in its phase on a busy machine.
    let config = home.scripted_with(15, 1, 25);
    let expected = unharmed(&home, &config);
    // Students stay alive between evaluations: one that dies idle is replaced without a word.
    let cases = [
        ("student", Phase::Evaluate, true),
        ("trainer", Phase::Train, true),
        ("student", Phase::Train, false),
    ];
    for (n, (word, phase, told)) in cases.into_iter().enumerate() {
        // Without the role's word, which is what tells the processes apart.
        let name = format!("victim-{n}");
        let arguments = ["run", "--config", &config, "--headless", "--name", &name];
        let command = &mut home.command(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let folder = home.run_folder(&name);
        let victim = wait_for(word, || {
            current_phase(&folder).filter(|p| *p == phase)?;
            children(child.id(), word).pop()
        });
        kill(victim);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains(&format!("{word}@cpu")), told, "{word} in {phase:?}: {said}");
        assert_eq!(outcome(&folder), expected, "{word} in {phase:?}");
    }
}

#[test]
fn the_workers_end_when_their_runner_is_killed() {
    let home = Home::new();
    let config = home.scripted(20, 1);
    let arguments = ["run", "--config", &config, "--headless"];
    let mut child = home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let workers = wait_for("two workers", || Some(children(child.id(), "student")).filter(|w| w.len() == 2));
    child.kill().unwrap();
    child.wait().unwrap();
    let alive = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    wait_for("their end", || (!workers.iter().any(alive)).then_some(()));
}
