//! What a configuration may look like, read from its JSON schema: the one table of keys, types and ranges
//! that files, variables and flags are checked against.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A key of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// What its value looks like.
    pub(super) shape: Shape,
    /// Whether a complete table has it.
    pub(super) required: bool,
}

/// Keys of a table.
pub(super) type Fields = BTreeMap<String, Field>;

/// Limits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Range {
    /// Smallest value.
    pub(super) from: Option<f64>,
    /// All values are larger.
    pub(super) above: Option<f64>,
    /// Largest value.
    pub(super) to: Option<f64>,
    /// All values are smaller.
    pub(super) below: Option<f64>,
}

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A table with known keys.
    Table(Fields),
    /// A table with any keys.
    Map(Box<Shape>),
    /// A table whose keys depend on the word behind `tag`.
    Kinds {
        /// The key of that word.
        tag: String,
        /// The keys by word, without the tag.
        kinds: BTreeMap<String, Fields>,
    },
    /// A list.
    Array {
        /// What its items look like.
        item: Box<Shape>,
        /// Whether they must differ.
        unique: bool,
    },
    /// One of some words.
    Word(Vec<String>),
    /// A text.
    Text {
        /// Regular expression that it matches.
        pattern: Option<String>,
        /// The same in words.
        rule: Option<String>,
    },
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// `true` or `false`.
    Boolean,
    /// What this module does not understand: nothing is checked.
    Any,
}

impl Shape {
    /// Reads a schema that [`super::schema`] made.
    pub(super) fn read(schema: &Value) -> Self {
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let Some(object) = schema.as_object() else { return Self::Any };
        if let Some(choices) = object.get("oneOf").or_else(|| object.get("enum")).and_then(Value::as_array) {
            return Self::choice(choices);
        }
        match text("type") {
            Some("object") if object.contains_key("properties") => Self::Table(fields(object, None)),
            Some("object") => match object.get("additionalProperties") {
                Some(item @ Value::Object(_)) => Self::Map(Box::new(Self::read(item))),
                Some(Value::Bool(false)) => Self::Table(Fields::new()),
                _ => Self::Any,
            },
            Some("array") => Self::Array {
                item: Box::new(object.get("items").map_or(Self::Any, Self::read)),
                unique: object.get("uniqueItems") == Some(&Value::Bool(true)),
            },
            Some("string") => match text("const") {
                Some(word) => Self::Word(vec![word.to_owned()]),
                None => Self::Text {
                    pattern: text("pattern").map(str::to_owned),
                    rule: text("patternErrorMessage").map(str::to_owned),
                },
            },
            Some("integer") => Self::Integer(range(object)),
            Some("number") => Self::Number(range(object)),
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }

    /// Words, or tables told apart by a tag.
    fn choice(choices: &[Value]) -> Self {
        let word = |choice: &Value| {
            let text = choice.as_str().or_else(|| choice.get("const").and_then(Value::as_str));
            text.map(|text| vec![text.to_owned()]).or_else(|| {
                let words = choice.get("enum")?.as_array()?.iter();
                words.map(|word| word.as_str().map(str::to_owned)).collect()
            })
        };
        if let Some(words) = choices.iter().map(word).collect::<Option<Vec<_>>>() {
            return Self::Word(words.concat());
        }
        let tag = choices.iter().find_map(tag_of).map(|(tag, _)| tag.to_owned());
        let Some(tag) = tag else { return Self::Any };
        let kind = |choice: &Value| {
            let (own, word) = tag_of(choice)?;
            (own == tag).then(|| Some((word.to_owned(), fields(choice.as_object()?, Some(&tag)))))?
        };
        match choices.iter().map(kind).collect() {
            Some(kinds) => Self::Kinds { tag, kinds },
            None => Self::Any,
        }
    }

    /// What may stand at a path: several shapes where it differs by kind, none where nothing may.
    pub(super) fn at<'a>(&'a self, path: &[String]) -> Vec<&'a Shape> {
        let Some((key, rest)) = path.split_first() else { return vec![self] };
        match self {
            Self::Table(fields) => fields.get(key).map(|field| field.shape.at(rest)).unwrap_or_default(),
            Self::Map(item) => item.at(rest),
            Self::Kinds { tag, .. } if tag == key && rest.is_empty() => vec![self],
            Self::Kinds { kinds, .. } => {
                let holding = kinds.values().filter_map(|fields| fields.get(key));
                holding.flat_map(|field| field.shape.at(rest)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The words that the value at a path can be; none where it is no word.
    pub(super) fn words(&self, path: &[String]) -> Vec<String> {
        match (self, path) {
            (Self::Word(words), []) => words.clone(),
            (Self::Table(fields), [key, rest @ ..]) => {
                fields.get(key).map_or_else(Vec::new, |field| field.shape.words(rest))
            }
            (Self::Kinds { tag, kinds }, [key]) if key == tag => kinds.keys().cloned().collect(),
            (Self::Kinds { kinds, .. }, [key, rest @ ..]) => {
                let mut found =
                    kinds.values().filter_map(|fields| fields.get(key)).map(|field| field.shape.words(rest));
                found.find(|words| !words.is_empty()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Every path that has a name of its own, tables included, in order and without repetition.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found.sort();
        found.dedup();
        found
    }

    fn collect(&self, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        let mut visit = |key: &String, shape: Option<&Self>| {
            path.push(key.clone());
            found.push(path.clone());
            if let Some(shape) = shape {
                shape.collect(path, found);
            }
            path.pop();
        };
        match self {
            Self::Table(fields) => fields.iter().for_each(|(key, field)| visit(key, Some(&field.shape))),
            Self::Kinds { tag, kinds } => {
                visit(tag, None);
                kinds.values().flatten().for_each(|(key, field)| visit(key, Some(&field.shape)));
            }
            _ => {}
        }
    }
}

/// The tag of a table that is one of several kinds: its only constant key.
fn tag_of(schema: &Value) -> Option<(&str, &str)> {
    let properties = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(key, value)| Some((key.as_str(), value.get("const")?.as_str()?)))
}

fn fields(object: &Map<String, Value>, without: Option<&str>) -> Fields {
    let required = |key: &String| {
        let list = object.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|name| name.as_str() == Some(key)))
    };
    let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    let others = properties.filter(|(key, _)| Some(key.as_str()) != without);
    let field =
        |(key, value)| (String::clone(key), Field { shape: Shape::read(value), required: required(key) });
    others.map(field).collect()
}

fn range(object: &Map<String, Value>) -> Range {
    let number = |key: &str| object.get(key).and_then(Value::as_f64);
    Range {
        from: number("minimum"),
        above: number("exclusiveMinimum"),
        to: number("maximum"),
        below: number("exclusiveMaximum"),
    }
}
