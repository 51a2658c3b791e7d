//! Checking a layer against the shape of a configuration: every mistake, not only the first.

use std::collections::{BTreeMap, HashSet};

use regex::Regex;
use toml::Value;

use super::document::Node;
use super::kinds;
use super::mistake::Mistake;
use super::origin::Origin;
use super::shape::{Fields, Range, Shape};
use super::suggest::nearest;

/// Longest value that a message quotes, in characters.
const QUOTED: usize = 60;

/// The mistakes of a layer above the filed layers `below`. A layer may leave anything out.
pub(super) fn layer(node: &Node, shape: &Shape, below: &Node) -> Vec<Mistake> {
    let mut walk = Walk { root: shape, complete: false, found: Vec::new() };
    walk.node(node, shape, Some(below), "");
    walk.found.sort_by_key(|mistake| mistake.origin.position());
    walk.found
}

/// The mistakes of a settled document, which has to be complete.
pub(super) fn whole(node: &Node, shape: &Shape) -> Vec<Mistake> {
    let mut walk = Walk { root: shape, complete: true, found: Vec::new() };
    walk.node(node, shape, None, "");
    walk.found
}

struct Walk<'a> {
    root: &'a Shape,
    complete: bool,
    found: Vec<Mistake>,
}

impl Walk<'_> {
    fn say(&mut self, origin: &Origin, message: String, hint: impl Into<String>) {
        self.found.push(Mistake::new(origin, message, hint));
    }

    fn node(&mut self, node: &Node, shape: &Shape, below: Option<&Node>, path: &str) {
        match (shape, node) {
            (Shape::Any, _) => {}
            (Shape::Table(fields), Node::Table { .. }) => self.table(node, fields, None, below, path),
            (Shape::Map(item), Node::Table { entries, .. }) => {
                for (key, node) in entries {
                    self.node(node, item, None, &join(path, key));
                }
            }
            (Shape::Kinds { tag, kinds }, Node::Table { origin, .. }) => {
                let known = || kinds.keys().map(String::as_str);
                if let Some(own) = node.get(tag)
                    && own.as_str().is_none_or(|word| !kinds.contains_key(word))
                {
                    self.word(&own.value(), known(), own.origin(), &join(path, tag));
                    return;
                }
                if let Some(kind) = kinds::kind(node, tag, below) {
                    let fields = kinds.get(kind).unwrap_or(const { &Fields::new() });
                    let place = Place { tag, kind, kinds };
                    self.table(node, fields, Some(&place), kinds::filed(below, kind), path);
                } else {
                    let hint = format!("it can be {}", list(known()));
                    self.say(origin, format!("`{path}` needs the key `{tag}`"), hint);
                }
            }
            (Shape::Table(_) | Shape::Map(_) | Shape::Kinds { .. }, Node::Leaf { value, origin }) => {
                self.say(origin, format!("`{path}` is {}", quoted(value)), "it takes a table of keys");
            }
            (_, Node::Table { origin, .. }) => {
                self.say(origin, format!("`{path}` is a table"), format!("it takes {}", wanted(shape)));
            }
            (_, Node::Leaf { value, origin }) => self.value(value, shape, origin, path),
        }
    }

    fn table(
        &mut self,
        node: &Node,
        fields: &Fields,
        place: Option<&Place<'_>>,
        below: Option<&Node>,
        path: &str,
    ) {
        let Node::Table { entries, origin } = node else { return };
        for (key, node) in entries {
            match fields.get(key) {
                _ if place.is_some_and(|place| place.tag == key) => {}
                Some(field) => {
                    let below = below.and_then(|below| below.get(key));
                    self.node(node, &field.shape, below, &join(path, key));
                }
                None => {
                    let hint = self.meant(key, fields, place, path);
                    let within = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
                    self.say(node.origin(), format!("unknown key `{}`{within}", plain(key)), hint);
                }
            }
        }
        let missing = fields.iter().filter(|(key, field)| field.required && !entries.contains_key(*key));
        for (key, field) in missing.filter(|_| self.complete).collect::<Vec<_>>() {
            let of_kind = place.map(|place| format!(", which the kind `{}` needs", place.kind));
            let message = format!("`{}` is missing{}", join(path, key), of_kind.unwrap_or_default());
            self.say(origin, message, format!("it takes {}", wanted(&field.shape)));
        }
    }

    /// What a person may have meant with an unknown key.
    fn meant(&self, key: &str, fields: &Fields, place: Option<&Place<'_>>, path: &str) -> String {
        let here = fields.keys().map(String::as_str).chain(place.map(|place| place.tag));
        if let Some(place) = place {
            let of = place.kinds.iter().filter(|(_, fields)| fields.contains_key(key));
            let of: Vec<&str> = of.map(|(kind, _)| kind.as_str()).collect();
            if !of.is_empty() {
                let tag = join(path, place.tag);
                return format!("it is a key of the kind {}, and `{tag}` is `{}`", list(of), place.kind);
            }
        }
        if let Some(word) = nearest(key, here.clone()) {
            return format!("did you mean `{word}`?");
        }
        let paths = self.root.paths();
        let elsewhere = paths.iter().filter(|path| path.last().is_some_and(|last| last == key));
        match elsewhere.map(|path| path.join(".")).next() {
            Some(other) => format!("did you mean `{other}`?"),
            None => format!("known here: {}", list(here)),
        }
    }

    fn value(&mut self, value: &Value, shape: &Shape, origin: &Origin, path: &str) {
        match (shape, value) {
            (Shape::Word(words), _) => self.word(value, words.iter().map(String::as_str), origin, path),
            (Shape::Array { item, unique }, Value::Array(items)) => {
                let mut seen = HashSet::new();
                for (index, value) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let complete = std::mem::replace(&mut self.complete, true);
                    self.node(&Node::new(value.clone(), origin), item, None, &path);
                    self.complete = complete;
                    if *unique && !seen.insert(value.to_string()) {
                        self.say(origin, format!("`{path}` says {} again", quoted(value)), "say it once");
                    }
                }
            }
            _ if fits(value, shape) => {}
            _ => {
                let hint = format!("it takes {}", wanted(shape));
                self.say(origin, format!("`{path}` is {}", quoted(value)), hint);
            }
        }
    }

    fn word<'w>(
        &mut self,
        value: &Value,
        words: impl Iterator<Item = &'w str> + Clone,
        origin: &Origin,
        path: &str,
    ) {
        let word = value.as_str();
        if word.is_some_and(|word| words.clone().any(|known| known == word)) {
            return;
        }
        let mut hint = format!("it can be {}", list(words.clone()));
        if let Some(meant) = word.and_then(|word| nearest(word, words)) {
            hint = format!("did you mean `{meant}`? {hint}");
        }
        self.say(origin, format!("`{path}` is {}", quoted(value)), hint);
    }
}

