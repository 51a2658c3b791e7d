//! Endpoints: models behind the OpenAI-compatible chat interface, as records.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model behind an HTTP endpoint. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // each is a key of its own
pub struct Endpoint {
    /// Name of a preset whose values lie below those given here: `dataenvgym endpoints presets` lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Address up to and with the version, such as `http://127.0.0.1:8000/v1`. For a deployment of Azure:
    /// `https://RESOURCE.openai.azure.com/openai/deployments/DEPLOYMENT`.
    pub url: String,
    /// What follows the address in a chat request; Azure wants `/chat/completions?api-version=...`.
    pub chat_path: String,
    /// Model that is asked for.
    pub model: String,
    /// Environment variable that holds the key. The key itself never stands in a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_variable: Option<String>,
    /// File that holds the key and nothing else, readable by this user alone; read where the variable is not
    /// set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Header of the key: `authorization`, which gets `Bearer` before it, or another one, such as `api-key`.
    pub key_header: String,
    /// Send the key over plain http to a machine that is not this one.
    pub plain_http: bool,
    /// Requests in flight at most; how many there are follows what the endpoint bears.
    #[schemars(range(min = 1))]
    pub in_flight: u32,
    /// Name of the limit of an answer in a request.
    pub max_tokens_key: MaxTokensKey,
    /// Longest answer that is asked for, in tokens, where a question would ask for more: servers refuse what does
    /// not fit into their context. 0 leaves it to the question.
    pub max_tokens: u32,
    /// How an answer is held to a JSON schema.
    pub schema: SchemaMode,
    /// Ask for the answer as a stream of events: silence is noticed earlier.
    pub stream: bool,
    /// Ask for the probabilities of the answer's tokens; their mean is kept with the answer.
    pub logprobs: bool,
    /// Accept answers that name another model than the one asked for.
    pub any_model: bool,
    /// Try out at the start what the endpoint can do: a few requests of a few tokens.
    pub probe: bool,
    /// A JSON object whose fields are added to every chat request.
    pub extra: String,
    /// What tokens cost.
    pub price: Price,
    /// Until the connection stands.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub connect_s: f64,
    /// Until the first byte of an answer.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub first_byte_s: f64,
    /// Between two pieces of an answer.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub idle_s: f64,
    /// One request as a whole.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub total_s: f64,
    /// Tries of one question that fail while others succeed, after which the phase fails.
    #[schemars(range(min = 1))]
    pub tries: u32,
    /// The wait after the first failure at most; it doubles with every further one.
    #[schemars(range(min = 0))]
    pub retry_first_s: f64,
    /// The longest wait that was not asked for.
    #[schemars(range(min = 0))]
    pub retry_most_s: f64,
    /// The longest wait that the endpoint can ask for with `Retry-After`.
    #[schemars(range(min = 0))]
    pub retry_after_most_s: f64,
    /// Without any answer for so long, waits that were asked for aside, the endpoint counts as down: the run
    /// pauses.
    #[schemars(range(min = 0))]
    pub patience_s: f64,
    /// Largest answer in MiB.
    #[schemars(range(min = 1))]
    pub body_mib: u32,
    /// `environment` (`HTTPS_PROXY` and its like), `none`, or the address of a proxy. This machine is never
    /// reached through one.
    pub proxy: String,
    /// File of PEM certificates to trust besides the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How it is given the student after each training, where the endpoint serves that.
    pub adapters: AdapterServer,
    /// Folder of this machine under which checkpoints lie, where the server knows it under another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters_here: Option<PathBuf>,
    /// The server's name for the folder `adapters_here`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters_there: Option<PathBuf>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            preset: None,
            url: String::new(),
            chat_path: "/chat/completions".into(),
            model: String::new(),
            key_variable: None,
            key_file: None,
            key_header: "authorization".into(),
            plain_http: false,
            in_flight: 32,
            max_tokens_key: MaxTokensKey::MaxTokens,
            max_tokens: 0,
            schema: SchemaMode::Auto,
            stream: false,
            logprobs: false,
            any_model: false,
            probe: true,
            extra: "{}".into(),
            price: Price::default(),
            connect_s: 10.0,
            first_byte_s: 120.0,
            idle_s: 60.0,
            total_s: 600.0,
            tries: 6,
            retry_first_s: 0.5,
            retry_most_s: 60.0,
            retry_after_most_s: 600.0,
            patience_s: 60.0,
            body_mib: 32,
            proxy: "environment".into(),
            ca_file: None,
            adapters: AdapterServer::None,
            adapters_here: None,
            adapters_there: None,
        }
    }
}

/// What a million tokens cost, in the one currency of a configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Tokens of questions.
    #[schemars(range(min = 0))]
    pub prompt: f64,
    /// Tokens of answers.
    #[schemars(range(min = 0))]
    pub answer: f64,
}

impl Price {
    /// What so many tokens cost.
    pub fn of(&self, prompt_tokens: u64, answer_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.prompt + answer_tokens as f64 * self.answer) / 1e6
    }
}

/// Name of the limit of an answer in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensKey {
    /// `max_tokens`, which most servers know.
    MaxTokens,
    /// `max_completion_tokens`, which newer models of some providers demand.
    MaxCompletionTokens,
}

/// How an answer is held to a JSON schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaMode {
    /// As the probe finds out: by the server if it can, otherwise by the prompt.
    Auto,
    /// The server takes `response_format` with a schema.
    Server,
    /// The schema is written into the prompt; what does not obey it is asked again.
    Prompt,
}

/// How a server is given the student after each training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdapterServer {
    /// Not at all.
    None,
    /// `/v1/load_lora_adapter`; an adapter is asked for by its name.
    Vllm,
    /// `/load_lora_adapter`; an adapter is asked for as `MODEL:NAME`.
    Sglang,
    /// Whole models, loaded when they are asked for as `FOLDER@HASH`: `transformers serve`.
    Transformers,
}

impl AdapterServer {
    /// Why it cannot be given what a training leaves, an adapter or a whole model, and what to do.
    pub fn refusal(self, adapter: bool) -> Option<&'static str> {
        match (self, adapter) {
            (Self::Vllm | Self::Sglang, true) | (Self::Transformers, false) => None,
            (Self::None, _) => Some(
                "it cannot be given a trained student: set its `adapters` to the kind of the server, `vllm`, \
                 `sglang` or `transformers`",
            ),
            (Self::Transformers, true) => Some(
                "it is given whole models only: set `trainer.method = \"full\"`, or serve the student with vLLM or \
                 SGLang",
            ),
            (_, false) => Some(
                "it is given adapters only: set `trainer.method = \"lora\"`, or serve the student with `transformers \
                 serve` and `adapters = \"transformers\"`",
            ),
        }
    }
}

/// Which endpoint gave an answer, and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// Name of the endpoint in the configuration.
    pub endpoint: String,
    /// The model as the endpoint names it.
    pub model: String,
    /// Tokens that were paid for, failed tries included as far as they were told.
    pub tokens: u64,
    /// Their cost, in the currency of the configuration.
    pub cost: f64,
    /// Mean logarithm of the probabilities of the answer's tokens, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_logprob: Option<f64>,
}

/// What may still be spent. A missing limit does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Allowance {
    /// Tokens of questions and answers.
    pub tokens: Option<u64>,
    /// In the currency of the configuration.
    pub cost: Option<f64>,
}
