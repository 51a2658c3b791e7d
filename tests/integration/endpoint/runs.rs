//! Whole runs with teacher and student behind endpoints.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataenvgym::bench::endpoint::{Asked, Said, Stub};
use dataenvgym::gym::episode::{Halt, Phase};
use dataenvgym::store::spending;
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
         [checks]\nvotes = 1\n\
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

/// Serves the scripted models; dies in the first request of a phase, where one is named, once.
fn mortal(folder: &Path, phase: Option<Phase>) -> (Stub, Arc<AtomicBool>) {
    let dead = Arc::new(AtomicBool::new(false));
    let (brain, dying, died) = (Mutex::new(Brain::new(3, 6)), Arc::clone(&dead), AtomicBool::new(false));
    let folder = folder.to_owned();
    let answer = move |asked: &Asked| {
        let now = phase.is_some() && !died.load(Ordering::Relaxed) && current_phase(&folder) == phase;
        if now && !died.swap(true, Ordering::Relaxed) {
            dying.store(true, Ordering::Relaxed);
        }
        if dying.load(Ordering::Relaxed) { down() } else { brain.lock().unwrap().answer(asked) }
    };
    (Stub::start(answer).unwrap(), dead)
}

#[test]
fn a_run_whose_endpoint_dies_in_any_phase_pauses_with_the_reason_and_completes_when_it_is_back() {
    let home = Home::new();
    let (stub, _) = mortal(&home.run_folder("served"), None);
    let output = run(&home, &configuration(&home, &stub.url(), ""));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("spent 0.0"), "{}", text(&output.stdout));
    let expected = outcome(&home.run_folder("served"));
    assert!(!expected.data.is_empty() && expected.accuracies.len() == 2);
    for phase in [Phase::Evaluate, Phase::Plan, Phase::Generate, Phase::Check, Phase::Train] {
        let home = Home::new();
        let folder = home.run_folder("served");
        // A training asks no endpoint: there it dies by the clock, and the evaluation after it finds out.
        let (stub, dead) = mortal(&folder, Some(phase));
        if phase == Phase::Train {
            let (dead, folder) = (Arc::clone(&dead), folder.clone());
            std::thread::spawn(move || {
                while current_phase(&folder) != Some(Phase::Train) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                dead.store(true, Ordering::Relaxed);
            });
        }
        let config = configuration(&home, &stub.url(), "");
        let paused = run(&home, &config);
        assert!(!paused.status.success(), "{phase:?} {}", text(&paused.stdout));
        let episode = episode(&folder).unwrap();
        let Some(Halt::Failure { message }) = &episode.halt else { panic!("{phase:?}: {:?}", episode.halt) };
        assert!(message.contains("no answer for") && message.contains("the node is gone"), "{message}");
        assert!(message.contains("Resume the run"), "{message}");
        let found = episode.work.unwrap().phase;
        assert_eq!(found, if phase == Phase::Train { Phase::Evaluate } else { phase });
        assert!(text(&paused.stdout).contains("the node is gone"), "{}", text(&paused.stdout));
        dead.store(false, Ordering::Relaxed);
        let completed = run(&home, &config);
        assert!(completed.status.success(), "{}{}", text(&completed.stdout), text(&completed.stderr));
        assert_eq!(outcome(&folder), expected, "{phase:?}");
    }
}

#[test]
fn a_run_stops_before_it_spends_more_than_it_may_and_its_account_is_shown() {
    let home = Home::new();
    let (stub, _) = mortal(&home.run_folder("served"), None);
    let config = configuration(&home, &stub.url(), "");
    let estimate = home.stdout(&["endpoints", "estimate", "--config", &config]);
    assert!(estimate.contains("student, evaluations: 72 questions"), "{estimate}");
    assert!(estimate.contains("teacher, data: 6 questions") && estimate.contains("no limit"), "{estimate}");
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
