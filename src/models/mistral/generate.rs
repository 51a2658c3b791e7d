//! Answering: a window of requests in flight, each on a stream of its own.
//!
//! Futures are never dropped midway: the engine panics when it finds the receiver of some answers gone,
//! and takes every other request with it. To stop early, requests end themselves at their next token.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use either::Either;
use mistralrs::{
    Constraint, Model, NormalRequest, Request, RequestMessage, Response, SamplingParams, TextMessageRole,
    TextMessages,
};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use super::chooser::Chooser;
use crate::gym::ports::{ChatReply, ChatRequest, PortError, Sampling, Serving};
use crate::gym::prediction::FinishReason;
use crate::models::Aside;
use crate::models::chosen;
use crate::models::failure::{self, Failure, Stage, stopped};
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

    /// The prompt as the chat template renders it, generation prompt included. Where it can be, that is done by the
    /// renderer that the trainer uses: the library would tell the template today's date.
    async fn render(&self, prompt: &str) -> Result<Vec<u32>, String> {
        let text = match self.tokens.render(prompt) {
            Some(text) => Either::Right(text?),
            None => Either::Left(TextMessages::new().add_message(TextMessageRole::User, prompt)),
        };
        // The template writes every special token itself.
        let rendered = self.model.tokenize(text, None, false, true, None).await;
        rendered.map_err(|error| error.to_string())
    }

    /// Answers one request; nothing when it was stopped. A request that this model cannot be asked is answered with
    /// the reason, and the others go on. So is one that was `alone` in the engine when it failed, if the engine answers
    /// another one: of several together it cannot be said whose failure it was.
    async fn one(
        &self,
        index: usize,
        request: &ChatRequest,
        (wishes, alone): (&Wishes, bool),
    ) -> Result<Option<Answer>, PortError> {
        let error = match self.attempt(index, request, wishes).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Call(error)) => return Err(error),
            Err(Failure::Prompt(error)) => error,
        };
        if !alone || !self.goes_on().await {
            return Err(error);
        }
        tracing::warn!(%error, "a prompt is not answered; the engine goes on");
        Ok(Some(Answer::failed(0, FinishReason::Failed)))
    }

    /// Whether the engine still answers a plain prompt.
    async fn goes_on(&self) -> bool {
        let plain = ChatRequest::text("What is 2 + 3?", Sampling::Greedy, 1);
        let answered = self.attempt(0, &plain, &Wishes::default()).await;
        answered.is_ok_and(|answer| answer.is_some_and(|answer| !answer.reply.finish.is_failure()))
    }

    async fn attempt(
        &self,
        index: usize,
        request: &ChatRequest,
        wishes: &Wishes,
    ) -> Result<Option<Answer>, Failure> {
        if wishes.are_over() {
            return Ok(None);
        }
        let began = Instant::now();
        if !request.images.is_empty() {
            return Err(PortError::fatal("the local text models of this version cannot see images").into());
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
        let (known, weighed) = (self.tokens.count(), request.log_probabilities);
        let chooser = Arc::new(Chooser::new(request.sampling, prompt.len(), known, weighed));
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
                Response::InternalError(error) => {
                    return Err(failure::judge(Stage::Engine, &error.to_string(), chooser.fault()));
                }
                Response::ModelError(what, _) | Response::CompletionModelError(what, _) => {
                    return Err(failure::judge(Stage::Model, &what, chooser.fault()));
                }
                _ => {}
            }
            let standing = chooser.chosen().standing().to_vec();
            if self.end(&standing, request)?.is_some() {
                // Dropping a stream is safe: the engine ends the sequence at its next token.
                break;
            }
            wishes.piece(index, || self.so_far(&standing, request));
            if wishes.are_over() {
                return Ok(None);
            }
        }
        drop(stream);
        let (mut tokens, mut log_probabilities) = chooser.chosen().clone().into_parts();
        // The engine may have gone further before it heard of the end. Where the answer ends is found in its tokens, so
        // that it does not depend on who was faster.
        tokens.truncate(limit);
        let finish = match self.end(&tokens, request)? {
            Some(end) => {
                tokens.truncate(end);
                FinishReason::Stop
            }
            None => self.finish(finish.as_deref(), &tokens, limit)?,
        };
        log_probabilities.truncate(tokens.len());
        let (text, _) = self.cut(&tokens, request)?;
        let reply = ChatReply {
            log_probabilities,
            elapsed_ms: began.elapsed().as_millis() as u64,
            ..ChatReply::new(text, prompt_tokens, tokens.len() as u32, finish)
        };
        Ok(Some(Answer { tokens, reply }))
    }

    /// Where an answer ends, as [`chosen::end`] finds it.
    fn end(&self, tokens: &[u32], request: &ChatRequest) -> Result<Option<usize>, PortError> {
        let special = |token| self.tokens.is_special(token);
        let grammar: Option<&dyn Fn(u32) -> bool> =
            if request.schema.is_some() { Some(&special) } else { None };
        let stopped = |tokens: &[u32]| -> Result<bool, PortError> {
            Ok(!request.stop.is_empty() && self.cut(tokens, request)?.1)
        };
        chosen::end(tokens, grammar, &stopped)
    }

    /// The text of an answer that is being written, without a character that is not whole yet.
    fn so_far(&self, tokens: &[u32], request: &ChatRequest) -> String {
        let text = self.cut(tokens, request).map(|(text, _)| text).unwrap_or_default();
        text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
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
        let engine = self.model.inner().get_sender(None).map_err(|error| stopped(&error.to_string()))?;
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
        engine.send(order).await.map_err(|error| stopped(&error.to_string()))?;
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
            Some(other) => Err(stopped(&format!("an answer ended with `{other}`"))),
            None => Err(stopped("the stream of an answer closed")),
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

/// What those who wait for answers wish.
#[derive(Default)]
struct Wishes {
    stop: AtomicBool,
    aside: Option<Aside>,
}

impl Wishes {
    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits any more.
    fn are_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.aside.as_ref().is_some_and(Aside::is_over)
    }

    fn piece(&self, index: usize, text: impl FnOnce() -> String) {
        if let Some(aside) = &self.aside {
            aside.piece(index, text);
        }
    }
}

