//! A training datum as a row of each format, and back.

use serde::de::DeserializeOwned;

use super::error::ExchangeError;
use super::format::{Format, IMAGES, Shape};
use super::json;
use super::table::{Cell, Cells, Column, Picture, Row, Turn};
use crate::gym::datum::{CheckResult, JudgedDatum, TrainingDatum, Verdict};
use crate::gym::ulid::Ulid;

/// Stands for an image in the text of the formats that want one per image.
const PLACEHOLDER: &str = "<image>";

/// A row from outside: what another program would have written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Draft {
    pub(super) instruction: String,
    pub(super) response: String,
    pub(super) rejected_response: Option<String>,
    pub(super) pictures: Vec<Picture>,
    pub(super) ulid: Option<String>,
    pub(super) skill: Option<String>,
    pub(super) subskill: Option<String>,
    pub(super) iteration: Option<u32>,
    pub(super) verdict: Option<Verdict>,
    pub(super) question: Option<String>,
    pub(super) answer: Option<String>,
    pub(super) checks: Vec<CheckResult>,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// Words with a little beside them.
    Draft(Box<Draft>),
    /// One of our own records, whole.
    Datum(Box<JudgedDatum>, Vec<Picture>),
}

/// The row of a datum; `None` when the format is for pairs and the datum is none.
pub(super) fn row(
    shape: Shape,
    ulid: Ulid,
    judged: &JudgedDatum,
    pictures: Vec<Picture>,
) -> Result<Option<Row>, ExchangeError> {
    let datum = &judged.datum;
    let (asked, answered) = (datum.instruction.clone(), datum.response.clone());
    let marked = format!("{}{asked}", PLACEHOLDER.repeat(datum.images.len()));
    let turn = |speaker: &str, words| Turn { speaker: speaker.to_owned(), words };
    let mut row: Row = match (shape.format, &datum.rejected_response) {
        (Format::Messages, _) => vec![Cell::Turns(vec![turn("user", asked), turn("assistant", answered)])],
        (Format::PromptCompletion, _) => vec![asked.into(), answered.into()],
        (Format::Alpaca, _) => vec![marked.into(), String::new().into(), answered.into()],
        (Format::Sharegpt, _) => vec![Cell::Turns(vec![turn("human", marked), turn("gpt", answered)])],
        (Format::Preference, Some(worse)) => vec![asked.into(), answered.into(), worse.clone().into()],
        (Format::Preference, None) => return Ok(None),
        (Format::Records, _) => records_row(ulid, judged)?,
    };
    if shape.images {
        row.push(Cell::Images(pictures));
    }
    if shape.metadata && shape.format != Format::Records {
        row.extend([
            ulid.to_string().into(),
            datum.skill.clone().into(),
            datum.subskill.clone().into(),
            Cell::Integer(i64::from(datum.provenance.iteration)),
            judged.verdict.as_str().to_owned().into(),
        ]);
    }
    Ok(Some(row))
}

fn records_row(ulid: Ulid, judged: &JudgedDatum) -> Result<Row, ExchangeError> {
    let datum = &judged.datum;
    Ok(vec![
        ulid.to_string().into(),
        datum.id.clone().into(),
        datum.instruction.clone().into(),
        datum.response.clone().into(),
        datum.answer.clone().into(),
        datum.rejected_response.clone().into(),
        datum.skill.clone().into(),
        datum.subskill.clone().into(),
        datum.key.clone().into(),
        Cell::Integer(i64::from(datum.provenance.iteration)),
        judged.verdict.as_str().to_owned().into(),
        json::text(&datum.provenance)?.into(),
        json::text(&judged.checks)?.into(),
        judged.review.as_ref().map(json::text).transpose()?.into(),
        json::text(&datum.images)?.into(),
        datum.question.clone().into(),
    ])
}

