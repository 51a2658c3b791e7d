//! `export` and `import` as a user types them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::home::{Home, outcome, text};

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
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
    let wanted = |j: &&dataenvgym::gym::datum::JudgedDatum| {
        j.verdict == dataenvgym::gym::datum::Verdict::Accepted && j.datum.provenance.iteration == 1
    };
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
