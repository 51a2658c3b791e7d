//! `export` and `import` as a user types them.

use std::fs;
use std::path::{Path, PathBuf};

use dataenvgym::gym::datum::{JudgedDatum, Verdict};
use dataenvgym::gym::instance::{Domain, Split, TaskInstance};
use dataenvgym::store::{Reader, read_artifact};

use crate::home::{Home, episode, outcome, text};

pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(&below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn two_runs_of_one_seed_are_exported_to_the_same_bytes() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    for (name, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        home.stdout(&["run", "--config", &config, "--headless", "--name", name, "--seed", seed]);
    }
    for (format, container) in
        [("messages", "jsonl"), ("messages", "parquet"), ("records", "jsonl"), ("records", "parquet")]
    {
        let [a, b, c] = ["a", "b", "c"].map(|name| {
            let out = home.path(&format!("{name}-{format}-{container}"));
            let folder = out.to_str().unwrap();
            home.stdout(&["export", name, "--format", format, "--as", container, "--out", folder]);
            files(&out)
        });
        assert!(a == b, "{format} {container}: two runs of one seed differ");
        assert!(a != c, "{format} {container}: two seeds give the same");
    }
    let lines = home.stdout(&["export", "a", "--out", "-", "--iteration", "1", "--no-metadata"]);
    let accepted = outcome(&home.run_folder("a")).data;
    let wanted = |j: &&JudgedDatum| j.verdict == Verdict::Accepted && j.datum.provenance.iteration == 1;
    assert_eq!(lines.lines().count(), accepted.iter().filter(wanted).count());
    assert!(lines.starts_with("{\"messages\":[{\"role\":\"user\",\"content\":"), "{lines}");
}

#[test]
fn a_run_goes_out_and_comes_back() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    home.stdout(&["run", "--config", &config, "--headless", "--name", "a"]);
    home.stdout(&["export", "a", "--format", "records"]);
    let out = home.run_folder("a").join("exports/records");
    let said = home.stdout(&["import", out.to_str().unwrap(), "--into", "b"]);
    assert!(said.contains("it cannot be resumed") && !said.contains("note:"), "{said}");
    assert_eq!(outcome(&home.run_folder("a")), outcome(&home.run_folder("b")));
    let again = home.path("again");
    home.stdout(&["export", "b", "--format", "records", "--out", again.to_str().unwrap()]);
    assert!(files(&again) == files(&out), "an imported run is exported to other bytes");
    assert!(home.stdout(&["runs"]).contains("finished"));
    let refused = text(&home.output(&["run", "--name", "b", "--headless"]).stderr);
    assert!(refused.contains("it was imported") && refused.contains("another --name"), "{refused}");
}

#[test]
fn mistakes_are_explained() {
    let home = Home::new();
    let file = home.path("bad.jsonl");
    fs::write(&file, "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"\u{1b}[2J\"\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["export", "nothing"], "no run `nothing`"),
        (vec!["import", "nowhere.jsonl"], "nowhere.jsonl"),
        (vec!["import", file], "bad.jsonl, line 2: not JSON"),
        (vec!["import", file, "--into", "../x"], "is no name for a run"),
        (vec!["export", "a", "--iteration", "4-1"], "a range such as `1-4`"),
        (vec!["export", "a", "--only", "trees"], "expected one of run, instances"),
    ] {
        let output = home.output(&arguments);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}\n{said}");
        assert!(!said.contains("panicked") && !said.contains('\u{1b}'), "{said}");
    }
    assert!(!home.path("runs").exists() || fs::read_dir(home.path("runs")).unwrap().count() == 0);
}

