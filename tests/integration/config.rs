//! The configuration as the program shows it: layers on a real machine's folders and variables.

use std::process::Output;

use crate::home::{Home, text};

/// Runs the program in a folder of the home with variables.
fn config(home: &Home, folder: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    std::fs::create_dir_all(home.path(folder)).unwrap();
    let mut command = home.command(arguments);
    command.current_dir(home.path(folder)).envs(variables.iter().copied());
    command.output().unwrap()
}

fn line<'a>(said: &'a str, key: &str) -> &'a str {
    said.lines()
        .find(|line| line.starts_with(&format!("{key} = ")))
        .unwrap_or_else(|| panic!("{key}\n{said}"))
}

#[test]
fn show_tells_what_a_run_would_use_and_who_said_so() {
    let home = Home::new();
    std::fs::create_dir_all(home.path(".config/dataenvgym")).unwrap();
    std::fs::write(
        home.path(".config/dataenvgym/config.toml"),
        "[student]\nmodel = \"scripted\"\nworkers = 2\n",
    )
    .unwrap();
    std::fs::create_dir_all(home.path("project/deep")).unwrap();
    let project =
        "name = \"own\"\n[task]\nkind = \"arithmetic\"\ntest_per_skill = 3\n[trainer]\nepochs = 7\n";
    std::fs::write(home.path("project/dataenvgym.toml"), project).unwrap();
    let variables =
        [("DATAENVGYM_TRAINER__EPOCHS", "8"), ("DATAENVGYM_SEED", "5"), ("DATAENVGYM_LOG", "debug")];
    let flags = ["config", "show", "--origin", "--set", "episode.rounds=2", "--seed", "6"];
    let output = config(&home, "project/deep", &variables, &flags);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (key, value, origin) in [
        ("name", "\"own\"", "project/dataenvgym.toml, line 1"),
        ("student.workers", "2", ".config/dataenvgym/config.toml, line 3"),
        ("task.test_per_skill", "3", "project/dataenvgym.toml, line 4"),
        ("trainer.epochs", "8", "# DATAENVGYM_TRAINER__EPOCHS"),
        ("episode.rounds", "2", "# --set episode.rounds=2"),
        ("seed", "6", "# --seed"),
        ("trainer.rank", "16", "# default"),
    ] {
        let line = line(&said, key);
        assert!(line.starts_with(&format!("{key} = {value} ")) && line.ends_with(origin), "{line}");
    }
    // What is printed is a configuration that means the same everywhere.
    let shown = text(&config(&home, "project/deep", &variables, &["config", "show"]).stdout);
    let with_origin =
        text(&config(&home, "project/deep", &variables, &["config", "show", "--origin"]).stdout);
    assert_eq!(
        toml::from_str::<toml::Table>(&shown).unwrap(),
        toml::from_str::<toml::Table>(&with_origin).unwrap()
    );
    std::fs::write(home.path("shown.toml"), &shown).unwrap();
    let again = config(&home, "elsewhere", &[], &["config", "show", "--config", "../shown.toml"]);
    assert_eq!(text(&again.stdout), shown);

    let paths = text(&config(&home, "project/deep", &variables, &["config", "path"]).stdout);
    let used: Vec<&str> = paths.lines().filter(|line| line.contains(" used ")).map(|l| &l[..9]).collect();
    assert_eq!(used, ["built-in ", "user     ", "project  ", "environme"], "{paths}");
    assert!(paths.contains("DATAENVGYM_SEED DATAENVGYM_TRAINER__EPOCHS\n"), "{paths}");
}

#[test]
fn check_judges_files_and_schema_prints_the_committed_one() {
    let home = Home::new();
    std::fs::write(home.path("good.toml"), "[policy]\ndata = 3\n").unwrap();
    std::fs::write(home.path("bad.toml"), "[policy]\ndate = 3\n[student]\ndevice = \"gpu\"\n").unwrap();
    let good = home.output(&["config", "check", home.path("good.toml").to_str().unwrap()]);
    assert!(good.status.success() && text(&good.stdout).contains("good.toml: no mistakes"));
    let both = [home.path("bad.toml"), home.path("good.toml"), home.path("none.toml")];
    let both: Vec<&str> = both.iter().map(|path| path.to_str().unwrap()).collect();
    let bad = home.output(&["config", "check", both[0], both[1], both[2]]);
    let (out, said) = (text(&bad.stdout), text(&bad.stderr));
    assert!(!bad.status.success() && out.contains("good.toml: no mistakes"), "{out}");
    for expected in [
        "2 mistakes",
        "bad.toml, line 2, column 1: unknown key `date` in `policy`; did you mean `data`?",
        "bad.toml, line 4, column 1: `student.device` is \"gpu\"",
        "cannot read the configuration",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    // Without a file: what `run` would use.
    assert!(config(&home, ".", &[], &["config", "check"]).status.success());
    let wrong = config(&home, ".", &[("DATAENVGYM_SEEED", "1")], &["config", "check"]);
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("did you mean DATAENVGYM_SEED?"));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/schema.json");
    assert_eq!(home.stdout(&["config", "schema"]), std::fs::read_to_string(committed).unwrap());
}

/// The layers are read once, when the run is made; its folder then says everything.
#[test]
fn a_run_keeps_the_configuration_it_was_made_with() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("project")).unwrap();
    let scripted = home.scripted(0, 1);
    std::fs::rename(&scripted, home.path("project/dataenvgym.toml")).unwrap();
    let variables = [("DATAENVGYM_POLICY__DATA", "60")];
    let flags = ["run", "--headless", "--seed", "11", "--set", "trainer.epochs=1"];
    let made = config(&home, "project", &variables, &flags);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let stored = std::fs::read_to_string(home.run_folder("scripted").join("config.toml")).unwrap();
    let stored: toml::Table = toml::from_str(&stored).unwrap();
    assert_eq!(stored["seed"].as_integer(), Some(11));
    assert_eq!(stored["policy"]["data"].as_integer(), Some(60));
    assert_eq!(stored["trainer"]["epochs"].as_integer(), Some(1));
    // Another environment does not change it, and a flag that would is refused.
    let again =
        config(&home, ".", &[("DATAENVGYM_SEED", "12")], &["run", "--headless", "--name", "scripted"]);
    assert!(again.status.success() && text(&again.stdout).contains("seed 11"), "{}", text(&again.stderr));
    let refused = config(&home, ".", &[], &["run", "--headless", "--name", "scripted", "--set", "seed=3"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("its configuration is fixed"));
    let second = config(
        &home,
        "project",
        &[],
        &[
            "run",
            "--headless",
            "--config",
            "scripted",
            "--set",
            "student.model=scripted",
            "--iterations",
            "0",
        ],
    );
    assert!(text(&second.stdout).contains("run scripted-2 in"), "{}", text(&second.stderr));
}

/// `dataenvgym config schema | head -1`: who reads has gone before everything is said.
#[test]
fn a_reader_who_goes_away_is_no_panic() {
    let home = Home::new();
    let mut command = home.command(&["config", "schema"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}
