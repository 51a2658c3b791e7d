//! Whole runs with teacher and student behind endpoints.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dataenvgym::bench::endpoint::{Asked, Said, Stub, completion};
use dataenvgym::gym::episode::{Halt, Phase};
use dataenvgym::gym::instance::{Domain, ImageRef};
use dataenvgym::store::{At, CallFilter, Patience, Reader, spending};
use serde_json::json;

use super::servers::Brain;
use crate::faults::current_phase;
use crate::home::{Home, episode, outcome, text};

/// A configuration whose teacher and student are behind `url`; `more` goes into both endpoints.
pub fn configuration(home: &Home, url: &str, more: &str) -> String {
    let path = home.path("served.toml");
    let endpoint = format!(
        "url = \"{url}\"\nprobe = false\nschema = \"server\"\nprice = {{ prompt = 1.0, answer = 2.0 }}\n\
         retry_first_s = 0.01\nretry_most_s = 0.05\npatience_s = 0.15\nfirst_byte_s = 5.0\n{more}"
    );
    let text = format!(
        "name = \"served\"\n\
         [task]\nkind = \"scripted\"\ndomain = \"mathematics\"\nskills = 3\nper_skill = 6\n\
         [environment]\nsubskills = \"taught\"\n\
         [teacher]\nmodel = \"endpoint:writer\"\n\
         [student]\nmodel = \"endpoint:pupil\"\nweights = \"scripted\"\nscript = {{ latency_ms = 20 }}\n\
         [trainer]\nmethod = \"lora\"\nepochs = 4\n\
         [policy]\nkind = \"by_error\"\ndata = 24\n\
         [engine]\nkind = \"taught\"\ndata_per_question = 4\n\
         [checks]\nvotes = 1\nknown_samples = 1\n\
         [episode]\niterations = 1\n\
         [endpoints.writer]\nmodel = \"teacher\"\n{endpoint}\n\
         [endpoints.pupil]\nmodel = \"base\"\nadapters = \"vllm\"\n{endpoint}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(home: &Home, config: &str) -> std::process::Output {
    home.output(&["run", "--headless", "--config", config, "--name", "served"])
}

fn down() -> Said {
    Said::json(502, &json!({"error": {"message": "the node is gone"}}))
}

/// Where a server dies: in a phase, asked for that model or route, with so many such questions answered.
#[derive(Debug, Clone, Copy)]
struct Death {
    phase: Phase,
    role: Role,
    after: u32,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Teacher,
    Student,
    /// The student's worker, for an adapter.
    Loader,
}

fn role(asked: &Asked) -> Role {
    match asked.body["model"].as_str() {
        Some("teacher") => Role::Teacher,
        Some(_) => Role::Student,
        None => Role::Loader,
    }
}

/// Good answers by question.
type Sold = HashMap<String, u32>;

/// Serves the scripted models until it dies, once; then it is dead to that role until it is told otherwise. Counts the
/// good answers to each question.
fn mortal(folder: &Path, death: Option<Death>) -> (Stub, Arc<AtomicBool>, Arc<Mutex<Sold>>) {
    let (dead, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Sold::new())));
    let (brain, died, met) =
        (Mutex::new(Brain::new(Domain::Mathematics, 3, 6)), AtomicBool::new(false), AtomicU32::new(0));
    let (dying, sold, folder) = (Arc::clone(&dead), Arc::clone(&answered), folder.to_owned());
    let answer = move |asked: &Asked| {
        if let Some(death) = death.filter(|death| death.role == role(asked)) {
            let now = !died.load(Ordering::Relaxed) && current_phase(&folder) == Some(death.phase);
            if now
                && met.fetch_add(1, Ordering::Relaxed) >= death.after
                && !died.swap(true, Ordering::Relaxed)
            {
                dying.store(true, Ordering::Relaxed);
            }
            if dying.load(Ordering::Relaxed) {
                return down();
            }
        }
        if role(asked) != Role::Loader {
            let question = format!("{}{}{}", asked.body["model"], asked.prompt(), asked.body["seed"]);
            *sold.lock().unwrap().entry(question).or_default() += 1;
        }
        brain.lock().unwrap().answer(asked)
    };
    (Stub::start(answer).unwrap(), dead, answered)
}

