//! Task instances: what the student must answer, one typed family for all four domains.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hex::hex;

/// Which part of a task an instance belongs to. The parts are disjoint by leakage key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Instances an engine may draw on.
    Pool,
    /// Steers the agent and selects the iteration.
    Validation,
    /// Measured only for iteration 0 and the selected iteration.
    Test,
}

impl Split {
    /// The word used in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// An image by content hash; the bytes lie in the run's `artifacts/` folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Lower-case hex SHA-256 of the encoded file.
    pub sha256: String,
    /// MIME type, for example `image/png`.
    pub media_type: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

impl ImageRef {
    /// The reference of an encoded file.
    pub fn of(bytes: &[u8], media_type: &str, size: (u32, u32)) -> Self {
        let sha256 = hex(Sha256::digest(bytes));
        Self { sha256, media_type: media_type.to_owned(), size }
    }

    /// The name of its file in the folder of a run's images. Only the hash makes it, never a text from outside.
    pub fn file_name(&self) -> String {
        self.sha256.chars().filter(char::is_ascii_hexdigit).collect()
    }

    /// Stands for an image that nobody has any more: that of a question whose source did not keep it.
    pub fn lost() -> Self {
        Self { sha256: String::new(), media_type: String::new(), size: (0, 0) }
    }

    /// Whether there is no such image.
    pub fn is_lost(&self) -> bool {
        self.sha256.is_empty()
    }
}

/// One test of a program: what goes in and what must come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProgramTest {
    /// Whole standard input against whole standard output.
    StandardInput {
        /// Text given on standard input.
        input: String,
        /// Text expected on standard output.
        output: String,
    },
    /// One line of code that raises when the program is wrong.
    Assertion {
        /// The assertion's source.
        code: String,
    },
}

/// A tool the student may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolDescription {
    /// Name as it must appear in a plan.
    pub name: String,
    /// What it does, for the prompt.
    pub description: String,
    /// JSON schema of its arguments.
    pub parameters: serde_json::Value,
}

/// One call of a tool plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Name of the tool.
    pub tool: String,
    /// Arguments; a string may refer to an earlier call's result.
    pub arguments: serde_json::Map<String, serde_json::Value>,
}

/// The four domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Questions whose answers are compared as mathematics.
    Mathematics,
    /// Programs judged by their tests.
    Programming,
    /// Questions about images.
    VisualQuestionAnswering,
    /// Requests met by calling tools.
    ToolUse,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Self; 4] =
        [Self::Mathematics, Self::Programming, Self::VisualQuestionAnswering, Self::ToolUse];

    /// The word used in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mathematics => "mathematics",
            Self::Programming => "programming",
            Self::VisualQuestionAnswering => "visual_question_answering",
            Self::ToolUse => "tool_use",
        }
    }
}

/// The domain part of an instance: the question and the ground truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "domain", rename_all = "snake_case")]
pub enum Content {
    /// A question with an answer that is compared as mathematics.
    Mathematics {
        /// The question as written.
        question: String,
        /// Answer options (`A) ...`), empty for a free answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// The bare ground-truth answer.
        answer: String,
        /// A worked solution where the source has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        solution: Option<String>,
    },
    /// A program to write.
    Programming {
        /// What the program must do.
        instruction: String,
        /// Code the answer must start from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starter_code: Option<String>,
        /// A reference solution.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        solution: Option<String>,
        /// Tests that decide.
        tests: Vec<ProgramTest>,
    },
    /// A question about an image.
    VisualQuestionAnswering {
        /// The question as written.
        question: String,
        /// The image asked about.
        image: ImageRef,
        /// Choices, empty for a free answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<String>,
        /// Every accepted answer.
        answers: Vec<String>,
    },
    /// A request to be met by calling tools.
    ToolUse {
        /// The user's request.
        request: String,
        /// Tools on offer.
        tools: Vec<ToolDescription>,
        /// The gold plan; empty means that no call is right.
        plan: Vec<ToolCall>,
    },
}

impl Content {
    /// The text a person would call the question.
    pub fn question(&self) -> &str {
        match self {
            Self::Mathematics { question, .. } | Self::VisualQuestionAnswering { question, .. } => question,
            Self::Programming { instruction, .. } => instruction,
            Self::ToolUse { request, .. } => request,
        }
    }

    /// The images the question is about; one that is lost is none.
    pub fn images(&self) -> &[ImageRef] {
        match self {
            Self::VisualQuestionAnswering { image, .. } if !image.is_lost() => std::slice::from_ref(image),
            Self::VisualQuestionAnswering { .. }
            | Self::Mathematics { .. }
            | Self::Programming { .. }
            | Self::ToolUse { .. } => &[],
        }
    }

    /// The ground truth as one text for the screen.
    pub fn truth(&self) -> String {
        match self {
            Self::Mathematics { answer, .. } => answer.clone(),
            Self::Programming { solution, tests, .. } => {
                solution.clone().unwrap_or_else(|| format!("{} tests", tests.len()))
            }
            Self::VisualQuestionAnswering { answers, .. } => answers.join(" | "),
            Self::ToolUse { plan, .. } => {
                plan.iter().map(|call| call.tool.as_str()).collect::<Vec<_>>().join(" -> ")
            }
        }
    }
}

/// One thing the student must answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskInstance {
    /// Unique within the task and stable between runs.
    pub id: String,
    /// Name of the task it comes from.
    pub task: String,
    /// Part of the task.
    pub split: Split,
    /// Skill in use: the source's own, or the one that a file or a discovery gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Subskill in use, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subskill: Option<String>,
    /// What else reports divide it by, where the source says: `subject`, `level`, `task`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, String>,
    /// Leakage key: two instances with one key ask the same thing. Accuracies are clustered by it.
    pub key: String,
    /// Question and ground truth.
    #[serde(flatten)]
    pub content: Content,
}