/// The order in which requests are handed to the engine. With several in flight those of like length go together: only
/// sequences of equal length run as one batch.
fn order(requests: &[ChatRequest], in_flight: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    if in_flight > 1 {
        order.sort_by_key(|index| requests[*index].prompt.len());
    }
    order
}

/// Answers every request with at most `in_flight` at work, one behind the other where that is one; hands answers over
/// as they come.
pub(super) async fn all(
    loaded: &Arc<Loaded>,
    requests: &[ChatRequest],
    (in_flight, aside): (u32, Option<Aside>),
    sink: &mut dyn FnMut(usize, Answer) -> ControlFlow<()>,
) -> Result<(), PortError> {
    let wishes = Arc::new(Wishes { aside, ..Wishes::default() });
    let mut tasks = JoinSet::new();
    let mut waiting = order(requests, in_flight).into_iter();
    let mut outcome = Ok(());
    loop {
        while tasks.len() < in_flight as usize && !wishes.are_over() {
            let Some(index) = waiting.next() else { break };
            let (loaded, wishes, request) = (loaded.clone(), wishes.clone(), requests[index].clone());
            let alone = in_flight == 1;
            tasks.spawn(async move { (index, loaded.one(index, &request, (&wishes, alone)).await) });
        }
        let Some(joined) = tasks.join_next().await else { return outcome };
        match joined {
            Ok((_, Ok(None))) => {}
            Ok((index, Ok(Some(answer)))) => {
                if !wishes.are_over() && sink(index, answer).is_break() {
                    wishes.end();
                }
            }
            Ok((_, Err(error))) => {
                wishes.end();
                outcome = outcome.and(Err(error));
            }
            Err(error) => {
                wishes.end();
                outcome = outcome.and(Err(stopped(&error.to_string())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_several_in_flight_prompts_of_like_length_go_together() {
        let prompts = ["a long one", "short", "b long one", "brief"];
        let requests =
            prompts.map(|prompt| ChatRequest::text(prompt, crate::gym::ports::Sampling::Greedy, 1));
        assert_eq!(order(&requests, 1), [0, 1, 2, 3]);
        assert_eq!(order(&requests, 2), [1, 3, 0, 2]);
    }

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
