//! What an engine may use: the run's memory, the teacher through the cache of its calls, the painter.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use super::Stage;
use crate::environments::{Models, Moment, Scene, Watch};
use crate::gym::episode::Work;
use crate::gym::hex::hex;
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{ChatReply, ChatRequest, EngineAids, Example, Ledger, PortError, Question};
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};

/// The aids of one generate phase.
pub(super) struct Aids<'a, 'm, 'w> {
    work: Work,
    scene: &'a Scene,
    models: &'a mut Models<'m>,
    ledger: &'a mut dyn Ledger,
    watch: &'a mut Watch<'w>,
    used: HashSet<String>,
    shown: HashMap<&'a str, (&'a TaskInstance, Option<Prediction>)>,
    moment: Moment,
    refreshed: bool,
}

impl<'a, 'm, 'w> Aids<'a, 'm, 'w> {
    /// The aids for a plan.
    pub(super) fn new<'s: 'a>(stage: &'a mut Stage<'s, 'm, 'w>, plan: &Plan) -> Result<Self, PortError> {
        let earlier = stage.ledger.data()?;
        let of_others = earlier.into_iter().filter(|d| !stage.in_round(&d.datum));
        let used = of_others.filter_map(|d| d.datum.provenance.source_instance).collect();
        let shown = shown(stage, plan)?;
        let moment = Moment { total: u64::from(plan.total()), ..Moment::default() };
        let Stage { work, scene, models, ledger, watch, .. } = stage;
        watch(*work, moment);
        Ok(Self {
            work: *work,
            scene,
            models,
            ledger: &mut **ledger,
            watch: &mut **watch,
            used,
            shown,
            moment,
            refreshed: false,
        })
    }

    /// Tokens of every question and answer of this phase.
    pub(super) fn teacher_tokens(&self) -> u64 {
        self.moment.tokens
    }

    /// Asks what the ledger cannot answer. Every answer is committed before anybody sees it.
    fn ask_teacher(
        &mut self,
        asked: &[(usize, String, Question)],
    ) -> Result<Vec<(usize, TeacherCall)>, PortError> {
        let Self { work, scene, models, ledger, watch, moment, refreshed, .. } = self;
        let engine = scene.engine.name();
        let (Some(teacher), Some(source)) = (models.teacher.as_mut(), scene.teacher.as_ref()) else {
            let message =
                format!("engine `{engine}` asks a teacher and this run has none. Set `teacher.model`");
            return Err(PortError::fatal(message));
        };
        if !*refreshed {
            teacher.refresh(&source.checkpoint)?;
            *refreshed = true;
        }
        let requests: Vec<ChatRequest> = asked.iter().map(|(_, _, q)| q.request.clone()).collect();
        let mut calls = Vec::new();
        let mut refused = None;
        let answered = teacher.answer(&requests, &mut |index, reply: ChatReply| {
            let Some((place, id, question)) = asked.get(index) else { return ControlFlow::Continue(()) };
            let call = TeacherCall {
                id: id.clone(),
                model: source.name.clone(),
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
            moment.tokens += u64::from(call.prompt_tokens + call.reply_tokens);
            watch(*work, *moment);
            calls.push((*place, call));
            ControlFlow::Continue(())
        });
        match refused {
            Some(error) => Err(error),
            None => answered.map(|()| calls),
        }
    }
}

/// The instances a plan shows, with the student's last answers.
fn shown<'a>(
    stage: &Stage<'a, '_, '_>,
    plan: &Plan,
) -> Result<HashMap<&'a str, (&'a TaskInstance, Option<Prediction>)>, PortError> {
    let wanted: HashSet<&str> =
        plan.allocations.iter().flat_map(|a| a.shown.iter().map(String::as_str)).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let task = stage.scene.task.as_ref();
    let evaluated = stage.episode.latest_report().map_or(0, |report| report.iteration);
    let mut predictions: HashMap<String, Prediction> = stage
        .ledger
        .predictions(evaluated, Split::Validation)?
        .into_iter()
        .map(|p| (p.instance_id.clone(), p))
        .collect();
    let known = [Split::Validation, Split::Pool].into_iter().flat_map(|split| task.instances(split));
    let chosen = known.filter(|instance| wanted.contains(instance.id.as_str()));
    Ok(chosen.map(|i| (i.id.as_str(), (i, predictions.remove(&i.id)))).collect())
}

/// The same question to the same model has the same id.
fn call_id(model: &str, request: &ChatRequest) -> Result<String, PortError> {
    let request = serde_json::to_string(request).map_err(|e| PortError::fatal(e.to_string()))?;
    let digest = Sha256::new().chain_update(model).chain_update([0]).chain_update(request).finalize();
    Ok(hex(digest))
}

impl EngineAids for Aids<'_, '_, '_> {
    fn used(&self, instance: &str) -> bool {
        self.used.contains(instance)
    }

    fn shown(&self, instance: &str) -> Option<Example<'_>> {
        let (instance, prediction) = self.shown.get(instance)?;
        Some(Example { instance, prediction: prediction.as_ref() })
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        let model = self.scene.teacher.as_ref().map_or("", |teacher| teacher.name.as_str());
        let mut calls: Vec<Option<TeacherCall>> = Vec::with_capacity(questions.len());
        let mut asked = Vec::new();
        for (place, question) in questions.into_iter().enumerate() {
            let id = call_id(model, &question.request)?;
            let known = self.ledger.teacher_call(&id)?;
            match &known {
                Some(call) => self.moment.tokens += u64::from(call.prompt_tokens + call.reply_tokens),
                None => asked.push((place, id, question)),
            }
            calls.push(known);
        }
        if !asked.is_empty() {
            for (place, call) in self.ask_teacher(&asked)? {
                calls[place] = Some(call);
            }
        }
        let lost = calls.iter().filter(|call| call.is_none()).count();
        let complete: Option<Vec<TeacherCall>> = calls.into_iter().collect();
        complete.ok_or_else(|| PortError::transient(format!("{lost} questions were not answered")))
    }

    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError> {
        let outcome = CallOutcome::Malformed { reason };
        self.ledger.put_teacher_calls(&[TeacherCall { outcome, ..call.clone() }])
    }

    fn draw(&mut self, description: &str, seed: u64) -> Result<ImageRef, PortError> {
        let Some(painter) = self.models.painter.as_mut() else {
            return Err(PortError::fatal("this run has no text-to-image model. Set `painter.model`"));
        };
        let drawing = painter.draw(description, seed)?;
        self.ledger.put_image(&drawing.bytes, &drawing.media_type, drawing.size)
    }

    fn wrote(&mut self, data: u64) {
        self.moment.done = data;
        (self.watch)(self.work, self.moment);
    }
}
