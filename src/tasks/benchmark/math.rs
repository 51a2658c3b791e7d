//! MATH: seven subjects, five levels, and the named splits of the reference program.
//!
//! The files may lie as they were published, `train/SUBJECT/N.json`, or as JSON lines, `train.jsonl` and
//! `test.jsonl`. A balanced split takes the first `k` questions of every subject and level in the order of the
//! file, so it needs no seed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use super::records::{lines, text};
use super::{Item, RecordError, Settings};
use crate::tasks::math::{Scoring, reference_answer};

/// The subjects, in the order of their names.
pub const SUBJECTS: [&str; 7] = [
    "Algebra",
    "Counting & Probability",
    "Geometry",
    "Intermediate Algebra",
    "Number Theory",
    "Prealgebra",
    "Precalculus",
];

/// The levels, easiest first.
pub const LEVELS: [&str; 5] = ["Level 1", "Level 2", "Level 3", "Level 4", "Level 5"];

/// A named part of MATH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MathSplit {
    /// Whether it is taken from the test questions.
    test: bool,
    /// Questions per subject and level; all without it.
    per_cell: Option<u32>,
    /// A subject's place in [`SUBJECTS`].
    subject: Option<usize>,
    /// A level's place in [`LEVELS`].
    level: Option<usize>,
    /// The first question alone.
    first: bool,
}

/// A name that is no split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no split `{0}` of MATH; there are train_all, test_all, val_balanced_subset_K, \
     test_balanced_subset_K, train_level_L_balanced_K, SUBJECT_train_500, SUBJECT_test_500, SUBJECT_test_all \
     and debug, with a number for K, 1 to 5 for L and SUBJECT like number_theory"
)]
pub struct UnknownSplit(String);

fn snake(subject: &str) -> String {
    subject.to_lowercase().replace(" & ", "_and_").replace(' ', "_")
}

impl FromStr for MathSplit {
    type Err = UnknownSplit;

    fn from_str(name: &str) -> Result<Self, UnknownSplit> {
        let unknown = || UnknownSplit(name.to_owned());
        let count = |digits: &str| digits.parse::<u32>().ok().filter(|k| *k > 0).ok_or_else(unknown);
        let all = Self { test: false, per_cell: None, subject: None, level: None, first: false };
        let balanced = |test, k| Self { test, per_cell: Some(k), ..all };
        if let Some(k) = name.strip_prefix("val_balanced_subset_") {
            return Ok(balanced(false, count(k)?));
        }
        if let Some(k) = name.strip_prefix("test_balanced_subset_") {
            return Ok(balanced(true, count(k)?));
        }
        if let Some((level, k)) =
            name.strip_prefix("train_level_").and_then(|rest| rest.split_once("_balanced_"))
        {
            let level = count(level)? as usize - 1;
            let level = (level < LEVELS.len()).then_some(level).ok_or_else(unknown)?;
            return Ok(Self { level: Some(level), ..balanced(false, count(k)?) });
        }
        match name {
            "train_all" => return Ok(all),
            "test_all" => return Ok(Self { test: true, ..all }),
            "debug" => return Ok(Self { first: true, ..all }),
            _ => {}
        }
        let of = |(place, subject): (usize, &&str)| {
            let rest = name.strip_prefix(&snake(subject))?;
            let (test, per_cell) = match rest {
                "_train_500" => (false, Some(100)),
                "_test_500" => (true, Some(100)),
                "_test_all" => (true, None),
                _ => return None,
            };
            Some(Self { test, per_cell, subject: Some(place), ..all })
        };
        SUBJECTS.iter().enumerate().find_map(of).ok_or_else(unknown)
    }
}

impl fmt::Display for MathSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.test { "test" } else { "train" };
        match (self.per_cell, self.subject.map(|place| snake(SUBJECTS[place])), self.level) {
            _ if self.first => f.write_str("debug"),
            (None, None, _) => write!(f, "{part}_all"),
            (None, Some(subject), _) => write!(f, "{subject}_{part}_all"),
            (Some(_), Some(subject), _) => write!(f, "{subject}_{part}_500"),
            (Some(k), None, Some(level)) => write!(f, "train_level_{}_balanced_{k}", level + 1),
            (Some(k), None, None) if self.test => write!(f, "test_balanced_subset_{k}"),
            (Some(k), None, None) => write!(f, "val_balanced_subset_{k}"),
        }
    }
}

/// A question with its cell.
#[derive(Debug, Clone)]
struct Row {
    item: Item,
    subject: Option<usize>,
    level: Option<usize>,
}

