//! A new run from the screen: a ready configuration with some values changed, through the layers and checks that
//! `run --config NAME --set KEY=VALUE` goes through.

use std::path::PathBuf;

use color_eyre::eyre::{Result, bail};

use super::config::LayerArgs;
use super::{RunArgs, launch, runs, scene};
use crate::config::{self, Config, Paths};
use crate::tui::{Changes, Setting};

/// The keys that matter, in the order in which they are asked for, and what they are.
const ASKED: [(&str, &str); 12] = [
    ("name", "name of the run and of its folder"),
    ("seed", "seed of everything random"),
    ("environment.kind", "what the agent sees"),
    ("environment.state", "whether the agent sees the student's results"),
    ("policy.kind", "who decides what data are made"),
    ("policy.data", "data asked for in each plan"),
    ("engine.kind", "who writes the data"),
    ("episode.iterations", "iterations after iteration 0"),
    ("student.model", "the model that learns: embedded, scripted, or a folder"),
    ("teacher.model", "the model that is asked: none, embedded, scripted, or a folder"),
    ("trainer.method", "what of the student is trained"),
    ("trainer.update", "whether training goes on or begins anew in each iteration"),
];

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
