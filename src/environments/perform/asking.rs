//! Asking models: every answer is committed to the ledger before anybody sees it, and what the ledger has is
//! not asked again.

use std::ops::ControlFlow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Stage;
use crate::environments::{Models, Moment, Scene, TeacherSource, Watch};
use crate::gym::episode::Work;
use crate::gym::hex::hex;
use crate::gym::ports::{
    ChatReply, ChatRequest, Checkpoint, Ledger, PortError, Question, Rendered, Sampling, Student, Teacher,
};
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};

/// Temperature and nucleus of the student's sampled answers: the model's own distribution.
const SAMPLED: (f64, f64) = (1.0, 1.0);

/// How many items of a phase the answer to the question of an index holds.
type Holds<'h> = dyn Fn(usize, &str) -> u64 + 'h;

/// Whom a phase can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The run's teacher.
    Teacher,
    /// Who solves data anew in its place.
    Verifier,
    /// The student as it is now.
    Student,
}

/// The models of one phase behind the cache of their answers.
pub(super) struct Asking<'a, 'm, 'w> {
    pub(super) work: Work,
    pub(super) scene: &'a Scene,
    pub(super) models: &'a mut Models<'m>,
    pub(super) ledger: &'a mut dyn Ledger,
    pub(super) watch: &'a mut Watch<'w>,
    pub(super) moment: Moment,
    /// The student's name in the ledger, and its weights.
    student: (String, Checkpoint),
    /// Who answers as the teacher.
    teacher: Asked,
    /// Whose weights are loaded.
    ready: Vec<Asked>,
    /// Tokens of teacher and verifier in this phase, those of the ledger included, and how many there may be.
    taught: u64,
    most: Option<u64>,
}

impl<'a, 'm, 'w> Asking<'a, 'm, 'w> {
    /// For the phase of a stage, which is to make `total` items. Nothing is said of it before the first question
    /// that the ledger cannot answer: what was answered earlier does not count towards the rate.
    pub(super) fn new<'s: 'a>(stage: &'a mut Stage<'s, 'm, 'w>, total: u64) -> Self {
        let moment = Moment { total, ..Moment::default() };
        let Stage { work, episode, scene, models, ledger, watch } = stage;
        let evaluated = episode.latest_report().map_or(0, |report| report.iteration);
        let checkpoint = episode.training_at(evaluated).map_or(&scene.base, |t| &t.checkpoint);
        Self {
            work: *work,
            scene,
            models,
            ledger: &mut **ledger,
            watch: &mut **watch,
            moment,
            student: (format!("student@{evaluated}"), checkpoint.clone()),
            teacher: Asked::Teacher,
            ready: Vec::new(),
            taught: 0,
            most: episode.rules.budget.phase_tokens,
        }
    }

    /// With the run's verifier in the place of the teacher, where it has one.
    pub(super) fn verified(mut self) -> Self {
        if self.scene.verifier.is_some() {
            self.teacher = Asked::Verifier;
        }
        self
    }

    /// Tokens of every question and answer of this phase, those answered from the ledger included.
    pub(super) fn tokens(&self) -> u64 {
        self.moment.tokens
    }

    /// Says how far the phase is.
    pub(super) fn done(&mut self, items: u64) {
        self.moment.done = items;
        (self.watch)(self.work, self.moment);
    }

    /// `samples` answers of the student, as it is now, to every prompt, in the order of the prompts. `name`
    /// tells in the records what they were for.
    pub(super) fn sampled(
        &mut self,
        name: &str,
        prompts: &[ChatRequest],
        samples: u32,
    ) -> Result<Vec<Vec<String>>, PortError> {
        let (temperature, top_p) = SAMPLED;
        let draw = |prompt: &ChatRequest, seed| Question {
            prompt: name.to_owned(),
            allocation: None,
            request: ChatRequest { sampling: Sampling::drawn(temperature, top_p, seed), ..prompt.clone() },
        };
        let draws = |prompt| (0..u64::from(samples)).map(move |n| draw(prompt, n));
        let questions: Vec<Question> = prompts.iter().flat_map(draws).collect();
        let calls = self.answers(Asked::Student, questions, None)?;
        let replies: Vec<String> = calls.into_iter().map(|call| call.reply).collect();
        Ok(replies.chunks(samples.max(1) as usize).map(<[String]>::to_vec).collect())
    }

    /// The answers in the order of the questions. Without `holds` they are the items of the phase themselves.
    fn answers(
        &mut self,
        asked: Asked,
        questions: Vec<Question>,
        holds: Option<&Holds<'_>>,
    ) -> Result<Vec<TeacherCall>, PortError> {
        let model = match asked {
            Asked::Student => self.student.0.as_str(),
            _ => source(self.scene, asked).map_or("", |source| source.name.as_str()),
        };
        if holds.is_none() {
            self.moment.asking = true;
            self.moment.total += questions.len() as u64;
        }
        let holds: &Holds<'_> = holds.unwrap_or(&|_, _| 1);
        let mut calls: Vec<Option<TeacherCall>> = Vec::with_capacity(questions.len());
        let mut missing = Vec::new();
        for (place, question) in questions.into_iter().enumerate() {
            let id = call_id(model, &question.request)?;
            let known = self.ledger.teacher_call(&id)?;
            match &known {
                Some(call) => {
                    let tokens = u64::from(call.prompt_tokens + call.reply_tokens);
                    self.moment.tokens += tokens;
                    self.moment.done += holds(place, &call.reply);
                    self.taught += if asked == Asked::Student { 0 } else { tokens };
                }
                None => missing.push((place, id, question)),
            }
            calls.push(known);
        }
        if !missing.is_empty() {
            for (place, call) in self.fetch(asked, &missing, holds)? {
                calls[place] = Some(call);
            }
        }
        let lost = calls.iter().filter(|call| call.is_none()).count();
        let complete: Option<Vec<TeacherCall>> = calls.into_iter().collect();
        complete.ok_or_else(|| PortError::transient(format!("{lost} questions were not answered")))
    }

