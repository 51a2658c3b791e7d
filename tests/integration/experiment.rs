//! Reports, comparisons and experiments as a user asks for them, with scripted students.

use std::process::Stdio;

use dataenvgym::gym::statistics::Estimate;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::{Home, text, wait_for};

/// A grid of two arms under two seeds.
fn design(home: &Home, latency_ms: u32) -> String {
    let base = home.scripted(latency_ms, 2);
    let path = home.path("grid.toml");
    let text = format!(
        "name = \"grid\"\nquestion = \"Does more data help?\"\nbase = {base:?}\nseeds = [\"1-2\"]\njobs = 2\n\
         compare = [{{ axis = \"data\", against = \"few\" }}]\n\
         [set]\nepisode.iterations = 2\n\
         [[axis]]\nname = \"data\"\n\
         value = [{{ name = \"few\", set = {{ policy.data = 24 }} }}, {{ name = \"many\", set = {{ policy.data = 240 }} }}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn estimate(value: &Value) -> Estimate {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn a_report_and_a_comparison_say_what_the_run_says() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    let said = home.stdout(&["run", "--config", &config, "--headless", "--name", "a"]);
    home.stdout(&["run", "--config", &config, "--headless", "--name", "b", "--seed", "2"]);
    let out = home.path("out");
    let report = json(&home.stdout(&["report", "a", "--json", "--out", out.to_str().unwrap()]));
    let [base, selected, gain] =
        ["base", "selected", "paired_gain"].map(|name| estimate(&report["test"][name]));
    assert!((selected.mean - base.mean - gain.mean).abs() < 1e-12 && gain.n == 120, "{gain:?}");
    assert!(gain.low <= gain.mean && gain.mean <= gain.high);
    let line = format!("paired gain on the test split: {:+.1} points", 100.0 * gain.mean);
    assert!(said.contains(&line), "{line}: {said}");
    assert_eq!(report["leaks"]["same_key"], 0);
    assert_eq!(report["leaks"]["data"], report["data"]["accepted"]);
    assert_eq!((&report["leaks"]["same_passages"], &report["contamination"]), (&0.into(), &Value::Null));
    let by_skill = report["data_by_skill"].as_object().unwrap();
    let accepted: u64 = by_skill.values().map(|data| data["accepted"].as_u64().unwrap()).sum();
    assert_eq!(report["data"]["accepted"], accepted);
    assert_eq!(report["configuration_sha256"].as_str().unwrap().len(), 64);
    for file in ["report.md", "report.json", "learning-curve.svg", "gain-by-difficulty.csv"] {
        assert!(std::fs::metadata(out.join(file)).unwrap().len() > 100, "{file}");
    }
    let text = home.stdout(&["report", "a"]);
    assert!(text.contains("paired gain") && text.contains("iteration"), "{text}");
    let compared = json(&home.stdout(&["compare", "a", "b", "--json"]));
    assert_eq!(compared["common"], 120);
    let difference = estimate(&compared["runs"][1]["against_first"]["difference"]);
    let accuracy = |n: usize| estimate(&compared["runs"][n]["accuracy"]).mean;
    assert!((accuracy(1) - accuracy(0) - difference.mean).abs() < 1e-12);
    let out = home.path("compared");
    let said = home.stdout(&["compare", "a", "b", "--out", out.to_str().unwrap()]);
    assert!(said.contains("120 test questions in common"));
    let against = &compared["runs"][1]["against_first"];
    let items = against["items"].as_array().unwrap();
    let won = items.iter().filter(|item| item["won"] == true).count() as f64;
    let lost = items.len() as f64 - won;
    assert!(((won - lost) / 120.0 - difference.mean).abs() < 1e-12 && !items.is_empty());
    let written = std::fs::read_to_string(out.join("items.csv")).unwrap();
    assert!(written.starts_with("run,item,outcome,skill,question,truth\nb,") && written.contains(",lost,"));
}

#[test]
fn an_experiment_runs_its_grid_once_and_reports_every_arm() {
    let home = Home::new();
    let file = design(&home, 0);
    let folder = home.path("experiment");
    let [file, folder_name] = [file.as_str(), folder.to_str().unwrap()];
    let plan = home.stdout(&["experiment", file, "--plan", "--folder", folder_name]);
    assert!(plan.contains("2 arms x 2 seeds = 4 runs") && plan.contains("many against few"), "{plan}");
    assert!(!folder.exists());
    let kept = home.path("kept/there/grid.json");
    let with = |results: &std::path::Path| {
        home.output(&["experiment", file, "--folder", folder_name, "--results", results.to_str().unwrap()])
    };
    std::fs::write(home.path("blocked"), "").unwrap();
    let refused = with(&home.path("blocked/grid.json"));
    assert!(text(&refused.stderr).contains("cannot create") && !folder.join("runs").exists());
    let out = with(&kept);
    assert!(out.status.success() && text(&out.stdout).contains("[4/4]"), "{out:?}");
    let results = std::fs::read_to_string(folder.join("report/results.json")).unwrap();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), results);
    let tables = std::fs::read_to_string(kept.with_extension("md")).unwrap();
    assert!(tables.contains("## Arms") && tables.contains("](grid-gains.svg)"), "{tables}");
    assert!(kept.with_file_name("grid-gains.svg").is_file());
    let found = json(&results);
    assert_eq!(found["runs"], serde_json::json!([4, 4]));
    let contrast = &found["contrasts"][0];
    assert_eq!((contrast["arm"].as_str(), contrast["against"].as_str()), (Some("many"), Some("few")));
    let mean = estimate(&contrast["over_seeds"]["effect"]).mean;
    let of = |arm: usize, run: usize| estimate(&found["arms"][arm]["runs"][run]["accuracy"]).mean;
    let by_hand = f64::midpoint(of(1, 0) - of(0, 0), of(1, 1) - of(0, 1));
    assert!((mean - by_hand).abs() < 1e-12, "{mean} {by_hand}");
    // The data of the arms differ tenfold, and the report says so.
    let report = std::fs::read_to_string(folder.join("report/report.md")).unwrap();
    assert!(report.contains("not at equal data"), "{report}");
    // What is finished is not run again.
    let again = home.stdout(&["experiment", file, "--folder", folder_name]);
    assert!(again.contains("4 of 4 runs are finished"), "{again}");
    assert_eq!(std::fs::read_to_string(folder.join("report/results.json")).unwrap(), results);
    // What is compared is fixed beforehand.
    let changed = std::fs::read_to_string(file).unwrap().replace("against = \"few\"", "against = \"many\"");
    std::fs::write(file, changed).unwrap();
    let refused = home.output(&["experiment", file, "--folder", folder_name]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("another `name`"));
}

