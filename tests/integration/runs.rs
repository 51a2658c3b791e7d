//! Runs as a user starts them, with the scripted student.

use std::fs;

use dataenvgym::gym::episode::{Command, Halt};
use dataenvgym::models::embedded::Embedded;
use dataenvgym::runner::lock::{self, RunLock};

use crate::home::{Home, episode, outcome, text, wait_for};

#[test]
fn a_headless_run_prints_its_table_and_its_gain() {
    let home = Home::new();
    let config = home.scripted(0, 3);
    let out = home.stdout(&["run", "--config", &config, "--headless"]);
    let rows: Vec<&str> = out.lines().filter(|l| l.contains(" % [") && !l.contains("test")).collect();
    assert_eq!(rows.len(), 4, "{out}");
    for word in
        ["selected by validation: iteration 3", "test, iteration 0", "paired gain on the test split: +"]
    {
        assert!(out.contains(word), "{word}: {out}");
    }
    let list = home.stdout(&["runs"]);
    assert!(list.contains("scripted") && list.contains("finished"), "{list}");
}

#[test]
fn without_a_terminal_the_program_runs_the_quick_start_headless() {
    let home = Home::new();
    // A terminal-less start must not wait for anything; the real quick start is timed elsewhere.
    let mut child = home.command(&[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let folder = home.run_folder("quickstart");
    wait_for("the quick start", || lock::holder(&folder)?.socket);
    child.kill().unwrap();
    let out = text(&child.wait_with_output().unwrap().stdout);
    assert!(out.contains("run quickstart in"), "{out}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    for (name, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        home.stdout(&["run", "--config", &config, "--headless", "--name", name, "--seed", seed]);
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| outcome(&home.run_folder(name)));
    assert_eq!(a, b);
    assert_ne!(a.data, c.data);
}

#[test]
fn a_detached_run_obeys_commands_and_is_resumed_by_name() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    wait_for("the first score", || episode(&folder)?.latest_report().map(drop));
    assert!(home.stdout(&["runs"]).contains("running"));
    home.stdout(&["stop", "scripted"]);
    wait_for("the end of the process", || (!RunLock::is_held(&folder)).then_some(()));
    let stopped = episode(&folder).unwrap();
    assert_eq!(stopped.halt, Some(Halt::Stopped));
    home.stdout(&["run", "--name", "scripted"]);
    wait_for("progress", || (episode(&folder)?.iterations.len() > stopped.iterations.len()).then_some(()));
    home.stdout(&["stop", "--now", "scripted"]);
    wait_for("the end of the process", || (!RunLock::is_held(&folder)).then_some(()));
}

#[test]
fn a_second_runner_of_one_run_is_refused() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    home.stdout(&["run", "--config", &config]);
    assert!(home.stdout(&["run", "--name", "scripted"]).contains("running already"));
    let second = home.output(&["run", "--name", "scripted", "--headless"]);
    assert!(!second.status.success());
    assert!(text(&second.stderr).contains("has a runner already (process "), "{}", text(&second.stderr));
}

#[test]
fn phases_and_iterations_are_advanced_over_the_socket() {
    let home = Home::new();
    let config = home.scripted(1, 3);
    home.stdout(&["run", "--config", &config, "--name", "led"]);
    let folder = home.run_folder("led");
    let socket = std::fs::read_dir(home.path("run/dataenvgym")).unwrap().next().unwrap().unwrap().path();
    let order = |command| dataenvgym::runner::client::command(&socket, command).unwrap();
    order(Command::Pause);
    let held = || episode(&folder).filter(|e| !e.running && e.halt.is_some());
    let before = wait_for("the pause", held).work.unwrap();
    order(Command::AdvancePhase);
    let after = wait_for("the next phase", || held().filter(|e| e.work != Some(before))).work.unwrap();
    assert_eq!(after.iteration.max(1), before.iteration.max(1));
    order(Command::AdvanceIteration);
    let later = wait_for("the iteration", || held().filter(|e| e.work != Some(after))).work.unwrap();
    assert_eq!(later.iteration, after.iteration.max(1) + 1, "{after:?} {later:?}");
}

/// The files of a task are found by the process that owns the run as well, whatever its folder is.
#[test]
fn a_run_on_a_file_selects_its_training_data_from_the_pool() {
    let home = Home::new();
    let item = |n: u32| format!("{{\"q\": \"What is {n} plus {}?\", \"a\": {}}}\n", 2 * n, 3 * n);
    std::fs::write(home.path("items.jsonl"), (1..200).map(item).collect::<String>()).unwrap();
    let config = home.path("file.toml");
    let text = "name = \"file\"\n[task]\nkind = \"jsonl\"\nfile = \"items.jsonl\"\nresponse = \"#### {a}\"\n\
                columns = { question = [\"q\"], answer = \"a\" }\n[student]\nmodel = \"scripted\"\n\
                [engine]\nkind = \"selection\"\n[policy]\nkind = \"by_error\"\ndata = 20\n[episode]\niterations = 2\n";
    std::fs::write(&config, text).unwrap();
    let out = home.stdout(&["run", "--headless", "--config", config.to_str().unwrap()]);
    assert!(out.contains("task items, student scripted, policy by_error, engine selection"), "{out}");
    let data = outcome(&home.run_folder("file")).data;
    let mut sources: Vec<_> = data.iter().map(|d| d.datum.provenance.source_instance.clone()).collect();
    sources.sort();
    sources.dedup();
    assert_eq!((data.len(), sources.len()), (40, 40));
}

#[test]
fn mistakes_are_explained() {
    let home = Home::new();
    let wrong = home.path("wrong.toml");
    let cases = [
        (
            "name = \"x\"\n[task]\nkind = \"arithmetic\"\n[episode]\nitertions = 2\n",
            "did you mean `iterations`?",
        ),
        ("name = \"x\"\n[task]\nkind = \"arithmetic\"\n[policy]\nkind = \"best\"\n", "best"),
        ("name = \"x\"\n[task]\nkind = \"arithmetic\"\n[student]\nmodel = \"nowhere\"\n", "nowhere"),
        ("name = \"x\"\n[task]\nkind = \"arithmetic\"\n[student]\ndevice = \"gpu\"\n", "`student.device`"),
    ];
    for (config, expected) in cases {
        std::fs::write(&wrong, config).unwrap();
        let output = home.output(&["run", "--headless", "--config", wrong.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{config}\n{said}");
        assert!(!said.contains("backtrace") && !said.contains("panicked"), "{said}");
    }
    let said = text(&home.output(&["stop", "nothing"]).stderr);
    assert!(said.contains("no run `nothing`"), "{said}");
}

#[test]
fn a_student_that_cannot_be_trained_is_refused_before_there_is_a_run() {
    let home = Home::new();
    let student = Embedded::Student.folder(&home.path("cache")).unwrap();
    let folder = home.path("stretched");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(student).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let config = folder.join("config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["rope_scaling"] = serde_json::json!({ "rope_type": "yarn", "factor": 4.0 });
    fs::write(&config, json.to_string()).unwrap();
    let text = format!("name = \"stretched\"\n[student]\nmodel = \"{}\"\n", folder.display());
    fs::write(home.path("stretched.toml"), text).unwrap();
    let output =
        home.output(&["run", "--headless", "--config", home.path("stretched.toml").to_str().unwrap()]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("rope_scaling") && told.contains("yarn"), "{told}");
    assert!(told.contains("unmodified Hugging Face folder"), "{told}");
    assert!(!home.run_folder("stretched").exists());
}
