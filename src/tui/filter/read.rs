//! From a line to a filter.

use std::ops::Range;

use super::{EVER, Field, Filter};
use crate::config::nearest;

/// What is wrong with a line, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The bytes of the line that are meant.
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
}

/// One part of a line: a field with its value, or a bare word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) at: Range<usize>,
    /// Bytes of the value, quotes included.
    pub(super) value_at: Range<usize>,
    /// Name before the colon; `None` for a bare word.
    pub(super) name: Option<String>,
    /// The value without its quotes.
    pub(super) value: String,
    /// Whether a quote was opened and not closed.
    pub(super) open: bool,
}

/// Splits a line at spaces that are not within quotes.
pub(super) fn parts(line: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut rest = line.char_indices().peekable();
    while let Some(&(start, c)) = rest.peek() {
        if c.is_whitespace() {
            rest.next();
            continue;
        }
        let (mut value, mut name, mut value_start) = (String::new(), None, start);
        let (mut quoted, mut plain, mut end) = (false, true, start);
        while let Some(&(at, c)) = rest.peek() {
            if c.is_whitespace() && !quoted {
                break;
            }
            rest.next();
            end = at + c.len_utf8();
            match c {
                '\\' if quoted => {
                    if let Some((at, next)) = rest.next() {
                        end = at + next.len_utf8();
                        value.push(next);
                    }
                }
                // Quotes begin where a value does; elsewhere they are signs like others.
                '"' if quoted => quoted = false,
                '"' if value.is_empty() && plain => (quoted, plain) = (true, false),
                ':' if name.is_none() && plain && is_name(&value) => {
                    name = Some(std::mem::take(&mut value));
                    value_start = end;
                }
                c => value.push(c),
            }
        }
        found.push(Part { at: start..end, value_at: value_start..end, name, value, open: quoted });
    }
    found
}

/// Whether what stands before a colon can be the name of a field. `3:4` and `http://` are words.
fn is_name(text: &str) -> bool {
    let known = || Field::ALL.iter().any(|field| field.name() == text);
    let near = || nearest(text, Field::ALL.map(Field::name)).is_some();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase()) && (known() || near())
}

/// Reads a line.
///
/// # Errors
/// The first mistake, with its place.
pub(crate) fn read(line: &str) -> Result<Filter, Mistake> {
    let mut filter = Filter::default();
    let mut words: Vec<String> = Vec::new();
    let mut bare: Option<Range<usize>> = None;
    let mut seen: Vec<(Field, Range<usize>)> = Vec::new();
    for part in parts(line) {
        if part.open {
            return Err(Mistake {
                at: part.value_at,
                message: "a quote is open here; close it with \"".into(),
            });
        }
        let Some(name) = &part.name else {
            words.push(part.value);
            bare.get_or_insert(part.at);
            continue;
        };
        let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) else {
            let meant = nearest(name, Field::ALL.map(Field::name)).unwrap_or_default();
            let at = part.at.start..part.at.start + name.len();
            return Err(Mistake { at, message: format!("no field `{name}`; did you mean `{meant}`?") });
        };
        if seen.iter().any(|(other, _)| *other == field) {
            return Err(Mistake { at: part.at, message: format!("`{name}` comes twice; say it once") });
        }
        filter.set(field, &part.value).map_err(|message| Mistake { at: part.value_at, message })?;
        seen.push((field, part.at));
    }
    if let Some(at) = bare {
        seen.push((Field::Text, at));
        let already = filter.text.take().map(|text| text + " ").unwrap_or_default();
        filter.text = Some(already + &words.join(" "));
    }
    let alone = [Field::Id, Field::Flagged];
    let named = seen.iter().find(|(field, _)| alone.contains(field)).map(|(field, _)| *field);
    let other = seen.iter().find(|(field, _)| !alone.contains(field));
    if let (Some(named), Some((_, at))) = (named, other) {
        let message = format!("`{}` names samples and stands alone; take this away", named.name());
        return Err(Mistake { at: at.clone(), message });
    }
    Ok(filter)
}

/// `2`, `>2`, `>=2`, `<2`, `<=2`, `1..3` or `1-3` as first and last; `None` when it is none of them or empty.
pub(super) fn span(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| text.parse::<u32>().ok();
    let found = if let Some(rest) = text.strip_prefix(">=") {
        (number(rest)?, EVER)
    } else if let Some(rest) = text.strip_prefix('>') {
        (number(rest)?.checked_add(1)?, EVER)
    } else if let Some(rest) = text.strip_prefix("<=") {
        (0, number(rest)?)
    } else if let Some(rest) = text.strip_prefix('<') {
        (0, number(rest)?.checked_sub(1)?)
    } else if let Some((first, last)) = text.split_once("..").or_else(|| text.split_once('-')) {
        (number(first)?, number(last)?)
    } else {
        (number(text)?, number(text)?)
    };
    (found.0 <= found.1).then_some(found)
}

/// A value as it must be written so that it reads back.
pub(super) fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "\"\\:".contains(c));
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