/// A taught run of a domain on a scripted world, in the skill-tree environment.
fn domain(home: &Home, domain: Domain, rounds: u32) -> String {
    let name = domain.as_str();
    let path = home.path(&format!("{name}-{rounds}.toml"));
    let text = format!(
        "name = \"{name}\"\n\
         [task]\nkind = \"scripted\"\ndomain = \"{name}\"\nskills = 2\nper_skill = 4\n\
         [policy]\nkind = \"alternating\"\nexplore = {{ new_subskills = 1, data_per_subskill = 3 }}\n\
         [engine]\nkind = \"taught\"\ndata_per_question = 3\n\
         [teacher]\nmodel = \"scripted\"\nworkers = 1\n\
         [student]\nmodel = \"scripted\"\nworkers = 1\n\
         [checks]\nknown_samples = 2\n\
         [episode]\niterations = 2\nrounds = {rounds}\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn instances(folder: &Path, split: Split) -> Vec<TaskInstance> {
    let mut found = Vec::new();
    Reader::open(folder).unwrap().each_instance(split, |instance| found.push(instance)).unwrap();
    found
}

/// Every domain is killed at a write, resumed, exported to every format in both containers, and comes back from
/// each with what the format holds.
#[test]
fn each_domain_is_killed_resumed_exported_to_every_format_and_imported() {
    let home = Home::new();
    for (kind, point) in Domain::ALL.into_iter().zip([
        "store.data.after:2",
        "store.calls.after:2",
        "store.data.before:3",
        "store.predictions.before:2",
    ]) {
        let (config, name) = (domain(&home, kind, 2), kind.as_str());
        let mut fatal = home.command(&["run", "--config", &config, "--headless"]);
        assert!(!fatal.env("DATAENVGYM_FAULT", point).output().unwrap().status.success(), "{name} {point}");
        home.stdout(&["run", "--name", name, "--headless"]);
        let undisturbed = format!("{name}-undisturbed");
        home.stdout(&["run", "--config", &config, "--headless", "--name", &undisturbed]);
        let folder = home.run_folder(name);
        let whole = outcome(&folder);
        assert_eq!(whole, outcome(&home.run_folder(&undisturbed)), "{name}");
        let accepted: Vec<&JudgedDatum> =
            whole.data.iter().filter(|d| d.verdict == Verdict::Accepted).collect();
        assert!(!accepted.is_empty());
        for format in ["messages", "prompt_completion", "alpaca", "sharegpt", "preference", "records"] {
            for container in ["jsonl", "parquet"] {
                let copy = format!("{name}-{format}-{container}");
                let out = home.path(&copy);
                let out = out.to_str().unwrap();
                home.stdout(&["export", name, "--format", format, "--as", container, "--out", out]);
                home.stdout(&["import", out, "--into", &copy]);
                let back = outcome(&home.run_folder(&copy));
                if format == "records" {
                    assert_eq!(back, whole, "{copy}");
                    let held = instances(&home.run_folder(&copy), Split::Validation);
                    assert_eq!(held, instances(&folder, Split::Validation));
                    for image in held.iter().flat_map(|instance| instance.content.images()) {
                        let read = |run: &Path| read_artifact(run, image).unwrap();
                        assert_eq!(read(&home.run_folder(&copy)), read(&folder));
                    }
                    continue;
                }
                let pairs = format == "preference";
                let wanted = accepted.iter().filter(|d| !pairs || d.datum.rejected_response.is_some());
                let words = |d: &JudgedDatum| {
                    let d = &d.datum;
                    (
                        d.instruction.clone(),
                        d.response.clone(),
                        d.images.clone(),
                        d.skill.clone(),
                        d.subskill.clone(),
                    )
                };
                let mut wanted: Vec<_> = wanted.map(|d| words(d)).collect();
                let mut found: Vec<_> = back.data.iter().map(words).collect();
                wanted.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
                found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
                assert_eq!(wanted, found, "{copy}");
            }
        }
        // The whole provenance of a datum, as an export of records shows it.
        let out = home.path(&format!("{name}-shown"));
        home.stdout(&["export", name, "--format", "records", "--out", out.to_str().unwrap()]);
        let lines = fs::read_to_string(out.join("records.jsonl")).unwrap();
        let values: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |record: &str| {
            values.iter().filter(|v| v["record"] == record).map(|v| v["value"].clone()).collect::<Vec<_>>()
        };
        let (plans, calls) = (of("plan"), of("teacher_call"));
        for judged in of("datum") {
            let (datum, from) = (&judged["datum"], &judged["datum"]["provenance"]);
            let plan = plans
                .iter()
                .find(|plan| plan["iteration"] == from["iteration"] && plan["round"] == from["round"]);
            let asked = &plan.unwrap()["allocations"][from["allocation"].as_u64().unwrap() as usize];
            assert_eq!(
                (&asked["skill"], &asked["subskill"]),
                (&datum["skill"], &datum["subskill"]),
                "{judged}"
            );
            let call = calls.iter().find(|call| call["id"] == from["teacher_call"]).unwrap();
            assert_eq!(call["outcome"], "used", "{call}");
            assert_eq!(
                call["allocation"].as_u64().or(call["context"]["allocation"].as_u64()),
                from["allocation"].as_u64()
            );
            let checks: Vec<&str> =
                judged["checks"].as_array().unwrap().iter().map(|c| c["check"].as_str().unwrap()).collect();
            // What the student knows is asked where one answer is right.
            let asked = matches!(kind, Domain::Mathematics | Domain::VisualQuestionAnswering);
            assert!(checks.contains(&"form") && checks.contains(&"known") == asked, "{name} {checks:?}");
        }
    }
}

/// What the reference's layout holds of a run, in a form that does not depend on how instances are numbered. Only
/// its records of mathematics hold the bare answer of a datum, and whether the scorer finds it.
fn held(home: &Home, name: &str, answers: bool) -> impl PartialEq + std::fmt::Debug + use<> {
    let folder = home.run_folder(name);
    let whole = outcome(&folder);
    let episode = episode(&folder).unwrap();
    let own = |id: &str| id.rsplit('/').next().unwrap().to_owned();
    let skills = |split| -> Vec<_> {
        let of = |i: TaskInstance| (own(&i.id), i.skill, i.subskill, i.content.images().to_vec());
        instances(&folder, split).into_iter().map(of).collect()
    };
    let predictions = whole.predictions.into_iter().map(|evaluation| {
        let of = |p: dataenvgym::gym::prediction::Prediction| (own(&p.instance_id), p.response, p.correct);
        evaluation.into_iter().map(of).collect::<Vec<_>>()
    });
    let data = whole.data.into_iter().filter(|d| d.verdict == Verdict::Accepted).map(|d| {
        let kept = |name: &str| d.checks.iter().find(|c| c.check == name).map(|c| (c.passed, c.score));
        let checks = (kept("form").filter(|_| answers).map(|(passed, _)| passed), kept("known"));
        let from = (d.datum.provenance.iteration, d.datum.provenance.round);
        let d = d.datum;
        (
            (d.instruction, d.response, d.rejected_response),
            (d.question, d.answer.filter(|_| answers)),
            d.images,
            (d.skill, d.subskill),
            from,
            checks,
        )
    });
    let plans = episode.iterations.iter().flat_map(|row| row.plans.clone()).map(|mut plan| {
        plan.policy = String::new();
        plan.actions.sort_by(|a, b| a.skill.cmp(&b.skill));
        plan.allocations.sort_by(|a, b| (&a.skill, &a.subskill).cmp(&(&b.skill, &b.subskill)));
        plan
    });
    (
        whole.accuracies,
        whole.selected,
        predictions.collect::<Vec<_>>(),
        data.collect::<Vec<_>>(),
        plans.collect::<Vec<_>>(),
        (episode.forest, skills(Split::Validation), skills(Split::Test)),
    )
}

#[test]
fn a_run_goes_into_the_layout_of_the_reference_and_comes_back() {
    let home = Home::new();
    for (kind, rounds) in
        [(Domain::VisualQuestionAnswering, 1), (Domain::Mathematics, 2), (Domain::Programming, 1)]
    {
        let config = domain(&home, kind, rounds);
        let name = kind.as_str();
        home.stdout(&["run", "--config", &config, "--headless"]);
        let out = home.path(&format!("{name}-out"));
        let export = |run: &str, out: &Path| {
            let out = out.to_str().unwrap();
            home.stdout(&["export", run, "--format", "reference", "--out", out])
        };
        export(name, &out);
        let there = |path: &str| out.join(path).is_file();
        // The episode runner evaluates before any data; a cycle of the accumulating loop begins with both.
        assert_eq!(there("iteration_0/training_data.jsonl"), rounds == 2, "{name}");
        let folders = if rounds == 1 { 3 } else { 4 };
        for n in 0..folders {
            let evaluated = rounds == 1 || n % 2 == 0 || n == 3;
            assert_eq!(
                there(&format!("iteration_{n}/completed_val_task_instances.jsonl")),
                evaluated,
                "{name} {n}"
            );
            assert_eq!(there(&format!("iteration_{n}/val_performance_reports.jsonl")), evaluated);
            assert!(n == 0 || there(&format!("iteration_{n}/training_data.jsonl")));
        }
        assert!(!out.join(format!("iteration_{folders}")).exists());
        let history = fs::read_to_string(out.join("performance_history.csv")).unwrap();
        assert_eq!(history.lines().count(), 1 + 3, "{history}");
        let copy = format!("{name}-copy");
        let said = home.stdout(&["import", out.to_str().unwrap(), "--into", &copy, "--seed", "1"]);
        assert!(!said.contains("note:"), "{said}");
        let answers = kind == Domain::Mathematics;
        assert_eq!(held(&home, &copy, answers), held(&home, name, answers), "{name}");
        let again = home.path(&format!("{name}-again"));
        export(&copy, &again);
        let (first, second) = (files(&out), files(&again));
        let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&first), names(&second));
        for ((path, before), (_, after)) in first.iter().zip(&second) {
            assert!(before == after, "{}:\n{}\n{}", path.display(), text(before), text(after));
        }
        // Without the images of the questions the run is exported all the same.
        if kind == Domain::VisualQuestionAnswering {
            for split in ["val", "test"] {
                fs::remove_dir_all(out.join(format!("{split}_task_instances"))).unwrap();
            }
            let said = home.stdout(&["import", out.to_str().unwrap(), "--into", "lost"]);
            assert!(said.contains("images of questions are lost"), "{said}");
            home.stdout(&["export", "lost", "--format", "records"]);
            assert!(instances(&home.run_folder("lost"), Split::Validation)[0].content.images().is_empty());
        }
    }
    for (arguments, expected) in [
        (vec!["--as", "parquet"], "a folder of JSON lines"),
        (vec!["--out", "-"], "a folder of JSON lines"),
        (vec!["--no-metadata"], "do not go with"),
    ] {
        let mut all = vec!["export", "mathematics", "--format", "reference"];
        all.extend(arguments);
        let said = text(&home.output(&all).stderr);
        assert!(said.contains(expected), "{said}");
    }
    home.stdout(&["export", "mathematics", "--format", "reference", "--checkpoints"]);
    let kept = home.run_folder("mathematics").join("exports/reference");
    assert!(kept.join("iteration_3/trainable_predictor/scripted.json").is_file());
}