impl MathSplit {
    /// The rows of the split, in the order of the reference: a balanced one by cells in the order in which
    /// they first appear.
    fn of(self, rows: &[Row]) -> Vec<Item> {
        if self.first {
            return rows.first().map(|row| row.item.clone()).into_iter().collect();
        }
        let fits = |row: &&Row| {
            self.subject.is_none_or(|s| row.subject == Some(s))
                && self.level.is_none_or(|l| row.level == Some(l))
        };
        let Some(k) = self.per_cell else {
            return rows.iter().filter(fits).map(|row| row.item.clone()).collect();
        };
        let mut cells: Vec<Vec<&Row>> = Vec::new();
        let mut places: HashMap<(usize, usize), usize> = HashMap::new();
        for row in rows {
            let (Some(subject), Some(level)) = (row.subject, row.level) else { continue };
            let place = *places.entry((level, subject)).or_insert_with(|| {
                cells.push(Vec::new());
                cells.len() - 1
            });
            if cells[place].len() < k as usize {
                cells[place].push(row);
            }
        }
        cells.into_iter().flatten().filter(fits).map(|row| row.item.clone()).collect()
    }
}

/// Pool, validation and test. The pool is made of the training questions that are not of the others.
pub(super) fn splits(settings: &Settings) -> Result<(String, [Vec<Item>; 3]), RecordError> {
    let part = |path: &Path, name| part(path, name, settings.scoring);
    let train = part(&settings.path, "train")?;
    let test = match &settings.test {
        Some(path) => part(path, "test")?,
        None if settings.path.is_dir() => part(&settings.path, "test")?,
        None => Vec::new(),
    };
    let (validation, measured) = settings.splits;
    if test.is_empty() && (measured.test || validation.test) {
        return Err(RecordError::NoTest { path: settings.path.clone() });
    }
    let of = |split: MathSplit| split.of(if split.test { &test } else { &train });
    let (validation_items, test_items) = (of(validation), of(measured));
    let held: HashSet<&str> =
        validation_items.iter().chain(&test_items).map(|item| item.id.as_str()).collect();
    let free = |row: &&Row| !held.contains(row.item.id.as_str());
    let pool: Vec<Item> = train.iter().filter(free).map(|row| row.item.clone()).collect();
    Ok((format!("math/{validation}"), [pool, validation_items, test_items]))
}

/// The rows of `train` or `test` below a folder, or of a file.
fn part(path: &Path, name: &str, scoring: Scoring) -> Result<Vec<Row>, RecordError> {
    if !path.is_dir() {
        return of_lines(path, name, scoring);
    }
    let file = path.join(format!("{name}.jsonl"));
    if file.is_file() {
        return of_lines(&file, name, scoring);
    }
    let mut rows = Vec::new();
    for subject in entries(&path.join(name))? {
        if !subject.is_dir() {
            continue;
        }
        for file in entries(&subject)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
            let unreadable = |source| RecordError::Unreadable { path: file.clone(), source };
            let text = std::fs::read_to_string(&file).map_err(unreadable)?;
            let wrong = |message: String| RecordError::Record { path: file.clone(), record: 1, message };
            let record: Value = serde_json::from_str(&text).map_err(|e| wrong(format!("not JSON: {e}")))?;
            rows.push(row(&record, name, rows.len(), scoring).map_err(wrong)?);
        }
    }
    Ok(rows)
}

/// The entries of a folder, by number where their names are numbers, else by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let unreadable = |source| RecordError::Unreadable { path: folder.to_owned(), source };
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(unreadable)?;
    let number = |path: &PathBuf| path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
    found.sort_by(|a, b| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    Ok(found)
}

fn of_lines(path: &Path, name: &str, scoring: Scoring) -> Result<Vec<Row>, RecordError> {
    let mut rows = Vec::new();
    for (n, record) in lines(path)? {
        let wrong = |message| RecordError::Record { path: path.to_owned(), record: n + 1, message };
        rows.push(row(&record, name, rows.len(), scoring).map_err(wrong)?);
    }
    Ok(rows)
}

fn row(record: &Value, part: &str, index: usize, scoring: Scoring) -> Result<Row, String> {
    let solution = text(record, "solution")?;
    let answer = match record.get("answer").and_then(Value::as_str) {
        Some(answer) if !answer.trim().is_empty() => answer.trim().to_owned(),
        _ => reference_answer(scoring, solution).ok_or("the solution has no closed \\boxed answer")?,
    };
    // Names of the field: the publication's, and those of later mirrors.
    let subject = text(record, "type").or_else(|_| text(record, "subject"))?;
    let level = match record.get("level") {
        Some(Value::Number(number)) => format!("Level {number}"),
        _ => text(record, "level")?.to_owned(),
    };
    let facets = vec![("subject", subject.to_owned()), ("level", level.clone())];
    Ok(Row {
        subject: SUBJECTS.iter().position(|known| *known == subject),
        level: LEVELS.iter().position(|known| *known == level),
        item: Item {
            id: format!("MATH_{part}_{index}"),
            question: text(record, "problem")?.to_owned(),
            options: Vec::new(),
            answer,
            steps: solution.to_owned(),
            skill: Some(subject.to_owned()),
            facets,
        },
    })
}
