//! Policies, checks, skills and benchmarks through the real program, with scripted models.

use std::path::Path;
use std::sync::Arc;

use dataenvgym::agents::engines::{Taught, TaughtSettings};
use dataenvgym::agents::policies::PolicyChoice;
use dataenvgym::checks::CheckSettings;
use dataenvgym::environments::{Environment, Models, Scene, TeacherSource};
use dataenvgym::gym::budget::Budget;
use dataenvgym::gym::datum::{JudgedDatum, Verdict};
use dataenvgym::gym::episode::{EpisodeRules, Halt, Phase};
use dataenvgym::gym::instance::{Domain, Split};
use dataenvgym::gym::ports::{Checkpoint, EnvironmentKind, Ledger, Task, TrainingSettings};
use dataenvgym::models::scripted::{Script, ScriptedStudent, ScriptedTeacher, ScriptedTrainer};
use dataenvgym::skills::{DiscoveredSkills, ListProposal};
use dataenvgym::store::{CallFilter, Patience, PredictionFilter, Reader, Store};
use dataenvgym::tasks::scripted::ScriptedTask;
use dataenvgym::worlds::scripted::subskills;

use crate::home::{Home, episode, outcome, text};

/// Writes a configuration of a run with scripted models and returns its path.
fn configuration(home: &Home, name: &str, task: &str, rest: &str) -> String {
    let path = home.path(&format!("{name}.toml"));
    let text = format!(
        "name = \"{name}\"\n[task]\n{task}\n\
         [teacher]\nmodel = \"scripted\"\nworkers = 1\n\
         [student]\nmodel = \"scripted\"\nworkers = 1\n{rest}"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const SCRIPTED: &str = "kind = \"scripted\"\ndomain = \"mathematics\"\nskills = 3\nper_skill = 6";
const TAUGHT: &str = "[engine]\nkind = \"taught\"\ndata_per_question = 4\n";

#[test]
fn the_readme_shows_a_policy_and_the_library_as_they_are_compiled() {
    let (readme, file) =
        (include_str!("../../README.md"), include_str!("../../src/agents/policies/uniform.rs"));
    assert!(file.lines().count() < 100);
    assert!(readme.contains(&format!("```rust\n{file}```")), "README.md shows another uniform.rs");
    let example = include_str!("example.rs");
    assert!(example.lines().count() < 60);
    assert!(readme.contains(&format!("```rust\n{example}```")), "README.md shows another example.rs");
    let missing: Vec<&str> = dataenvgym::prompts::BUILT_IN.iter().map(|p| p.name).collect();
    assert!(missing.iter().all(|name| readme.contains(&format!("`{name}`"))), "README.md lacks a prompt");
}

/// One episode in memory: no process, no database.
fn around(choice: &PolicyChoice, environment: EnvironmentKind) -> Vec<JudgedDatum> {
    let folder = tempfile::tempdir().unwrap();
    let task: Arc<dyn Task> = Arc::new(ScriptedTask::new(Domain::Mathematics, 3, 6, 64).unwrap());
    let base = Checkpoint::Full { folder: folder.path().to_owned() };
    let names = task.skills().into_iter().map(|s| (s.clone(), subskills(&s)));
    let scene = Scene {
        policy: choice.build(),
        proposal: Arc::new(ListProposal::new(names)),
        engine: Arc::new(Taught::new(TaughtSettings::default(), task.clone())),
        teacher: Some(TeacherSource { name: "scripted".into(), checkpoint: base.clone() }),
        prompts: Arc::default(),
        verifier: None,
        discovery: None,
        hidden: false,
        checks: CheckSettings { known_samples: 2, ..CheckSettings::default() },
        base,
        training: TrainingSettings::default(),
        continues: false,
        stays: dataenvgym::environments::Stays::default(),
        seed: 1,
        checkpoints: folder.path().join("checkpoints"),
        task: task.clone(),
    };
    let answers = [Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split));
    let answers = answers.map(|instance| (task.prompt(instance), task.solution(instance))).collect();
    let mut student = ScriptedStudent::knowing(Script::default(), answers);
    let (mut trainer, mut teacher) = (ScriptedTrainer::new(Script::default()), ScriptedTeacher::default());
    let models = Models { teacher: Some(&mut teacher), ..Models::new(&mut student, &mut trainer) };
    let budget = Budget { iterations: 3, ..Budget::default() };
    let rules = EpisodeRules { budget, environment, ..EpisodeRules::default() };
    let mut environment = Environment::new(rules, scene, models);
    environment.reset().unwrap();
    for _ in 0..3 {
        environment.step().unwrap();
    }
    environment.ledger().data().unwrap()
}

#[test]
fn every_policy_goes_around_in_every_environment_it_acts_in() {
    for choice in PolicyChoice::all() {
        for environment in choice.build().environments() {
            let data = around(&choice, *environment);
            assert!(!data.is_empty(), "{choice:?} in {environment:?}");
            let form = data.iter().flat_map(|d| &d.checks).filter(|c| c.check == "form");
            assert!(form.clone().count() == data.len() && form.clone().all(|c| c.passed));
        }
    }
}

#[test]
fn the_list_of_agents_names_every_choice_with_its_parameters() {
    let listed = Home::new().stdout(&["agents"]);
    for choice in PolicyChoice::all() {
        let policy = choice.build();
        let line = listed.lines().find(|line| line.trim().starts_with(&format!("{} ", policy.name())));
        assert!(line.is_some_and(|line| line.ends_with(policy.about())), "{}", policy.name());
    }
    for words in
        ["acts in skill_tree, skill_list", "data = 400", "; asks the teacher", "engines (engine.kind)"]
    {
        assert!(listed.contains(words), "{listed}");
    }
}

#[test]
fn graded_checks_are_kept_with_the_data_and_replayed_when_a_run_is_repeated() {
    let home = Home::new();
    let rest = format!(
        "{TAUGHT}[policy]\nkind = \"uniform\"\ndata = 12\n\
         [checks]\nvotes = 3\nknown_samples = 4\nfilter = [\"form\", \"agreement\"]\n\
         [episode]\niterations = 2\n"
    );
    let config = configuration(&home, "graded", SCRIPTED, &rest);
    for name in ["a", "b"] {
        home.stdout(&["run", "--config", &config, "--headless", "--name", name]);
    }
    let [a, b] = ["a", "b"].map(|name| outcome(&home.run_folder(name)));
    assert_eq!(a, b);
    // The scripted teacher answers at random: it never agrees with itself.
    assert!(a.data.iter().all(|d| d.verdict == Verdict::Rejected));
    let names = |n: usize| a.data[n].checks.iter().map(|c| c.check.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["form", "leakage", "duplicate", "near_duplicate", "agreement", "known"]);
    let agreement = a.data[0].checks.iter().find(|c| c.check == "agreement").unwrap();
    assert!(agreement.filters && agreement.score == Some(0.0), "{agreement:?}");
    let row = &episode(&home.run_folder("a")).unwrap().iterations[1];
    assert_eq!(row.failed["agreement"], row.rejected);
}

#[test]
fn a_second_model_votes_and_a_run_killed_among_its_votes_comes_to_the_same_end() {
    let home = Home::new();
    let rest = format!(
        "{TAUGHT}[verifier]\nmodel = \"scripted\"\nworkers = 1\nscript = {{ malformed = 1.0 }}\n\
         [policy]\nkind = \"uniform\"\ndata = 12\n[checks]\nvotes = 2\nfilter = [\"agreement\"]\n\
         [episode]\niterations = 1\n"
    );
    let config = configuration(&home, "votes", SCRIPTED, &rest);
    let run = |name: &str, more: &[&str], fault: Option<&str>| {
        let mut arguments = vec!["run", "--config", &config, "--headless", "--name", name];
        arguments.extend(more);
        let mut command = home.command(&arguments);
        command.envs(fault.map(|fault| ("DATAENVGYM_FAULT", fault))).output().unwrap().status
    };
    let votes = |name: &str| {
        let data = outcome(&home.run_folder(name)).data;
        let vote = |d: &JudgedDatum| {
            let check = d.checks.iter().find(|check| check.check == "agreement").unwrap();
            (d.verdict, check.reason.clone())
        };
        data.iter().map(vote).collect::<Vec<_>>()
    };
    // The scripted teacher solves at random, this verifier says nothing that could be read.
    assert!(run("whole", &[], None).success());
    let unread = "0 of 2 solutions come to the claimed answer, 2 could not be read";
    let whole = votes("whole");
    assert_eq!(whole, vec![(Verdict::Rejected, unread.to_owned()); whole.len()]);
    assert!(home.run_folder("whole").join("logs").join("verifier@cpu#0.log").exists());
    assert!(run("alone", &["--set", "verifier.model=none"], None).success());
    assert!(votes("alone").iter().all(|(_, reason)| !reason.contains("read")));
    // Every answer is one commit, and those of the generation come first. Two votes, each asked for once more.
    let solved = 4 * whole.len();
    let written = calls(&home.run_folder("whole")) - solved;
    assert!(!run("killed", &[], Some(&format!("store.calls.after:{}", written + 7))).success());
    let work = episode(&home.run_folder("killed")).unwrap().work.unwrap();
    assert_eq!(work.phase, Phase::Check);
    assert_eq!(calls(&home.run_folder("killed")), written + 7);
    assert!(run("killed", &[], None).success());
    assert_eq!(outcome(&home.run_folder("killed")), outcome(&home.run_folder("whole")));
    assert_eq!(calls(&home.run_folder("killed")), written + solved);
}

#[test]
fn a_phase_asks_the_teacher_no_more_than_its_budget_allows() {
    let home = Home::new();
    let rest = format!("{TAUGHT}[policy]\nkind = \"uniform\"\ndata = 12\n[episode]\nphase_tokens = 40\n");
    let config = configuration(&home, "thrifty", SCRIPTED, &rest);
    let output = home.output(&["run", "--config", &config, "--headless"]);
    let said = text(&output.stderr);
    assert!(said.contains("the teacher's 40 tokens for one phase are spent"), "{said}");
    let folder = home.run_folder("thrifty");
    let (paused, kept) = (episode(&folder).unwrap(), calls(&folder));
    assert_eq!(paused.work.map(|work| work.phase), Some(Phase::Generate));
    assert!(matches!(paused.halt, Some(Halt::Failure { .. })) && kept > 0, "{:?} {kept}", paused.halt);
    // Nothing more is asked when it goes on under the same limit.
    let again = home.output(&["run", "--headless", "--name", "thrifty"]);
    assert!(!again.status.success());
    assert_eq!(calls(&folder), kept);
}

fn calls(folder: &Path) -> usize {
    Reader::open(folder)
        .unwrap()
        .count_teacher_calls(&CallFilter::default(), Patience::default())
        .unwrap()
        .rows as usize
}

#[test]
fn skills_are_found_before_the_first_phase_and_can_be_used_again() {
    let home = Home::new();
    let policy = "[policy]\nkind = \"fixed\"\nexplore = { new_subskills = 2, data_per_subskill = 2 }\n";
    let found = "[environment]\nsubskills = \"taught\"\n[skills]\nkind = \"discovered\"\ncategories = 3\n";
    let rest = format!("{TAUGHT}{policy}{found}[episode]\niterations = 2\n");
    let config = configuration(&home, "found", SCRIPTED, &rest);
    home.stdout(&["run", "--config", &config, "--headless"]);
    let folder = home.run_folder("found");
    let skills = DiscoveredSkills::read(&folder.join("skills.json")).unwrap();
    assert_eq!((skills.labeled_instructions.len(), skills.instance_id_to_skill_category.len()), (18, 18));
    let first = episode(&folder).unwrap();
    assert_eq!(first.halt, Some(Halt::Finished));
    let named: Vec<&str> = first.forest.trees.iter().map(|tree| tree.skill.as_str()).collect();
    let categories: Vec<&str> = skills.skill_categories.iter().map(|c| c.descriptive_name.as_str()).collect();
    assert!(named.iter().all(|skill| categories.contains(skill)), "{named:?} of {categories:?}");
    // The scripted teacher makes up names, and no name comes twice.
    assert!(first.forest.trees.iter().all(|tree| tree.subskills.len() == 4), "{:?}", first.forest);
    // The run shows the skills in use: its questions, the lists of answers, its exports.
    let reader = Reader::open(&folder).unwrap();
    let found = skills.skills();
    reader
        .each_instance(Split::Validation, |i| assert_eq!(i.skill.as_ref(), found.get(&i.id), "{}", i.id))
        .unwrap();
    for category in found.values() {
        let of = |filter| reader.count_predictions(&filter, Patience::default()).unwrap().rows as usize;
        let (split, skill) = (Split::Validation, Some(category.clone()));
        let filter = PredictionFilter { skill, ..PredictionFilter::all(0, split) };
        assert_eq!(of(filter), found.values().filter(|c| *c == category).count());
    }
    let lines = home.stdout(&["export", "found", "--format", "records", "--only", "instances", "--out", "-"]);
    assert!(found.values().all(|category| lines.contains(&format!("\"skill\":\"{category}\""))), "{lines}");
    std::fs::copy(folder.join("skills.json"), home.path("mine.json")).unwrap();
    let given = "[skills]\nkind = \"file\"\nfile = \"mine.json\"\n";
    let rest = format!("{TAUGHT}{policy}{given}[episode]\niterations = 1\n");
    let config = configuration(&home, "given", SCRIPTED, &rest);
    home.stdout(&["run", "--config", &config, "--headless"]);
    let second = episode(&home.run_folder("given")).unwrap();
    let again: Vec<&str> = second.forest.trees.iter().map(|tree| tree.skill.as_str()).collect();
    assert_eq!(named, again);
}

#[test]
fn a_benchmark_and_several_tasks_at_once_report_their_parts() {
    let home = Home::new();
    let line = |n: u32| {
        let subject = ["Algebra", "Geometry"][n as usize % 2];
        format!(
            r#"{{"problem": "Number {n}, {} and {} make what?", "level": "Level {}", "type": "{subject}", "solution": "It is $\\boxed{{{}}}$."}}"#,
            n + 7,
            3 * n,
            n % 5 + 1,
            5 * n + 7
        )
    };
    std::fs::create_dir(home.path("math")).unwrap();
    for (name, from) in [("train", 0), ("test", 1000)] {
        let lines: Vec<String> = (from..from + 60).map(line).collect();
        std::fs::write(home.path("math").join(format!("{name}.jsonl")), lines.join("\n")).unwrap();
    }
    let math =
        "kind = \"benchmark\"\nsource = \"math\"\npath = \"math\"\nvalidation = \"val_balanced_subset_2\"";
    let rest = "[engine]\nkind = \"selection\"\n[policy]\nkind = \"by_error\"\ndata = 10\n[episode]\niterations = 1\n";
    let config = configuration(&home, "math", math, rest);
    let out = home.stdout(&["run", "--config", &config, "--headless"]);
    assert!(out.contains("level Level 3: ") && out.contains("subject Geometry: "), "{out}");
    assert!(out.contains("\nleakage: no question stands in two splits\n"), "{out}");
    let folder = home.path("report");
    let said = home.stdout(&["report", "math", "--json", "--out", folder.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let slices = report["slices"].as_array().unwrap();
    let questions = |facet: &str| -> u64 {
        slices.iter().filter(|s| s["facet"] == facet).map(|s| s["gain"]["n"].as_u64().unwrap()).sum()
    };
    assert_eq!((questions("subject"), questions("level")), (60, 60), "{slices:?}");
    let whole = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(
        whole.contains("## Parts of the test split") && whole.contains("| subject Geometry |"),
        "{whole}"
    );
    assert!(whole.contains("Between the splits when the run was made: no question stands in two splits."));
    let sum = |n: u32| {
        format!(
            r#"{{"question": "Ann has {n} pens, {} cups and {} hats. How many things?", "answer": "Add.\n#### {}"}}"#,
            n + 1,
            n + 2,
            3 * n + 3
        )
    };
    std::fs::write(home.path("sums.jsonl"), (0..40).map(sum).collect::<Vec<_>>().join("\n")).unwrap();
    let math = math.replace("kind = \"benchmark\"\n", "");
    let several = format!(
        "kind = \"several\"\n[[task.benchmarks]]\n{math}\n[[task.benchmarks]]\n\
         source = \"gsm8k\"\npath = \"sums.jsonl\""
    );
    let config = configuration(&home, "several", &several, rest);
    let out = home.stdout(&["run", "--config", &config, "--headless"]);
    assert!(out.contains("task gsm8k: ") && out.contains("task math/val_balanced_subset_2: "), "{out}");
}

#[test]
fn a_run_keeps_the_prompts_it_began_with() {
    let home = Home::new();
    let prompts = home.path(".config/dataenvgym/prompts");
    std::fs::create_dir_all(&prompts).unwrap();
    std::fs::write(prompts.join("mathematics.txt"), "Write {{ count }} riddles.").unwrap();
    let rest = format!("{TAUGHT}[policy]\nkind = \"uniform\"\ndata = 8\n[episode]\niterations = 1\n");
    let config = configuration(&home, "mine", SCRIPTED, &rest);
    home.stdout(&["run", "--config", &config, "--headless"]);
    let folder = home.run_folder("mine");
    let store = Store::open(&folder).unwrap();
    let call = store.data().unwrap()[0].datum.provenance.teacher_call.clone().unwrap();
    let call = store.teacher_call(&call).unwrap().unwrap();
    assert!(call.request.prompt.ends_with("riddles.") && call.context.prompt.starts_with("mathematics@"));
    assert!(folder.join("prompts/mathematics.txt").is_file());
    std::fs::write(prompts.join("mathematics.txt"), "{{ cuont }}").unwrap();
    let output = home.output(&["run", "--config", &config, "--headless", "--name", "other"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("mathematics.txt: line 1"), "{said}");
    assert!(!home.run_folder("other").exists());
    home.stdout(&["run", "--headless", "--name", "mine"]);
}

#[test]
fn what_asks_a_teacher_says_so_when_there_is_none() {
    let home = Home::new();
    let config = home.path("none.toml");
    std::fs::write(&config, "name = \"none\"\n[task]\nkind = \"arithmetic\"\n[checks]\nvotes = 2\n").unwrap();
    let output = home.output(&["run", "--config", config.to_str().unwrap(), "--headless"]);
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("`checks.votes`") && said.contains("`teacher.model`"),
        "{said}"
    );
}

#[test]
fn the_doctor_puts_every_prompt_to_a_teacher_and_counts_what_could_be_used() {
    let home = Home::new();
    let rows = |variables: &[(&str, &str)]| -> Vec<serde_json::Value> {
        let mut command = home.command(&["doctor", "--teacher", "scripted", "--answers", "3", "--json"]);
        let output = command.env("DATAENVGYM_TEACHER__WORKERS", "1").envs(variables.iter().copied()).output();
        text(&output.unwrap().stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let whole = rows(&[]);
    for prompt in dataenvgym::prompts::BUILT_IN {
        let name = format!("{}@{}", prompt.name, prompt.version);
        let row = whole.iter().find(|row| row["prompt"] == *name).unwrap_or_else(|| panic!("{name}"));
        let count = |key: &str| row[key].as_u64().unwrap();
        assert_eq!(count("asked"), count("well_formed") + count("repaired") + count("malformed"), "{row}");
        // The scripted teacher obeys schemas, and writes words where there is none.
        let obeys = !["aggregate_short", "student_zero_shot", "student_few_shot"].contains(&prompt.name);
        assert!(!obeys || (count("asked") > 0 && count("malformed") == 0), "{row}");
    }
    let faulty = rows(&[("DATAENVGYM_TEACHER__SCRIPT", "{ malformed = 0.5, truncated = 0.2 }")]);
    let solve = faulty.iter().find(|row| row["prompt"] == "solve@1").unwrap();
    let label = faulty.iter().find(|row| row["prompt"] == "label@1").unwrap();
    let malformed = |row: &serde_json::Value| row["malformed"].as_u64().unwrap();
    assert!(malformed(solve) + malformed(label) > 0, "{solve} {label}");
    assert!(label["reasons"].as_array().unwrap().iter().all(|reason| !reason.as_str().unwrap().is_empty()));
    let output = home.output(&["doctor", "--teacher", "none"]);
    assert!(!output.status.success() && text(&output.stderr).contains("no teacher"));
}