#[test]
fn a_run_whose_endpoint_dies_in_any_phase_pauses_with_the_reason_and_completes_when_it_is_back() {
    let home = Home::new();
    let (stub, _, _) = mortal(&home.run_folder("served"), None);
    let output = run(&home, &configuration(&home, &stub.url(), ""));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("spent 0.0"), "{}", text(&output.stdout));
    let expected = outcome(&home.run_folder("served"));
    assert!(!expected.data.is_empty() && expected.accuracies.len() == 2);
    let deaths = [
        (Phase::Evaluate, Role::Student, 3),
        (Phase::Plan, Role::Teacher, 0),
        (Phase::Generate, Role::Teacher, 2),
        (Phase::Check, Role::Teacher, 5),
        (Phase::Check, Role::Student, 5),
        // A training asks no endpoint: the evaluation after it finds out, when it loads the adapter.
        (Phase::Evaluate, Role::Loader, 0),
    ];
    for (phase, role, after) in deaths {
        let death = Death { phase, role, after };
        let home = Home::new();
        let folder = home.run_folder("served");
        let (stub, dead, answered) = mortal(&folder, Some(death));
        let config = configuration(&home, &stub.url(), "");
        let paused = run(&home, &config);
        assert!(!paused.status.success(), "{death:?} {}", text(&paused.stdout));
        let episode = episode(&folder).unwrap();
        let Some(Halt::Failure { message }) = &episode.halt else { panic!("{death:?}: {:?}", episode.halt) };
        assert!(message.contains("no answer for") && message.contains("the node is gone"), "{message}");
        assert!(message.contains("Resume the run"), "{message}");
        let work = episode.work.unwrap();
        assert_eq!(
            (work.phase, work.iteration),
            (phase, u32::from(phase != Phase::Evaluate || role == Role::Loader))
        );
        assert!(text(&paused.stdout).contains("the node is gone"), "{}", text(&paused.stdout));
        dead.store(false, Ordering::Relaxed);
        let completed = run(&home, &config);
        assert!(completed.status.success(), "{}{}", text(&completed.stdout), text(&completed.stderr));
        assert_eq!(outcome(&folder), expected, "{death:?}");
        let again: u32 = answered.lock().unwrap().values().map(|count| count - 1).sum();
        // What was under way when the phase failed may be asked again, what was answered may not.
        assert!(again <= 8, "{death:?}: {again} questions were answered twice");
    }
}

#[test]
fn questions_show_their_images() {
    let home = Home::new();
    let brain = Mutex::new(Brain::new(Domain::VisualQuestionAnswering, 3, 6));
    let shown = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&shown);
    let stub = Stub::start(move |asked| {
        for image in asked.images() {
            let bytes = STANDARD.decode(image.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
            noted.lock().unwrap().insert(ImageRef::of(&bytes, "image/png", (1, 1)).sha256);
        }
        brain.lock().unwrap().answer(asked)
    })
    .unwrap();
    let config = configuration(&home, &stub.url(), "");
    let output = home.output(&[
        "run",
        "--headless",
        "--config",
        &config,
        "--name",
        "seeing",
        "--set",
        "task.domain=visual_question_answering",
        "--set",
        "checks.votes=0",
    ]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let kept: BTreeSet<String> = std::fs::read_dir(home.run_folder("seeing").join("artifacts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let shown = std::mem::take(&mut *shown.lock().unwrap());
    assert!(shown.len() >= 36 && shown.is_subset(&kept), "{} of {} images", shown.len(), kept.len());
    let said = home.stdout(&["eval", "--config", &config, "--student", "endpoint:pupil"]);
    assert!(said.contains("questions"), "{said}");
}

#[test]
fn answers_of_no_use_are_in_the_account_too() {
    let home = Home::new();
    let sold = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&sold);
    let stub = Stub::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Said::json(200, &completion("c", "another", "x", (10, 5)))
    })
    .unwrap();
    let output = run(&home, &configuration(&home, &stub.url(), "tries = 2\n"));
    assert!(
        !output.status.success() && text(&output.stdout).contains("any_model"),
        "{}",
        text(&output.stdout)
    );
    let account = spending::read(&home.run_folder("served")).unwrap();
    assert_eq!((account.answers, account.tokens), (0, 15 * u64::from(sold.load(Ordering::Relaxed))));
}

#[test]
fn a_report_says_what_each_endpoint_was_paid() {
    let home = Home::new();
    let (stub, _, _) = mortal(&home.run_folder("served"), None);
    assert!(run(&home, &configuration(&home, &stub.url(), "")).status.success());
    let account = spending::read(&home.run_folder("served")).unwrap();
    let report: serde_json::Value =
        serde_json::from_str(&home.stdout(&["report", "served", "--json"])).unwrap();
    assert_eq!(report["spending"], serde_json::to_value(&account).unwrap());
    let said = home.stdout(&["report", "served"]);
    for (name, (answers, _, cost)) in &account.endpoints {
        let line = said.lines().find(|line| line.contains(name.as_str())).unwrap();
        assert!(line.contains(&answers.to_string()) && line.contains(&format!("{cost:.4}")), "{line}");
    }
    assert_eq!(account.endpoints.len(), 2);
}

