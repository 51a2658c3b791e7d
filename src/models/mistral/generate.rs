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
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use super::chooser::{Chooser, Chosen};
use crate::gym::ports::{ChatReply, ChatRequest, PortError, Serving};
use crate::gym::prediction::FinishReason;
use crate::models::folder::Tokens;
use crate::models::source::Source;

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
    pub(super) fn new(model: Model, base: &Source, serving: Serving) -> Result<Self, PortError> {
        let limit = model.max_sequence_length().map_err(|error| PortError::fatal(error.to_string()))?;
        let own = base.size().context.min(serving.context as usize);
        let context = limit.map_or(own, |limit| limit.min(own));
        Ok(Self { model, tokens: base.tokens().clone(), context })
    }

    /// The prompt as the chat template renders it, generation prompt included.
    async fn render(&self, prompt: &str) -> Result<Vec<u32>, String> {
        let messages = TextMessages::new().add_message(TextMessageRole::User, prompt);
        // The template writes every special token itself.
        let rendered = self.model.tokenize(either::Either::Left(messages), None, false, true, None).await;
        rendered.map_err(|error| error.to_string())
    }

    /// Answers one request; nothing when it was stopped. A request that this model cannot be asked is answered with
    /// the reason, and the others go on.
    async fn one(&self, request: &ChatRequest, stop: &AtomicBool) -> Result<Option<Answer>, PortError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if !request.images.is_empty() {
            return Err(PortError::fatal("the local text models of this version cannot see images"));
        }
        let prompt = match self.render(&request.prompt).await {
            Ok(prompt) => prompt,
            Err(why) => return Ok(Some(Answer::refused(0, &why))),
        };
        let prompt_tokens = prompt.len() as u32;
        let room = self.context.saturating_sub(prompt.len());
        if room == 0 {
            tracing::warn!(prompt_tokens, context = self.context, "a prompt leaves no room for an answer");
            return Ok(Some(Answer::failed(prompt_tokens, FinishReason::PromptTooLong)));
        }
        let limit = room.min(request.max_tokens.max(1) as usize);
        let chooser = Arc::new(Chooser::new(request.sampling, prompt.len(), self.tokens.count()));
        let mut stream = self.order(prompt, request, limit, &chooser).await?;

        let mut finish = None;
        while let Some(response) = stream.recv().await {
            match response {
                Response::CompletionChunk(chunk) => {
                    finish = chunk.choices.into_iter().next().and_then(|choice| choice.finish_reason);
                    if finish.is_some() {
                        break;
                    }
                }
                Response::ValidationError(error) => {
                    return Ok(Some(Answer::refused(prompt_tokens, &error.to_string())));
                }
                Response::InternalError(error) => return Err(broken(&error.to_string())),
                Response::ModelError(what, _) | Response::CompletionModelError(what, _) => {
                    return Err(PortError::fatal(format!("the model failed on a prompt: {what}")));
                }
                _ => {}
            }
            // A finished grammar forces an end token of its own choice, which the model may not know as one:
            // it would be forced again up to the limit.
            let forced = request.schema.is_some()
                && chooser.chosen().tokens.last().is_some_and(|token| self.tokens.is_special(*token));
            if forced || !request.stop.is_empty() && self.cut(&chooser.chosen().tokens, request)?.1 {
                // Dropping a stream is safe: the engine ends the sequence at its next token.
                finish = Some("stop".to_owned());
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        drop(stream);
        let Chosen { mut tokens, mut log_probabilities, .. } = chooser.chosen().clone();
        // The engine may have gone one token further before it heard of the end.
        tokens.truncate(limit);
        log_probabilities.truncate(limit);
        let finish = self.finish(finish.as_deref(), &tokens, limit)?;
        let (text, cut) = self.cut(&tokens, request)?;
        if !request.log_probabilities {
            log_probabilities.clear();
        }
        let finish = if cut { FinishReason::Stop } else { finish };
        let reply = ChatReply {
            log_probabilities,
            ..ChatReply::new(text, prompt_tokens, tokens.len() as u32, finish)
        };
        Ok(Some(Answer { tokens, reply }))
    }

    /// Hands a request to the engine.
    async fn order(
        &self,
        prompt: Vec<u32>,
        request: &ChatRequest,
        limit: usize,
        chooser: &Arc<Chooser>,
    ) -> Result<Receiver<Response>, PortError> {
        // Room for every message, so that the engine never waits for us.
        let (sender, stream) = channel(limit + 8);
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
        Ok(stream)
    }

    /// The text of tokens up to the first stop text, and whether there was one.
    fn cut(&self, tokens: &[u32], request: &ChatRequest) -> Result<(String, bool), PortError> {
        let text = self.tokens.decode(tokens).map_err(PortError::fatal)?;
        Ok(before_stop(text, &request.stop))
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

impl Answer {
    fn failed(prompt_tokens: u32, finish: FinishReason) -> Self {
        Self { tokens: Vec::new(), reply: ChatReply::failed(prompt_tokens, finish) }
    }

    fn refused(prompt_tokens: u32, why: &str) -> Self {
        tracing::warn!(why, "the chat template or the grammar engine refused a request");
        Self::failed(prompt_tokens, FinishReason::Refused)
    }
}

/// A text up to the first of the stop texts in it, and whether there was one; an empty one stops nothing.
fn before_stop(mut text: String, stop: &[String]) -> (String, bool) {
    let first = stop.iter().filter(|end| !end.is_empty()).filter_map(|end| text.find(end.as_str())).min();
    match first {
        Some(place) => {
            text.truncate(place);
            (text, true)
        }
        None => (text, false),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_before_its_first_stop_text() {
        let stop = |ends: &[&str]| {
            let ends: Vec<String> = ends.iter().map(|end| (*end).to_owned()).collect();
            before_stop("a = 1\n\nb = 2".to_owned(), &ends)
        };
        assert_eq!(stop(&[]), ("a = 1\n\nb = 2".to_owned(), false));
        assert_eq!(stop(&["b", "\n\n", ""]), ("a = 1".to_owned(), true));
        assert!(!stop(&["c"]).1);
        assert_eq!(stop(&["a"]), (String::new(), true));
    }
}