/// What the row of a file means.
///
/// # Errors
/// Says what is wrong with the row and what to do.
pub(super) fn read(format: Format, columns: &[Column], row: Row) -> Result<Incoming, String> {
    let mut cells = Cells::new(columns, row);
    if format == Format::Records {
        let pictures = cells.pictures(IMAGES);
        return Ok(Incoming::Datum(Box::new(read_record(&mut cells)?), pictures));
    }
    let pictures = cells.pictures(IMAGES);
    let (instruction, response) = match format {
        Format::Messages => exchange(cells.turns("messages"), "messages")?,
        Format::Sharegpt => {
            let (asked, answered) = exchange(cells.turns("conversations"), "conversations")?;
            (unmarked(&asked, pictures.len()), answered)
        }
        Format::PromptCompletion => (cells.text("prompt")?, cells.text("completion")?),
        Format::Preference => (cells.text("prompt")?, cells.text("chosen")?),
        Format::Alpaca => {
            let asked = unmarked(&cells.text("instruction")?, pictures.len());
            let input = cells.optional("input").filter(|input| !input.is_empty());
            let asked = input.map_or(asked.clone(), |input| format!("{asked}\n{input}"));
            (asked, cells.text("output")?)
        }
        Format::Records => return Err("a record is no draft".to_owned()),
    };
    let rejected_response = match format {
        Format::Preference => Some(cells.text("rejected")?),
        _ => None,
    };
    let iteration = cells.integer("iteration").map(|n| u32::try_from(n).map_err(|_| n)).transpose();
    Ok(Incoming::Draft(Box::new(Draft {
        instruction,
        response,
        rejected_response,
        pictures,
        ulid: cells.optional("ulid"),
        skill: cells.optional("skill"),
        subskill: cells.optional("subskill"),
        iteration: iteration.map_err(|n| format!("`iteration` is {n}; it counts from 1"))?,
        verdict: cells.optional("verdict").map(|word| verdict(&word)).transpose()?,
        ..Draft::default()
    })))
}

fn read_record(cells: &mut Cells<'_>) -> Result<JudgedDatum, String> {
    let datum = TrainingDatum {
        id: cells.text("id")?,
        instruction: cells.text("instruction")?,
        question: cells.optional("question"),
        response: cells.text("response")?,
        answer: cells.optional("answer"),
        rejected_response: cells.optional("rejected_response"),
        images: part(cells, "image_references")?,
        skill: cells.text("skill")?,
        subskill: cells.text("subskill")?,
        key: cells.text("key")?,
        provenance: part(cells, "provenance")?,
    };
    let review = cells.optional("review").map(|text| parsed(&text, "review")).transpose()?;
    Ok(JudgedDatum {
        datum,
        verdict: verdict(&cells.text("verdict")?)?,
        checks: part(cells, "checks")?,
        review,
    })
}

/// A column that holds JSON.
fn part<T: DeserializeOwned>(cells: &mut Cells<'_>, name: &str) -> Result<T, String> {
    parsed(&cells.text(name)?, name)
}

fn parsed<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    serde_json::from_str(text)
        .map_err(|e| format!("`{name}` is not what an export writes: {e}; export it again"))
}

/// The verdict of a word.
pub(super) fn verdict(word: &str) -> Result<Verdict, String> {
    let all = [Verdict::Pending, Verdict::Accepted, Verdict::Rejected];
    let found = all.into_iter().find(|verdict| verdict.as_str() == word);
    let shown = || word.escape_debug().take(40).collect::<String>();
    found.ok_or_else(|| format!("`verdict` is `{}`; it is `accepted`, `rejected` or `pending`", shown()))
}

/// The one exchange of a conversation. What a system turn says goes before the user's words.
fn exchange(turns: Vec<Turn>, column: &str) -> Result<(String, String), String> {
    let speakers: Vec<&str> = turns.iter().map(|turn| turn.speaker.as_str()).collect();
    let expected = matches!(
        speakers.as_slice(),
        ["user" | "human", "assistant" | "gpt"] | ["system", "user" | "human", "assistant" | "gpt"]
    );
    if !expected {
        let shown: Vec<String> = speakers.iter().take(6).map(|s| s.escape_debug().to_string()).collect();
        return Err(format!(
            "`{column}` has {} turns ({}); a training datum has one user and one assistant turn, after at most \
             one system turn: split the conversation",
            speakers.len(),
            shown.join(", ")
        ));
    }
    let mut words: Vec<String> = turns.into_iter().map(|turn| turn.words).collect();
    let answered = words.pop().unwrap_or_default();
    Ok((words.join("\n\n"), answered))
}

/// The text without the marks of its images.
fn unmarked(text: &str, images: usize) -> String {
    let mut rest = text;
    for _ in 0..images {
        rest = rest.strip_prefix(PLACEHOLDER).unwrap_or(rest);
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_that_are_no_datum_are_refused() {
        let turns = |speakers: &[&str]| {
            let turn = |s: &&str| Turn { speaker: (*s).to_owned(), words: s.to_uppercase() };
            exchange(speakers.iter().map(turn).collect(), "messages")
        };
        assert_eq!(turns(&["user", "assistant"]), Ok(("USER".into(), "ASSISTANT".into())));
        assert_eq!(turns(&["system", "human", "gpt"]), Ok(("SYSTEM\n\nHUMAN".into(), "GPT".into())));
        for speakers in
            [&[][..], &["user"], &["assistant", "user"], &["user", "assistant", "user", "assistant"]]
        {
            assert!(turns(speakers).unwrap_err().contains("split the conversation"));
        }
    }

    #[test]
    fn only_as_many_marks_as_images_are_taken_away() {
        assert_eq!(unmarked("<image><image>what is <image>?", 1), "<image>what is <image>?");
    }
}
