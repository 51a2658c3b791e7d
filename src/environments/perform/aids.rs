//! What an engine may use: the run's memory, the teacher, the painter.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Stage;
use super::asking::Asking;
use crate::gym::datum::JudgedDatum;
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{EngineAids, Example, PortError, Question, Rendered, Teacher};
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::TeacherCall;

/// The aids of one generate phase.
pub(super) struct Aids<'a, 'm, 'w> {
    asking: Asking<'a, 'm, 'w>,
    used: HashSet<String>,
    shown: HashMap<&'a str, (&'a TaskInstance, Option<Prediction>)>,
}

impl<'a, 'm, 'w> Aids<'a, 'm, 'w> {
    /// The aids for a plan.
    pub(super) fn new<'s: 'a>(stage: &'a mut Stage<'s, 'm, 'w>, plan: &Plan) -> Result<Self, PortError> {
        let mut used = HashSet::new();
        stage.ledger.each_datum(None, &mut |JudgedDatum { datum, .. }| {
            if !stage.in_round(&datum) {
                used.extend(datum.provenance.source_instance);
            }
        })?;
        let shown = shown(stage, plan)?;
        Ok(Self { asking: Asking::new(stage, u64::from(plan.total())), used, shown })
    }

    /// Tokens of every question and answer of this phase.
    pub(super) fn teacher_tokens(&self) -> u64 {
        self.asking.tokens()
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

impl Teacher for Aids<'_, '_, '_> {
    fn render(&self, prompt: &str, values: &Value) -> Result<Rendered, PortError> {
        self.asking.render(prompt, values)
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        self.asking.ask(questions)
    }

    fn ask_counted(
        &mut self,
        questions: Vec<Question>,
        holds: &dyn Fn(usize, &str) -> u64,
    ) -> Result<Vec<TeacherCall>, PortError> {
        self.asking.ask_counted(questions, holds)
    }

    fn malformed(&mut self, call: &TeacherCall, reason: String) -> Result<(), PortError> {
        self.asking.malformed(call, reason)
    }
}

impl EngineAids for Aids<'_, '_, '_> {
    fn used(&self, instance: &str) -> bool {
        self.used.contains(instance)
    }

    fn shown(&self, instance: &str) -> Option<Example<'_>> {
        let (instance, prediction) = self.shown.get(instance)?;
        Some(Example { instance, prediction: prediction.as_ref() })
    }

    fn draw(&mut self, description: &str, seed: u64) -> Result<ImageRef, PortError> {
        let Some(painter) = self.asking.models.painter.as_mut() else {
            return Err(PortError::fatal("this run has no text-to-image model. Set `painter.model`"));
        };
        let drawing = painter.draw(description, seed)?;
        self.asking.ledger.put_image(&drawing.bytes, &drawing.media_type, drawing.size)
    }

    fn wrote(&mut self, data: u64) {
        self.asking.done(data);
    }
}
