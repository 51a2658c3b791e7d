//! Flags of the command line as a layer.

use std::sync::Arc;

use toml::Value;
use toml::de::DeTable;

use super::document::Node;
use super::environment::value_for;
use super::mistake::Mistake;
use super::origin::Origin;
use super::shape::Shape;
use super::sources::Flag;
use super::suggest::nearest;

/// The layer of all flags: `--set` in their order, then those with a name of their own.
pub(super) fn layer(set: &[String], named: &[Flag], shape: &Shape) -> (Node, Vec<Mistake>) {
    let mut node = Node::empty(Origin::BuiltIn);
    let mut mistakes = Vec::new();
    for text in set {
        let origin = Origin::Flag(format!("--set {}", text.escape_debug()).into());
        match setting(text, shape) {
            Ok((path, value)) => node = node.below(Node::single(&path, value, &origin)),
            Err((message, hint)) => mistakes.push(Mistake::new(&origin, message, hint)),
        }
    }
    for Flag { flag, key, value } in named {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        node = node.below(Node::single(&path, value.clone(), &Origin::Flag(Arc::from(*flag))));
    }
    (node, mistakes)
}

/// `section.key=value`.
fn setting(text: &str, shape: &Shape) -> Result<(Vec<String>, Value), (String, String)> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(("it has no `=`".into(), "write --set section.key=value".into()));
    };
    let path = path(key).ok_or_else(|| {
        let hint = "keys are joined by dots, as in --set trainer.epochs=5".to_owned();
        (format!("`{}` is no key", key.escape_debug()), hint)
    })?;
    let shapes = shape.at(&path);
    if shapes.is_empty() {
        let known: Vec<String> = shape.paths().iter().map(|path| path.join(".")).collect();
        let words = || known.iter().map(String::as_str);
        // A section may have been forgotten.
        let short = words().find(|path| path.rsplit('.').next() == Some(key.trim()));
        let meant = nearest(key.trim(), words()).or(short);
        let hint = match meant {
            Some(path) => format!("did you mean `{path}`?"),
            None => "`dataenvgym config show` lists the keys".to_owned(),
        };
        return Err((format!("unknown key `{}`", path.join(".").escape_debug()), hint));
    }
    Ok((path, value_for(value.trim(), &shapes)))
}

/// A dotted key of TOML.
fn path(key: &str) -> Option<Vec<String>> {
    let text = format!("{key}=0");
    let parsed = DeTable::parse(&text).ok()?;
    let mut path = Vec::new();
    let mut table = parsed.get_ref();
    loop {
        let mut entries = table.iter();
        let (key, value) = entries.next()?;
        path.push(key.get_ref().to_string());
        if entries.next().is_some() {
            return None;
        }
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => return Some(path),
        }
    }
}
