//! What can be written at the cursor.

use std::ops::Range;

use super::{Field, read};
use crate::tui::app::List;

/// One way to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The bytes it replaces.
    pub(crate) at: Range<usize>,
    /// What is written there.
    pub(crate) text: String,
    /// What it means.
    pub(crate) about: &'static str,
}

/// The ways to go on at the cursor, which stands before byte `at`: names of fields, or values of one. `known`
/// gives the values that a field has in this run.
pub(crate) fn candidates(
    line: &str,
    at: usize,
    list: List,
    known: &dyn Fn(Field) -> Vec<String>,
) -> Vec<Candidate> {
    let part = read::parts(&line[..at]).into_iter().last().filter(|part| part.at.end == at || part.open);
    let Some(part) = part else { return names("", at..at, list) };
    let Some(name) = &part.name else {
        return if part.value_at == part.at {
            names(&line[part.at.clone()], part.at, list)
        } else {
            Vec::new()
        };
    };
    let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) else { return Vec::new() };
    let sought = part.value.to_lowercase();
    let begins = |value: &String| value.to_lowercase().starts_with(&sought);
    values(field, known)
        .into_iter()
        .filter(begins)
        .map(|value| Candidate { at: part.value_at.clone(), text: read::quoted(&value), about: "" })
        .collect()
}

fn names(begun: &str, at: Range<usize>, list: List) -> Vec<Candidate> {
    let fields = Field::of(list).filter(|field| field.name().starts_with(begun));
    let candidate =
        |field: Field| Candidate { at: at.clone(), text: format!("{}:", field.name()), about: field.about() };
    fields.map(candidate).collect()
}

fn values(field: Field, known: &dyn Fn(Field) -> Vec<String>) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match field {
        Field::Verdict => words(&["accepted", "rejected", "pending"]),
        Field::Correct | Field::Reviewed | Field::Malformed => words(&["true", "false"]),
        Field::Flagged => words(&["true"]),
        Field::Split => words(&["validation", "test"]),
        _ => known(field),
    }
}

/// The line with a candidate taken, and where the cursor stands then.
pub(crate) fn completed(line: &str, at: usize, candidate: &Candidate) -> (String, usize) {
    let space = if candidate.text.ends_with(':') { "" } else { " " };
    let before = &line[..candidate.at.start];
    let written = format!("{before}{}{space}", candidate.text);
    let rest = line[at.max(candidate.at.end)..].trim_start();
    (format!("{written}{rest}"), written.len())
}

/// The line without what is still being written at its end: the name of a field, or a field without a value.
pub(crate) fn settled(line: &str) -> &str {
    let Some(last) = read::parts(line).into_iter().last().filter(|part| part.at.end == line.len()) else {
        return line;
    };
    let unfinished = match &last.name {
        None => Field::ALL.iter().any(|field| field.name().starts_with(last.value.as_str())),
        Some(_) => last.value.is_empty(),
    };
    if unfinished { &line[..last.at.start] } else { line }
}
