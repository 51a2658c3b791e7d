//! Greedy answers of worker processes with mistral.rs against those of transformers and PEFT.
//!
//! Needs a Python with `tests/peers/requirements.txt` in `DATAENVGYM_PEER_PYTHON`, and mistral.rs in the
//! program: that of this build, or another one named in `DATAENVGYM_PEER_PROGRAM`.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataenvgym::gym::ports::{
    ChatModel, ChatReply, ChatRequest, Checkpoint, Device, Sampling, Serving, Student, TrainingMethod,
    TrainingOrder, TrainingSettings,
};
use dataenvgym::gym::prediction::FinishReason;
use dataenvgym::models::embedded::Embedded;
use dataenvgym::runner::pool::{Roster, WorkerCommand, WorkerPool};
use dataenvgym::training::{self, Resources};
use dataenvgym::worlds::arithmetic::{Problem, Skill, Split, evaluation_set, sample};
use serde_json::Value;

const NEW_TOKENS: u32 = 64;
pub const PROMPTS: [&str; 20] = [
    "def main():",
    "import os\nfor i in range(",
    "The tensor is",
    "What is 17 + 25?",
    "What is 93 - 48?",
    "12 * 12 =",
    "Name a colour.",
    "a",
    "Größe, Übermut und ein – Strich",
    "  leading and trailing spaces  ",
    "class Node:\n    def __init__(self, value):\n        self.value = value",
    "Once upon a time there was a model that answered before it was asked.",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
    "{\"key\": [1, 2, {\"inner\": null}]}",
    "日本語のテキスト",
    "Is 91 a prime number? Answer yes or no.",
    "A train leaves at 9:40 and arrives at 12:05. How long does it take?",
    "x^2 - 5x + 6 = 0",
    "Return the list in reverse order.",
    "The end token must not be written <|im_start|> here",
];

pub fn run(python: &Path, arguments: &[&str]) -> String {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let output = Command::new(python).current_dir(peers).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Text and number of tokens per prompt.
pub fn theirs(python: &Path, model: &Path, prompts: &[&str], adapter: Option<&Path>) -> Vec<(String, u32)> {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("prompts.json");
    fs::write(&list, serde_json::to_string(prompts).unwrap()).unwrap();
    let tokens = NEW_TOKENS.to_string();
    let mut arguments = vec!["greedy.py", model.to_str().unwrap(), "--prompts", list.to_str().unwrap()];
    arguments.extend(["--max-new-tokens", &tokens]);
    if let Some(adapter) = adapter {
        arguments.extend(["--adapter", adapter.to_str().unwrap()]);
    }
    run(python, &arguments)
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let tokens = line["token_ids"].as_array().unwrap().len() as u32;
            (line["text"].as_str().unwrap().to_owned(), tokens)
        })
        .collect()
}

fn requests(times: usize, sampling: Sampling) -> Vec<ChatRequest> {
    requests_for(&PROMPTS.repeat(times), sampling)
}

fn requests_for(prompts: &[&str], sampling: Sampling) -> Vec<ChatRequest> {
    prompts.iter().map(|prompt| ChatRequest::text(*prompt, sampling, NEW_TOKENS)).collect()
}

fn answers(pool: &mut WorkerPool, requests: &[ChatRequest]) -> Vec<ChatReply> {
    let mut answers = vec![None; requests.len()];
    pool.answer(requests, &mut |index, reply| {
        // Times are never the same twice.
        answers[index] = Some(ChatReply { elapsed_ms: 0, ..reply });
        ControlFlow::Continue(())
    })
    .unwrap();
    answers.into_iter().map(Option::unwrap).collect()
}

pub fn ours(pool: &mut WorkerPool, checkpoint: &Checkpoint, prompts: &[&str]) -> Vec<(String, u32)> {
    pool.refresh(checkpoint).unwrap();
    let replies = answers(pool, &requests_for(prompts, Sampling::Greedy));
    replies.into_iter().map(|reply| (reply.text, reply.tokens)).collect()
}

