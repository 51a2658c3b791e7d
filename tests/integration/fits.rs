//! What goes together in a configuration, and what is refused before a run begins.

use dataenvgym::gym::episode::Halt;

use crate::home::{Home, episode, outcome, text};

/// Writes a file of one JSON object per line.
fn lines(home: &Home, name: &str, count: u32, line: impl Fn(u32) -> String) {
    std::fs::write(home.path(name), (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
}

fn files(home: &Home) {
    lines(home, "gsm8k.jsonl", 60, |n| {
        let (a, b, all) = (n + 1, 2 * n + 3, 3 * n + 11);
        format!(
            r#"{{"question": "Ann has {a} pens, {b} cups and 7 hats. How many things?", "answer": "Add.\n#### {all}"}}"#
        )
    });
    lines(home, "aqua.jsonl", 60, |n| {
        let options = format!(r#"["A){n}", "B){}", "C)1", "D)2", "E)3"]"#, n + 20);
        format!(
            r#"{{"question": "What is {n} and {} and 20?", "options": {options}, "rationale": "Add.", "correct": "B"}}"#,
            3 * n + 50
        )
    });
    std::fs::write(
        home.path("written.toml"),
        "[[skill]]\nname = 'Low'\nwords = ['pens']\nsubskills = ['first', 'second']\n",
    )
    .unwrap();
    std::fs::write(home.path("plain.toml"), "[[skill]]\nname = 'Low'\nwords = ['pens']\n").unwrap();
}

const GSM8K: &str = "kind = \"benchmark\"\nsource = \"gsm8k\"\npath = \"gsm8k.jsonl\"\n";
const AQUA: &str = "kind = \"benchmark\"\nsource = \"aqua\"\npath = \"aqua.jsonl\"\n";
const WORLD: &str = "kind = \"arithmetic\"\nvalidation_per_skill = 1\ntest_per_skill = 1\n";
const VOTES: &str = "[checks]\nvotes = 1\n";
const SELECTION: &str = "[engine]\nkind = \"selection\"\n";

fn configuration(home: &Home, name: &str, task: &str, rest: &str) -> String {
    let path = home.path(&format!("{name}.toml"));
    let models =
        "[student]\nmodel = \"scripted\"\nworkers = 1\n[teacher]\nmodel = \"scripted\"\nworkers = 1\n";
    std::fs::write(&path, format!("name = \"{name}\"\n[task]\n{task}{models}{rest}")).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_would_leave_a_run_without_data_is_refused_before_it_begins() {
    let home = Home::new();
    files(&home);
    let found = "[skills]\nkind = \"discovered\"\n";
    let written = "[skills]\nkind = \"written\"\nfile = \"written.toml\"\n";
    let taught = "[engine]\nkind = \"taught\"\n";
    for (task, rest, words) in [
        (GSM8K, format!("{SELECTION}{found}"), "`skills.assign = [\"pool\"]`"),
        (GSM8K, format!("{SELECTION}{written}"), "leave `subskills` out"),
        (WORLD, found.to_owned(), "`skills.kind = \"gold\"`"),
        (WORLD, written.to_owned(), "`skills.kind = \"gold\"`"),
        (AQUA, taught.to_owned(), "`engine.kind = \"selection\"`"),
        (AQUA, format!("{SELECTION}[checks]\nvotes = 3\n"), "`checks.votes = 0`"),
        (WORLD, format!("{VOTES}[verifier]\nmodel = \"nowhere\"\n"), "nowhere"),
        (
            WORLD,
            format!("{VOTES}[verifier]\nmodel = \"embedded\"\ndevice = \"cuda:9\"\n"),
            "`verifier.device`",
        ),
        (WORLD, "[policy]\nkind = \"planner\"\nview = \"training\"\n".to_owned(), "`checks.known_samples`"),
    ] {
        let config = configuration(&home, "refused", task, &rest);
        let output = home.output(&["run", "--headless", "--config", &config]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{rest}: {said}");
        assert!(!home.run_folder("refused").exists(), "{rest}");
    }
}

/// Plans name what has no name `unsorted` and `all`.
#[test]
fn a_benchmark_without_skills_is_selected_from_in_every_environment() {
    let home = Home::new();
    files(&home);
    for (kind, task) in
        [("skill_tree", GSM8K), ("skill_list", GSM8K), ("open_ended", GSM8K), ("skill_tree", AQUA)]
    {
        let policy = if kind == "open_ended" { "errors" } else { "by_error" };
        let rest = format!(
            "{SELECTION}[environment]\nkind = \"{kind}\"\n[policy]\nkind = \"{policy}\"\ndata = 10\n[episode]\niterations = 1\n"
        );
        let name = format!("{kind}-{}", task.len());
        home.stdout(&["run", "--headless", "--config", &configuration(&home, &name, task, &rest)]);
        let accepted = episode(&home.run_folder(&name)).unwrap().iterations[1].accepted;
        assert_eq!(accepted, 10, "{name}");
    }
}

#[test]
fn what_is_selected_of_several_benchmarks_is_accepted_from_each() {
    let home = Home::new();
    files(&home);
    let benchmark =
        |task: &str| format!("[[task.benchmarks]]\n{}", task.replace("kind = \"benchmark\"\n", ""));
    let several = format!("kind = \"several\"\n{}{}", benchmark(GSM8K), benchmark(AQUA));
    let rest = format!("{SELECTION}[policy]\nkind = \"by_error\"\ndata = 24\n[episode]\niterations = 1\n");
    home.stdout(&["run", "--headless", "--config", &configuration(&home, "both", &several, &rest)]);
    let data = outcome(&home.run_folder("both")).data;
    for origin in ["gsm8k/", "aqua/"] {
        let of = data.iter().filter(|d| {
            d.datum.provenance.source_instance.as_deref().is_some_and(|id| id.starts_with(origin))
        });
        let results = of.flat_map(|d| d.checks.iter().filter(|c| c.check == "form").map(|c| c.passed));
        let results: Vec<bool> = results.collect();
        assert!(results.len() > 3 && results.iter().all(|passed| *passed), "{origin}: {results:?}");
    }
}

#[test]
fn written_skills_and_their_subskills_grow_into_the_forest() {
    let home = Home::new();
    files(&home);
    let policy = "[policy]\nkind = \"fixed\"\nexplore = { new_subskills = 2, data_per_subskill = 3 }\n";
    let skills = |file: &str| format!("[skills]\nkind = \"written\"\nfile = \"{file}\"\n");
    let rest = format!(
        "[engine]\nkind = \"taught\"\ndata_per_question = 3\n{policy}{}[checks]\nfilter = [\"form\"]\n[episode]\niterations = 1\n",
        skills("written.toml")
    );
    home.stdout(&["run", "--headless", "--config", &configuration(&home, "grown", GSM8K, &rest)]);
    let folder = home.run_folder("grown");
    let finished = episode(&folder).unwrap();
    assert_eq!(finished.halt, Some(Halt::Finished));
    let tree = finished.forest.tree("Low").unwrap();
    let names: Vec<&str> = tree.subskills.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    let data = outcome(&folder).data;
    assert!(data.iter().all(|d| d.datum.skill == "Low") && data.iter().any(|d| d.datum.subskill == "second"));
    // Skills without subskills can be selected from the pool.
    let rest = format!("{SELECTION}{policy}{}[episode]\niterations = 1\n", skills("plain.toml"));
    home.stdout(&["run", "--headless", "--config", &configuration(&home, "undivided", GSM8K, &rest)]);
    let row = episode(&home.run_folder("undivided")).unwrap().iterations[1].accepted;
    assert_eq!(row, 3);
}