    /// Asks what the ledger cannot answer.
    fn fetch(
        &mut self,
        asked: Asked,
        missing: &[(usize, String, Question)],
        holds: &Holds<'_>,
    ) -> Result<Vec<(usize, TeacherCall)>, PortError> {
        let taught_here = asked != Asked::Student;
        if taught_here {
            self.within_budget()?;
        }
        let Self { work, scene, models, ledger, watch, moment, student, ready, taught, most, .. } = self;
        watch(*work, *moment);
        let hired = if asked == Asked::Verifier { &mut models.verifier } else { &mut models.teacher };
        let hired = hired.as_mut().zip(source(scene, asked));
        let (answering, name, checkpoint): (&mut dyn Student, &str, &Checkpoint) = match (asked, hired) {
            (Asked::Student, _) => (&mut *models.student, &student.0, &student.1),
            (_, Some((hired, source))) => (&mut **hired, &source.name, &source.checkpoint),
            (_, None) => {
                let prompt = &missing[0].2.prompt;
                let message = format!("`{prompt}` asks a teacher and this run has none. Set `teacher.model`");
                return Err(PortError::fatal(message));
            }
        };
        if !ready.contains(&asked) {
            answering.refresh(checkpoint)?;
            ready.push(asked);
        }
        let requests: Vec<ChatRequest> = missing.iter().map(|(_, _, q)| q.request.clone()).collect();
        let mut calls = Vec::new();
        let mut refused = None;
        let answered = answering.answer(&requests, &mut |index, reply: ChatReply| {
            let Some((place, id, question)) = missing.get(index) else { return ControlFlow::Continue(()) };
            let call = TeacherCall {
                id: id.clone(),
                // With several endpoints behind one name: the one that answered.
                model: reply.served.map_or_else(
                    || name.to_owned(),
                    |served| format!("{name} ({}, {})", served.endpoint, served.model),
                ),
                request: question.request.clone(),
                context: CallContext {
                    iteration: work.iteration,
                    round: work.round,
                    phase: work.phase,
                    prompt: question.prompt.clone(),
                    allocation: question.allocation,
                },
                reply: reply.text,
                prompt_tokens: reply.prompt_tokens,
                reply_tokens: reply.tokens,
                finish: reply.finish,
                outcome: CallOutcome::Used,
            };
            if let Err(error) = ledger.put_teacher_calls(std::slice::from_ref(&call)) {
                refused = Some(error);
                return ControlFlow::Break(());
            }
            let tokens = u64::from(call.prompt_tokens + call.reply_tokens);
            moment.tokens += tokens;
            moment.done += holds(*place, &call.reply);
            *taught += if taught_here { tokens } else { 0 };
            watch(*work, *moment);
            calls.push((*place, call));
            let open = calls.len() < missing.len();
            if open && taught_here && most.is_some_and(|most| *taught >= most) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        match refused {
            Some(error) => Err(error),
            None if taught_here && calls.len() < missing.len() => {
                self.within_budget()?;
                answered.map(|()| calls)
            }
            None => answered.map(|()| calls),
        }
    }

    /// Whether the teacher, or the verifier, may be asked more in this phase.
    fn within_budget(&self) -> Result<(), PortError> {
        let Some(most) = self.most.filter(|most| self.taught >= *most) else { return Ok(()) };
        let who = if self.teacher == Asked::Verifier { "verifier" } else { "teacher" };
        Err(PortError::fatal(format!(
            "the {who}'s {most} tokens for one phase are spent: its questions and answers come to {}. What was answered \
             is kept. Raise the limit (`episode.phase_tokens`, or the limits on the screen) and run on",
            self.taught
        )))
    }
}

impl Teacher for Asking<'_, '_, '_> {
    fn render(&self, prompt: &str, values: &Value) -> Result<Rendered, PortError> {
        let own = self.scene.verifier.as_ref().filter(|_| self.teacher == Asked::Verifier);
        own.map_or(&self.scene.prompts, |verifier| &verifier.prompts).render(prompt, values)
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        self.answers(self.teacher, questions, None)
    }

    fn ask_counted(
        &mut self,
        questions: Vec<Question>,
        holds: &dyn Fn(usize, &str) -> u64,
    ) -> Result<Vec<TeacherCall>, PortError> {
        self.answers(self.teacher, questions, Some(holds))
    }

    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError> {
        let outcome = CallOutcome::Malformed { reason };
        self.ledger.put_teacher_calls(&[TeacherCall { outcome, ..call.clone() }])
    }
}

/// The name and weights of a teacher or verifier.
fn source(scene: &Scene, asked: Asked) -> Option<&TeacherSource> {
    match asked {
        Asked::Teacher => scene.teacher.as_ref(),
        Asked::Verifier => scene.verifier.as_ref().map(|verifier| &verifier.source),
        Asked::Student => None,
    }
}

/// The same question to the same model has the same id.
fn call_id(model: &str, request: &ChatRequest) -> Result<String, PortError> {
    let request = serde_json::to_string(request).map_err(|e| PortError::fatal(e.to_string()))?;
    let digest = Sha256::new().chain_update(model).chain_update([0]).chain_update(request).finalize();
    Ok(hex(digest))
}