#[test]
fn a_verifier_behind_an_endpoint_of_its_own_is_estimated_named_and_paid() {
    let home = Home::new();
    let (stub, _, _) = mortal(&home.run_folder("served"), None);
    let config = configuration(&home, &stub.url(), "");
    let text = std::fs::read_to_string(&config).unwrap();
    let writer = text.split("[endpoints.writer]").nth(1).unwrap().split("[endpoints.").next().unwrap();
    let more = format!("{text}[endpoints.checker]{writer}[verifier]\nmodel = \"endpoint:checker\"\n");
    std::fs::write(&config, more).unwrap();
    let estimate = home.stdout(&["endpoints", "estimate", "--config", &config]);
    assert!(
        estimate.contains("verifier, votes: 24 questions") && !estimate.contains("teacher, votes"),
        "{estimate}"
    );
    assert!(run(&home, &config).status.success());
    let folder = home.run_folder("served");
    let reader = Reader::open(&folder).unwrap();
    let page =
        reader.teacher_calls(&CallFilter::default(), At::Position(0), 1000, Patience::default()).unwrap();
    let calls: Vec<_> = page.rows.into_iter().map(|(_, call)| call).collect();
    let votes = calls.iter().filter(|call| call.context.prompt == "solve@1").count() as u64;
    for call in calls.iter().filter(|call| !call.model.starts_with("student")) {
        let asked = if call.context.phase == Phase::Check { "checker" } else { "writer" };
        assert_eq!(call.model, format!("endpoint:{asked} ({asked}, teacher)"), "{}", call.context.prompt);
    }
    let account = spending::read(&folder).unwrap();
    assert_eq!(account.endpoints.len(), 3);
    assert!(votes >= 24 && account.endpoints["checker"].0 == votes, "{votes} votes, {account:?}");
}

#[test]
fn a_run_stops_before_it_spends_more_than_it_may_and_its_account_is_shown() {
    let home = Home::new();
    let (stub, _, _) = mortal(&home.run_folder("served"), None);
    let config = configuration(&home, &stub.url(), "");
    let estimate = home.stdout(&["endpoints", "estimate", "--config", &config]);
    assert!(estimate.contains("student, evaluations: 72 questions"), "{estimate}");
    assert!(estimate.contains("teacher, data: 6 questions") && estimate.contains("no limit"), "{estimate}");
    assert!(
        estimate.contains("votes: 24 questions") && estimate.contains("knows: 24 questions"),
        "{estimate}"
    );
    let limited =
        ["run", "--headless", "--config", &config, "--name", "served", "--set", "episode.money=0.004"];
    let output = home.output(&limited);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    assert!(said.contains("may not spend more money"), "{said}");
    let folder = home.run_folder("served");
    let account = spending::read(&folder).unwrap();
    assert!(account.cost > 0.0 && account.cost <= 0.004, "{account:?}");
    let list = home.stdout(&["runs"]);
    assert!(list.contains(&format!("spent {:.4} for", account.cost)), "{list}");
}

#[test]
fn endpoints_that_are_not_there_are_named_before_a_run_is_made() {
    let home = Home::new();
    let config = configuration(&home, "http://127.0.0.1:9/v1", "");
    for (set, words) in [
        ("teacher.model=endpoint:nobody", "[endpoints.nobody]"),
        ("teacher.model=endpoint:writer*0", "weight"),
        ("verifier.model=endpoint:nobody", "`verifier.model`"),
        ("trainer.method=full", "lora"),
    ] {
        let output = home.output(&["run", "--headless", "--config", &config, "--set", set]);
        assert!(text(&output.stderr).contains(words), "{set}: {}", text(&output.stderr));
        assert!(!home.run_folder("served").exists());
    }
    let listed = home.stdout(&["endpoints", "presets"]);
    assert!(dataenvgym::config::PRESETS.iter().all(|(name, _)| listed.contains(name)), "{listed}");
    let checked = home.output(&["endpoints", "check", "--config", &config]);
    let said = text(&checked.stdout);
    assert!(!checked.status.success() && said.contains("pupil (http://127.0.0.1:9/v1, base)"), "{said}");
}