/// A training outside a run, of the embedded student on two lines.
fn trained(home: &Home, out: &str, more: &[&str]) -> PathBuf {
    fs::write(
        home.path("two.jsonl"),
        "{\"instruction\": \"What is 1 + 1?\", \"response\": \"1+1=2. #### 2\"}\n".repeat(2),
    )
    .unwrap();
    let (data, place) = (home.path("two.jsonl"), home.path(out));
    let mut all = vec!["train", "--data", data.to_str().unwrap(), "--epochs", "1"];
    all.extend(["--learning-rate", "0.01", "--out", place.to_str().unwrap()]);
    all.extend(more);
    home.stdout(&all);
    place
}

#[test]
fn the_student_of_a_run_goes_out_as_a_whole_model() {
    let home = Home::new();
    let config = home.scripted(0, 2);
    home.stdout(&["run", "--config", &config, "--headless", "--name", "whole"]);
    let export = |name: &str, more: &[&str]| {
        let output = home.output(&[&["export", name, "--format", "model"], more].concat());
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let refused = |name: &str, more: &[&str], expected: &str| {
        let (worked, said) = export(name, more);
        assert!(!worked && said.contains(expected), "{more:?}: {said}");
    };
    refused("whole", &[], "a scripted student has no weights");
    refused("whole", &["--iteration", "0"], "use the model that the run began with");
    refused("whole", &["--iteration", "0"], "Trained are: 1, 2");
    refused("whole", &["--iteration", "3"], "iteration 3 is not trained");
    refused("whole", &["--iteration", "1-2"], "a model is of one iteration");
    refused("whole", &["--as", "parquet"], "only --iteration N and --out FOLDER");
    refused("whole", &["--force"], "never written over another folder");

    // What our trainer would have left there.
    let folder = home.run_folder("whole").join("checkpoints");
    let full = trained(&home, "full", &["--method", "full"]);
    for n in [1, 2] {
        let place = folder.join(format!("iteration-{n:03}"));
        fs::remove_dir_all(&place).unwrap();
        fs::create_dir(&place).unwrap();
        for (name, bytes) in files(&full) {
            fs::write(place.join(name), bytes).unwrap();
        }
    }
    let (worked, said) = export("whole", &[]);
    let selected = episode(&home.run_folder("whole")).unwrap().selected.unwrap();
    assert!(worked && said.contains(&format!("iteration {selected}, selected by validation")), "{said}");
    let out = home.run_folder("whole").join(format!("exports/model-iteration-{selected:03}"));
    let carried = |name: &Path| !["README.md", "SHA256SUMS"].contains(&name.to_str().unwrap());
    let kept =
        |folder: &Path| files(folder).into_iter().filter(|(name, _)| carried(name)).collect::<Vec<_>>();
    assert!(kept(&out) == kept(&full), "not the checkpoint's files");
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    let sum = fs::read_to_string(full.join("SHA256SUMS")).unwrap();
    let sum = sum.lines().find(|line| line.ends_with("model.safetensors")).unwrap();
    assert!(card.contains("of the run `whole`") && card.contains(sum.split(' ').next().unwrap()), "{card}");
    refused("whole", &[], "exists already");
    fs::remove_dir_all(folder.join("iteration-001")).unwrap();
    refused("whole", &["--iteration", "1"], "is gone. Restore it from a copy");

    // It is a model like any other.
    let again = trained(&home, "again", &["--student", out.to_str().unwrap()]);
    assert!(again.join("model.safetensors").is_file());
}
