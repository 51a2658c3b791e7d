//! One endpoint as it is at work: its transport, its lane, what it can do, and tries until an answer comes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::dialect::{self, Completion, Outcome, Weight, same_model};
use super::images;
use super::lane::{Lane, Pass};
use super::probe::Abilities;
use super::purse::Purse;
use super::transport::Transport;
use super::wait;
use crate::gym::ports::{ChatReply, ChatRequest, Endpoint, PortError, SchemaMode, Served};

/// Times `tries`: so many answers in a row that cannot be used close an endpoint, because they may be paid.
const ODD: u32 = 4;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    pub(super) weight: f64,
    pub(super) extra: Map<String, Value>,
    pub(super) transport: Transport,
    pub(super) lane: Lane,
    pub(super) abilities: OnceLock<Abilities>,
    /// The model that is asked now: the configured one, or an adapter.
    pub(super) model: Mutex<String>,
    /// Paid for answers that could not be used and not yet told: tokens, and money in millionths.
    wasted: (AtomicU64, AtomicU64),
    /// Whether an answer came without its number of tokens.
    pub(super) uncounted: AtomicBool,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// This endpoint is closed; another one may answer.
    Closed(String),
    /// The endpoint does not take the request.
    Refused { status: u16, message: String },
    /// Too many tries of one question failed while others succeeded.
    GivenUp(String),
    /// Nothing may be spent any more.
    Spent(&'static str),
    /// The call is over.
    Stopped,
}

impl From<End> for PortError {
    fn from(end: End) -> Self {
        match end {
            End::Closed(message) | End::Refused { message, .. } => Self::fatal(message),
            End::GivenUp(message) => Self::transient(message),
            End::Spent(what) => Self::fatal(format!(
                "this run may not spend more {what}: the next question could need more than is left, so it was not \
                 sent. Raise the limit and resume, or end the run"
            )),
            End::Stopped => Self::cancelled(),
        }
    }
}

/// How often one question failed.
#[derive(Debug, Default)]
struct Tries {
    failures: u32,
    /// Answers that others had got at the first failure.
    others: u64,
}

/// What is common to the questions of one call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Turns true when the call is over.
    pub(super) over: watch::Receiver<bool>,
}

impl Call {
    /// The result of some work, unless the call ends before it.
    pub(super) async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Result<T, End> {
        let mut over = self.over.clone();
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => Err(End::Stopped),
            done = work => Ok(done),
        }
    }
}

