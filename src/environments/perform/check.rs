//! Check: every datum of the round is judged. What models were asked is answered from the ledger when a check
//! is repeated.

use std::collections::BTreeMap;

use serde_json::json;

use super::Stage;
use super::asking::Asking;
use crate::checks::{Agreement, Answered, claimed, judge, known, pure};
use crate::gym::datum::{CheckResult, JudgedDatum, TrainingDatum, Verdict};
use crate::gym::instance::TaskInstance;
use crate::gym::ports::{ChatRequest, Check, Fact, PortError, Question, Sampling, Teacher};
use crate::gym::rng::CounterRng;

/// How the teacher solves a problem anew: with enough variety that its votes are not one vote.
const VOTE: (f64, f64, u32) = (0.7, 0.95, 2048);

impl Stage<'_, '_, '_> {
    pub(super) fn check(&mut self) -> Result<Fact, PortError> {
        let (scene, settings) = (self.scene, &self.scene.checks);
        let task = scene.task.as_ref();
        let mut fresh = self.ledger.round(self.work.iteration, self.work.round)?;
        let mut earlier: Vec<TrainingDatum> = Vec::new();
        self.ledger.each_datum(None, &mut |judged| {
            if !self.in_round(&judged.datum) {
                earlier.push(judged.datum);
            }
        })?;
        for datum in &mut fresh {
            datum.checks.clear();
        }
        let mut checks = pure(settings, task, &earlier);
        let judge_all = |data: Vec<JudgedDatum>, checks: &mut [Box<dyn Check + '_>]| {
            data.into_iter().map(|datum| judge(datum, checks, &settings.filter)).collect::<Vec<_>>()
        };
        let mut judged = judge_all(fresh, &mut checks);
        let mut teacher_tokens = 0;
        if settings.votes > 0 || settings.known_samples > 0 {
            let mut asking = Asking::new(self, judged.len() as u64);
            let mut answered = asked(&judged, &mut asking)?;
            teacher_tokens = asking.tokens();
            judged = judge_all(judged, &mut answered);
        }
        self.ledger.put_data(self.work.iteration, self.work.round, &judged)?;
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        for d in judged.iter().filter(|d| d.verdict == Verdict::Accepted) {
            *counts.entry((d.datum.skill.clone(), d.datum.subskill.clone())).or_default() += 1;
        }
        let mut failed: BTreeMap<String, u32> = BTreeMap::new();
        for result in judged.iter().flat_map(|d| &d.checks).filter(|result| !result.passed) {
            *failed.entry(result.check.clone()).or_default() += 1;
        }
        let mut forest = self.episode.forest.clone();
        forest.record_produced(&counts);
        let accepted = counts.values().sum();
        let rejected = judged.len() as u32 - accepted;
        Ok(Fact::Checked { accepted, rejected, forest, failed, teacher_tokens })
    }
}

/// The checks that ask a model, about data that no other check rejected and that claim an answer.
fn asked<'c>(
    judged: &[JudgedDatum],
    asking: &mut Asking<'_, '_, '_>,
) -> Result<Vec<Box<dyn Check + 'c>>, PortError> {
    let (task, settings) = (asking.scene.task.as_ref(), &asking.scene.checks);
    let sound = judged.iter().filter(|d| d.checks.iter().all(|c| c.passed || !c.filters));
    let asked: Vec<(&TrainingDatum, TaskInstance)> =
        sound.filter_map(|d| Some((&d.datum, claimed(&d.datum, task)?))).collect();
    let mut checks: Vec<Box<dyn Check + 'c>> = Vec::new();
    if settings.votes > 0 {
        checks.push(Box::new(Answered::new(agreements(&asked, asking)?)));
    }
    if settings.known_samples > 0 {
        let prompt = |datum: &TrainingDatum| ChatRequest {
            images: datum.images.clone(),
            ..ChatRequest::text(datum.instruction.clone(), Sampling::Greedy, task.max_tokens())
        };
        let prompts: Vec<ChatRequest> = asked.iter().map(|(datum, _)| prompt(datum)).collect();
        let answers = asking.sampled(crate::checks::KNOWN, &prompts, settings.known_samples)?;
        let result = |((datum, instance), answers): (&(&TrainingDatum, TaskInstance), &Vec<String>)| {
            (datum.id.clone(), known(answers, instance, task))
        };
        checks.push(Box::new(Answered::new(asked.iter().zip(&answers).map(result))));
    }
    Ok(checks)
}

/// The teacher solves every question anew, without seeing the written solution.
fn agreements(
    asked: &[(&TrainingDatum, TaskInstance)],
    asking: &mut Asking<'_, '_, '_>,
) -> Result<Vec<(String, CheckResult)>, PortError> {
    let (scene, votes) = (asking.scene, asking.scene.checks.votes);
    let (temperature, top_p, max_tokens) = VOTE;
    let schema = json!({
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": 4000},
            "answer": {"type": "string", "maxLength": 200},
        },
        "required": ["reasoning", "answer"],
        "additionalProperties": false,
    });
    let mut questions = Vec::new();
    for (datum, _) in asked {
        let rendered = asking.render("solve", &json!({"question": datum.question()}))?;
        for vote in 0..u64::from(votes) {
            let item = format!("vote/{}", datum.question());
            let seed = CounterRng::keyed(scene.seed, &item).child(vote).bits();
            let sampling = Sampling::Sampled { temperature, top_p, seed };
            questions.push(Question {
                prompt: rendered.name.clone(),
                allocation: Some(datum.provenance.allocation),
                request: ChatRequest {
                    schema: Some(schema.clone()),
                    ..ChatRequest::text(rendered.text.clone(), sampling, max_tokens)
                },
            });
        }
    }
    let calls = asking.ask(questions)?;
    let mut results = Vec::new();
    for ((datum, instance), calls) in asked.iter().zip(calls.chunks(votes as usize)) {
        let mut agreement = Agreement::default();
        for call in calls {
            if let Err(reason) = agreement.count(&call.reply, instance, scene.task.as_ref()) {
                asking.malformed(call, reason)?;
            }
        }
        results.push((datum.id.clone(), agreement.result()));
    }
    Ok(results)
}
