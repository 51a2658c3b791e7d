//! Records of JSON, in lines or in one list: one reader per benchmark.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Item, numbers};

/// Why files are no benchmark.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}\n  set `task.path` to the benchmark's file or folder")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or folder is not there.
    #[error(
        "{path} is not there; this program downloads nothing. Get {name} from {home} and set `task.path` or \
         `task.test_path` to its file or folder"
    )]
    Absent {
        /// The file or folder.
        path: PathBuf,
        /// The benchmark.
        name: &'static str,
        /// Where it is published.
        home: &'static str,
    },
    /// A record has another form.
    #[error("{path}, record {record}: {message}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Line number in a file of lines, else 1.
        record: usize,
        /// What is wrong.
        message: String,
    },
    /// A split has too few questions.
    #[error("{path}: too few questions for the {split} split; change `task.shares`, the splits or the file")]
    Few {
        /// The file or folder.
        path: PathBuf,
        /// The split.
        split: &'static str,
    },
    /// There is no test split.
    #[error("{path}: there are no test questions; add test.jsonl or a folder test, or set `task.test_path`")]
    NoTest {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads one record; the item's id is filled in by the caller where it comes back empty.
pub(super) type Reading = fn(&Value) -> Result<Item, String>;

/// Reads a file. Ids are the source's own, or task, part and line.
pub(super) fn read(path: &Path, task: &str, part: &str, reading: Reading) -> Result<Vec<Item>, RecordError> {
    let part = if part.is_empty() { String::new() } else { format!("{part}-") };
    let named = |(n, record): (usize, Value)| {
        let wrong = |message| RecordError::Record { path: path.to_owned(), record: n + 1, message };
        let item = reading(&record).map_err(wrong)?;
        let id = if item.id.is_empty() { format!("{task}-{part}{:05}", n + 1) } else { item.id };
        Ok(Item { id, ..item })
    };
    lines(path)?.into_iter().map(named).collect()
}

/// The records of a file, one per line or all in one list, with their place counted from 0.
pub(super) fn lines(path: &Path) -> Result<Vec<(usize, Value)>, RecordError> {
    let unreadable = |source| RecordError::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let message = |n: usize, e: serde_json::Error| RecordError::Record {
        path: path.to_owned(),
        record: n + 1,
        message: format!("not JSON: {e}"),
    };
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(&text).map_err(|e| message(0, e))?;
        return Ok(list.into_iter().enumerate().collect());
    }
    let parse = |(n, line): (usize, &str)| Ok((n, serde_json::from_str(line).map_err(|e| message(n, e))?));
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

pub(super) fn text<'v>(record: &'v Value, field: &str) -> Result<&'v str, String> {
    let found = record.get(field).and_then(Value::as_str).map(str::trim);
    found.filter(|text| !text.is_empty()).ok_or_else(|| format!("no text in the field `{field}`"))
}

/// Question and worked text; the text's last line is `#### N`, and `<<a*b=c>>` marks calculations in it.
pub(super) fn gsm8k(record: &Value) -> Result<Item, String> {
    let worked = text(record, "answer")?;
    let (steps, answer) = worked.rsplit_once("####").ok_or("the field `answer` has no line with ####")?;
    let answer = numbers::tidy(&answer.trim().replace(',', ""));
    if answer.parse::<f64>().is_err() {
        return Err(format!("the answer `{answer}` is not a number"));
    }
    Ok(Item {
        id: String::new(),
        question: text(record, "question")?.to_owned(),
        options: Vec::new(),
        answer,
        steps: without_marks(steps),
        skill: None,
        facets: Vec::new(),
    })
}

fn without_marks(steps: &str) -> String {
    let mut out = String::new();
    let mut rest = steps.trim();
    while let Some((before, tail)) = rest.split_once("<<") {
        out.push_str(before);
        if let Some((_, after)) = tail.split_once(">>") {
            rest = after;
        } else {
            out.push_str("<<");
            rest = tail;
        }
    }
    out + rest
}

/// Body and question, equation and answer; the type is the skill.
pub(super) fn svamp(record: &Value) -> Result<Item, String> {
    let answer = match record.get("Answer") {
        Some(Value::Number(number)) => numbers::tidy(&number.to_string()),
        _ => numbers::tidy(text(record, "Answer")?),
    };
    if answer.parse::<f64>().is_err() {
        return Err(format!("the answer `{answer}` is not a number"));
    }
    // One record of the source spells it so.
    let kind = text(record, "Type")?.replace("Divison", "Division");
    let equation = numbers::tidy_all(text(record, "Equation")?);
    let equation = equation.strip_prefix('(').and_then(|e| e.strip_suffix(')')).unwrap_or(&equation);
    let (body, question) = (text(record, "Body")?, text(record, "Question")?);
    let stop = if body.ends_with(['.', '?', '!', ',']) { "" } else { "." };
    Ok(Item {
        id: text(record, "ID").unwrap_or_default().to_owned(),
        question: format!("{body}{stop} {question}"),
        options: Vec::new(),
        steps: format!("{} = {answer}", equation.trim()),
        answer,
        skill: Some(kind),
        facets: Vec::new(),
    })
}

/// Five options, the letter of the right one, a rationale.
pub(super) fn aqua(record: &Value) -> Result<Item, String> {
    let options = record.get("options").and_then(Value::as_array).ok_or("no list in the field `options`")?;
    let spaced = |option: &Value| -> Result<String, String> {
        let option = option.as_str().ok_or("an option is not a text")?;
        let (letter, text) = option.split_once(')').ok_or("an option has no letter")?;
        Ok(format!("{}) {}", letter.trim(), text.trim()))
    };
    let options: Vec<String> = options.iter().map(spaced).collect::<Result<_, _>>()?;
    let answer = text(record, "correct")?.to_owned();
    if !options.iter().any(|option| option.starts_with(&format!("{answer})"))) {
        return Err(format!("no option has the letter `{answer}`"));
    }
    Ok(Item {
        id: String::new(),
        question: text(record, "question")?.to_owned(),
        options,
        answer,
        steps: text(record, "rationale")?.to_owned(),
        skill: None,
        facets: Vec::new(),
    })
}