impl Server {
    /// # Errors
    /// A sentence about what is wrong with the configuration of the endpoint.
    pub(super) fn new(name: &str, endpoint: &Endpoint, weight: f64) -> Result<Self, String> {
        let wrong = |why: String| format!("endpoint `{name}`: {why}");
        let transport = Transport::new(endpoint).map_err(wrong)?;
        if endpoint.model.is_empty() {
            return Err(wrong("it has no `model`".to_owned()));
        }
        let extra: Map<String, Value> = serde_json::from_str(&endpoint.extra)
            .map_err(|error| wrong(format!("its `extra` is no JSON object: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            weight,
            extra,
            lane: Lane::new(endpoint.in_flight, wait::seconds(endpoint.patience_s)),
            abilities: OnceLock::new(),
            model: Mutex::new(endpoint.model.clone()),
            wasted: (AtomicU64::new(0), AtomicU64::new(0)),
            uncounted: AtomicBool::new(false),
            transport,
            endpoint: endpoint.clone(),
        })
    }

    /// The model that is asked now.
    pub(super) fn model(&self) -> String {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A sentence about this endpoint without its key.
    pub(super) fn says(&self, what: &str) -> String {
        self.transport.hide(&format!("endpoint `{}` ({}): {what}", self.name, self.transport.url()))
    }

    /// Whether it holds answers to a schema itself.
    fn by_server(&self) -> bool {
        match self.endpoint.schema {
            SchemaMode::Server => true,
            SchemaMode::Prompt => false,
            SchemaMode::Auto => self.abilities.get().is_none_or(|abilities| abilities.schema),
        }
    }

    /// Answers one question, whose images are given as addresses.
    pub(super) async fn reply(
        &self,
        (request, shown): (&ChatRequest, &[String]),
        id: &str,
        call: &Call,
        purse: &Purse,
    ) -> Result<ChatReply, End> {
        let model = self.model();
        let mut body =
            dialect::question(&self.endpoint, &self.extra, &model, (request, shown), self.by_server());
        if let Some(abilities) = self.abilities.get() {
            abilities.without(&mut body);
        }
        // Two bytes of a text as one token; the bytes of an image say nothing about its tokens.
        let pictures: u64 = request.images.iter().map(images::tokens).sum();
        let hidden: usize = shown.iter().map(String::len).sum();
        let most = |bytes: usize| (bytes.saturating_sub(hidden)) as u64 / 2 + pictures;
        let completion = match self.complete(body, &most, id, call, purse).await {
            // A question that a filter does not let through is answered with nothing, which nobody can use.
            Err(End::Refused { status: 400, message }) if is_filtered(&message) => {
                tracing::warn!(message, "a question was filtered");
                Completion { model, ..Completion::default() }
            }
            completion => completion?,
        };
        let (prompt_tokens, tokens) = self.usage(&completion, request);
        let (wasted_tokens, wasted_cost) = self.take_wasted();
        let text = self.transport.hide(completion.text());
        let served = Served {
            endpoint: self.name.clone(),
            model: self.transport.hide(&completion.model),
            tokens: prompt_tokens + tokens + wasted_tokens,
            cost: self.endpoint.price.of(prompt_tokens, tokens) + wasted_cost,
            mean_logprob: completion.mean_logprob(),
        };
        let counted = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
        let reply = ChatReply::new(text, counted(prompt_tokens), counted(tokens), completion.finish());
        let log_probabilities = if request.log_probabilities { completion.logprobs } else { Vec::new() };
        Ok(ChatReply { served: Some(Box::new(served)), log_probabilities, ..reply })
    }

    /// The tokens of question and answer; a guess where the endpoint does not count them.
    fn usage(&self, completion: &Completion, request: &ChatRequest) -> (u64, u64) {
        completion.usage.unwrap_or_else(|| {
            self.uncounted.store(true, Ordering::Relaxed);
            let guess = |text: &str| (text.len() as u64).div_ceil(4);
            (guess(&request.prompt), guess(completion.text()))
        })
    }

    /// Sends a chat request until its answer can be used. Before every try what it may cost at most is held
    /// back; `most` says how many tokens a question of so many bytes may have.
    pub(super) async fn complete(
        &self,
        body: Map<String, Value>,
        most: &(dyn Fn(usize) -> u64 + Send + Sync),
        id: &str,
        call: &Call,
        purse: &Purse,
    ) -> Result<Completion, End> {
        let limit = body.get("max_tokens").or_else(|| body.get("max_completion_tokens"));
        let answer =
            limit.and_then(Value::as_u64).unwrap_or(0) * body.get("n").and_then(Value::as_u64).unwrap_or(1);
        let asked = body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let bytes = Value::Object(body).to_string().into_bytes();
        let question = most(bytes.len());
        let cost = self.endpoint.price.of(question, answer);
        let path = self.endpoint.chat_path.clone();
        let mut tries = Tries::default();
        loop {
            let hold = call.unless_over(purse.hold(question + answer, cost)).await?.map_err(End::Spent)?;
            let Some(pass) = call.unless_over(self.lane.enter()).await? else { return Err(self.closed()) };
            let (outcome, told) = match self.transport.send(&path, Some(bytes.clone()), id).await {
                Err(broken) => (broken_off(broken.0), None),
                Ok(mut incoming) => {
                    let told = incoming.wait.filter(|_| !(200..300).contains(&incoming.status));
                    let read = dialect::completion(&mut incoming).await;
                    (read.unwrap_or_else(|broken| broken_off(broken.0)), told)
                }
            };
            let outcome = match outcome {
                Outcome::Answered(c) if !self.endpoint.any_model && !same_model(&asked, &c.model) => {
                    let why = format!(
                        "model `{}` answered in the place of `{asked}`; `any_model = true` accepts that",
                        c.model
                    );
                    Outcome::Unusable { why, weight: Weight::Odd, usage: c.usage }
                }
                other => other,
            };
            let paid = match &outcome {
                Outcome::Answered(completion) => completion.usage,
                Outcome::Unusable { usage, .. } => *usage,
                Outcome::Refused { .. } => None,
            };
            if let Some((prompt, answer)) = paid {
                purse.spend(prompt + answer, self.endpoint.price.of(prompt, answer));
            }
            drop(hold);
            match outcome {
                Outcome::Answered(completion) => {
                    pass.succeeded();
                    return Ok(completion);
                }
                Outcome::Refused { status, why } => {
                    // It answered: it is not down.
                    pass.succeeded();
                    let message = self.says(&format!("{why}{}", hint(status)));
                    return Err(End::Refused { status, message });
                }
                Outcome::Unusable { why, weight, usage } => {
                    self.waste(usage);
                    self.failed(pass, (&why, weight, told), (id, &mut tries), call).await?;
                }
            }
        }
    }

    /// Asks for something else than a chat, with the same patience; `None` as body is a GET.
    pub(super) async fn fetch(&self, path: &str, body: Option<&Value>, call: &Call) -> Result<String, End> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let mut tries = Tries::default();
        loop {
            let Some(pass) = call.unless_over(self.lane.enter()).await? else { return Err(self.closed()) };
            let (outcome, told) = match self.transport.send(path, bytes.clone(), path).await {
                Err(broken) => (broken_off(broken.0), None),
                Ok(mut incoming) => {
                    let told = incoming.wait;
                    let read = dialect::text(&mut incoming).await;
                    (read.unwrap_or_else(|broken| broken_off(broken.0)), told)
                }
            };
            match outcome {
                Outcome::Answered(text) => {
                    pass.succeeded();
                    return Ok(text);
                }
                Outcome::Refused { status, why } => {
                    pass.succeeded();
                    return Err(End::Refused { status, message: self.says(&why) });
                }
                Outcome::Unusable { why, weight, .. } => {
                    self.failed(pass, (&why, weight, told), (path, &mut tries), call).await?;
                }
            }
        }
    }

    /// After a failed try: waits for the next one, or says why there is none.
    async fn failed(
        &self,
        pass: Pass<'_>,
        (why, weight, told): (&str, Weight, Option<Duration>),
        (id, tries): (&str, &mut Tries),
        call: &Call,
    ) -> Result<(), End> {
        let Endpoint { patience_s, tries: most, .. } = self.endpoint;
        let told = told.map(|wait| wait.min(wait::seconds(self.endpoint.retry_after_most_s)));
        let down = match weight {
            Weight::Odd => pass.odd(),
            weight => pass.failed(weight == Weight::Overload, told),
        };
        // A rate limit says nothing about this question.
        if told.is_none() {
            tries.failures += 1;
        }
        if tries.failures == 1 {
            tries.others = self.lane.answers();
        }
        let why = self.transport.hide(why);
        let (failures, in_flight) = (tries.failures, self.lane.limit());
        tracing::info!(endpoint = self.name, id, failures, in_flight, why, "a try failed");
        let odd = self.lane.odd();
        let closing = match (down, odd >= most.saturating_mul(ODD)) {
            (true, _) => Some(format!("it gave no answer for {patience_s:.0} s: {why}")),
            (_, true) => Some(format!("{odd} answers in a row could not be used: {why}")),
            _ => None,
        };
        if let Some(closing) = closing {
            let message = self.says(&format!(
                "{closing}. What was answered is kept. Resume the run when the endpoint is well again"
            ));
            self.lane.close(&message);
            return Err(End::Closed(message));
        }
        if failures >= most && self.lane.answers() > tries.others {
            let message = format!("one question failed {failures} times while others were answered: {why}");
            return Err(End::GivenUp(self.says(&message)));
        }
        if told.is_none() {
            let pause = wait::backoff(&self.endpoint, id, failures.max(1));
            call.unless_over(tokio::time::sleep(pause)).await?;
        }
        Ok(())
    }

    fn closed(&self) -> End {
        End::Closed(self.lane.closed().unwrap_or_else(|| self.says("it is closed")))
    }

    /// Notes what was paid for an answer that could not be used.
    pub(super) fn waste(&self, usage: Option<(u64, u64)>) {
        let Some((prompt, answer)) = usage else { return };
        self.wasted.0.fetch_add(prompt + answer, Ordering::Relaxed);
        let millionths = self.endpoint.price.of(prompt, answer) * 1e6;
        self.wasted.1.fetch_add(millionths.round() as u64, Ordering::Relaxed);
    }

    /// What was paid for answers that could not be used and is told by none.
    pub(super) fn unbilled(&self) -> Option<Served> {
        let (tokens, cost) = self.take_wasted();
        let served =
            Served { endpoint: self.name.clone(), model: self.model(), tokens, cost, mean_logprob: None };
        (tokens > 0).then_some(served)
    }

    fn take_wasted(&self) -> (u64, f64) {
        let taken = |value: &AtomicU64| value.swap(0, Ordering::Relaxed);
        (taken(&self.wasted.0), taken(&self.wasted.1) as f64 / 1e6)
    }
}

fn broken_off<T>(why: String) -> Outcome<T> {
    Outcome::Unusable { why, weight: Weight::Overload, usage: None }
}

fn is_filtered(message: &str) -> bool {
    ["content_filter", "content_policy", "content management policy"]
        .iter()
        .any(|word| message.contains(word))
}

/// What a person can do about a refusal.
fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ". Check its key (`key_variable`, `key_file`, `key_header`)",
        404 => ". Check its `url`, `chat_path` and `model`",
        429 | 402 => ". Its account is spent: see to that, then resume the run",
        _ => "",
    }
}
