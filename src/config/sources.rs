//! Where the layers of a configuration are looked for.

use std::ffi::OsString;
use std::path::PathBuf;

use toml::Value;

use super::document::Node;
use super::mistake::ConfigError;
use super::{environment, files, ready};

/// The ready configuration that is run when nothing says what to run.
pub(super) const QUICK_START: &str = "quickstart";

/// A flag with a name of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// As it is written, `--seed`.
    pub flag: &'static str,
    /// The key it sets, with dots.
    pub key: &'static str,
    /// The value.
    pub value: Value,
}

/// Where layers are looked for.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's file; one that does not exist is an empty layer.
    pub user: Option<PathBuf>,
    /// The project's file.
    pub project: Option<PathBuf>,
    /// A ready configuration or a file, as `--config` gives it.
    pub config: Option<String>,
    /// What an experiment sets for one of its arms, above the files, with the name it has in messages.
    pub arm: Option<(String, toml::Table)>,
    /// Environment variables; only those of this program count.
    pub environment: Vec<(OsString, OsString)>,
    /// What `--set` gives, in order.
    pub set: Vec<String>,
    /// Flags with a name of their own; they lie above `--set`.
    pub flags: Vec<Flag>,
}

/// A layer that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// Where it is looked for.
    pub place: String,
    /// Whether it is there.
    pub present: bool,
}

impl Sources {
    /// Every layer, lowest first, and whether it is there.
    pub fn layers(&self) -> Vec<Layer> {
        let file = |name, path: &Option<PathBuf>, none: &str| Layer {
            name,
            place: path.as_ref().map_or_else(|| none.to_owned(), |path| path.display().to_string()),
            present: path.as_ref().is_some_and(|path| path.is_file()),
        };
        let said = self.config.is_some() || self.files().flatten().any(|node| names_task(&node));
        let variables = environment::setting(&self.environment);
        let names: Vec<_> = variables.iter().map(|(name, _)| name.to_string_lossy()).collect();
        let flags = self.set.iter().map(|text| format!("--set {text}"));
        let flags: Vec<String> = flags.chain(self.flags.iter().map(|flag| flag.flag.to_owned())).collect();
        let config = self.config.as_ref();
        let listed = |name, given: String, none: &str| {
            let present = !given.is_empty();
            Layer { name, place: if present { given } else { none.to_owned() }, present }
        };
        vec![
            Layer { name: "built-in", place: "defaults of the program".into(), present: true },
            Layer {
                name: "built-in",
                place: format!(
                    "ready configuration `{QUICK_START}`, when nothing else says what the task is"
                ),
                present: !said,
            },
            file("user", &self.user, "no home folder"),
            file("project", &self.project, "dataenvgym.toml in this folder or one above"),
            match config {
                Some(name) if ready(name).is_some() => {
                    Layer { name: "--config", place: format!("ready configuration `{name}`"), present: true }
                }
                other => file("--config", &other.map(PathBuf::from), "not given"),
            },
            listed("environment", names.join(" "), "no variable DATAENVGYM_<SECTION>__<KEY>"),
            listed("flags", flags.join(" "), "none given"),
        ]
    }

    /// The layers of the user and of the project, where they are there.
    pub(super) fn files(&self) -> impl Iterator<Item = Result<Node, ConfigError>> {
        let there = [&self.user, &self.project].into_iter().flatten().filter(|path| path.exists());
        there.map(|path| files::layer(path))
    }
}

/// Whether a layer says what the task is.
pub(super) fn names_task(layer: &Node) -> bool {
    layer.at(["task", "kind"]).is_some()
}
