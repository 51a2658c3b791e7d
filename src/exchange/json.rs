//! JSON text on one line, and files of it read line by line.

use std::io::{BufRead, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::{ExchangeError, Spot};

/// Longest line that is read: a record with its images inline.
const LONGEST_LINE: u64 = 256 << 20;

/// The text of a value on one line.
///
/// # Errors
/// When a map has keys that are no texts; none of our records has one.
pub(super) fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, ExchangeError> {
    serde_json::to_string(value)
        .map_err(|e| ExchangeError::Asked(format!("a record cannot be written as JSON: {e}")))
}

/// The lines of a file, one at a time.
pub(super) struct Lines<'a, R> {
    path: &'a Path,
    input: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(super) fn new(path: &'a Path, input: R) -> Self {
        Self { path, input, number: 0, buffer: Vec::new() }
    }

    /// The next line's object with its place, or `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Spot<'a>, Value)>, ExchangeError> {
        self.buffer.clear();
        let mut limited = (&mut self.input).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(ExchangeError::io(self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let spot = Spot { path: self.path, unit: "line", number: self.number };
        let ended = self.buffer.last() == Some(&b'\n');
        if !ended && read as u64 == LONGEST_LINE {
            return Err(spot.error("the line is longer than 256 MiB; is this a file of JSON lines?"));
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|e| {
            let at = e.valid_up_to() + 1;
            spot.error(format!("byte {at} is not UTF-8; convert the file, for example with iconv"))
        })?;
        // A byte order mark is no part of a record.
        let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text }.trim();
        if text.is_empty() {
            return Err(spot.error("the line is empty; every line must hold one JSON object: remove it"));
        }
        let value: Value = serde_json::from_str(text).map_err(|e| {
            let remedy = match (ended, e.is_eof()) {
                (false, true) => {
                    "the file ends in the middle of a record: copy it again, or remove this line"
                }
                _ => "mend or remove this line",
            };
            spot.error(format!("not JSON: {e}; {remedy}"))
        })?;
        match value {
            Value::Object(_) => Ok(Some((spot, value))),
            other => Err(spot.error(format!("expected a JSON object, found {}", word(&other)))),
        }
    }
}

/// What a value is, for messages.
pub(super) fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<usize, String> {
        let mut lines = Lines::new(Path::new("x.jsonl"), text);
        let mut count = 0;
        while lines.next().map_err(|e| e.to_string())?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn every_line_counts() {
        assert_eq!(read(b"\xef\xbb\xbf{}\r\n{\"a\":1}"), Ok(2));
        for (text, expected) in [
            (&b"{}\n\n{}\n"[..], "x.jsonl, line 2: the line is empty"),
            (b"{}\n[1]\n", "line 2: expected a JSON object, found a list"),
            (b"{}\n{\"a\": \"b", "line 2: not JSON"),
            (b"{}\n{\"a\": \"b", "ends in the middle of a record"),
            (b"{\"a\": \xff}\n", "line 1: byte 7 is not UTF-8"),
            (b"{\"a\" 1}\n{}", "mend or remove this line"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert!(read(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
