//! A TOML document whose every value knows where it was set.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::mistake::{ConfigError, Mistake, Mistakes};
use super::origin::Origin;

/// A value or a table with the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Anything but a table; arrays are values.
    Leaf {
        /// The value.
        value: Value,
        /// Who set it.
        origin: Origin,
    },
    /// A table, also one that was written inline.
    Table {
        /// What is in it.
        entries: BTreeMap<String, Node>,
        /// Who named it last.
        origin: Origin,
    },
}

impl Node {
    /// A table without keys.
    pub(super) fn empty(origin: Origin) -> Self {
        Self::Table { entries: BTreeMap::new(), origin }
    }

    /// A value whose parts all have one origin.
    pub(super) fn new(value: Value, origin: &Origin) -> Self {
        match value {
            Value::Table(table) => Self::Table {
                entries: table.into_iter().map(|(key, value)| (key, Self::new(value, origin))).collect(),
                origin: origin.clone(),
            },
            value => Self::Leaf { value, origin: origin.clone() },
        }
    }

    /// A document with one value.
    pub(super) fn single(path: &[String], value: Value, origin: &Origin) -> Self {
        let leaf = Self::new(value, origin);
        path.iter().rev().fold(leaf, |inner, key| Self::Table {
            entries: BTreeMap::from([(key.clone(), inner)]),
            origin: origin.clone(),
        })
    }

    /// Who set it.
    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Leaf { origin, .. } | Self::Table { origin, .. } => origin,
        }
    }

    /// The value below a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table { entries, .. } => entries.get(key),
            Self::Leaf { .. } => None,
        }
    }

    /// The value below a path of keys.
    pub(super) fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text, if it is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Leaf { value, .. } => value.as_str(),
            Self::Table { .. } => None,
        }
    }

    /// This document below another one: tables are united, everything else is replaced, arrays too.
    ///
    /// Associative for documents that agree on which paths are tables, as checked ones do.
    #[must_use]
    pub(super) fn below(self, higher: Self) -> Self {
        match (self, higher) {
            (Self::Table { mut entries, .. }, Self::Table { entries: over, origin }) => {
                for (key, node) in over {
                    let merged = match entries.remove(&key) {
                        Some(lower) => lower.below(node),
                        None => node,
                    };
                    entries.insert(key, merged);
                }
                Self::Table { entries, origin }
            }
            (_, higher) => higher,
        }
    }

    /// The document without its origins.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Leaf { value, .. } => value.clone(),
            Self::Table { entries, .. } => {
                Value::Table(entries.iter().map(|(key, node)| (key.clone(), node.value())).collect())
            }
        }
    }
}

/// Reads a text; `name` says which one in origins and mistakes.
pub(super) fn parse(text: &str, name: &str) -> Result<Node, ConfigError> {
    let mut reader = Reader { lines: line_starts(text), text, name: &Arc::from(name), mistakes: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        reader.mistakes.push(Mistake::new(&reader.place(start), error.message(), ""));
    }
    reader.mistakes.sort_by_key(|mistake| mistake.origin.position());
    if !reader.mistakes.is_empty() {
        return Err(ConfigError::Invalid(Mistakes(reader.mistakes)));
    }
    let node = reader.table(table.get_ref(), reader.place(0));
    if reader.mistakes.is_empty() { Ok(node) } else { Err(ConfigError::Invalid(Mistakes(reader.mistakes))) }
}

/// Reads one value as it would stand behind `=`.
pub(super) fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let mut reader = Reader { lines: vec![0], text: "", name: &Arc::from(""), mistakes: Vec::new() };
    let value = reader.value(value.get_ref(), &Origin::BuiltIn);
    reader.mistakes.is_empty().then_some(value)
}

struct Reader<'a> {
    lines: Vec<usize>,
    text: &'a str,
    name: &'a Arc<str>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// Line and column of a byte offset.
    fn place(&self, offset: usize) -> Origin {
        let line = self.lines.partition_point(|&start| start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Origin::Text { name: Arc::clone(self.name), line, column: before.chars().count() + 1 }
    }

    fn table(&mut self, table: &DeTable<'_>, origin: Origin) -> Node {
        let entries = table.iter().map(|(key, value)| {
            let place = self.place(key.span().start);
            (key.get_ref().to_string(), self.node(value, place))
        });
        Node::Table { entries: entries.collect(), origin }
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, origin: Origin) -> Node {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, origin),
            other => Node::Leaf { value: self.value(other, &origin), origin },
        }
    }

    fn value(&mut self, value: &DeValue<'_>, origin: &Origin) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                    let message = format!("the whole number {number} is too large");
                    self.mistakes.push(Mistake::new(origin, message, "write one that fits 64 bits"));
                    return Value::Integer(0);
                };
                Value::Integer(number)
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(moment) => Value::Datetime(*moment),
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| self.value(item.get_ref(), origin)).collect())
            }
            DeValue::Table(table) => {
                let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
                    let key: &std::borrow::Cow<'_, str> = key.get_ref();
                    (key.to_string(), self.value(value.get_ref(), origin))
                };
                Value::Table(table.iter().map(entry).collect())
            }
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after_breaks).collect()
}
