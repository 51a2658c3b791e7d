//! Ports of models: students, teachers, painters of images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PortError, Served};
use crate::gym::instance::ImageRef;
use crate::gym::prediction::FinishReason;

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Sampling {
    /// The most likely token.
    Greedy,
    /// A draw from the tempered distribution.
    Sampled {
        /// Divides the logits; above 0.
        temperature: f64,
        /// Keeps the smallest set of tokens with at least this probability; in `(0, 1]`.
        top_p: f64,
        /// Keeps that many of the likeliest tokens, before `top_p`; 0 keeps all.
        #[serde(default, skip_serializing_if = "is_zero")]
        top_k: u32,
        /// Names the random numbers of this request.
        seed: u64,
    },
}

impl Sampling {
    /// A draw from all tokens, or from the nucleus of that probability.
    pub fn drawn(temperature: f64, top_p: f64, seed: u64) -> Self {
        Self::Sampled { temperature, top_p, top_k: 0, seed }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_nothing(number: &u64) -> bool {
    *number == 0
}

/// One prompt for a model: a single user turn, rendered with the model's chat template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Text of the user turn.
    pub prompt: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Upper limit of generated tokens; clamped to the model's context.
    pub max_tokens: u32,
    /// JSON schema the answer must obey; free text without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// Images the user turn shows, before its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageRef>,
    /// Texts that end the answer and are left out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Whether the reply is to tell the probability of its tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_probabilities: bool,
}

impl ChatRequest {
    /// A question of plain text with an answer of plain text.
    pub fn text(prompt: impl Into<String>, sampling: Sampling, max_tokens: u32) -> Self {
        Self {
            prompt: prompt.into(),
            sampling,
            max_tokens,
            schema: None,
            images: Vec::new(),
            stop: Vec::new(),
            log_probabilities: false,
        }
    }
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// Generated text without special tokens.
    pub text: String,
    /// Tokens of the rendered question, as far as the model says.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Generated tokens.
    pub tokens: u32,
    /// Why it ended.
    pub finish: FinishReason,
    /// Natural logarithm of the probability that the model itself, at temperature 1 and before any grammar,
    /// gave each generated token; empty unless asked for. Endpoints tell it as they count it, some after temperature
    /// and grammar, or not at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_probabilities: Vec<f32>,
    /// Milliseconds from the question to the answer, where whoever gave it measures that; 0 otherwise.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub elapsed_ms: u64,
    /// Who gave it, where that was an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Box<Served>>,
}

impl ChatReply {
    /// A reply of this machine, without probabilities.
    pub fn new(text: impl Into<String>, prompt_tokens: u32, tokens: u32, finish: FinishReason) -> Self {
        Self {
            text: text.into(),
            prompt_tokens,
            tokens,
            finish,
            log_probabilities: Vec::new(),
            elapsed_ms: 0,
            served: None,
        }
    }

    /// The reply to a prompt that could not be put to the model.
    pub fn failed(prompt_tokens: u32, finish: FinishReason) -> Self {
        Self::new("", prompt_tokens, 0, finish)
    }
}

/// Where a model or a trainer computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The host's processor.
    #[default]
    Cpu,
    /// A CUDA device by its index among the visible ones.
    Cuda(u32),
    /// The Apple GPU.
    Metal,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// In which numbers weights are computed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `f32` on the processor; on an accelerator what the weights are stored in.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the range of `f32`.
    Bf16,
    /// 16 bits.
    F16,
}

/// To what the linear layers are quantised while loading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantisation {
    /// They are not.
    #[default]
    None,
    /// 8.5 bits per weight, blocks of 32.
    Q8_0,
    /// 6.6 bits per weight, blocks of 256.
    Q6k,
    /// 5.5 bits per weight, blocks of 256.
    Q5k,
    /// 4.5 bits per weight, blocks of 256.
    Q4k,
    /// 4.5 bits per weight, blocks of 32.
    Q4_0,
}

impl Quantisation {
    /// Bits per weight; nothing where weights stay as they are.
    pub fn bits(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Q8_0 => Some(8.5),
            Self::Q6k => Some(6.5625),
            Self::Q5k => Some(5.5),
            Self::Q4k | Self::Q4_0 => Some(4.5),
        }
    }
}

/// How a model is served, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Serving {
    /// Requests to keep in flight; above 1 it is proven at load that batches change nothing.
    pub in_flight: u32,
    /// Numbers it computes with.
    pub precision: Precision,
    /// Quantisation while loading.
    pub quantisation: Quantisation,
    /// Longest prompt and answer together, in tokens, that there is room for: the size of the key and value
    /// cache per request. The model's own limit where that is smaller.
    pub context: u32,
}

impl Default for Serving {
    fn default() -> Self {
        Self { in_flight: 1, precision: Precision::Auto, quantisation: Quantisation::None, context: 4096 }
    }
}

/// Outcome of the batch self-test: the same prompts alone and together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTest {
    /// Prompts compared.
    pub prompts: u32,
    /// Prompts whose tokens differed.
    pub differing: u32,
}

/// Where a student's weights are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Checkpoint {
    /// A whole model folder.
    Full {
        /// The folder.
        folder: PathBuf,
    },
    /// A PEFT adapter for a base folder.
    Adapter {
        /// The base model's folder.
        base: PathBuf,
        /// The adapter's folder.
        adapter: PathBuf,
    },
}

/// Called with `(index into the requests, reply)` as replies arrive, in any order.
pub type ReplySink<'a> = dyn FnMut(usize, ChatReply) -> ControlFlow<()> + 'a;

/// Called with `(index into the requests, what is written so far)` while answers are being written.
pub type PieceSink = Box<dyn FnMut(usize, &str) + Send>;

/// A language model that answers prompts.
pub trait ChatModel: Send {
    /// Answers every request exactly once, unless the sink breaks or the call fails.
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError>;
}

/// The model that learns: a chat model whose weights can be exchanged.
pub trait Student: ChatModel {
    /// Serves the checkpoint from now on.
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError>;

    /// Has the answers of later calls told while they are written, as far as the model tells them.
    fn listen(&mut self, _pieces: PieceSink) {}

    /// Gives its memory back; the next answer loads the last checkpoint again.
    fn release(&mut self) {}
}

/// An encoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// MIME type, for example `image/png`.
    pub media_type: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// Draws an image from a description.
pub trait TextToImage: Send {
    /// The image; the same for the same description and seed.
    fn draw(&mut self, description: &str, seed: u64) -> Result<Drawing, PortError>;
}
