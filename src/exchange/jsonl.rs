//! Rows as lines of JSON.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::ExchangeError;
use super::image;
use super::json::{self, word};
use super::table::{Cell, Column, Kind, Picture, Row, Turn};

/// The line of a row, without its end.
pub(super) fn line(columns: &[Column], row: &Row) -> Result<String, ExchangeError> {
    json::text(&Line { columns, row })
}

struct Line<'a> {
    columns: &'a [Column],
    row: &'a Row,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(self.row) {
            match cell {
                Cell::Missing => map.serialize_entry(column.name, &())?,
                Cell::Text(text) => map.serialize_entry(column.name, text)?,
                Cell::Integer(number) => map.serialize_entry(column.name, number)?,
                Cell::Turns(turns) => map.serialize_entry(column.name, &Turns(column.kind, turns))?,
                Cell::Images(pictures) => {
                    let paths: Vec<_> = pictures.iter().map(|picture| &picture.path).collect();
                    map.serialize_entry(column.name, &paths)?;
                }
            }
        }
        map.end()
    }
}

struct Turns<'a>(Kind, &'a [Turn]);

impl Serialize for Turns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.1.len()))?;
        for turn in self.1 {
            list.serialize_element(&One(self.0, turn))?;
        }
        list.end()
    }
}

struct One<'a>(Kind, &'a Turn);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        if let Kind::Turns { speaker, words } = self.0 {
            map.serialize_entry(speaker, &self.1.speaker)?;
            map.serialize_entry(words, &self.1.words)?;
        }
        map.end()
    }
}

/// The row of an object. Keys that are no column are not looked at.
///
/// # Errors
/// Names the key, what it holds and what it should hold.
pub(super) fn row(columns: &[Column], mut object: Map<String, Value>) -> Result<Row, String> {
    columns.iter().map(|column| cell(column, object.remove(column.name))).collect()
}

fn cell(column: &Column, value: Option<Value>) -> Result<Cell, String> {
    let name = column.name;
    match (column.kind, value) {
        (_, None | Some(Value::Null)) if column.optional => Ok(Cell::Missing),
        (_, None) => Err(format!("`{name}` is missing; every line of a file has the same keys")),
        (Kind::Text | Kind::OptionalText, Some(Value::String(text))) => Ok(Cell::Text(text)),
        (Kind::Text | Kind::OptionalText, Some(value)) => conversational(name, value),
        (Kind::Integer, Some(value)) => match value.as_i64() {
            Some(number) => Ok(Cell::Integer(number)),
            None => Err(format!("`{name}` is {}; it must be a whole number", word(&value))),
        },
        (Kind::Turns { speaker, words }, Some(Value::Array(turns))) => {
            let turns = turns.into_iter().map(|value| turn(name, speaker, words, value));
            Ok(Cell::Turns(turns.collect::<Result<_, _>>()?))
        }
        (Kind::Turns { speaker, words }, Some(value)) => {
            let found = word(&value);
            Err(format!("`{name}` is {found}; it must be a list of objects with `{speaker}` and `{words}`"))
        }
        (Kind::Images, Some(Value::Array(pictures))) => {
            let pictures = pictures.into_iter().map(|value| picture(name, value));
            Ok(Cell::Images(pictures.collect::<Result<_, _>>()?))
        }
        (Kind::Images, Some(value)) => {
            Err(format!("`{name}` is {}; it must be a list of paths", word(&value)))
        }
    }
}

/// The conversational spelling of a text column: a list of one message.
fn conversational(name: &str, value: Value) -> Result<Cell, String> {
    let found = word(&value);
    let refused = || format!("`{name}` is {found}; it must be a text, or a list of one message");
    let Value::Array(mut messages) = value else { return Err(refused()) };
    match (messages.pop(), messages.is_empty()) {
        (Some(message), true) => Ok(Cell::Text(turn(name, "role", "content", message)?.words)),
        _ => Err(refused()),
    }
}

fn turn(name: &str, speaker: &str, words: &str, value: Value) -> Result<Turn, String> {
    let Value::Object(mut turn) = value else {
        return Err(format!("`{name}` holds {}; every turn must be an object", word(&value)));
    };
    let mut take = |key: &str| match turn.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(parts)) => said(name, key, parts),
        Some(other) => Err(format!("`{key}` of a turn in `{name}` is {}; it must be a text", word(&other))),
        None => Err(format!("a turn in `{name}` has no `{key}`")),
    };
    Ok(Turn { speaker: take(speaker)?, words: take(words)? })
}

/// The texts of a content in parts; its images stand in the column of images.
fn said(name: &str, key: &str, parts: Vec<Value>) -> Result<String, String> {
    let mut text = String::new();
    for part in parts {
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Some("text"), Some(words)) => text.push_str(words),
            (Some("image"), _) => {}
            _ => {
                return Err(format!(
                    "`{key}` of a turn in `{name}` has a part that is neither text nor image"
                ));
            }
        }
    }
    Ok(text)
}

fn picture(name: &str, value: Value) -> Result<Picture, String> {
    match value {
        Value::String(path) => Ok(Picture { path: Some(path), bytes: None }),
        Value::Object(mut object) => {
            let mut take = |key: &str| match object.remove(key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let bytes = take("bytes").map(|text| image::decoded(&text)).transpose()?;
            Ok(Picture { path: take("path"), bytes })
        }
        other => {
            Err(format!("`{name}` holds {}; every image must be a path or `data:` address", word(&other)))
        }
    }
}
