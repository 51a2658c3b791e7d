//! Every environment and every domain, headless, with scripted models: store, resume, images.

use dataenvgym::gym::datum::Verdict;
use dataenvgym::gym::episode::Halt;
use dataenvgym::gym::instance::Domain;
use dataenvgym::gym::ports::Ledger;
use dataenvgym::store::{Store, read_artifact};

use crate::exchange::files;
use crate::home::{Home, episode, outcome, wait_for};

/// A configuration of a taught run on a scripted world.
fn configuration(home: &Home, domain: Domain, environment: &str, policy: &str, rest: &str) -> String {
    let name = format!("{}-{}.toml", domain.as_str(), environment.len());
    let path = home.path(&name);
    let text = format!(
        "name = \"scripted\"\n\
         [task]\nkind = \"scripted\"\ndomain = \"{}\"\nskills = 3\nper_skill = 6\n\
         [environment]\n{environment}\n\
         [policy]\n{policy}\n\
         [engine]\nkind = \"taught\"\ndata_per_question = 4\n\
         [teacher]\nmodel = \"scripted\"\nworkers = 1\n\
         [student]\nmodel = \"scripted\"\nworkers = 1\n\
         {rest}",
        domain.as_str()
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const TREE: (&str, &str) = (
    "kind = \"skill_tree\"",
    "kind = \"alternating\"\nexplore = { new_subskills = 1, data_per_subskill = 6 }",
);
const LIST: (&str, &str) =
    ("kind = \"skill_list\"", "kind = \"hypotheses\"\nhypotheses = 2\nspecifications = 3\nshown = 2");
const OPEN: (&str, &str) =
    ("kind = \"open_ended\"", "kind = \"errors\"\ndata = 10\ndata_per_question = 4\nshown = 2");

#[test]
fn each_domain_goes_around_and_its_images_are_kept() {
    let home = Home::new();
    for domain in Domain::ALL {
        let rest = "[episode]\niterations = 2\nrounds = 2\n";
        let config = configuration(&home, domain, TREE.0, TREE.1, rest);
        let name = domain.as_str();
        home.stdout(&["run", "--config", &config, "--headless", "--name", name]);
        let folder = home.run_folder(name);
        let store = Store::open(&folder).unwrap();
        let data = store.data().unwrap();
        // Explore in the first round of an iteration, nothing in the second.
        assert_eq!(data.len(), 3 * 6 * 2, "{name}");
        assert!(
            data.iter().all(|d| d.verdict == Verdict::Accepted && d.datum.provenance.teacher_call.is_some())
        );
        let pictures = data.iter().flat_map(|d| &d.datum.images).map(|i| read_artifact(&folder, i).unwrap());
        let expected = if domain == Domain::VisualQuestionAnswering { data.len() } else { 0 };
        assert_eq!(pictures.filter(|bytes| bytes.starts_with(b"\x89PNG")).count(), expected);
    }
}

#[test]
fn lists_of_errors_with_and_without_the_state() {
    let home = Home::new();
    for (n, (environment, policy)) in [LIST, OPEN].into_iter().enumerate() {
        for state in ["with", "none"] {
            let environment = format!("{environment}\nstate = \"{state}\"");
            let rest = "[episode]\niterations = 2\n";
            let config = configuration(&home, Domain::Mathematics, &environment, policy, rest);
            let name = format!("{state}-{n}");
            home.stdout(&["run", "--config", &config, "--headless", "--name", &name]);
            let folder = home.run_folder(&name);
            let episode = episode(&folder).unwrap();
            assert_eq!(episode.halt, Some(Halt::Finished));
            let plan = &episode.iterations[1].plans[0];
            let shown: Vec<&String> = plan.allocations.iter().flat_map(|a| &a.shown).collect();
            let part = if state == "with" { "validation-" } else { "pool-" };
            assert!(!shown.is_empty() && shown.iter().all(|id| id.starts_with(part)), "{name}: {shown:?}");
            let data = Store::open(&folder).unwrap().data().unwrap();
            assert!(data.iter().all(|d| !d.datum.skill.is_empty() && !d.datum.subskill.is_empty()));
            assert!(data.iter().all(|d| !d.datum.provenance.source_errors.is_empty()));
        }
    }
}

#[test]
fn in_each_environment_one_seed_gives_the_same_bytes_and_another_others() {
    let home = Home::new();
    for (n, (environment, policy)) in [TREE, LIST, OPEN].into_iter().enumerate() {
        let rest = "[episode]\niterations = 2\nrounds = 2\n";
        let config = configuration(&home, Domain::Mathematics, environment, policy, rest);
        let [a, b, c] = [("a", "1"), ("b", "1"), ("c", "2")].map(|(name, seed)| {
            let name = format!("{name}-{n}");
            home.stdout(&["run", "--config", &config, "--headless", "--name", &name, "--seed", seed]);
            let out = home.path(&format!("out-{name}"));
            home.stdout(&["export", &name, "--format", "records", "--out", out.to_str().unwrap()]);
            files(&out)
        });
        assert!(!a.is_empty() && a == b, "{environment}: two runs of one seed differ");
        assert!(a != c, "{environment}: two seeds give the same");
    }
}

#[test]
fn a_teacher_that_fails_and_writes_badly_changes_nothing_but_the_yield() {
    let home = Home::new();
    let faults = "script = { failing = 0.05, malformed = 0.2, truncated = 0.2, repeated = 0.1 }\n";
    let config = configuration(&home, Domain::ToolUse, TREE.0, TREE.1, "");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[teacher]\n", &format!("[teacher]\n{faults}"));
    std::fs::write(&config, format!("{text}[episode]\niterations = 2\nretries = 20\n")).unwrap();
    for name in ["a", "b"] {
        home.stdout(&["run", "--config", &config, "--headless", "--name", name]);
    }
    let [a, b] = ["a", "b"].map(|name| outcome(&home.run_folder(name)));
    assert_eq!(a, b);
    assert!(!a.data.is_empty() && a.data.len() < 36, "{}", a.data.len());
}

#[test]
fn a_gate_holds_a_detached_run_until_a_command() {
    let home = Home::new();
    let rest = "[episode]\niterations = 1\ngates = [\"train\"]\n";
    let config = configuration(&home, Domain::Programming, TREE.0, TREE.1, rest);
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    wait_for("the gate", || matches!(episode(&folder)?.halt, Some(Halt::Gate { .. })).then_some(()));
    home.stdout(&["run", "--name", "scripted"]);
}

/// A worker ends with the failure of its model; the one that takes its place makes the second attempt.
#[test]
fn a_student_that_fails_once_at_every_question_goes_around_and_one_without_retries_pauses() {
    let home = Home::new();
    let policy = "kind = \"uniform\"\ndata = 2";
    for (name, retries) in [("patient", 1), ("impatient", 0)] {
        let rest = format!("[episode]\niterations = 1\nretries = {retries}\n");
        let config = configuration(&home, Domain::Mathematics, LIST.0, policy, &rest);
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("skills = 3\nper_skill = 6", "skills = 1\nper_skill = 1");
        let text = text.replace("[student]\n", "[student]\nscript = { failing = 1.0, malformed = 1.0 }\n");
        std::fs::write(&config, text).unwrap();
        let output = home.output(&["run", "--config", &config, "--headless", "--name", name]);
        let said = crate::home::text(&output.stdout);
        assert_eq!(output.status.success(), retries == 1, "{said}");
        let folder = home.run_folder(name);
        if retries == 0 {
            assert!(
                said.contains("paused by a failure: student@cpu#0: the scripted student fails"),
                "{said}"
            );
            continue;
        }
        assert_eq!(episode(&folder).unwrap().halt, Some(Halt::Finished));
        // What no scorer understands is kept as it was said, and is wrong.
        let answers = outcome(&folder).predictions;
        let mut answers = answers.into_iter().flatten().peekable();
        assert!(answers.peek().is_some());
        assert!(answers.all(|p| p.response == "I would rather not say" && p.answer.is_none() && !p.correct));
    }
}
