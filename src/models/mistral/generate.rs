//! Answering: a window of requests in flight, each on a stream of its own.
//!
//! Futures are never dropped midway: the engine panics when it finds the receiver of some answers gone,
//! and takes every other request with it. To stop early, requests end themselves at their next token.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mistralrs::{
    Constraint, Model, NormalRequest, Request, RequestMessage, Response, SamplingParams, TextMessageRole,
    TextMessages,
};
use serde_json::Value;
use tokio::sync::mpsc::channel;
use tokio::task::JoinSet;

use super::chooser::Chooser;
use crate::gym::ports::{ChatReply, ChatRequest, PortError};
use crate::gym::prediction::FinishReason;
use crate::models::folder::{ModelFolder, Tokens};

/// A loaded model with what is needed to talk to it.
pub(super) struct Loaded {
    model: Model,
    tokens: Tokens,
    /// Longest prompt and answer together, in tokens.
    context: usize,
}

/// An answer with its tokens, the end token included.
pub(super) struct Answer {
    pub(super) tokens: Vec<u32>,
    pub(super) reply: ChatReply,
}

impl Loaded {
    pub(super) fn new(model: Model, base: &ModelFolder) -> Result<Self, PortError> {
        let limit = model.max_sequence_length().map_err(|error| PortError::fatal(error.to_string()))?;
        let context = limit.map_or(base.config.context, |limit| limit.min(base.config.context));
        Ok(Self { model, tokens: base.tokens.clone(), context })
    }

    /// The prompt as the chat template renders it, generation prompt included.
    async fn render(&self, prompt: &str) -> Result<Vec<u32>, PortError> {
        let messages = TextMessages::new().add_message(TextMessageRole::User, prompt);
        // The template writes every special token itself.
        self.model
            .tokenize(either::Either::Left(messages), None, false, true, None)
            .await
            .map_err(|error| PortError::fatal(format!("the chat template failed on a prompt: {error}")))
    }

    async fn one(&self, request: &ChatRequest, stop: &AtomicBool) -> Result<Option<Answer>, PortError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if !request.images.is_empty() {
            return Err(PortError::fatal("the local text models of this version cannot see images"));
        }
        let prompt = self.render(&request.prompt).await?;
        let room = self.context.saturating_sub(prompt.len());
        if room == 0 {
            return Err(PortError::fatal(format!(
                "a prompt of {} tokens leaves no room for an answer in the model's context of {}. \
                 Shorten the prompt template, or choose a model with a longer context",
                prompt.len(),
                self.context
            )));
        }
        let limit = room.min(request.max_tokens.max(1) as usize);
        let prompt_tokens = prompt.len() as u32;
        let chooser = Arc::new(Chooser::new(request.sampling, prompt.len(), self.tokens.count()));
        // Room for every message, so that the engine never waits for us.
        let (sender, mut stream) = channel(limit + 8);
        let id = self.model.inner().next_request_id();
        let engine = self.model.inner().get_sender(None).map_err(|error| broken(&error.to_string()))?;
        let order = Request::Normal(Box::new(NormalRequest {
            id,
            messages: RequestMessage::CompletionTokens(prompt),
            sampling_params: SamplingParams { max_len: Some(limit), ..SamplingParams::deterministic() },
            response: sender,
            return_logprobs: false,
            is_streaming: true,
            constraint: request.schema.as_ref().map_or(Constraint::None, constraint),
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![chooser.clone()]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        }));
        engine.send(order).await.map_err(|error| broken(&error.to_string()))?;

        let mut finish = None;
        while let Some(response) = stream.recv().await {
            match response {
                Response::CompletionChunk(chunk) => {
                    finish = chunk.choices.into_iter().next().and_then(|choice| choice.finish_reason);
                    if finish.is_some() {
                        break;
                    }
                }
                Response::ValidationError(error) => return Err(PortError::fatal(error.to_string())),
                Response::InternalError(error) => return Err(broken(&error.to_string())),
                Response::ModelError(what, _) | Response::CompletionModelError(what, _) => {
                    return Err(PortError::fatal(format!("the model failed on a prompt: {what}")));
                }
                _ => {}
            }
            // A finished grammar forces an end token of its own choice, which the model may not know as one:
            // it would be forced again up to the limit.
            if request.schema.is_some() && chooser.last().is_some_and(|token| self.tokens.is_special(token)) {
                finish = Some("stop".to_owned());
                break;
            }
            if stop.load(Ordering::Relaxed) {
                // Dropping a stream is safe: the engine ends the sequence at its next token.
                return Ok(None);
            }
        }
        let tokens = chooser.tokens();
        let finish = self.finish(finish.as_deref(), &tokens, limit)?;
        let text = self.tokens.decode(&tokens).map_err(PortError::fatal)?;
        let reply = ChatReply { text, prompt_tokens, tokens: tokens.len() as u32, finish };
        Ok(Some(Answer { tokens, reply }))
    }

    /// Why the answer ended. The engine leaves its last message out when the bytes of the answer end
    /// within a character; then the tokens say it.
    fn finish(&self, said: Option<&str>, tokens: &[u32], limit: usize) -> Result<FinishReason, PortError> {
        let ended = tokens.last().is_some_and(|token| self.tokens.is_special(*token));
        match said {
            Some("stop") => Ok(FinishReason::Stop),
            Some("length") => Ok(FinishReason::Length),
            None if ended => Ok(FinishReason::Stop),
            None if tokens.len() == limit => Ok(FinishReason::Length),
            Some(other) => Err(broken(&format!("an answer ended with `{other}`"))),
            None => Err(broken("the stream of an answer closed")),
        }
    }
}

/// The schema as the grammar engine takes it. Without the hint a weak model writes white space for ever.
fn constraint(schema: &Value) -> Constraint {
    let mut schema = schema.clone();
    if let Some(root) = schema.as_object_mut() {
        root.insert("x-guidance".to_owned(), serde_json::json!({"whitespace_flexible": false}));
    }
    Constraint::JsonSchema(schema)
}

fn broken(what: &str) -> PortError {
    // What follows the first line is the library's own trace.
    let what = what.lines().next().unwrap_or_default();
    PortError::transient(format!("the model's engine stopped: {what}. Its log says more"))
}

/// Answers every request in order with at most `in_flight` at work; hands answers over as they come.
pub(super) async fn all(
    loaded: &Arc<Loaded>,
    requests: &[ChatRequest],
    in_flight: u32,
    sink: &mut dyn FnMut(usize, Answer) -> ControlFlow<()>,
) -> Result<(), PortError> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let mut waiting = requests.iter().cloned().enumerate();
    let mut outcome = Ok(());
    loop {
        while tasks.len() < in_flight as usize && !stop.load(Ordering::Relaxed) {
            let Some((index, request)) = waiting.next() else { break };
            let (loaded, stop) = (loaded.clone(), stop.clone());
            tasks.spawn(async move { (index, loaded.one(&request, &stop).await) });
        }
        let Some(joined) = tasks.join_next().await else { return outcome };
        match joined {
            Ok((_, Ok(None))) => {}
            Ok((index, Ok(Some(answer)))) => {
                if !stop.load(Ordering::Relaxed) && sink(index, answer).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            Ok((_, Err(error))) => {
                stop.store(true, Ordering::Relaxed);
                outcome = outcome.and(Err(error));
            }
            Err(error) => {
                stop.store(true, Ordering::Relaxed);
                outcome = outcome.and(Err(broken(&error.to_string())));
            }
        }
    }
}
