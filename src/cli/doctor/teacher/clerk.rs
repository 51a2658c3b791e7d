//! A teacher outside a run: asks the model and writes down what became of each answer.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use serde_json::Value;

use crate::gym::episode::Phase;
use crate::gym::instance::{ImageRef, TaskInstance};
use crate::gym::ports::{
    ChatReply, EngineAids, Example, PassRate, PlanAids, PortError, Question, Rendered, Student, Teacher,
    TextToImage,
};
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};
use crate::models::scripted::ScriptedPainter;
use crate::prompts::Prompts;

/// An answer and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Answered {
    /// Which prompt asked, as `name@version`.
    pub(in crate::cli) prompt: String,
    /// Whether the answer had to obey a JSON schema.
    pub(in crate::cli) schema: bool,
    /// The whole answer.
    pub(in crate::cli) reply: String,
    /// What could not be used of it.
    pub(in crate::cli) fault: Option<String>,
    /// Tokens of question and answer.
    pub(in crate::cli) tokens: u64,
}

impl Answered {
    /// Whether it could be used although it is not the bare JSON that was asked for.
    pub(in crate::cli) fn repaired(&self) -> bool {
        self.schema && self.fault.is_none() && serde_json::from_str::<Value>(self.reply.trim()).is_err()
    }
}

/// The model with the book about its answers.
pub(in crate::cli) struct Clerk<'m> {
    model: &'m mut dyn Student,
    prompts: Prompts,
    /// Every answer; the id of a call is its place.
    book: Vec<Answered>,
    /// What an engine may show.
    pub(in crate::cli) errors: HashMap<String, (TaskInstance, Prediction)>,
}

impl<'m> Clerk<'m> {
    /// With nothing in the book.
    pub(in crate::cli) fn new(model: &'m mut dyn Student, prompts: Prompts) -> Self {
        Self { model, prompts, book: Vec::new(), errors: HashMap::new() }
    }

    /// Answers so far, their tokens with those of their questions, and how many of them could not be used.
    pub(in crate::cli) fn counted(&self) -> (usize, u64, usize) {
        let malformed = self.book.iter().filter(|answer| answer.fault.is_some()).count();
        (self.book.len(), self.book.iter().map(|answer| answer.tokens).sum(), malformed)
    }

    /// The answers by prompt.
    pub(in crate::cli) fn by_prompt(&self) -> BTreeMap<String, Vec<&Answered>> {
        let mut rows: BTreeMap<String, Vec<&Answered>> = BTreeMap::new();
        for answer in &self.book {
            rows.entry(answer.prompt.clone()).or_default().push(answer);
        }
        rows
    }
}

impl Teacher for Clerk<'_> {
    fn render(&self, prompt: &str, values: &Value) -> Result<Rendered, PortError> {
        self.prompts.render(prompt, values)
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        let requests: Vec<_> = questions.iter().map(|question| question.request.clone()).collect();
        let mut replies: Vec<Option<ChatReply>> = vec![None; requests.len()];
        self.model.answer(&requests, &mut |index, reply| {
            if let Some(place) = replies.get_mut(index) {
                *place = Some(reply);
            }
            ControlFlow::Continue(())
        })?;
        let mut calls = Vec::with_capacity(questions.len());
        for (question, reply) in questions.into_iter().zip(replies) {
            let reply = reply.ok_or_else(|| PortError::fatal("the teacher left a question unanswered"))?;
            let Question { prompt, allocation, request } = question;
            let id = self.book.len().to_string();
            self.book.push(Answered {
                prompt: prompt.clone(),
                schema: request.schema.is_some(),
                reply: reply.text.clone(),
                fault: None,
                tokens: u64::from(reply.prompt_tokens) + u64::from(reply.tokens),
            });
            calls.push(TeacherCall {
                id,
                model: String::new(),
                request,
                context: CallContext { iteration: 1, round: 0, phase: Phase::Generate, prompt, allocation },
                reply: reply.text,
                prompt_tokens: reply.prompt_tokens,
                reply_tokens: reply.tokens,
                finish: reply.finish,
                outcome: CallOutcome::Used,
            });
        }
        Ok(calls)
    }

    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError> {
        if let Some(answer) = call.id.parse::<usize>().ok().and_then(|place| self.book.get_mut(place)) {
            answer.fault = Some(reason);
        }
        Ok(())
    }
}

impl PlanAids for Clerk<'_> {
    fn pass_rates(&mut self, _: u32) -> Result<Vec<PassRate>, PortError> {
        Ok(Vec::new())
    }

    fn training_accuracy(&self) -> Result<BTreeMap<(String, String), f64>, PortError> {
        Ok(BTreeMap::new())
    }
}

impl EngineAids for Clerk<'_> {
    fn used(&self, _: &str) -> bool {
        false
    }

    fn shown(&self, instance: &str) -> Option<Example<'_>> {
        let (instance, prediction) = self.errors.get(instance)?;
        Some(Example { instance, prediction: Some(prediction) })
    }

    fn draw(&mut self, description: &str, seed: u64) -> Result<ImageRef, PortError> {
        let drawing = ScriptedPainter.draw(description, seed)?;
        Ok(ImageRef::of(&drawing.bytes, &drawing.media_type, drawing.size))
    }

    fn wrote(&mut self, _: u64) {}
}
