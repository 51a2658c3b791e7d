//! Environment variables as a layer: `DATAENVGYM_<SECTION>__<KEY>`.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use toml::Value;

use super::check::fits;
use super::document::{Node, parse_value};
use super::mistake::Mistake;
use super::origin::Origin;
use super::shape::Shape;
use super::suggest::nearest;

/// Beginning of every variable of this program.
pub(super) const PREFIX: &str = "DATAENVGYM_";
/// Between the levels of a key.
const BETWEEN: &str = "__";
/// Variables of this program, without the prefix, that are no keys of a configuration; one that ends with
/// `_` stands for all that begin so.
const RESERVED: &[&str] = &[
    "BENCH_",
    "COMMIT",
    "FAULT",
    "FAULT_",
    "FRAME_LOG",
    "LOG",
    "MIN_FREE_MIB",
    "NETWORK_FOLDERS",
    "PEER_",
    "RUNS_DIR",
    "SCRATCH",
];

/// Whether the program uses a variable, given without the prefix, for something else.
pub(super) fn reserved(rest: &str) -> bool {
    RESERVED.iter().any(|&name| rest == name || name.ends_with('_') && rest.starts_with(name))
}

/// Those of the variables that set keys, in the order of their names.
pub(super) fn setting(variables: &[(OsString, OsString)]) -> Vec<(&OsStr, &OsStr)> {
    let ours = variables.iter().filter(|(name, _)| {
        let rest = name.as_encoded_bytes().strip_prefix(PREFIX.as_bytes());
        rest.is_some_and(|rest| !std::str::from_utf8(rest).is_ok_and(reserved))
    });
    let mut ours: Vec<_> = ours.map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
    ours.sort_unstable();
    ours
}

/// The layer of all variables; what cannot be one is a mistake.
pub(super) fn layer(variables: &[(OsString, OsString)], shape: &Shape) -> (Node, Vec<Mistake>) {
    let mut node = Node::empty(Origin::BuiltIn);
    let mut mistakes = Vec::new();
    for (name, value) in setting(variables) {
        let shown: Arc<str> = name.to_string_lossy().into();
        let origin = Origin::Variable(Arc::clone(&shown));
        let path = path(&shown);
        let shapes = shape.at(&path);
        match value.to_str() {
            _ if name.to_str().is_none() || shapes.is_empty() => {
                mistakes.push(Mistake::new(&origin, "it is no key of a configuration", meant(&shown, shape)));
            }
            None => mistakes.push(Mistake::new(&origin, "its value is not UTF-8", "give a text")),
            Some(text) => node = node.below(Node::single(&path, value_for(text, &shapes), &origin)),
        }
    }
    (node, mistakes)
}

/// The value that a text outside a file means: TOML where that is what the key takes, otherwise the text.
pub(super) fn value_for(text: &str, shapes: &[&Shape]) -> Value {
    let plain = || Value::String(text.to_owned());
    let Some(value) = parse_value(text) else { return plain() };
    let takes_text = |shape: &&Shape| matches!(shape, Shape::Text { .. } | Shape::Word(_));
    let only_text = !shapes.is_empty() && shapes.iter().all(takes_text);
    // `name = 7` in a file is a mistake; outside a file nobody quotes.
    if only_text && !value.is_str() && shapes.iter().all(|shape| !fits(&value, shape)) {
        return plain();
    }
    value
}

fn path(variable: &str) -> Vec<String> {
    let rest = variable.strip_prefix(PREFIX).unwrap_or(variable);
    // A lower-case letter is no part of such a name; the dot is no part of any key.
    let key =
        |word: &str| if word.chars().any(char::is_lowercase) { ".".to_owned() } else { word.to_lowercase() };
    rest.split(BETWEEN).map(key).collect()
}

fn meant(variable: &str, shape: &Shape) -> String {
    let name = |path: &Vec<String>| format!("{PREFIX}{}", path.join(BETWEEN).to_uppercase());
    let names: Vec<String> = shape.paths().iter().map(name).collect();
    match nearest(&variable.to_uppercase(), names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name}?"),
        None => {
            format!("keys are set as {PREFIX}<SECTION>{BETWEEN}<KEY>, such as {PREFIX}TRAINER{BETWEEN}EPOCHS")
        }
    }
}
