//! Evaluate: the student answers a split and is scored.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::Stage;
use crate::environments::{Moment, Scene};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{ChatReply, ChatRequest, Fact, PortError};
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;

/// Predictions committed together: few enough that a kill loses little, many enough that commits cost little.
const COMMIT_EVERY: usize = 64;

impl Stage<'_, '_, '_> {
    /// The tokens of a discovery count in the first evaluation: a resume finds the same skills again.
    pub(super) fn evaluate(&mut self, discovery_tokens: u64) -> Result<Fact, PortError> {
        let (work, scene) = (self.work, self.scene);
        let split = work.split.unwrap_or(Split::Validation);
        let first = (work.iteration, split) == (0, Split::Validation);
        let teacher_tokens = if first { discovery_tokens } else { 0 };
        let instances = scene.task.instances(split);
        let committed = self.ledger.predictions(work.iteration, split)?;
        let mut done: HashMap<String, Prediction> =
            committed.into_iter().map(|p| (p.instance_id.clone(), p)).collect();
        let missing: Vec<&TaskInstance> = instances.iter().filter(|i| !done.contains_key(&i.id)).collect();
        let mut moment = Moment { total: instances.len() as u64, ..Moment::default() };
        for prediction in done.values() {
            count(&mut moment, prediction);
        }
        self.show(moment);
        if !missing.is_empty() {
            self.answer(split, &missing, &mut moment, &mut done)?;
        }
        let pairs: Vec<(&TaskInstance, &Prediction)> =
            instances.iter().filter_map(|i| Some((i, done.get(&i.id)?))).collect();
        if pairs.len() < instances.len() {
            let lost = instances.len() - pairs.len();
            return Err(PortError::transient(format!("{lost} questions were not answered")));
        }
        // One prompt that does not fit is a wrong answer; none that does is no measurement.
        if let Some((_, first)) = pairs.first()
            && pairs.iter().all(|(_, prediction)| prediction.finish.is_failure())
        {
            return Err(PortError::fatal(format!(
                "none of the {} questions could be put to the student ({}). Change the student or the task's prompt",
                pairs.len(),
                first.finish.remark()
            )));
        }
        let report = Report::new(work.iteration, split, &pairs);
        report.map(|report| Fact::Evaluated { report, teacher_tokens }).ok_or_else(|| {
            PortError::fatal(format!("task `{}` has no {} instances", scene.task.name(), split.as_str()))
        })
    }

    fn answer(
        &mut self,
        split: Split,
        missing: &[&TaskInstance],
        moment: &mut Moment,
        done: &mut HashMap<String, Prediction>,
    ) -> Result<(), PortError> {
        let Self { work, episode, scene, models, ledger, watch } = self;
        let checkpoint = episode.training_at(work.iteration).map_or(&scene.base, |t| &t.checkpoint);
        models.student.refresh(checkpoint)?;
        let requests: Vec<ChatRequest> =
            missing.iter().map(|instance| scene.task.request(instance)).collect();
        let mut fresh: Vec<Prediction> = Vec::new();
        let mut refused = None;
        let answered = models.student.answer(&requests, &mut |index, reply: ChatReply| {
            let Some(instance) = missing.get(index) else { return ControlFlow::Continue(()) };
            let prediction = scored(scene, instance, reply);
            count(moment, &prediction);
            fresh.push(prediction);
            if fresh.len() >= COMMIT_EVERY {
                if let Err(error) = ledger.put_predictions(work.iteration, split, &fresh) {
                    refused = Some(error);
                    return ControlFlow::Break(());
                }
                done.extend(fresh.drain(..).map(|p| (p.instance_id.clone(), p)));
            }
            watch(*work, *moment);
            ControlFlow::Continue(())
        });
        if let Some(error) = refused {
            return Err(error);
        }
        // What was answered before a failure is kept: the next try asks for the rest only.
        ledger.put_predictions(work.iteration, split, &fresh)?;
        answered?;
        done.extend(fresh.into_iter().map(|p| (p.instance_id.clone(), p)));
        Ok(())
    }
}

fn scored(scene: &Scene, instance: &TaskInstance, reply: ChatReply) -> Prediction {
    let (answer, correct) = scene.task.score(instance, &reply.text);
    Prediction {
        instance_id: instance.id.clone(),
        response: reply.text,
        answer,
        correct,
        tokens: reply.tokens,
        finish: reply.finish,
    }
}

fn count(moment: &mut Moment, prediction: &Prediction) {
    moment.done += 1;
    moment.tokens += u64::from(prediction.tokens);
    moment.correct += u64::from(prediction.correct);
}