pub fn pool(folder: &Path, workers: usize, in_flight: u32) -> (WorkerPool, Roster, PathBuf) {
    let logs = folder.join(format!("logs-{workers}-{in_flight}"));
    let command = WorkerCommand {
        program: program().unwrap(),
        arguments: vec![],
        log_folder: logs.clone(),
        cache_folder: folder.join("cache"),
        gpus: Arc::default(),
        nice: None,
        without: vec![],
    };
    let roster = Roster::new();
    (
        WorkerPool::new(
            command,
            dataenvgym::protocol::worker::Role::Student,
            &vec![Device::Cpu; workers],
            (Serving { in_flight, ..Serving::default() }, 1),
            roster.clone(),
        ),
        roster,
        logs,
    )
}

/// A program with mistral.rs.
pub fn program() -> Option<PathBuf> {
    let built = cfg!(feature = "mistralrs").then(|| PathBuf::from(env!("CARGO_BIN_EXE_dataenvgym")));
    env::var_os("DATAENVGYM_PEER_PROGRAM").map(PathBuf::from).or(built)
}

fn rss_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

/// The peer's Python, or a line that says why the test is skipped.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = env::var_os("DATAENVGYM_PEER_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("skipped: {test} needs DATAENVGYM_PEER_PYTHON");
    }
    python
}

/// The same where mistral.rs is needed too.
fn peer(test: &str) -> Option<PathBuf> {
    let python = python(test);
    if python.is_some() && program().is_none() {
        println!("skipped: {test} needs the feature mistralrs");
    }
    python.filter(|_| program().is_some())
}

