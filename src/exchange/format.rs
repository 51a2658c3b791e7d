//! The formats of training data and their columns.

use super::table::{Column, Kind};

/// How one training datum is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `messages`: a chat with roles.
    Messages,
    /// `prompt`, `completion`.
    PromptCompletion,
    /// `instruction`, `input`, `output`.
    Alpaca,
    /// `conversations` of `from` and `value`.
    Sharegpt,
    /// `prompt`, `chosen`, `rejected`.
    Preference,
    /// Our own records, everything kept.
    Records,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::Messages,
        Self::PromptCompletion,
        Self::Alpaca,
        Self::Sharegpt,
        Self::Preference,
        Self::Records,
    ];

    /// The word used on the command line and for default folders.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::PromptCompletion => "prompt_completion",
            Self::Alpaca => "alpaca",
            Self::Sharegpt => "sharegpt",
            Self::Preference => "preference",
            Self::Records => "records",
        }
    }
}

/// What rows are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// One JSON object per line.
    Jsonl,
    /// Parquet files in the folder layout of the Hugging Face hub.
    Parquet,
}

/// The columns of a table: the format and what is beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How a datum is laid out.
    pub format: Format,
    /// Whether `ulid`, `skill`, `subskill`, `iteration` and `verdict` stand beside it.
    pub metadata: bool,
    /// Whether there is a column of images.
    pub images: bool,
}

/// The column of images.
pub(super) const IMAGES: &str = "images";
const MESSAGES: Kind = Kind::Turns { speaker: "role", words: "content" };
const CONVERSATIONS: Kind = Kind::Turns { speaker: "from", words: "value" };

const METADATA: [Column; 5] = [
    Column::optional("ulid", Kind::OptionalText),
    Column::optional("skill", Kind::OptionalText),
    Column::optional("subskill", Kind::OptionalText),
    Column::optional("iteration", Kind::Integer),
    Column::optional("verdict", Kind::OptionalText),
];

/// Our own data as a table. What has no column type of its own (`provenance`, `checks`, `review`,
/// `image_references`) is JSON in a text.
const RECORDS: [Column; 16] = [
    Column::new("ulid", Kind::Text),
    Column::new("id", Kind::Text),
    Column::new("instruction", Kind::Text),
    Column::new("response", Kind::Text),
    Column::optional("answer", Kind::OptionalText),
    Column::optional("rejected_response", Kind::OptionalText),
    Column::new("skill", Kind::Text),
    Column::new("subskill", Kind::Text),
    Column::new("key", Kind::Text),
    Column::new("iteration", Kind::Integer),
    Column::new("verdict", Kind::Text),
    Column::new("provenance", Kind::Text),
    Column::new("checks", Kind::Text),
    Column::optional("review", Kind::OptionalText),
    Column::new("image_references", Kind::Text),
    Column::optional("question", Kind::OptionalText),
];

/// Columns of the table that holds every record of a run but its data.
pub(super) const RUN_COLUMNS: [Column; 3] =
    [Column::new("record", Kind::Text), Column::new("ulid", Kind::Text), Column::new("value", Kind::Text)];

impl Shape {
    /// What a reader of files expects: everything that may be there.
    pub(super) fn of_file(format: Format) -> Self {
        Self { format, metadata: true, images: true }
    }

    pub(super) fn columns(self) -> Vec<Column> {
        let text = |name| Column::new(name, Kind::Text);
        let mut columns = match self.format {
            Format::Messages => vec![Column::new("messages", MESSAGES)],
            Format::PromptCompletion => vec![text("prompt"), text("completion")],
            Format::Alpaca => {
                vec![text("instruction"), Column::optional("input", Kind::OptionalText), text("output")]
            }
            Format::Sharegpt => vec![Column::new("conversations", CONVERSATIONS)],
            Format::Preference => vec![text("prompt"), text("chosen"), text("rejected")],
            Format::Records => RECORDS.to_vec(),
        };
        if self.images {
            columns.push(Column::optional(IMAGES, Kind::Images));
        }
        if self.metadata && self.format != Format::Records {
            columns.extend(METADATA);
        }
        columns
    }

    /// The format whose keys these are; what is wrong otherwise.
    pub(super) fn recognised(keys: &[&str]) -> Result<Format, String> {
        let has = |names: &[&str]| names.iter().all(|name| keys.contains(name));
        let known: [(&[&str], Format); 7] = [
            (&["provenance", "image_references"], Format::Records),
            (&["record", "value"], Format::Records),
            (&["messages"], Format::Messages),
            (&["conversations"], Format::Sharegpt),
            (&["prompt", "chosen", "rejected"], Format::Preference),
            (&["prompt", "completion"], Format::PromptCompletion),
            (&["instruction", "output"], Format::Alpaca),
        ];
        known.into_iter().find(|(names, _)| has(names)).map(|(_, format)| format).ok_or_else(|| {
            let found: Vec<String> = keys.iter().take(12).map(|key| format!("`{}`", key.escape_debug())).collect();
            format!(
                "the keys are {}, which is no format known here; name the columns `messages`, `conversations`, \
                 `prompt` and `completion`, `instruction` and `output`, or `prompt`, `chosen` and `rejected`",
                if found.is_empty() { "none".to_owned() } else { found.join(", ") }
            )
        })
    }
}
