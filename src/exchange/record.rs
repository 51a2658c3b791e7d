//! Every record of a run as one line of JSON: `{"record": ..., "ulid": ..., "value": ...}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ExchangeError;
use super::json;
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Event;
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{Checkpoint, Fact, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;
use crate::gym::teacher_call::TeacherCall;
use crate::gym::ulid::Ulid;
use crate::store::RunRecord;

/// A prediction with whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Iteration whose student answered.
    pub iteration: u32,
    /// Split it answered.
    pub split: Split,
    /// The answer.
    pub prediction: Prediction,
}

/// A point of the training curve of an iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The iteration.
    pub iteration: u32,
    /// The point.
    pub progress: TrainingProgress,
}

/// An image with its bytes in base64; without them it lies beside the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageFile {
    /// What it is.
    pub image: ImageRef,
    /// Where it lies, relative to the file, or a `data:` address.
    pub path: String,
}

/// One record of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", content = "value", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // read and written one at a time
pub enum Record {
    /// What was fixed when the run was created; always the first line of a whole run.
    Run(RunRecord),
    /// An image that later records refer to.
    Image(ImageFile),
    /// A task instance.
    Instance(TaskInstance),
    /// A student's answer.
    Prediction(Answered),
    /// A training datum with what was decided about it.
    Datum(JudgedDatum),
    /// A teacher call.
    TeacherCall(TeacherCall),
    /// A point of a training curve.
    Training(CurvePoint),
    /// An entry of the journal. The reports and plans are in the journal too.
    Event(Event),
    /// The report of an evaluation.
    Report(Report),
    /// The plan of a round.
    Plan(Plan),
}

/// What of a run is exported as records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What was fixed when the run was created.
    Run,
    /// Task instances of all splits.
    Instances,
    /// Predictions of all iterations.
    Predictions,
    /// Training data.
    Data,
    /// Teacher calls.
    TeacherCalls,
    /// Training curves.
    Training,
    /// The journal.
    Journal,
    /// Reports of the evaluations.
    Reports,
    /// Plans of the rounds.
    Plans,
}

impl Kind {
    /// Every kind, in the order in which they are written.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Instances,
        Self::Predictions,
        Self::Data,
        Self::TeacherCalls,
        Self::Training,
        Self::Journal,
        Self::Reports,
        Self::Plans,
    ];

    /// The word used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Instances => "instances",
            Self::Predictions => "predictions",
            Self::Data => "data",
            Self::TeacherCalls => "teacher_calls",
            Self::Training => "training",
            Self::Journal => "journal",
            Self::Reports => "reports",
            Self::Plans => "plans",
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    ulid: Ulid,
    #[serde(flatten)]
    record: &'a Record,
}

/// The line of a record, without its end.
pub(super) fn line(ulid: Ulid, record: &Record) -> Result<String, ExchangeError> {
    json::text(&Line { ulid, record })
}

/// The record of a line's object.
///
/// # Errors
/// Says what is missing or unknown and what to do.
pub(super) fn read(mut object: Value) -> Result<Record, String> {
    if let Some(map) = object.as_object_mut() {
        map.remove("ulid");
    }
    serde_json::from_value(object)
        .map_err(|e| format!("not a record of this program: {e}; export it again, with this version"))
}

/// The word and the value of a record, for the table of a Parquet file.
pub(super) fn parts(record: &Record) -> Result<(String, String), ExchangeError> {
    let broken = |e: String| ExchangeError::Asked(format!("a record cannot be written as JSON: {e}"));
    let value = serde_json::to_value(record).map_err(|e| broken(e.to_string()))?;
    let word = value.get("record").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((word, json::text(value.get("value").unwrap_or(&Value::Null))?))
}

/// The record of a word and a value.
pub(super) fn whole(word: &str, value: &str) -> Result<Record, String> {
    let value: Value = serde_json::from_str(value).map_err(|e| format!("`value` is not JSON: {e}"))?;
    let mut object = serde_json::Map::new();
    object.insert("record".to_owned(), Value::String(word.to_owned()));
    object.insert("value".to_owned(), value);
    read(Value::Object(object))
}

/// The run without what belongs to its folder only: its name and the time it was made.
pub(super) fn anonymous(mut run: RunRecord) -> RunRecord {
    run.name = String::new();
    run.created_ms = 0;
    run
}

/// The event without what differs between two runs of one seed: times, and where the run's folder lies.
pub(super) fn timeless(event: Event, folder: &std::path::Path) -> Event {
    let below = |path: std::path::PathBuf| path.strip_prefix(folder).map_or(path.clone(), ToOwned::to_owned);
    let moved = |checkpoint| match checkpoint {
        Checkpoint::Full { folder } => Checkpoint::Full { folder: below(folder) },
        Checkpoint::Adapter { base, adapter } => {
            Checkpoint::Adapter { base: below(base), adapter: below(adapter) }
        }
    };
    match event {
        Event::Completed { fact: Fact::Trained { outcome }, .. } => {
            let outcome = outcome.map(|mut outcome| {
                outcome.checkpoint = moved(outcome.checkpoint);
                outcome
            });
            Event::completed(Fact::Trained { outcome })
        }
        Event::Completed { fact, .. } => Event::completed(fact),
        other => other,
    }
}
