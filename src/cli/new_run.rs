//! A new run from the screen: a ready configuration or a file with some values changed, through the layers and checks that
//! `run --config NAME --set KEY=VALUE` goes through.

use std::path::{Path, PathBuf};

use color_eyre::eyre::{Result, bail};

use super::config::LayerArgs;
use super::{RunArgs, launch, runs, scene};
use crate::config::{self, Config, Paths};
use crate::tui::{Changes, Setting};

/// The keys that matter, in the order in which they are asked for, and what they are.
const ASKED: [(&str, &str); 17] = [
    ("name", "name of the run and of its folder"),
    ("seed", "seed of everything random"),
    ("task.path", "file or folder of the benchmark"),
    ("task.file", "file of the questions"),
    ("environment.kind", "what the agent sees"),
    ("environment.state", "whether the agent sees the student's results"),
    ("policy.kind", "who decides what data are made"),
    ("policy.data", "data asked for in each plan"),
    ("engine.kind", "who writes the data"),
    ("episode.iterations", "iterations after iteration 0"),
    ("episode.training_data", "accepted data after which the run ends; 0 is no limit"),
    ("student.model", "the model that learns: embedded, scripted, or a folder"),
    ("student.device", "where the student answers: cpu, cuda:0, ..."),
    ("student.workers", "processes that answer; 0 is one per core"),
    ("teacher.model", "the model that is asked: none, embedded, scripted, or a folder"),
    ("trainer.method", "what of the student is trained"),
    ("trainer.update", "whether training goes on or begins anew in each iteration"),
];

/// Files of one folder that are looked at.
const MOST_FILES: usize = 100;

/// What a run can be made of, as `--config` takes it, with what it says of itself: the ready configurations, then the
/// files in `configs` here and in the project's folder, and those in the person's own folder.
pub(super) fn configurations(paths: &Paths) -> Vec<(String, String)> {
    let ready = config::READY.iter().map(|(name, text)| ((*name).to_owned(), config::about(text)));
    let mut found: Vec<(String, String)> = ready.collect();
    let here = std::env::current_dir().ok();
    let project = here.as_ref().and_then(|here| config::project_file(here, Some(&paths.home)));
    let project = project.as_deref().and_then(Path::parent).filter(|folder| Some(*folder) != here.as_deref());
    let folders = [Some(PathBuf::from("configs")), project.map(|folder| folder.join("configs"))];
    for folder in folders.into_iter().flatten().chain([paths.configurations()]) {
        found.extend(files(paths, &folder));
    }
    found
}

/// The files of a folder that a run could be made of. One that is a ready configuration already is left out.
fn files(paths: &Paths, folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml") && path.is_file()).collect();
    files.sort();
    let configuration = |path: PathBuf| {
        let name = path.to_str()?.to_owned();
        config::resolve(&layers(&name, &Changes::new()).sources(paths).ok()?).ok()?;
        let text = std::fs::read_to_string(&path).ok()?;
        let known = config::READY.iter().any(|(_, ready)| *ready == text);
        (!known).then(|| (name, config::about(&text)))
    };
    files.into_iter().take(MOST_FILES).filter_map(configuration).collect()
}

/// The values of a ready configuration.
pub(super) fn settings(paths: &Paths, configuration: &str) -> Result<Vec<Setting>> {
    let resolved = config::resolve(&layers(configuration, &Changes::new()).sources(paths)?)?;
    let values = resolved.values()?;
    let mut found = Vec::new();
    for (key, about) in ASKED {
        let value = values.iter().find(|(path, _, _)| path.join(".") == key).map(|(_, value, _)| value);
        let value = match value {
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            // A key that this kind of policy does not have.
            None => continue,
        };
        let value = if key == "name" { runs::fresh_name(paths, &value) } else { value };
        found.push(Setting { key, about, value, choices: config::choices(key) });
    }
    Ok(found)
}

/// Whether a run could be made: the configuration holds and its parts fit together.
pub(super) fn check(paths: &Paths, configuration: &str, changes: &Changes) -> Result<()> {
    let config = resolved(paths, configuration, changes)?;
    let folder = paths.run(&config.name);
    if folder.exists() {
        bail!("there is a run `{}` already; choose another name", config.name);
    }
    scene::scene(paths, &config, &folder).map(drop)
}

/// Makes the run and starts it.
pub(super) fn create(paths: &Paths, configuration: &str, changes: &Changes) -> Result<PathBuf> {
    check(paths, configuration, changes)?;
    let name = resolved(paths, configuration, changes)?.name;
    let layers = LayerArgs { name: Some(name), ..layers(configuration, changes) };
    let folder = launch::prepare(paths, &RunArgs { layers, ..RunArgs::default() })?;
    launch::start(paths, &folder, true)?;
    Ok(folder)
}

fn resolved(paths: &Paths, configuration: &str, changes: &Changes) -> Result<Config> {
    let mut config = config::resolve(&layers(configuration, changes).sources(paths)?)?.config;
    if !changes.iter().any(|(key, _)| key == "name") {
        config.name = runs::fresh_name(paths, &config.name);
    }
    Ok(config)
}

fn layers(configuration: &str, changes: &Changes) -> LayerArgs {
    let set = changes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    LayerArgs { config: Some(configuration.to_owned()), set, ..LayerArgs::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_resolve_are_offered_and_their_paths_and_devices_are_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        let paths = Paths {
            runs: place("runs"),
            cache: place("cache"),
            user_config: place("config/config.toml"),
            screen: place("screen.json"),
            home: home.path().to_owned(),
            prompts: place("config/prompts"),
        };
        let own = paths.configurations();
        std::fs::create_dir_all(&own).unwrap();
        let svamp = include_str!("../../configs/svamp.toml");
        std::fs::write(own.join("mine.toml"), svamp).unwrap();
        std::fs::write(own.join("wrong.toml"), "[task]\nkind = \"nothing\"\n").unwrap();
        std::fs::write(own.join("keys.toml"), include_str!("../../configs/keymap.toml")).unwrap();
        std::fs::write(own.join("copy.toml"), config::READY[0].1).unwrap();
        std::fs::write(own.join("notes.txt"), "no configuration").unwrap();
        let found = files(&paths, &own);
        let mine = own.join("mine.toml").to_str().unwrap().to_owned();
        assert_eq!(found, [(mine.clone(), config::about(svamp))]);
        let offered = configurations(&paths);
        assert_eq!(offered[0].0, config::READY[0].0);
        assert!(offered.contains(&found[0]));
        let asked = settings(&paths, &mine).unwrap();
        let value = |key: &str| asked.iter().find(|setting| setting.key == key).map(|s| s.value.clone());
        assert!(value("task.path").unwrap().ends_with("SVAMP.json"));
        assert_eq!(value("student.device").as_deref(), Some("cpu"));
        assert_eq!(value("student.workers").as_deref(), Some("0"));
        assert_eq!(value("episode.training_data").as_deref(), Some("0"));
    }
}
