//! Greedy answers of worker processes with mistral.rs against those of transformers and PEFT.
//!
//! Needs a Python with `tests/peers/requirements.txt` in `DATAENVGYM_PEER_PYTHON`, and mistral.rs in the
//! program: that of this build, or another one named in `DATAENVGYM_PEER_PROGRAM`.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dataenvgym::gym::ports::{ChatModel, ChatReply, ChatRequest, Checkpoint, Device, Sampling, Student};
use dataenvgym::runner::pool::{Roster, WorkerCommand, WorkerPool};
use serde_json::Value;

const NEW_TOKENS: u32 = 64;
const PROMPTS: [&str; 20] = [
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

fn run(python: &Path, arguments: &[&str]) -> String {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let output = Command::new(python).current_dir(peers).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Text and number of tokens per prompt.
fn theirs(python: &Path, folder: &Path, adapter: Option<&Path>) -> Vec<(String, u32)> {
    let (model, prompts) = (folder.join("model"), folder.join("prompts.json"));
    let tokens = NEW_TOKENS.to_string();
    let mut arguments = vec!["greedy.py", model.to_str().unwrap(), "--prompts", prompts.to_str().unwrap()];
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
    let prompts = PROMPTS.iter().cycle().take(times * PROMPTS.len());
    prompts
        .map(|prompt| ChatRequest { prompt: (*prompt).to_owned(), sampling, max_tokens: NEW_TOKENS })
        .collect()
}

fn answers(pool: &mut WorkerPool, requests: &[ChatRequest]) -> Vec<ChatReply> {
    let mut answers = vec![None; requests.len()];
    pool.answer(requests, &mut |index, reply| {
        answers[index] = Some(reply);
        ControlFlow::Continue(())
    })
    .unwrap();
    answers.into_iter().map(Option::unwrap).collect()
}

fn ours(pool: &mut WorkerPool, checkpoint: &Checkpoint) -> Vec<(String, u32)> {
    pool.refresh(checkpoint).unwrap();
    let replies = answers(pool, &requests(1, Sampling::Greedy));
    replies.into_iter().map(|reply| (reply.text, reply.tokens)).collect()
}

fn pool(folder: &Path, workers: usize, in_flight: u32) -> (WorkerPool, Roster, PathBuf) {
    let logs = folder.join(format!("logs-{workers}-{in_flight}"));
    let command = WorkerCommand {
        program: program().unwrap(),
        arguments: vec![],
        log_folder: logs.clone(),
        cache_folder: folder.join("cache"),
        nice: None,
    };
    let roster = Roster::new();
    (WorkerPool::new(command, &vec![Device::Cpu; workers], in_flight, 1, roster.clone()), roster, logs)
}

/// A program with mistral.rs.
fn program() -> Option<PathBuf> {
    let built = cfg!(feature = "mistralrs").then(|| PathBuf::from(env!("CARGO_BIN_EXE_dataenvgym")));
    env::var_os("DATAENVGYM_PEER_PROGRAM").map(PathBuf::from).or(built)
}

fn rss_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(0.0) / 1024.0
}

#[test]
fn greedy_answers_equal_those_of_transformers_and_peft() {
    let Some(python) = env::var_os("DATAENVGYM_PEER_PYTHON").map(PathBuf::from) else {
        println!("skipped: greedy_answers_equal_those_of_transformers_and_peft needs DATAENVGYM_PEER_PYTHON");
        return;
    };
    if program().is_none() {
        println!("skipped: greedy_answers_equal_those_of_transformers_and_peft needs the feature mistralrs");
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    run(&python, &["lively.py", folder.to_str().unwrap()]);
    fs::write(folder.join("prompts.json"), serde_json::to_string(&PROMPTS).unwrap()).unwrap();
    let adapter = folder.join("adapter");
    let plain = Checkpoint::Full { folder: folder.join("model") };
    let adapted = Checkpoint::Adapter { base: folder.join("model"), adapter: adapter.clone() };
    let their_plain = theirs(&python, folder, None);
    let their_adapted = theirs(&python, folder, Some(&adapter));
    assert_ne!(their_plain, their_adapted);

    // One worker; the adapter must not leak into the base loaded after it.
    let (mut one, roster, logs) = pool(folder, 1, 1);
    let began = Instant::now();
    one.refresh(&plain).unwrap();
    one.load().unwrap();
    println!("start and load: {:?}", began.elapsed());
    assert_eq!(ours(&mut one, &plain), their_plain);
    assert_eq!(ours(&mut one, &adapted), their_adapted);
    assert_eq!(ours(&mut one, &plain), their_plain);
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
    let error = one.answer(&long, &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(!error.transient && error.message.contains("context of 2048"), "{error}");

    // Several workers share the work.
    let (mut two, _, _) = pool(folder, 2, 1);
    assert_eq!(ours(&mut two, &plain), their_plain);
    assert_eq!(ours(&mut two, &adapted), their_adapted);

    // Sampled answers depend on their seeds, not on the number of workers.
    let sampling = Sampling::Sampled { temperature: 1.0, top_p: 0.95, seed: 11 };
    one.refresh(&adapted).unwrap();
    let sampled = answers(&mut one, &requests(1, sampling));
    assert_eq!(answers(&mut two, &requests(1, sampling)), sampled);
    let other = Sampling::Sampled { temperature: 1.0, top_p: 0.95, seed: 12 };
    assert_ne!(answers(&mut two, &requests(1, other)), sampled);

    // Eight in flight on the CPU: the fault is caught, and the answers are right all the same.
    let (mut eight, _, _) = pool(folder, 1, 8);
    assert_eq!(ours(&mut eight, &plain), their_plain);
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
