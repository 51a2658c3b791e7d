//! The layers of a configuration, lowest first: built-in, user, project, `--config`, environment, flags.
//!
//! They are united as documents before anything is typed, so that every value keeps its origin. The ready
//! configuration `quickstart` lies below the user's file when neither `--config` nor a file says what the
//! task is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use toml::Value;

use super::document::{self, Node};
use super::mistake::{ConfigError, Mistake, Mistakes};
use super::origin::Origin;
use super::schema::shape;
use super::{Config, check as checking, environment, files, flags, kinds, ready};

/// The task and name that a configuration has before anything is said; the types know the other defaults.
const BASE: &str = "name = \"run\"\ntask = { kind = \"arithmetic\" }\n";
/// The ready configuration that is run when nothing says what to run.
const QUICK_START: &str = "quickstart";

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

/// A resolved configuration.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    settled: Node,
}

impl Resolved {
    /// Every value, defaults included, by its path, with the place that set it.
    pub fn values(&self) -> Result<Vec<(Vec<String>, Value, Origin)>, ConfigError> {
        let mut found = Vec::new();
        let all = Node::new(Value::try_from(&self.config)?, &Origin::BuiltIn);
        collect(&all, &self.settled, &mut Vec::new(), &mut found);
        Ok(found)
    }
}

/// Values stand before tables, as in a file.
fn collect(
    node: &Node,
    settled: &Node,
    path: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, Value, Origin)>,
) {
    let Node::Table { entries, .. } = node else { return };
    let leaf = |node: &Node| matches!(node, Node::Leaf { .. });
    let (leaves, tables): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, node)| leaf(node));
    for (key, node) in leaves {
        path.push(key.clone());
        let set = settled.at(path.iter().map(String::as_str)).filter(|node| leaf(node));
        found.push((path.clone(), node.value(), set.map_or(Origin::BuiltIn, |set| set.origin().clone())));
        path.pop();
    }
    for (key, node) in tables {
        path.push(key.clone());
        collect(node, settled, path, found);
        path.pop();
    }
}

/// The built-in layer.
pub(super) fn defaults() -> Value {
    static DEFAULTS: LazyLock<Value> = LazyLock::new(|| {
        let config = toml::from_str::<Config>(BASE).ok();
        // A test holds that neither can fail.
        config.and_then(|config| Value::try_from(config).ok()).unwrap_or_else(|| Value::Table(toml::Table::new()))
    });
    DEFAULTS.clone()
}

impl Sources {
    /// Every layer, lowest first, and whether it is there.
    pub fn layers(&self) -> Vec<Layer> {
        let file = |name, path: &Option<PathBuf>, none: &str| Layer {
            name,
            place: path.as_ref().map_or_else(|| none.to_owned(), |path| path.display().to_string()),
            present: path.as_ref().is_some_and(|path| path.is_file()),
        };
        let quick_start = self.says_nothing().unwrap_or(false);
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
                place: format!("ready configuration `{QUICK_START}`, when nothing else says what the task is"),
                present: quick_start,
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

    /// Whether neither `--config` nor a file says what the task is.
    fn says_nothing(&self) -> Result<bool, ConfigError> {
        let names_task = |node: &Node| node.at(["task", "kind"]).is_some();
        Ok(self.config.is_none() && !self.files()?.iter().any(names_task))
    }

    /// The layers of the user and of the project.
    fn files(&self) -> Result<Vec<Node>, ConfigError> {
        let there = [&self.user, &self.project].into_iter().flatten().filter(|path| path.exists());
        there.map(|path| files::layer(path)).collect()
    }
}

/// Unites all layers into a configuration. Every mistake of every layer is listed.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::new();
    let mut files = Vec::new();
    for path in [&sources.user, &sources.project].into_iter().flatten().filter(|path| path.exists()) {
        files.extend(stack.read(files::layer(path))?);
    }
    match &sources.config {
        Some(name) => match ready(name) {
            Some(text) => files.push(ready_layer(name, text)?),
            None => files.extend(stack.read(files::layer(Path::new(name)))?),
        },
        None if files.iter().all(|node| node.at(["task", "kind"]).is_none()) => {
            let text = ready(QUICK_START).unwrap_or_default();
            files.insert(0, ready_layer(QUICK_START, text)?);
        }
        None => {}
    }
    let (mut variables, found) = environment::layer(&sources.environment, shape());
    stack.mistakes.extend(found);
    let (mut flags, found) = flags::layer(&sources.set, &sources.flags, shape());
    stack.mistakes.extend(found);
    for layer in [&mut variables, &mut flags] {
        files::anchor(layer, Path::new("."));
    }
    files.into_iter().chain([variables, flags]).for_each(|layer| stack.put(layer));
    stack.resolve()
}

/// Reads one file above the built-in layer, as the copy in a run folder is read.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    check(path).map(|resolved| resolved.config)
}

/// Reads one file above the built-in layer.
pub fn check(path: &Path) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::new();
    stack.put(files::layer(path)?);
    stack.resolve()
}

/// Reads a text above the built-in layer.
#[cfg(test)]
pub(super) fn check_text(text: &str, name: &str) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::new();
    let node = document::parse(text, &name.into()).map_err(|found| ConfigError::Invalid(Mistakes(found)))?;
    stack.put(node);
    stack.resolve()
}

fn ready_layer(name: &str, text: &str) -> Result<Node, ConfigError> {
    let name: Arc<str> = format!("ready configuration `{name}`").into();
    document::parse(text, &name).map_err(|found| ConfigError::Invalid(Mistakes(found)))
}

/// The layers so far, filed by kind, and what was wrong with them.
struct Stack {
    filed: Node,
    mistakes: Vec<Mistake>,
}

impl Stack {
    /// The built-in layer.
    fn new() -> Self {
        let defaults = Node::new(defaults(), &Origin::BuiltIn);
        Self { filed: kinds::file(defaults, shape(), None), mistakes: Vec::new() }
    }

    /// Keeps the mistakes of a file and goes on without it.
    fn read(&mut self, layer: Result<Node, ConfigError>) -> Result<Option<Node>, ConfigError> {
        match layer {
            Ok(node) => Ok(Some(node)),
            Err(ConfigError::Invalid(Mistakes(found))) => {
                self.mistakes.extend(found);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Puts a layer above the others.
    fn put(&mut self, layer: Node) {
        let found = checking::layer(&layer, shape(), &self.filed);
        if found.is_empty() {
            let layer = kinds::file(layer, shape(), Some(&self.filed));
            let below = std::mem::replace(&mut self.filed, Node::empty(Origin::BuiltIn));
            self.filed = below.below(layer);
        }
        self.mistakes.extend(found);
    }

    fn resolve(mut self) -> Result<Resolved, ConfigError> {
        let settled = kinds::settle(self.filed, shape());
        if self.mistakes.is_empty() {
            self.mistakes = checking::whole(&settled, shape());
        }
        if self.mistakes.is_empty() {
            match Config::deserialize(settled.value()) {
                Ok(config) => return Ok(Resolved { config, settled }),
                // The shape allows what the types do not: a defect, but a message all the same.
                Err(error) => self.mistakes.push(Mistake::new(&Origin::BuiltIn, error.to_string(), "")),
            }
        }
        Err(ConfigError::Invalid(Mistakes(self.mistakes)))
    }
}
