//! The layers of a configuration, lowest first: built-in, user, project, `--config`, environment, flags.
//!
//! They are united as documents before anything is typed, so that every value keeps its origin. The ready
//! configuration `quickstart` lies below the user's file when neither `--config` nor a file says what the
//! task is.

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Value;

use super::document::{self, Node};
use super::mistake::{ConfigError, Mistake, Mistakes};
use super::origin::Origin;
use super::schema::shape;
use super::sources::{QUICK_START, Sources, names_task};
use super::{Config, check as checking, environment, files, flags, kinds, presets, ready};

/// The task and name that a configuration has before anything is said; the types know the other defaults.
const BASE: &str = "name = \"run\"\ntask = { kind = \"arithmetic\" }\n";

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
        config
            .and_then(|config| Value::try_from(config).ok())
            .unwrap_or_else(|| Value::Table(toml::Table::new()))
    });
    DEFAULTS.clone()
}

/// Unites all layers into a configuration. Every mistake of every layer is listed.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::new();
    let mut texts = Vec::new();
    for file in sources.files() {
        texts.extend(stack.keep(file)?);
    }
    match &sources.config {
        Some(name) => {
            let layer =
                ready(name).map_or_else(|| files::layer(Path::new(name)), |text| ready_layer(name, text));
            texts.extend(stack.keep(layer)?);
        }
        None if texts.iter().any(names_task) => {}
        None => texts.insert(0, ready_layer(QUICK_START, ready(QUICK_START).unwrap_or_default())?),
    }
    if let Some((name, set)) = &sources.arm {
        let mut layer = Node::new(Value::Table(set.clone()), &Origin::Flag(name.as_str().into()));
        files::anchor(&mut layer, Path::new("."));
        texts.push(layer);
    }
    let (mut variables, found) = environment::layer(&sources.environment, shape());
    stack.mistakes.extend(found);
    let (mut flags, found) = flags::layer(&sources.set, &sources.flags, shape());
    stack.mistakes.extend(found);
    for layer in [&mut variables, &mut flags] {
        files::anchor(layer, Path::new("."));
    }
    texts.into_iter().chain([variables, flags]).for_each(|layer| stack.put(layer));
    stack.resolve()
}

/// Reads one file above the built-in layer, as the copy in a run folder is read.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    check(path).map(|resolved| resolved.config)
}

/// Reads one file above the built-in layer.
pub fn check(path: &Path) -> Result<Resolved, ConfigError> {
    above_defaults(files::layer(path)?)
}

/// A layer above the built-in one.
pub(super) fn above_defaults(layer: Node) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::new();
    stack.put(layer);
    stack.resolve()
}

fn ready_layer(name: &str, text: &str) -> Result<Node, ConfigError> {
    document::parse(text, &format!("ready configuration `{name}`"))
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
    fn keep(&mut self, layer: Result<Node, ConfigError>) -> Result<Option<Node>, ConfigError> {
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
        let layer = presets::put_below(layer, &mut self.mistakes);
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
