//! Which layer wins, and what that leaves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Value;

use super::checked;
use crate::config::{
    Config, ConfigError, Flag, Origin, READY, Resolved, Sources, project_file, read, resolve,
};

/// A folder with files of the user, of a project and for `--config`.
struct Desk {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sources: Sources::default() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn user(mut self, text: &str) -> Self {
        self.sources.user = Some(self.file("config.toml", text));
        self
    }

    fn project(mut self, text: &str) -> Self {
        self.sources.project = Some(self.file("dataenvgym.toml", text));
        self
    }

    fn config(mut self, text: &str) -> Self {
        self.sources.config = Some(self.file("given.toml", text).display().to_string());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((format!("DATAENVGYM_{name}").into(), value.into()));
        self
    }

    fn set(mut self, text: &str) -> Self {
        self.sources.set.push(text.to_owned());
        self
    }

    fn resolve(&self) -> Resolved {
        resolve(&self.sources).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> String {
        resolve(&self.sources).unwrap_err().to_string()
    }
}

fn origin(resolved: &Resolved, key: &str) -> String {
    let values = resolved.values().unwrap();
    let (.., origin) = values.into_iter().find(|(path, ..)| path.join(".") == key).unwrap();
    origin.short().rsplit('/').next().unwrap().to_owned()
}

const TASK: &str = "task = { kind = \"arithmetic\" }\n";

#[test]
fn each_layer_wins_over_those_below_it() {
    let epochs = |n: u32| format!("{TASK}[trainer]\nepochs = {n}\n");
    let mut desk = Desk::new();
    let mut seen = Vec::new();
    let steps: [fn(Desk, &str) -> Desk; 6] = [
        |desk, _| desk,
        |desk, text| desk.user(text),
        |desk, text| desk.project(text),
        |desk, text| desk.config(text),
        |desk, _| desk.variable("TRAINER__EPOCHS", "14"),
        |desk, _| desk.set("trainer.epochs=15"),
    ];
    for (n, step) in (10..).zip(steps) {
        desk = step(desk, &epochs(n));
        let resolved = desk.resolve();
        seen.push((resolved.config.trainer.epochs, origin(&resolved, "trainer.epochs")));
    }
    let expected = [
        (5, "ready configuration `quickstart`, line 23"),
        (11, "config.toml, line 3"),
        (12, "dataenvgym.toml, line 3"),
        (13, "given.toml, line 3"),
        (14, "DATAENVGYM_TRAINER__EPOCHS"),
        (15, "--set trainer.epochs=15"),
    ];
    assert_eq!(seen, expected.map(|(n, place)| (n, place.to_owned())));
    desk.sources.flags =
        vec![Flag { flag: "--iterations", key: "episode.iterations", value: Value::Integer(9) }];
    let resolved = desk.resolve();
    assert_eq!(
        (resolved.config.episode.iterations, origin(&resolved, "episode.iterations").as_str()),
        (9, "--iterations")
    );
    assert_eq!(origin(&resolved, "trainer.clip"), "default");
}

/// Neither the user's nor the project's file is a whole configuration as a rule.
#[test]
fn the_quick_start_is_below_files_that_name_no_task() {
    let quick = Desk::new().user("[student]\nworkers = 3\n").project("seed = 5\n").resolve().config;
    assert_eq!(
        (quick.name.as_str(), quick.seed, quick.student.workers, quick.trainer.epochs),
        ("quickstart", 5, 3, 5)
    );
    let own = Desk::new().project(&format!("name = \"own\"\n{TASK}")).resolve().config;
    assert_eq!((own.name.as_str(), own.trainer.epochs, own.student.max_tokens), ("own", 3, 64));
    let given = Desk::new().user("seed = 5\n").config("name = \"given\"\n").resolve().config;
    assert_eq!((given.name.as_str(), given.seed, given.trainer.epochs), ("given", 5, 3));
}

#[test]
fn tables_are_united_and_lists_replaced() {
    let desk = Desk::new()
        .project("[student.script]\nskill = 0.1\nceiling = 0.5\n[episode]\ngates = [\"plan\", \"train\"]\n")
        .config("[student]\nscript = { skill = 0.2 }\n[episode]\ngates = [\"check\"]\n");
    let config = desk.resolve().config;
    assert_eq!((config.student.script.skill, config.student.script.ceiling), (0.2, 0.5));
    assert_eq!(config.episode.gates, [crate::gym::episode::Phase::Check]);
}

#[test]
fn keys_of_another_kind_are_set_aside_and_those_of_the_same_kind_stay() {
    let arithmetic = "[task]\nkind = \"arithmetic\"\ntest_per_skill = 7\n";
    let scripted = "[task]\nkind = \"scripted\"\ndomain = \"tool_use\"\nskills = 2\n";
    let desk = Desk::new().project(arithmetic).config(scripted);
    let text = toml::to_string(&desk.resolve().config.task).unwrap();
    assert_eq!(text, "kind = \"scripted\"\ndomain = \"tool_use\"\nskills = 2\nper_skill = 10\n");
    // Named again, the kind keeps what lower layers say of it; named back, too.
    let again =
        Desk::new().project(arithmetic).config("[task]\nkind = \"arithmetic\"\nvalidation_per_skill = 8\n");
    let back = Desk::new()
        .project(arithmetic)
        .config(scripted)
        .set("task.kind=arithmetic")
        .set("task.validation_per_skill=8");
    for desk in [again, back] {
        let text = toml::to_string(&desk.resolve().config.task).unwrap();
        assert_eq!(text, "kind = \"arithmetic\"\nvalidation_per_skill = 8\ntest_per_skill = 7\n");
    }
    // A table without a kind has that of the layers below it.
    let desk = Desk::new().config(scripted).set("task.test_per_skill=3");
    assert!(
        desk.refused().contains("key of the kind `arithmetic`, and `task.kind` is `scripted`"),
        "{}",
        desk.refused()
    );
    let desk = Desk::new()
        .user("[policy]\ndata = 33\n")
        .variable("POLICY__KIND", "threshold")
        .set("policy.gain=0.5");
    let text = toml::to_string(&desk.resolve().config.policy).unwrap();
    assert!(text.starts_with("kind = \"threshold\"\ngain = 0.5\n") && !text.contains("33"), "{text}");
}

#[test]
fn values_outside_files_are_toml_or_else_text() {
    let desk = Desk::new()
        .variable("NAME", "2024")
        .variable("STUDENT__DEVICE", "cuda:1")
        .variable("STUDENT__MODEL", "scripted")
        .variable("EPISODE__GATES", "[\"plan\"]")
        .variable("EPISODE__TEST_EVERY_ITERATION", "true")
        .variable("STUDENT__SCRIPT", "{ skill = 0.5 }")
        .variable("LOG", "debug")
        .variable("FAULT_KILL_AT", "7")
        .set("trainer.learning_rate = 1e-3")
        .set("trainer.method=\"lora\"");
    let config = desk.resolve().config;
    assert_eq!((config.name.as_str(), config.student.device.as_str()), ("2024", "cuda:1"));
    assert_eq!((config.student.model.as_str(), config.episode.gates.len()), ("scripted", 1));
    assert!(config.episode.test_every_iteration);
    assert_eq!((config.student.script.skill, config.trainer.learning_rate), (0.5, 1e-3));
    let wrong = Desk::new()
        .variable("TRAINER_EPOCHS", "3")
        .variable("trainer__epochs", "3")
        .variable("EPISODE__GATES", "[plan]")
        .set("traner.epochs=3")
        .set("a b=3")
        .set("seed");
    let said = wrong.refused();
    for expected in [
        "6 mistakes",
        "DATAENVGYM_TRAINER_EPOCHS: it is no key of a configuration; did you mean DATAENVGYM_TRAINER__EPOCHS?",
        "DATAENVGYM_trainer__epochs: it is no key",
        "DATAENVGYM_EPISODE__GATES: `episode.gates` is \"[plan]\"; it takes a list of",
        "--set traner.epochs=3: unknown key `traner.epochs`; did you mean `trainer.epochs`?",
        "--set a b=3: `a b` is no key",
        "--set seed: it has no `=`",
    ] {
        assert!(said.contains(expected), "{said}\n{expected}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let mut desk = Desk::new();
        desk.sources.environment.push(("DATAENVGYM_NAME".into(), OsString::from_vec(vec![0xff])));
        assert!(desk.refused().contains("not UTF-8"));
    }
}

/// The mistakes of all layers are listed at once, each with its place.
#[test]
fn every_layer_reports_its_own_mistakes() {
    let desk = Desk::new()
        .user("sed = 1\n")
        .project("name = \n")
        .config("[trainer]\nepochs = 0\n")
        .variable("STUDENT__WORKERS", "-1")
        .set("seed=x");
    let said = desk.refused();
    for place in [
        "config.toml, line 1",
        "dataenvgym.toml, line 1",
        "given.toml, line 2",
        "STUDENT__WORKERS",
        "--set seed=x",
    ] {
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn every_ready_configuration_is_valid_and_survives_a_round_trip() {
    for (name, text) in READY {
        let desk = Desk {
            sources: Sources { config: Some((*name).to_owned()), ..Sources::default() },
            ..Desk::new()
        };
        let config = desk.resolve().config;
        assert_eq!(config.name, *name);
        assert_eq!(checked(text).unwrap().config, config);
        assert_eq!(checked(&toml::to_string(&config).unwrap()).unwrap().config, config);
    }
    let unready = ["svamp", "gsm8k-qwen", "svamp-llama", "math-gemma"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in unready {
        checked(&std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap()).unwrap();
    }
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in entries.filter(|path| path.is_file()) {
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let known = READY.iter().any(|(name, _)| *name == stem) || unready.contains(&stem.as_str());
        assert!(
            known || matches!(stem.as_str(), "schema" | "keymap" | "endpoints"),
            "configs/{stem}.toml is neither compiled in nor listed as an exception"
        );
    }
}

#[test]
fn the_copy_in_a_run_folder_means_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::create_dir_all(&one).unwrap();
    std::fs::create_dir_all(&two).unwrap();
    let text = "name = \"x\"\n[task]\nkind = \"jsonl\"\nfile = \"../items.jsonl\"\nresponse = \"{a}\"\n\
                columns = { question = [\"q\"], answer = \"a\" }\n[student]\nmodel = \"m\"\n[teacher]\nmodel = \"t\"\n\
                [verifier]\nmodel = \"v\"\n";
    std::fs::write(one.join("c.toml"), text).unwrap();
    let first = read(&one.join("c.toml")).unwrap();
    std::fs::write(two.join("c.toml"), toml::to_string(&first).unwrap()).unwrap();
    assert_eq!(read(&two.join("c.toml")).unwrap(), first);
    let models = [&first.student.model, &first.teacher.model, &first.verifier.model];
    assert!(models.iter().all(|model| Path::new(model).is_absolute()));
}

#[test]
fn a_project_is_found_from_below_and_not_above_home() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let deep = home.join("project/a/b");
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(project_file(&deep, Some(&home)), None);
    std::fs::write(folder.path().join("dataenvgym.toml"), "").unwrap();
    assert_eq!(project_file(&deep, Some(&home)), None);
    let own = home.join("project/dataenvgym.toml");
    std::fs::write(&own, "").unwrap();
    assert_eq!(project_file(&deep, Some(&home)), Some(own.clone()));
    let nearer = deep.join("dataenvgym.toml");
    std::fs::create_dir(&nearer).unwrap();
    assert_eq!(project_file(&deep, Some(&home)), Some(own), "a folder is no file");
}

/// Someone who adds a variable of another use finds out here that it has to be reserved.
#[test]
fn every_variable_that_the_program_reads_is_a_key_or_reserved() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = path.extension().is_some_and(|extension| extension == "rs");
            if !source || path.components().any(|part| part.as_os_str() == "config") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for (at, prefix) in source.match_indices("DATAENVGYM_") {
                let rest = &source[at + prefix.len()..];
                let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
                seen += 1;
                assert!(crate::config::environment::reserved(name), "{}: {prefix}{name}", path.display());
            }
        }
    }
    assert!(seen > 3, "the sources name variables");
}

#[test]
fn a_file_that_is_none_is_an_error_only_where_it_was_asked_for() {
    let missing = PathBuf::from("no/such.toml");
    let sources = Sources { user: Some(missing.clone()), ..Sources::default() };
    assert!(resolve(&sources).is_ok());
    let sources = Sources { config: Some("no/such.toml".to_owned()), ..Sources::default() };
    assert!(matches!(resolve(&sources), Err(ConfigError::Unreadable { path, .. }) if path == missing));
}

#[test]
fn the_defaults_are_those_of_the_types() {
    let config: Config = checked("").unwrap().config;
    assert_eq!(config.student, crate::config::StudentConfig::default());
    assert_eq!(config.trainer, crate::config::TrainerConfig::default());
    let values = checked("seed = 3\n").unwrap().values().unwrap();
    let set: Vec<_> = values.iter().filter(|(.., origin)| *origin != Origin::BuiltIn).collect();
    assert!(
        matches!(set.as_slice(), [(path, Value::Integer(3), Origin::Text { line: 1, column: 1, .. })] if path == &["seed"])
    );
}
