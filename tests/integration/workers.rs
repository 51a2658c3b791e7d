//! Worker processes with scripted models: the real binary, real sockets, real signals.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dataenvgym::gym::ports::{
    Allowance, ChatModel, ChatReply, ChatRequest, Checkpoint, Device, PortError, Sampling, Serving, Student,
    Trainer, TrainingMethod, TrainingOrder, TrainingSettings,
};
use dataenvgym::models::embedded::Embedded;
use dataenvgym::models::scripted::{Script, ScriptedStudent};
use dataenvgym::protocol::frame;
use dataenvgym::protocol::worker::{Reply, Request, Role};
use dataenvgym::runner::pool::{Roster, TrainerProcess, WorkerCommand, WorkerPool};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dataenvgym");

fn script(latency_ms: u64) -> Script {
    Script { latency_ms, ..Script::default() }
}

fn command(folder: &Path, latency_ms: u64) -> WorkerCommand {
    let script = serde_json::to_string(&script(latency_ms)).unwrap();
    WorkerCommand {
        program: PathBuf::from(PROGRAM),
        arguments: vec!["--scripted".into(), script.into()],
        log_folder: folder.join("logs"),
        cache_folder: folder.join("cache"),
        gpus: Arc::default(),
        nice: Some(1),
        without: vec![],
    }
}

struct Bench {
    folder: TempDir,
    roster: Roster,
    pool: WorkerPool,
}

fn bench(workers: usize, latency_ms: u64) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let roster = Roster::new();
    let command = command(folder.path(), latency_ms);
    let mut pool = WorkerPool::new(
        command,
        Role::Student,
        &vec![Device::Cpu; workers],
        (Serving::default(), 1),
        roster.clone(),
    );
    pool.refresh(&Checkpoint::Full { folder: folder.path().to_owned() }).unwrap();
    Bench { folder, roster, pool }
}

fn requests(count: usize) -> Vec<ChatRequest> {
    (0..count).map(|index| ChatRequest::text(format!("prompt {index}"), Sampling::Greedy, 20)).collect()
}

type Answers = BTreeMap<usize, ChatReply>;

/// Everything answered; an index answered twice is a failure of the test.
fn collect(model: &mut dyn ChatModel, requests: &[ChatRequest]) -> (Answers, Result<(), PortError>) {
    let mut answers = Answers::new();
    let outcome = model.answer(requests, &mut |index, reply| {
        assert!(answers.insert(index, reply).is_none(), "{index} was answered twice");
        ControlFlow::Continue(())
    });
    (answers, outcome)
}

fn expected(requests: &[ChatRequest]) -> Answers {
    let (answers, outcome) = collect(&mut ScriptedStudent::new(script(0)).unwrap(), requests);
    outcome.unwrap();
    answers
}

fn pid(raw: u32) -> Pid {
    Pid::from_raw(i32::try_from(raw).unwrap()).unwrap()
}

#[test]
fn several_workers_answer_everything_once_and_alike() {
    let mut bench = bench(3, 1);
    let requests = requests(200);
    let (answers, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();
    assert_eq!(answers, expected(&requests));
    let names: Vec<String> = bench.roster.statuses().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["student@cpu#0", "student@cpu#1", "student@cpu#2"]);
    assert!(bench.roster.statuses().iter().all(|status| status.state == "idle"));
    assert_eq!(bench.pool.reports().len(), 3);
    // A second call uses the same processes.
    let before = bench.roster.statuses();
    collect(&mut bench.pool, &requests[..5]).1.unwrap();
    assert_eq!(bench.roster.statuses(), before);
}