#[test]
fn an_experiment_that_is_stopped_goes_on_where_it_was() {
    let home = Home::new();
    let file = design(&home, 4);
    let folder = home.path("experiment");
    let arguments = ["experiment", &file, "--folder", folder.to_str().unwrap(), "--jobs", "1"];
    let child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let first = folder.join("runs/few-s1");
    wait_for("the first answers", || {
        dataenvgym::store::Reader::open(&first).ok()?.episode().ok()?.latest_report().map(drop)
    });
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(75), "{}", text(&stopped.stdout));
    let out = home.stdout(&arguments);
    assert!(out.contains("[4/4]"), "{out}");
}

/// A skill that was given by chance has other questions in every run.
#[test]
fn gains_by_skill_are_those_of_runs_with_the_same_skills() {
    let home = Home::new();
    let base = home.scripted(0, 1);
    let text = format!(
        "name = \"labels\"\nquestion = \"What?\"\nbase = {base:?}\nseeds = [\"1-2\"]\njobs = 2\n\
         [[axis]]\nname = \"skills\"\nvalue = [{{ name = \"gold\" }}, \
         {{ name = \"random\", set = {{ skills = {{ kind = \"mislabelled\", share = 1.0 }} }} }}]\n"
    );
    let (file, folder) = (home.path("labels.toml"), home.path("labels"));
    std::fs::write(&file, text).unwrap();
    home.stdout(&["experiment", file.to_str().unwrap(), "--folder", folder.to_str().unwrap()]);
    let found = json(&std::fs::read_to_string(folder.join("report/results.json")).unwrap());
    let skills = found["skills"].as_array().unwrap();
    assert_eq!(skills.len(), 12);
    for skill in skills {
        let gains: Vec<&String> = skill["gain"].as_object().unwrap().keys().collect();
        assert_eq!(gains, ["gold"], "{skill}");
    }
}

#[test]
fn an_arm_with_a_mistake_is_found_before_anything_runs() {
    let home = Home::new();
    let file = design(&home, 0);
    let wrong = std::fs::read_to_string(&file).unwrap().replace("policy.data = 240", "policy.dat = 240");
    std::fs::write(&file, wrong).unwrap();
    let folder = home.path("experiment");
    let refused = home.output(&["experiment", &file, "--folder", folder.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert!(said.contains("`many`") && said.contains("did you mean") && !folder.exists(), "{said}");
}