#[test]
fn the_embedded_student_and_what_we_train_from_it_answer_as_in_transformers() {
    let Some(python) = peer("the_embedded_student_and_what_we_train_from_it_answer_as_in_transformers")
    else {
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let base = Embedded::Student.folder(&folder.join("cache")).unwrap();
    let problems = evaluation_set(Split::Test, 2);
    let prompts: Vec<&str> = problems.iter().take(20).map(|p| p.question.as_str()).collect();
    let pool_problems = Skill::ALL
        .into_iter()
        .flat_map(|skill| (0..8).map(move |n| sample(skill, None, Split::Pool, 5, n).unwrap()));
    let order = |method, output: &str| TrainingOrder {
        start: Checkpoint::Full { folder: base.clone() },
        examples: pool_problems.clone().map(|p: Problem| (p.question, p.response)).collect(),
        replay: vec![],
        settings: TrainingSettings {
            method,
            learning_rate: 1e-3,
            epochs: 2,
            max_length: 128,
            ..TrainingSettings::default()
        },
        seed: 3,
        output: folder.join(output),
    };
    let train = |order: &TrainingOrder| {
        training::train(order, &Resources::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        order.output.clone()
    };
    let adapter = train(&order(TrainingMethod::Lora { rank: 16, alpha: 32.0 }, "adapter"));
    let full = train(&order(TrainingMethod::Full, "full"));
    let cases = [
        (Checkpoint::Full { folder: base.clone() }, theirs(&python, &base, &prompts, None)),
        (
            Checkpoint::Adapter { base: base.clone(), adapter: adapter.clone() },
            theirs(&python, &base, &prompts, Some(&adapter)),
        ),
        (Checkpoint::Full { folder: full.clone() }, theirs(&python, &full, &prompts, None)),
    ];
    assert!(cases[0].1 != cases[1].1 && cases[0].1 != cases[2].1, "training changed nothing");
    for workers in [1, 2] {
        let (mut pool, _, _) = pool(folder, workers, 1);
        for (checkpoint, theirs) in &cases {
            assert_eq!(&ours(&mut pool, checkpoint, &prompts), theirs, "{checkpoint:?}, {workers} workers");
        }
    }
    let (mut eight, _, _) = pool(folder, 1, 8);
    assert_eq!(ours(&mut eight, &cases[0].0, &prompts), cases[0].1);
    let test = eight.reports().pop().unwrap().batch_test.unwrap();
    println!("embedded student, 8 in flight: {} of {} prompts differ", test.differing, test.prompts);
    assert!(test.differing > 0);
}

#[test]
fn greedy_answers_equal_those_of_transformers_and_peft() {
    let Some(python) = peer("greedy_answers_equal_those_of_transformers_and_peft") else { return };
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    run(&python, &["lively.py", folder.to_str().unwrap()]);
    let adapter = folder.join("adapter");
    let plain = Checkpoint::Full { folder: folder.join("model") };
    let adapted = Checkpoint::Adapter { base: folder.join("model"), adapter: adapter.clone() };
    let their_plain = theirs(&python, &folder.join("model"), &PROMPTS, None);
    let their_adapted = theirs(&python, &folder.join("model"), &PROMPTS, Some(&adapter));
    assert_ne!(their_plain, their_adapted);

    // One worker; the adapter must not leak into the base loaded after it.
    let (mut one, roster, logs) = pool(folder, 1, 1);
    let began = Instant::now();
    one.refresh(&plain).unwrap();
    one.load().unwrap();
    println!("start and load: {:?}", began.elapsed());
    assert_eq!(ours(&mut one, &plain, &PROMPTS), their_plain);
    assert_eq!(ours(&mut one, &adapted, &PROMPTS), their_adapted);
    assert_eq!(ours(&mut one, &plain, &PROMPTS), their_plain);
    assert_eq!(
        fs::metadata(logs.join("student@cpu#0.log")).unwrap().len(),
        0,
        "the worker printed something"
    );

    // The context ends an answer and refuses a prompt; neither is a fault of the model.
    let mut long = requests(1, Sampling::Greedy)[..1].to_vec();
    long[0].max_tokens = 100_000;
    let reply = answers(&mut one, &long).pop().unwrap();
    assert!(reply.tokens > NEW_TOKENS && reply.tokens < 2048, "{reply:?}");
    long[0].prompt = "word ".repeat(3000);
    let refused = answers(&mut one, &long).pop().unwrap();
    assert_eq!((refused.finish, refused.tokens), (FinishReason::PromptTooLong, 0), "{refused:?}");
    assert!(refused.prompt_tokens > 2048, "{refused:?}");

    // Several workers share the work.
    let (mut two, _, _) = pool(folder, 2, 1);
    assert_eq!(ours(&mut two, &plain, &PROMPTS), their_plain);
    assert_eq!(ours(&mut two, &adapted, &PROMPTS), their_adapted);

    // Sampled answers depend on their seeds, not on the number of workers.
    let sampling = Sampling::drawn(1.0, 0.95, 11);
    one.refresh(&adapted).unwrap();
    let sampled = answers(&mut one, &requests(1, sampling));
    assert_eq!(answers(&mut two, &requests(1, sampling)), sampled);
    let other = Sampling::drawn(1.0, 0.95, 12);
    assert_ne!(answers(&mut two, &requests(1, other)), sampled);

    // Eight in flight on the CPU: the fault is caught, and the answers are right all the same.
    let (mut eight, _, _) = pool(folder, 1, 8);
    assert_eq!(ours(&mut eight, &plain, &PROMPTS), their_plain);
    let report = eight.reports().pop().unwrap();
    let test = report.batch_test.unwrap();
    println!("batch self-test with 8 in flight: {} of {} prompts differ", test.differing, test.prompts);
    assert!(test.differing > 0 && report.in_flight == 1, "{report:?}");
    drop(eight);

    for (name, pool) in [("one worker", &mut one), ("two workers", &mut two)] {
        let requests = requests(10, Sampling::Greedy);
        let began = Instant::now();
        let tokens: u32 = answers(pool, &requests).iter().map(|reply| reply.tokens).sum();
        println!("{name}: {:.0} tokens/s", f64::from(tokens) / began.elapsed().as_secs_f64());
    }
    drop(two);
    let mut times = vec![];
    let pid = roster.statuses()[0].pid;
    for round in 1..=60 {
        let began = Instant::now();
        one.refresh(if round % 2 == 0 { &plain } else { &adapted }).unwrap();
        one.load().unwrap();
        times.push(began.elapsed());
        answers(&mut one, &requests(1, Sampling::Greedy)[..1]);
        if [1, 10, 60].contains(&round) {
            println!("after {round} refreshes: {:.0} MB resident", rss_mb(pid));
        }
    }
    times.sort();
    println!("refresh: {:?} median, {:?} at most", times[30], times[59]);
    assert!(times[30] < Duration::from_secs(5));
}
