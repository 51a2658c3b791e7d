//! Check: every datum of the round is judged. What models were asked is answered from the ledger when a check
//! is repeated.

use std::collections::BTreeMap;

use super::Stage;
use super::asking::Asking;
use crate::checks::{Agreement, Answered, claimed, judge, known, pure, solve, vote, within_budget};
use crate::gym::datum::{CheckResult, JudgedDatum, TrainingDatum, Verdict};
use crate::gym::instance::TaskInstance;
use crate::gym::ports::{ChatRequest, Check, Fact, PortError, Question};
use crate::gym::rng::CounterRng;
use crate::prompts::asking::ask_once;

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
            let mut asking = Asking::new(self, 0).verified();
            let mut answered = asked(&judged, &mut asking)?;
            teacher_tokens = asking.tokens();
            judged = judge_all(judged, &mut answered);
        }
        if let Some(limit) = self.episode.rules.budget.training_data {
            let room = limit.saturating_sub(self.episode.accepted());
            let seed = CounterRng::keyed(scene.seed, &format!("budget/{}", self.work.iteration)).bits();
            judged = within_budget(judged, room as usize, seed);
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
        let forest = self.episode.forest.change_to(&forest);
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
        let prompt = |(datum, instance): &(&TrainingDatum, TaskInstance)| ChatRequest {
            prompt: datum.instruction.clone(),
            images: datum.images.clone(),
            ..task.request(instance)
        };
        let prompts: Vec<ChatRequest> = asked.iter().map(prompt).collect();
        let answers = asking.sampled(crate::checks::KNOWN, &prompts, settings.known_samples)?;
        let result = |((datum, instance), answers): (&(&TrainingDatum, TaskInstance), &Vec<String>)| {
            (datum.id.clone(), known(answers, instance, task))
        };
        checks.push(Box::new(Answered::new(asked.iter().zip(&answers).map(result))));
    }
    Ok(checks)
}

/// The teacher, or the verifier in its place, solves every question anew, without seeing the written solution. A vote that cannot be read is
/// asked for once more.
fn agreements(
    asked: &[(&TrainingDatum, TaskInstance)],
    asking: &mut Asking<'_, '_, '_>,
) -> Result<Vec<(String, CheckResult)>, PortError> {
    let (scene, votes) = (asking.scene, asking.scene.checks.votes as usize);
    let (task, domain) = (scene.task.as_ref(), scene.task.domain());
    let mut answers: Vec<Option<String>> = vec![None; asked.len() * votes];
    for attempt in 0..2 {
        let open: Vec<usize> = (0..answers.len()).filter(|&n| answers[n].is_none()).collect();
        let question = |&n: &usize| {
            let (datum, vote) = (asked[n / votes].0, n % votes + attempt * votes);
            let allocation = Some(datum.provenance.allocation);
            solve(datum.question(), allocation, (scene.seed, vote as u64), asking)
        };
        let questions: Vec<Question> = open.iter().map(question).collect::<Result<_, _>>()?;
        let read = ask_once(asking, questions, |_, text| vote(text, domain))?;
        for (n, answer) in open.into_iter().zip(read) {
            answers[n] = answer;
        }
    }
    let result = |((datum, instance), answers): (&(&TrainingDatum, TaskInstance), &[Option<String>])| {
        let mut agreement = Agreement::default();
        for answer in answers {
            agreement.count(answer.as_deref(), instance, task);
        }
        (datum.id.clone(), agreement.result())
    };
    Ok(asked.iter().zip(answers.chunks(votes)).map(result).collect())
}
