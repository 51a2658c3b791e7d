//! Chat requests and answers as the OpenAI-compatible interface spells them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::events::Events;
use super::transport::{Broken, Incoming};
use crate::gym::ports::{ChatRequest, Endpoint, MaxTokensKey, Sampling};
use crate::gym::prediction::FinishReason;

/// Longest text of a server that is quoted, in characters.
const QUOTED: usize = 300;

/// A question in the words of one endpoint. `by_server` says whether it holds answers to a schema itself; `images`
/// are addresses of what the question shows.
pub(super) fn question(
    endpoint: &Endpoint,
    extra: &Map<String, Value>,
    model: &str,
    (request, images): (&ChatRequest, &[String]),
    by_server: bool,
) -> Map<String, Value> {
    let mut prompt = request.prompt.clone();
    let mut body = extra.clone();
    if let Some(schema) = &request.schema {
        if by_server {
            let named = json!({"name": "answer", "schema": schema, "strict": true});
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": named}));
        } else {
            prompt += "\n\nAnswer with one JSON value and nothing else. It has to obey this JSON schema:\n";
            prompt += &schema.to_string();
        }
    }
    body.insert("model".into(), model.into());
    let content = if images.is_empty() {
        json!(prompt)
    } else {
        let shown = images.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}}));
        shown.chain([json!({"type": "text", "text": prompt})]).collect()
    };
    body.insert("messages".into(), json!([{"role": "user", "content": content}]));
    let limit = match endpoint.max_tokens_key {
        MaxTokensKey::MaxTokens => "max_tokens",
        MaxTokensKey::MaxCompletionTokens => "max_completion_tokens",
    };
    let most = if endpoint.max_tokens == 0 { u32::MAX } else { endpoint.max_tokens };
    body.insert(limit.into(), request.max_tokens.clamp(1, most).into());
    match request.sampling {
        Sampling::Greedy => {
            body.insert("temperature".into(), json!(0.0));
        }
        Sampling::Sampled { temperature, top_p, top_k, seed } => {
            body.insert("temperature".into(), json!(temperature));
            body.insert("top_p".into(), json!(top_p));
            // Beyond the common interface: only where it was asked for.
            if top_k > 0 {
                body.insert("top_k".into(), top_k.into());
            }
            // Some servers keep it in 32 bits with a sign.
            body.insert("seed".into(), (seed & 0x7fff_ffff).into());
        }
    }
    if !request.stop.is_empty() {
        body.insert("stop".into(), json!(request.stop));
    }
    if endpoint.logprobs || request.log_probabilities {
        body.insert("logprobs".into(), true.into());
    }
    if endpoint.stream {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    body
}

/// An answer as an endpoint gave it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Completion {
    /// The endpoint's own name of the answer. Nothing is matched by it.
    pub(super) id: String,
    /// The model that it says answered.
    pub(super) model: String,
    /// The texts, one per choice.
    pub(super) texts: Vec<String>,
    pub(super) finish: Option<String>,
    /// Tokens of question and answer, where it tells them.
    pub(super) usage: Option<(u64, u64)>,
    /// Logarithms of the probabilities of the first choice's tokens, where it tells them.
    pub(super) logprobs: Vec<f32>,
}

/// What a failed try says about the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It failed.
    Failure,
    /// Fewer requests may help.
    Overload,
    /// It answered, and the answer cannot be used.
    Odd,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome<T> {
    /// An answer.
    Answered(T),
    /// Nothing that can be used; another try may do better.
    Unusable {
        why: String,
        weight: Weight,
        /// What was paid for it, as far as it says.
        usage: Option<(u64, u64)>,
    },
    /// The endpoint does not take this request, also not later.
    Refused { status: u16, why: String },
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    message: Option<Message>,
    /// What stands in its place in a stream.
    #[serde(default)]
    delta: Option<Message>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    content: Option<Vec<Logprob>>,
}

#[derive(Deserialize)]
struct Logprob {
    logprob: f32,
}

impl Completion {
    /// Adds a whole answer, or a piece of a streamed one.
    fn add(&mut self, body: Body) {
        if let Some(id) = body.id {
            self.id = id;
        }
        if let Some(model) = body.model {
            self.model = model;
        }
        if let Some(usage) = body.usage {
            self.usage = Some((usage.prompt_tokens, usage.completion_tokens));
        }
        for choice in body.choices.into_iter().flatten().filter(|choice| choice.index < 64) {
            if self.texts.len() <= choice.index {
                self.texts.resize(choice.index + 1, String::new());
            }
            let content = choice.delta.or(choice.message).and_then(|message| message.content);
            let content = content.unwrap_or_default();
            self.texts[choice.index] += &content;
            if choice.index == 0 {
                self.finish = choice.finish_reason.or(self.finish.take());
                let tokens = choice.logprobs.and_then(|logprobs| logprobs.content).into_iter().flatten();
                self.logprobs.extend(tokens.map(|token| token.logprob));
            }
        }
    }