#[test]
fn a_call_that_its_sink_ends_leaves_the_workers_to_the_next_one() {
    let mut bench = bench(2, 20);
    bench.pool.load().unwrap();
    let before = bench.roster.statuses();
    let requests = requests(400);
    let mut answered = 0;
    bench
        .pool
        .answer(&requests, &mut |_, _| {
            answered += 1;
            if answered == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(answered, 3);
    let (answers, outcome) = collect(&mut bench.pool, &requests[..5]);
    outcome.unwrap();
    assert_eq!(answers, expected(&requests[..5]));
    assert_eq!(bench.roster.statuses(), before, "the same processes, idle again");
}

#[test]
fn a_worker_that_is_told_to_stop_ends_its_answers_and_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["worker", "student", "--scripted"])
        .arg(serde_json::to_string(&script(5)).unwrap())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let mut stream = ours.try_clone().unwrap();
    let mut hear = || frame::read::<Reply>(&mut stream, frame::WORKER_LIMIT).unwrap().unwrap();
    assert!(matches!(hear(), Reply::Ready { .. }));
    let checkpoint = Checkpoint::Full { folder: folder.path().to_owned() };
    let load = Request::Load { checkpoint, device: Device::Cpu, serving: Serving::default() };
    let answer = |count| {
        let requests = requests(count).into_iter().enumerate().collect();
        Request::Answer { requests, allowance: Allowance::default() }
    };
    let ask = |request: &Request| frame::write(&mut ours.try_clone().unwrap(), request).unwrap();
    ask(&load);
    assert!(matches!(hear(), Reply::Loaded { .. }));
    // How many answers come, when a stop is sent after the first.
    let mut answers = |count, stop: bool| {
        ask(&answer(count));
        let mut answered = 0;
        loop {
            match hear() {
                Reply::Answered { .. } => answered += 1,
                Reply::Piece { .. } => continue,
                Reply::Done => return answered,
                other => panic!("{other:?}"),
            }
            if stop && answered == 1 {
                ask(&Request::Stop);
            }
        }
    };
    let answered = answers(4000, true);
    assert!((1..4000).contains(&answered), "{answered}");
    assert_eq!(answers(7, false), 7, "the stop was for the one before");
    drop((ours, stream));
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_being_written_is_heard_and_seen() {
    let mut bench = bench(1, 30);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (listener, roster) = (Arc::clone(&heard), bench.roster.clone());
    bench.pool.listen(Box::new(move |index, text| {
        let shown = roster.statuses()[0].text.clone();
        listener.lock().unwrap().push((index, text.to_owned(), shown));
    }));
    let requests = requests(20);
    let (answers, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();
    let heard = heard.lock().unwrap();
    assert!(!heard.is_empty());
    for (index, text, shown) in heard.iter() {
        assert!(!text.is_empty() && answers[index].text.starts_with(text), "{index}: {text}");
        assert_eq!(shown, text);
    }
    assert_eq!(bench.roster.statuses()[0].text, "", "nothing is being written any more");
}

#[test]
fn work_is_shared() {
    let mut bench = bench(4, 10);
    bench.pool.load().unwrap();
    let began = Instant::now();
    collect(&mut bench.pool, &requests(80)).1.unwrap();
    // 800 ms by one worker, 200 ms by four.
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_killed_worker_fails_the_call_and_the_next_call_replaces_it() {
    let mut bench = bench(2, 5);
    let requests = requests(100);
    let roster = bench.roster.clone();
    let mut first = Answers::new();
    let error = bench
        .pool
        .answer(&requests, &mut |index, reply| {
            first.insert(index, reply);
            if first.len() == 10 {
                kill_process(pid(roster.statuses()[1].pid), Signal::KILL).unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert!(error.transient && !error.cancelled);
    assert!(error.message.contains("student@cpu#1") && error.message.contains("signal 9"), "{error}");
    assert!(first.len() < 100);

    let rest: Vec<usize> = (0..100).filter(|index| !first.contains_key(index)).collect();
    let left: Vec<ChatRequest> = rest.iter().map(|index| requests[*index].clone()).collect();
    let (second, outcome) = collect(&mut bench.pool, &left);
    outcome.unwrap();
    first.extend(second.into_iter().map(|(index, reply)| (rest[index], reply)));
    assert_eq!(first, expected(&requests));
}

#[test]
fn a_worker_that_dies_between_calls_is_replaced_without_a_word() {
    let mut bench = bench(2, 0);
    let requests = requests(20);
    collect(&mut bench.pool, &requests).1.unwrap();
    for status in bench.roster.statuses() {
        kill_process(pid(status.pid), Signal::KILL).unwrap();
    }
    thread::sleep(Duration::from_millis(50));
    let (answers, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();
    assert_eq!(answers, expected(&requests));
}

#[test]
fn cancelling_ends_the_call_at_once_and_holds_until_resumed() {
    let mut bench = bench(2, 300);
    bench.pool.load().unwrap();
    let pids: Vec<Pid> = bench.roster.statuses().iter().map(|status| pid(status.pid)).collect();
    let requests = requests(100);
    let roster = bench.roster.clone();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        roster.cancel();
        Instant::now()
    });
    let (_, outcome) = collect(&mut bench.pool, &requests);
    let waited = canceller.join().unwrap().elapsed();
    assert_eq!(outcome, Err(PortError::cancelled()));
    assert!(waited < Duration::from_millis(200), "{waited:?}");
    assert!(bench.roster.statuses().is_empty());
    assert!(pids.iter().all(|pid| test_kill_process(*pid).is_err()));
    assert_eq!(collect(&mut bench.pool, &requests).1, Err(PortError::cancelled()));
    bench.roster.resume();
    let (answers, outcome) = collect(&mut bench.pool, &requests[..3]);
    outcome.unwrap();
    assert_eq!(answers, expected(&requests[..3]));
}

#[test]
fn a_call_broken_off_leaves_nothing_to_the_next() {
    let mut bench = bench(2, 3);
    let mut heard = 0;
    bench
        .pool
        .answer(&requests(100), &mut |_, _| {
            heard += 1;
            if heard == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(heard, 5);
    let requests = requests(30).split_off(10);
    let (answers, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();
    assert_eq!(answers, expected(&requests));
}

#[test]
fn release_gives_the_processes_back() {
    let mut bench = bench(2, 0);
    collect(&mut bench.pool, &requests(4)).1.unwrap();
    let pids: Vec<Pid> = bench.roster.statuses().iter().map(|status| pid(status.pid)).collect();
    bench.pool.release();
    assert!(bench.roster.statuses().is_empty() && bench.pool.reports().is_empty());
    assert!(pids.iter().all(|pid| test_kill_process(*pid).is_err()));
    collect(&mut bench.pool, &requests(4)).1.unwrap();
}

#[test]
fn a_checkpoint_that_is_not_there_is_named() {
    let mut bench = bench(2, 0);
    bench.pool.refresh(&Checkpoint::Full { folder: bench.folder.path().join("missing") }).unwrap();
    let error = collect(&mut bench.pool, &requests(4)).1.unwrap_err();
    assert!(!error.transient && error.message.contains("missing"), "{error}");
    bench.pool.refresh(&Checkpoint::Full { folder: bench.folder.path().to_owned() }).unwrap();
    collect(&mut bench.pool, &requests(4)).1.unwrap();
}

#[test]
fn workers_that_cannot_start_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::Full { folder: folder.path().to_owned() };
    let fail = |command: WorkerCommand| {
        let mut pool =
            WorkerPool::new(command, Role::Student, &[Device::Cpu], (Serving::default(), 1), Roster::new());
        pool.refresh(&checkpoint).unwrap();
        collect(&mut pool, &requests(1)).1.unwrap_err()
    };
    let good = command(folder.path(), 0);
    let error = fail(WorkerCommand { program: "no/such/program".into(), ..good.clone() });
    assert!(error.message.contains("no/such/program"), "{error}");
    let arguments = vec!["--scripted".into(), "{nonsense".into()];
    let error = fail(WorkerCommand { arguments, ..good });
    assert!(error.transient && error.message.contains("exit status"), "{error}");
}

#[test]
fn workers_that_die_again_and_again_are_given_up_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = vec!["--scripted".into(), "{nonsense".into()];
    let command = WorkerCommand { arguments, ..command(folder.path(), 0) };
    let mut pool =
        WorkerPool::new(command, Role::Student, &[Device::Cpu], (Serving::default(), 1), Roster::new());
    pool.refresh(&Checkpoint::Full { folder: folder.path().to_owned() }).unwrap();
    let began = Instant::now();
    let errors: Vec<PortError> = (0..6).map(|_| collect(&mut pool, &requests(1)).1.unwrap_err()).collect();
    // 0.25 + 0.5 + 1 + 2 s between the five starts.
    assert!(began.elapsed() >= Duration::from_millis(3750), "{:?}", began.elapsed());
    let (tries, given_up) = errors.split_at(5);
    assert!(tries.iter().all(|error| error.transient));
    let message = &given_up[0].message;
    assert!(!given_up[0].transient && message.contains("ended 5 times"), "{message}");
    assert!(message.contains("exit status 1") && message.contains("--scripted"), "{message}");
    // A person has looked: it is tried again.
    assert!(collect(&mut pool, &requests(1)).1.unwrap_err().transient);
}

fn order(folder: &Path, output: &str) -> TrainingOrder {
    TrainingOrder {
        start: Checkpoint::Full { folder: folder.to_owned() },
        examples: vec![("question".to_owned(), "answer".to_owned()); 200],
        replay: vec![],
        settings: TrainingSettings {
            method: TrainingMethod::Full,
            learning_rate: 1e-3,
            epochs: 2,
            batch_size: 16,
            warmup: 0.1,
            weight_decay: 0.0,
            clip: 1.0,
            max_length: 64,
            ..TrainingSettings::default()
        },
        seed: 3,
        output: folder.join(output),
    }
}

#[test]
fn training_runs_in_a_process_of_its_own_and_the_student_learns() {
    let mut bench = bench(2, 0);
    let mut trainer = TrainerProcess::new(command(bench.folder.path(), 1), 2, bench.roster.clone());
    let requests = requests(300);
    let right = |answers: &Answers| {
        answers.iter().filter(|(index, reply)| reply.text == requests[**index].prompt).count()
    };
    let (before, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();

    let mut steps = vec![];
    let outcome = trainer
        .train(&order(bench.folder.path(), "trained"), &mut |progress| {
            steps.push(progress.step);
            let trainer = bench.roster.statuses().pop().unwrap();
            assert_eq!((trainer.name.as_str(), trainer.state.as_str()), ("trainer@cpu", "training"));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(steps, (1..=26).collect::<Vec<_>>());
    assert_eq!(bench.roster.statuses().len(), 2);

    bench.pool.refresh(&outcome.checkpoint).unwrap();
    let (after, outcome) = collect(&mut bench.pool, &requests);
    outcome.unwrap();
    assert!(right(&after) > right(&before), "{} then {}", right(&before), right(&after));
}

#[test]
fn a_training_that_is_stopped_leaves_no_folder_and_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let roster = Roster::new();
    let mut trainer = TrainerProcess::new(command(folder.path(), 20), 1, roster.clone());
    let order = order(folder.path(), "trained");
    let broken = trainer.train(&order, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(broken.cancelled);

    let other = roster.clone();
    let cancelled = trainer.train(&order, &mut |_| {
        other.cancel();
        ControlFlow::Continue(())
    });
    assert_eq!(cancelled, Err(PortError::cancelled()));
    roster.resume();

    let killed = trainer.train(&order, &mut |_| {
        let _ = kill_process(pid(roster.statuses()[0].pid), Signal::KILL);
        ControlFlow::Continue(())
    });
    let killed = killed.unwrap_err();
    assert!(killed.transient && killed.message.contains("trainer@cpu"), "{killed}");
    assert!(roster.statuses().is_empty() && !order.output.exists());
    trainer.train(&order, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(order.output.exists());
}

#[test]
fn a_training_that_is_cancelled_saves_where_it_stands_before_its_process_ends() {
    let folder = tempfile::tempdir().unwrap();
    let roster = Roster::new();
    let command = WorkerCommand { arguments: vec![], ..command(folder.path(), 0) };
    let mut trainer = TrainerProcess::new(command, 1, roster.clone());
    let mut order = order(folder.path(), "trained");
    order.start = Checkpoint::Full { folder: Embedded::Student.folder(folder.path()).unwrap() };
    order.examples.truncate(8);
    let settings = &mut order.settings;
    (settings.epochs, settings.batch_size, settings.save_seconds) = (500, 2, 3600);
    let state = folder.path().join(".trained.unfinished.safetensors");
    // Twice, as a runner does that ends: the second one must not be the end of it.
    let other = roster.clone();
    let cancelled = trainer.train(&order, &mut |progress| {
        if progress.step == 2 {
            assert!(!state.exists());
            other.cancel();
            other.cancel();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(cancelled, Err(PortError::cancelled()));
    assert!(state.exists(), "it was killed before it had saved");
    assert!(roster.statuses().is_empty() && !order.output.exists());
    roster.resume();
    let mut first = 0;
    let broken = trainer.train(&order, &mut |progress| {
        first = progress.step;
        ControlFlow::Break(())
    });
    assert_eq!(broken, Err(PortError::cancelled()));
    assert!(first > 2, "it began anew: {first}");
}

#[test]
fn a_worker_ends_with_its_runner_also_in_the_middle_of_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["worker", "student", "--scripted"])
        .arg(serde_json::to_string(&script(60_000)).unwrap())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let hear = |stream: &mut UnixStream| frame::read::<Reply>(stream, frame::WORKER_LIMIT).unwrap().unwrap();
    assert!(matches!(hear(&mut ours), Reply::Ready { pid, .. } if pid == child.id()));
    let checkpoint = Checkpoint::Full { folder: folder.path().to_owned() };
    frame::write(&mut ours, &Request::Load { checkpoint, device: Device::Cpu, serving: Serving::default() })
        .unwrap();
    assert!(matches!(hear(&mut ours), Reply::Loaded { .. }));
    let requests = requests(1).into_iter().enumerate().collect();
    frame::write(&mut ours, &Request::Answer { requests, allowance: Allowance::default() }).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none());
    drop(ours);
    let began = Instant::now();
    assert!(child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_worker_started_by_hand_refuses() {
    let status = Command::new(PROGRAM).args(["worker", "student"]).stdin(Stdio::null()).status().unwrap();
    assert!(!status.success());
}