/// A table whose keys depend on its kind.
struct Place<'a> {
    tag: &'a str,
    kind: &'a str,
    kinds: &'a BTreeMap<String, Fields>,
}

/// Whether a value that is neither a list nor a table is one of the shape.
pub(super) fn fits(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Shape::Any, _) | (Shape::Boolean, Value::Boolean(_)) => true,
        (Shape::Word(words), Value::String(word)) => words.contains(word),
        (Shape::Text { pattern, .. }, Value::String(text)) => match pattern.as_deref().map(Regex::new) {
            Some(Ok(pattern)) => pattern.is_match(text),
            // A pattern of ours that is none is found by a test.
            Some(Err(_)) | None => true,
        },
        (Shape::Integer(range) | Shape::Number(range), Value::Integer(number)) => range.holds(*number as f64),
        (Shape::Number(range), Value::Float(number)) => range.holds(*number),
        _ => false,
    }
}

impl Range {
    /// Whether a number lies within; one that is not finite never does.
    fn holds(&self, number: f64) -> bool {
        number.is_finite()
            && self.from.is_none_or(|from| number >= from)
            && self.above.is_none_or(|above| number > above)
            && self.to.is_none_or(|to| number <= to)
            && self.below.is_none_or(|below| number < below)
    }

    /// The limits in words, with a space before them.
    fn words(&self) -> String {
        let limit = |word: &str, limit: Option<f64>| limit.map(|limit| format!("{word} {limit}"));
        // The limits of the machine's own numbers are not worth a word.
        let large = |to: &f64| *to < f64::from(u32::MAX);
        let limits = [
            limit("from", self.from),
            limit("above", self.above),
            limit("to", self.to.filter(large)),
            limit("below", self.below),
        ];
        let said: Vec<String> = limits.into_iter().flatten().collect();
        if said.is_empty() { String::new() } else { format!(" {}", said.join(" ")) }
    }
}

/// What a shape takes, as an object of a sentence.
fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Table(_) | Shape::Map(_) | Shape::Kinds { .. } => "a table of keys".to_owned(),
        Shape::Array { item, .. } => match item.as_ref() {
            Shape::Word(words) => format!("a list of {}", list(words.iter().map(String::as_str))),
            _ => "a list".to_owned(),
        },
        Shape::Word(words) => format!("one of {}", list(words.iter().map(String::as_str))),
        Shape::Text { rule: Some(rule), .. } => rule.clone(),
        Shape::Text { pattern: Some(pattern), .. } => format!("a text that matches `{pattern}`"),
        Shape::Text { .. } => "a text".to_owned(),
        Shape::Integer(range) => format!("a whole number{}", range.words()),
        Shape::Number(range) => format!("a number{}", range.words()),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Any => "a value".to_owned(),
    }
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { plain(key) } else { format!("{path}.{}", plain(key)) }
}

/// A key from outside, short and on one line.
fn plain(key: &str) -> String {
    shortened(&key.escape_debug().to_string())
}

/// A value from outside, short and on one line.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", shortened(text)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Table(_) => "a table".to_owned(),
        other => shortened(&other.to_string()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