    /// The text of the first choice.
    pub(super) fn text(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// Why it ended. What was cut by a filter is an answer that ended.
    pub(super) fn finish(&self) -> FinishReason {
        match self.finish.as_deref() {
            Some("length" | "max_tokens") => FinishReason::Length,
            _ => FinishReason::Stop,
        }
    }

    pub(super) fn mean_logprob(&self) -> Option<f64> {
        let sum: f64 = self.logprobs.iter().copied().map(f64::from).sum();
        (!self.logprobs.is_empty()).then(|| sum / self.logprobs.len() as f64)
    }
}

fn unusable<T>(why: impl Into<String>, usage: Option<(u64, u64)>) -> Outcome<T> {
    Outcome::Unusable { why: why.into(), weight: Weight::Odd, usage }
}

/// Reads the answer to a chat request.
pub(super) async fn completion(incoming: &mut Incoming) -> Result<Outcome<Completion>, Broken> {
    if let Some(refusal) = status(incoming).await? {
        return Ok(refusal);
    }
    if incoming.is_stream { streamed(incoming).await } else { Ok(whole(&incoming.body().await?)) }
}

/// Reads any other answer as text.
pub(super) async fn text(incoming: &mut Incoming) -> Result<Outcome<String>, Broken> {
    if let Some(refusal) = status(incoming).await? {
        return Ok(refusal);
    }
    Ok(Outcome::Answered(String::from_utf8_lossy(&incoming.body().await?).into_owned()))
}

/// What a status other than success means.
async fn status<T>(incoming: &mut Incoming) -> Result<Option<Outcome<T>>, Broken> {
    let status = incoming.status;
    if (200..300).contains(&status) {
        if incoming.is_page {
            let why = "it answers with a web page: is the `url` right, or does a proxy stand between?";
            return Ok(Some(unusable(why, None)));
        }
        return Ok(None);
    }
    if (300..400).contains(&status) {
        let why = "it sends elsewhere, and nothing is sent after a redirect: correct the `url`".to_owned();
        return Ok(Some(Outcome::Refused { status, why }));
    }
    // A refusal whose words break off is a refusal all the same.
    let said = said(&incoming.body().await.unwrap_or_default());
    let spent = ["insufficient_quota", "billing", "exceeded your current quota"];
    let spent = status == 429 && spent.iter().any(|word| said.contains(word));
    let again = matches!(status, 408 | 409 | 425 | 429 | 500..=599) && !spent;
    let overload = matches!(status, 408 | 429 | 502..=504 | 529);
    let weight = if overload { Weight::Overload } else { Weight::Failure };
    let why = if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") };
    Ok(Some(if again {
        Outcome::Unusable { why, weight, usage: None }
    } else {
        Outcome::Refused { status, why }
    }))
}

/// What a body says of an error, on one line and not too long.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let error = value.get("error").unwrap_or(&value);
            let part = |key: &str| error.get(key).and_then(Value::as_str);
            match (part("message").or(part("detail")), part("code")) {
                (Some(message), Some(code)) => format!("{message} ({code})"),
                (Some(message), None) => message.to_owned(),
                _ => error.to_string(),
            }
        }
        Err(_) => text.into_owned(),
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn read(bytes: &[u8]) -> Result<Body, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "its answer is not UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|error| format!("its answer is not the JSON of a chat: {error}"))
}

fn whole(bytes: &[u8]) -> Outcome<Completion> {
    let body = match read(bytes) {
        Ok(body) => body,
        Err(why) => return unusable(why, None),
    };
    if body.error.is_some() {
        return unusable(format!("it answers with success and an error: {}", said(bytes)), None);
    }
    let empty = body.choices.as_ref().is_none_or(Vec::is_empty);
    let mut completion = Completion::default();
    completion.add(body);
    if empty {
        unusable("its answer holds no choice", completion.usage)
    } else {
        Outcome::Answered(completion)
    }
}

async fn streamed(incoming: &mut Incoming) -> Result<Outcome<Completion>, Broken> {
    let (mut events, mut completion) = (Events::default(), Completion::default());
    let (mut done, mut wrong) = (false, None);
    while !done && wrong.is_none() {
        let Some(piece) = incoming.piece().await? else { break };
        let fed = events.feed(&piece, &mut |data| {
            if data == b"[DONE]" {
                done = true;
                return;
            }
            match read(data) {
                Ok(Body { error: Some(_), .. }) => {
                    wrong = Some(format!("it broke off with an error: {}", said(data)));
                }
                Ok(body) => completion.add(body),
                Err(why) => wrong = Some(why),
            }
        });
        if let Err(why) = fed {
            wrong = Some(format!("its stream has {why}"));
        }
    }
    Ok(match wrong {
        Some(why) => unusable(why, completion.usage),
        None if !done && completion.finish.is_none() => {
            unusable("its stream ended before the answer did", completion.usage)
        }
        None if completion.texts.is_empty() => unusable("its answer holds no choice", completion.usage),
        None => Outcome::Answered(completion),
    })
}

