//! Signals to a run's process: a pause that keeps what is done, with the exit code for "start me again".

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dataenvgym::gym::episode::{Halt, Phase};
use dataenvgym::gym::instance::Split;
use dataenvgym::gym::ports::Ledger;
use dataenvgym::protocol::control::Live;
use dataenvgym::runner::client::{Client, socket_of};
use dataenvgym::runner::lock::{self, RunLock};
use dataenvgym::runner::machine;
use dataenvgym::store::Store;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::faults::{current_phase, unharmed};
use crate::home::{Home, episode, outcome, text, wait_for};

pub fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn headless(home: &Home, config: &str, name: &str) -> Child {
    let arguments = ["run", "--config", config, "--headless", "--name", name];
    let command = &mut home.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn answers(folder: &Path) -> usize {
    Store::open(folder).unwrap().predictions(0, Split::Validation).unwrap().len()
}

/// Waits until so many answers of the first evaluation are shown as done; returns how many are.
fn shown_as_done(folder: &Path, at_least: u64) -> usize {
    wait_for("an evaluation", || current_phase(folder));
    let client = Client::connect(&socket_of(folder), None, "watcher").unwrap();
    let frames = client.live().unwrap();
    let enough = |live: &Live| live.work.is_some_and(|w| w.iteration == 0) && live.done >= at_least;
    frames.into_iter().find(enough).unwrap().done as usize
}

#[test]
fn a_signal_pauses_a_headless_run_and_what_was_answered_is_kept() {
    let home = Home::new();
    let config = home.scripted(20, 1);
    let expected = unharmed(&home, &config);
    let mut signals = vec![Signal::TERM, Signal::USR1, Signal::INT];
    if machine::ignores(Signal::HUP.as_raw()) {
        println!("skipped: a hang-up is ignored here (nohup)");
    } else {
        signals.push(Signal::HUP);
    }
    for (n, signal) in signals.into_iter().enumerate() {
        let name = format!("run-{n}");
        let folder = home.run_folder(&name);
        let child = headless(&home, &config, &name);
        let shown = shown_as_done(&folder, 8);
        let began = Instant::now();
        send(child.id(), signal);
        let output = child.wait_with_output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(75), "{signal:?}: {out}\n{err}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(out.contains(&format!("resume with: dataenvgym run --name {name}")), "{out}");
        assert!(out.contains("logs/runner.log") && err.contains("pausing"), "{out}\n{err}");
        assert_eq!(episode(&folder).unwrap().halt, Some(Halt::Stopped));
        // Fewer than are committed together: kept because the pause waited for them.
        let kept = answers(&folder);
        assert!(kept >= shown, "{signal:?}: {kept} of {shown}");
        home.stdout(&["run", "--headless", "--name", &name]);
        assert_eq!(outcome(&folder), expected, "{signal:?}");
    }
}

#[test]
fn a_signal_pauses_a_detached_run_in_the_middle_of_a_training() {
    let home = Home::new();
    let config = home.scripted_with(5, 1, 200);
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    wait_for("a training", || current_phase(&folder).filter(|phase| *phase == Phase::Train));
    let pid = lock::holder(&folder).unwrap().pid;
    send(pid, Signal::USR1);
    wait_for("the end of the process", || (!RunLock::is_held(&folder)).then_some(()));
    assert_eq!(episode(&folder).unwrap().halt, Some(Halt::Stopped));
    assert_eq!(home.output(&["wait", "scripted"]).status.code(), Some(75));
}

#[test]
fn a_terminal_that_is_lost_pauses_the_run_without_a_panic() {
    let home = Home::new();
    let config = home.scripted(10, 3);
    let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_dataenvgym"));
    command.args(["run", "--config", &config, "--headless", "--name", "lost"]);
    command.env_clear();
    for (key, value) in home.command(&[]).get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let folder = home.run_folder("lost");
    wait_for("an evaluation", || current_phase(&folder));
    // As when the line to it breaks.
    drop(pty.master);
    assert_eq!(child.wait().unwrap().exit_code(), 75);
    assert_eq!(episode(&folder).unwrap().halt, Some(Halt::Stopped));
    let log = std::fs::read_to_string(folder.join("logs/runner.log")).unwrap();
    assert!(log.contains("SIGHUP") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let home = Home::new();
    // An answer takes longer than anybody waits: only the kill of its worker ends it.
    let config = home.scripted(2_000, 1);
    let child = headless(&home, &config, "held");
    let folder = home.run_folder("held");
    wait_for("an evaluation", || current_phase(&folder));
    let began = Instant::now();
    send(child.id(), Signal::INT);
    send(child.id(), Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    wait_for("the lock", || (!RunLock::is_held(&folder)).then_some(()));
    assert!(episode(&folder).is_some());
}

#[test]
fn a_hang_up_that_was_asked_to_be_ignored_is_ignored() {
    let home = Home::new();
    let config = home.scripted(5, 1);
    let program = env!("CARGO_BIN_EXE_dataenvgym");
    // What nohup does.
    let script = format!("trap '' HUP; exec {program} run --headless --name kept --config {config}");
    let like = home.command(&[]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", &script]).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for (key, value) in like.get_envs() {
        shell.env(key, value.unwrap_or_default());
    }
    let child = shell.spawn().unwrap();
    wait_for("an evaluation", || current_phase(&home.run_folder("kept")));
    send(child.id(), Signal::HUP);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}
