//! `dataenvgym config`: what a run would be configured with, and where each value comes from.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::eyre::{Result, WrapErr};
use toml::Value;

use super::format;
use crate::config::{self, Flag, Origin, Paths, Sources};

/// The flags that are a layer of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LayerArgs {
    /// A configuration file, or the name of a ready one [default: the project's file, or `quickstart`].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// Set one key above all files and variables, as in `trainer.epochs=5`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Name of the run; an existing one is resumed [default: the configuration's name].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Seed of everything random [default: the configuration's].
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(super) seed: Option<i64>,
    /// Iterations after iteration 0 [default: the configuration's].
    #[arg(long)]
    pub(super) iterations: Option<u32>,
}

impl LayerArgs {
    /// Whether a key other than the name is set.
    pub(super) fn sets_keys(&self) -> bool {
        !self.set.is_empty() || self.seed.is_some() || self.iterations.is_some()
    }

    /// All layers as this process finds them.
    pub(super) fn sources(&self, paths: &Paths) -> Result<Sources> {
        let folder = std::env::current_dir().wrap_err("cannot tell the current folder")?;
        let flag = |flag, key, value: Option<Value>| value.map(|value| Flag { flag, key, value });
        let flags = [
            flag("--name", "name", self.name.clone().map(Value::String)),
            flag("--seed", "seed", self.seed.map(Value::Integer)),
            flag("--iterations", "episode.iterations", self.iterations.map(|n| Value::Integer(n.into()))),
        ];
        Ok(Sources {
            user: Some(paths.user_config.clone()),
            project: config::project_file(&folder, Some(&paths.home)),
            config: self.config.clone(),
            arm: None,
            environment: std::env::vars_os().collect(),
            set: self.set.clone(),
            flags: flags.into_iter().flatten().collect(),
        })
    }
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print the configuration that `run` with the same flags would use.
    Show {
        /// Print the place that set each value.
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        layers: LayerArgs,
    },
    /// Print where each layer is looked for, lowest first, and whether it is there.
    Path {
        #[command(flatten)]
        layers: LayerArgs,
    },
    /// Print the JSON schema of a configuration.
    Schema,
    /// Check files, each above the built-in layer alone; without one, check the layers that `run` would use.
    Check {
        /// Configuration files.
        files: Vec<PathBuf>,
    },
}

/// `dataenvgym config`.
pub(super) fn run(paths: &Paths, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Show { origin, layers } => show(&layers.sources(paths)?, *origin)?,
        Verb::Path { layers } => path(&layers.sources(paths)?),
        Verb::Schema => print!("{}", config::schema()),
        Verb::Check { files } if files.is_empty() => {
            config::resolve(&LayerArgs::default().sources(paths)?)?;
            println!("the layers agree; `dataenvgym config show --origin` prints what they say");
        }
        Verb::Check { files } => return Ok(check(files)),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(sources: &Sources, with_origin: bool) -> Result<()> {
    let resolved = config::resolve(sources)?;
    if !with_origin {
        print!("{}", format::escaped(&toml::to_string(&resolved.config)?));
        return Ok(());
    }
    let line = |(path, value, origin): (Vec<String>, Value, Origin)| {
        let keys: Vec<String> = path.iter().map(|key| key_text(key)).collect();
        (format!("{} = {}", keys.join("."), value_text(&value)), origin.short())
    };
    let lines: Vec<(String, String)> = resolved.values()?.into_iter().map(line).collect();
    // One long value does not push every origin off the screen.
    let width = lines.iter().map(|(text, _)| text.chars().count()).filter(|&n| n <= 60).max().unwrap_or(0);
    for (text, origin) in lines {
        println!("{text:<width$}  # {}", one_line(&origin));
    }
    Ok(())
}

fn path(sources: &Sources) {
    let layers = sources.layers();
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
    for layer in layers {
        let mark = if layer.present { "used" } else { "-" };
        println!("{:<width$}  {mark:<4}  {}", layer.name, one_line(&layer.place));
    }
}

fn check(files: &[PathBuf]) -> ExitCode {
    let mut wrong = false;
    for file in files {
        match config::check(file) {
            Ok(_) => println!("{}: no mistakes", one_line(&file.display().to_string())),
            Err(error) => {
                wrong = true;
                eprintln!("{}", format::escaped(&error.to_string()));
            }
        }
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A key as TOML writes it.
fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { text(key) }
}

/// A value as TOML writes it, on one line.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(word) => text(word),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{} = {}", key_text(key), value_text(value));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A basic string of TOML; what could drive or mislead a terminal is escaped.
fn text(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if unsafe_to_print(c) => out.extend(format!("\\U{:08X}", c as u32).chars()),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A text outside a string, on one line.
fn one_line(word: &str) -> String {
    word.chars().map(|c| if unsafe_to_print(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters and those that change the direction of writing.
fn unsafe_to_print(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_on_one_line_whatever_they_hold() {
        let strange = "a\"b\\c\nd\u{1b}[2J\u{202e}\u{9b}e";
        let inner = Value::Table(toml::Table::from_iter([(strange.to_owned(), Value::Float(1e-4))]));
        let value = Value::Array(vec![Value::String(strange.to_owned()), inner, Value::Integer(-3)]);
        let said = value_text(&value);
        assert!(!said.chars().any(unsafe_to_print), "{said:?}");
        let line = format!("{} = {said}", key_text("a key"));
        assert_eq!(toml::from_str::<toml::Table>(&line).unwrap()["a key"], value);
        assert_eq!(key_text("learning_rate"), "learning_rate");
        assert_eq!(one_line("a\nb\u{1b}"), "a\u{fffd}b\u{fffd}");
    }
}