/// Whether an answer comes from the model that was asked: names may add a folder or a date.
pub(super) fn same_model(asked: &str, answered: &str) -> bool {
    let plain = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let (asked, answered) = (plain(asked), plain(answered));
    answered.is_empty() || asked.starts_with(&answered) || answered.starts_with(&asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(endpoint: &Endpoint, request: &ChatRequest, by_server: bool) -> Value {
        let extra = json!({"user": "u", "model": "other"}).as_object().unwrap().clone();
        Value::Object(question(endpoint, &extra, "m", (request, &[]), by_server))
    }

    #[test]
    fn a_greedy_question_and_a_sampled_one() {
        let greedy = asked(&Endpoint::default(), &ChatRequest::text("p", Sampling::Greedy, 5), true);
        let expected = json!({"user": "u", "model": "m", "messages": [{"role": "user", "content": "p"}],
            "max_tokens": 5, "temperature": 0.0});
        assert_eq!(greedy, expected);
        let sampling = Sampling::Sampled { temperature: 0.7, top_p: 0.9, top_k: 40, seed: u64::MAX };
        let endpoint = Endpoint {
            stream: true,
            logprobs: true,
            max_tokens: 4,
            max_tokens_key: MaxTokensKey::MaxCompletionTokens,
            ..Endpoint::default()
        };
        let request = ChatRequest { stop: vec!["\n".into()], ..ChatRequest::text("p", sampling, 5) };
        let sampled = asked(&endpoint, &request, true);
        assert_eq!((&sampled["top_k"], &sampled["stop"]), (&json!(40), &json!(["\n"])));
        assert_eq!(sampled["seed"], 0x7fff_ffff_u64);
        assert_eq!((&sampled["stream"], &sampled["max_completion_tokens"]), (&json!(true), &json!(4)));
        assert_eq!(sampled["logprobs"], true);
    }

    #[test]
    fn images_stand_before_the_text() {
        let request = ChatRequest::text("p", Sampling::Greedy, 5);
        let shown = ["data:image/png;base64,AA==".to_owned()];
        let body = question(&Endpoint::default(), &Map::new(), "m", (&request, &shown), true);
        let expected =
            json!([{"type": "image_url", "image_url": {"url": shown[0]}}, {"type": "text", "text": "p"}]);
        assert_eq!(body["messages"][0]["content"], expected);
    }

    #[test]
    fn a_schema_goes_to_the_server_or_into_the_prompt() {
        let schema = json!({"type": "object"});
        let request =
            ChatRequest { schema: Some(schema.clone()), ..ChatRequest::text("p", Sampling::Greedy, 5) };
        let by_server = asked(&Endpoint::default(), &request, true);
        assert_eq!(by_server["response_format"]["json_schema"]["schema"], schema);
        let by_prompt = asked(&Endpoint::default(), &request, false);
        assert!(by_prompt.get("response_format").is_none());
        assert!(by_prompt["messages"][0]["content"].as_str().unwrap().ends_with(&schema.to_string()));
    }

    #[test]
    fn answers_are_read_or_unusable() {
        let good = json!({"id": "a", "model": "m", "choices": [{"index": 0, "message": {"content": "four"},
            "finish_reason": "length", "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2}});
        let Outcome::Answered(completion) = whole(good.to_string().as_bytes()) else { panic!() };
        assert_eq!((completion.text(), completion.finish()), ("four", FinishReason::Length));
        assert_eq!((completion.usage, completion.mean_logprob()), (Some((7, 2)), Some(-1.0)));
        let why = |bytes: &[u8]| match whole(bytes) {
            Outcome::Unusable { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert!(why(b"{\"choices\": []}").contains("no choice"));
        assert!(why(b"{\"choices\": [{\"message\": {\"content\": \"\xff\"}}]}").contains("UTF-8"));
        assert!(why(b"<html>").contains("JSON"));
        assert!(
            why(br#"{"error": {"message": "out of memory", "code": "oom"}}"#).contains("out of memory (oom)")
        );
    }

    #[test]
    fn the_words_of_a_server_are_quoted_on_one_line() {
        assert_eq!(said(br#"{"error":{"message":"no\n such model","code":"404"}}"#), "no such model (404)");
        assert_eq!(said(br#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(said(b"plain\ntext"), "plain text");
        assert!(said(&vec![b'x'; 9000]).len() < 400);
    }

    #[test]
    fn a_model_may_answer_with_its_longer_name() {
        for (asked, answered) in [("gpt-4o", "gpt-4o-2024-08-06"), ("org/Model", "model"), ("m", "")] {
            assert!(same_model(asked, answered), "{asked} {answered}");
        }
        assert!(!same_model("student-run-it1", "base"));
    }
}
