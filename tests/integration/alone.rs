//! `train`, `eval` and `chat` outside a run, as processes.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dataenvgym::worlds::arithmetic::{Skill, Split, sample};
use rustix::process::{Pid, Signal, kill_process};

use crate::home::Home;

const CONFIG: &str = r#"
name = "alone"
[task]
kind = "arithmetic"
validation_per_skill = 2
test_per_skill = 1
[student]
model = "scripted"
[trainer]
save_seconds = 0
batch_size = 4
epochs = 4
learning_rate = 1e-3
"#;

fn home() -> Home {
    let home = Home::new();
    fs::write(home.path("alone.toml"), CONFIG).unwrap();
    let line = |n| {
        let problem = sample(Skill::Div, None, Split::Pool, 1, n).unwrap();
        serde_json::json!({ "instruction": problem.question, "response": problem.response }).to_string()
    };
    let lines: Vec<String> = (0..16).map(line).collect();
    fs::write(home.path("data.jsonl"), lines.join("\n")).unwrap();
    home
}

/// The arguments of a training with the embedded student into `out`.
fn arguments(home: &Home, out: &str) -> Vec<String> {
    let path = |name: &str| home.path(name).to_str().unwrap().to_owned();
    let words =
        ["train", "--student", "embedded", "--config", &path("alone.toml"), "--data", &path("data.jsonl")];
    words.into_iter().map(str::to_owned).chain(["--out".to_owned(), path(out)]).collect()
}

fn train(home: &Home, out: &str) -> (String, String) {
    let arguments = arguments(home, out);
    let output = home.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}{told}");
    (said, told)
}

fn weights(home: &Home, out: &str) -> Vec<u8> {
    fs::read(home.path(out).join("adapter_model.safetensors")).unwrap()
}

/// Starts a training, sends it a signal once its state is there, and says how it ended.
fn interrupted(home: &Home, out: &str, signal: Signal) -> Option<i32> {
    let arguments = arguments(home, out);
    let mut command = home.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = home.path(&format!(".{out}.unfinished.safetensors"));
    let began = Instant::now();
    while !state.exists() {
        assert!(began.elapsed() < Duration::from_mins(1), "no state was saved");
        sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    let status = child.wait().unwrap();
    assert!(!home.path(out).exists(), "it had ended already: {status}");
    status.code()
}

#[test]
fn a_training_that_was_killed_or_stopped_comes_to_the_same_weights() {
    let home = home();
    let (said, told) = train(&home, "straight");
    assert!(
        said.contains("16 steps") && told.contains("step 16 of 16") && told.contains(" left"),
        "{said}{told}"
    );
    for (out, signal, code) in [("killed", Signal::KILL, None), ("stopped", Signal::INT, Some(75))] {
        assert_eq!(interrupted(&home, out, signal), code, "{out}");
        let (_, told) = train(&home, out);
        assert!(!told.starts_with("step 1 of"), "{out} began anew: {told}");
        assert!(weights(&home, out) == weights(&home, "straight"), "{out} came to other weights");
        assert!(!home.path(&format!(".{out}.unfinished.safetensors")).exists());
    }
}

#[test]
fn what_cannot_be_merged_is_refused_before_the_training_and_nothing_is_lost() {
    let home = home();
    let refused = |merge: &str, more: &[&str]| {
        let mut arguments = arguments(&home, "out");
        arguments.extend(["--merge".to_owned(), home.path(merge).to_str().unwrap().to_owned()]);
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let output = home.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !told.contains("step 1 of"), "{told}");
        assert!(!home.path("out").exists());
        told
    };
    fs::create_dir(home.path("base")).unwrap();
    fs::write(home.path("base/model.safetensors"), "dear").unwrap();
    assert!(refused("base", &[]).contains("base exists already"));
    assert_eq!(fs::read_to_string(home.path("base/model.safetensors")).unwrap(), "dear");
    assert!(refused("out", &[]).contains("--merge and --out"));
    assert!(refused("out/merged", &[]).contains("--merge and --out"));
    assert!(refused("merged", &["--method", "full"]).contains("--merge is for adapters"));
}

#[test]
fn wrong_data_is_named_by_file_and_line() {
    let home = home();
    fs::write(
        home.path("data.jsonl"),
        "{\"instruction\": \"a\", \"response\": \"b\"}\n\n{\"instruction\": 3}\n",
    )
    .unwrap();
    let arguments = arguments(&home, "out");
    let output = home.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("data.jsonl, line 3"), "{told}");
}

#[test]
fn a_student_is_scored_and_asked_outside_a_run() {
    let home = home();
    let config = home.path("alone.toml");
    let said = home.stdout(&["eval", "--config", config.to_str().unwrap(), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["overall"]["n"], &report["split"]), (&24.into(), &"validation".into()));
    let said =
        home.stdout(&["eval", "--config", config.to_str().unwrap(), "--split", "test", "--limit", "5"]);
    assert!(said.starts_with("all") && said.contains("5 questions"), "{said}");
    let speed = said.lines().last().unwrap();
    assert!(speed.contains(" s with loading, then ") && speed.ends_with(" tokens/s"), "{said}");
    assert!(report["seconds"].as_f64().unwrap() > 0.0 && report["answers_per_second"].is_number());

    let mut command = home.command(&["chat", "--config", config.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"What is 1 + 1?\n\nAnd 2 + 2?\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

#[test]
fn a_place_for_a_model_is_planned_before_it_is_loaded() {
    let home = home();
    let elsewhere = CONFIG.replace("model = \"scripted\"", "model = \"embedded\"\ndevice = \"cuda:9\"");
    fs::write(home.path("elsewhere.toml"), elsewhere).unwrap();
    let config = home.path("elsewhere.toml").to_str().unwrap().to_owned();
    let refused = |words: &[&str]| {
        let output = home.command(words).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{words:?}: {told}");
        told
    };
    for command in ["eval", "chat"] {
        let told = refused(&[command, "--config", &config]);
        assert!(told.contains("`student.device` is `cuda:9`"), "{command}: {told}");
        assert!(!told.contains("logs are in"), "{command} started a worker: {told}");
    }
    let arguments = arguments(&home, "out");
    let words: Vec<&str> = arguments.iter().map(String::as_str).chain(["--devices", "cuda:9"]).collect();
    let told = refused(&words);
    assert!(told.contains("`trainer.device` is `cuda:9`") && !home.path("out").exists(), "{told}");
}
