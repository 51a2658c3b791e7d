//! One phase over the ports. Each is idempotent: what the ledger has is not done again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use super::{Models, Moment, Scene, Watch, plan_skill_tree};
use crate::checks::{AnswerStated, Duplicates, Leakage, judge};
use crate::gym::datum::{JudgedDatum, TrainingDatum, Verdict};
use crate::gym::episode::{Episode, Phase, Work};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{
    ChatReply, ChatRequest, Check, Checkpoint, EngineContext, Fact, Ledger, PortError, Sampling,
    TrainingOrder,
};
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;
use crate::gym::rng::CounterRng;

/// Predictions committed together: few enough that a kill loses little, many enough that commits cost little.
const COMMIT_EVERY: usize = 64;

/// Does `work` and returns its fact. Nothing is journalled here.
pub fn perform(
    work: Work,
    episode: &Episode,
    scene: &Scene,
    models: &mut Models<'_>,
    ledger: &mut dyn Ledger,
    watch: &mut Watch<'_>,
) -> Result<Fact, PortError> {
    match work.phase {
        Phase::Evaluate => evaluate(work, episode, scene, models, ledger, watch),
        Phase::Plan => {
            let seed =
                CounterRng::keyed(scene.seed, &format!("plan/{}/{}", work.iteration, work.round)).bits();
            let (policy, proposal) = (scene.policy.as_ref(), scene.proposal.as_ref());
            let (plan, forest) =
                plan_skill_tree(episode, work.iteration, work.round, policy, proposal, seed)?;
            Ok(Fact::Planned { plan, forest })
        }
        Phase::Generate => generate(work, episode, scene, ledger, watch),
        Phase::Check => check(work, episode, scene, ledger),
        Phase::Train => train(work, episode, scene, models, ledger, watch),
    }
}

fn evaluate(
    work: Work,
    episode: &Episode,
    scene: &Scene,
    models: &mut Models<'_>,
    ledger: &mut dyn Ledger,
    watch: &mut Watch<'_>,
) -> Result<Fact, PortError> {
    let split = work.split.unwrap_or(Split::Validation);
    let instances = scene.task.instances(split);
    let mut done: HashMap<String, Prediction> = ledger
        .predictions(work.iteration, split)?
        .into_iter()
        .map(|prediction| (prediction.instance_id.clone(), prediction))
        .collect();
    let missing: Vec<&TaskInstance> = instances.iter().filter(|i| !done.contains_key(&i.id)).collect();
    let mut moment = Moment { total: instances.len() as u64, ..Moment::default() };
    for prediction in done.values() {
        count(&mut moment, prediction);
    }
    watch(work, moment);
    if !missing.is_empty() {
        let checkpoint = episode.training_at(work.iteration).map_or(&scene.base, |t| &t.checkpoint);
        models.student.refresh(checkpoint)?;
        let request = |instance: &&TaskInstance| ChatRequest {
            images: instance.content.images().to_vec(),
            ..ChatRequest::text(scene.task.prompt(instance), Sampling::Greedy, scene.task.max_tokens())
        };
        let requests: Vec<ChatRequest> = missing.iter().map(request).collect();
        let mut fresh: Vec<Prediction> = Vec::new();
        let mut refused = None;
        let answered = models.student.answer(&requests, &mut |index, reply: ChatReply| {
            let Some(instance) = missing.get(index) else { return ControlFlow::Continue(()) };
            let prediction = scored(scene, instance, reply);
            count(&mut moment, &prediction);
            fresh.push(prediction);
            if fresh.len() >= COMMIT_EVERY {
                if let Err(error) = ledger.put_predictions(work.iteration, split, &fresh) {
                    refused = Some(error);
                    return ControlFlow::Break(());
                }
                done.extend(fresh.drain(..).map(|p| (p.instance_id.clone(), p)));
            }
            watch(work, moment);
            ControlFlow::Continue(())
        });
        if let Some(error) = refused {
            return Err(error);
        }
        // What was answered before a failure is kept: the next try asks for the rest only.
        ledger.put_predictions(work.iteration, split, &fresh)?;
        answered?;
        done.extend(fresh.into_iter().map(|p| (p.instance_id.clone(), p)));
    }
    let pairs: Vec<(&TaskInstance, &Prediction)> =
        instances.iter().filter_map(|i| Some((i, done.get(&i.id)?))).collect();
    if pairs.len() < instances.len() {
        let lost = instances.len() - pairs.len();
        return Err(PortError::transient(format!("{lost} questions were not answered")));
    }
    let report = Report::new(work.iteration, split, &pairs);
    report.map(|report| Fact::Evaluated { report }).ok_or_else(|| {
        PortError::fatal(format!("task `{}` has no {} instances", scene.task.name(), split.as_str()))
    })
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

/// The plan of this round, as journalled.
fn planned(work: Work, episode: &Episode) -> Result<&Plan, PortError> {
    let row = episode.iterations.get(work.iteration as usize);
    let plan = row.and_then(|row| row.plans.iter().find(|p| p.round == work.round));
    plan.ok_or_else(|| PortError::fatal(format!("iteration {} has no plan", work.iteration)))
}

fn in_round(work: Work, datum: &TrainingDatum) -> bool {
    datum.provenance.iteration == work.iteration && datum.provenance.round == work.round
}

fn generate(
    work: Work,
    episode: &Episode,
    scene: &Scene,
    ledger: &mut dyn Ledger,
    watch: &mut Watch<'_>,
) -> Result<Fact, PortError> {
    let plan = planned(work, episode)?;
    let earlier = ledger.data()?;
    let source = |d: &JudgedDatum| d.datum.provenance.source_instance.clone();
    let used: HashSet<String> =
        earlier.iter().filter(|d| !in_round(work, &d.datum)).filter_map(source).collect();
    let mut data: Vec<JudgedDatum> = Vec::new();
    for (allocation, wanted) in plan.allocations.iter().enumerate() {
        let context = EngineContext {
            seed: scene.seed,
            iteration: work.iteration,
            round: work.round,
            allocation: allocation as u32,
        };
        for mut datum in scene.engine.generate(wanted, context, &|id| used.contains(id))? {
            datum.id = format!("i{:03}-r{}-{:05}", work.iteration, work.round, data.len());
            data.push(JudgedDatum::pending(datum));
        }
        let (done, total) = (data.len() as u64, u64::from(plan.total()));
        watch(work, Moment { done, total, ..Moment::default() });
    }
    ledger.put_data(work.iteration, work.round, &data)?;
    Ok(Fact::Generated { count: data.len() as u32 })
}

fn check(work: Work, episode: &Episode, scene: &Scene, ledger: &mut dyn Ledger) -> Result<Fact, PortError> {
    let (fresh, earlier): (Vec<_>, Vec<_>) =
        ledger.data()?.into_iter().partition(|d| in_round(work, &d.datum));
    let accepted = earlier.iter().filter(|d| d.verdict == Verdict::Accepted).map(|d| &d.datum);
    let mut checks: Vec<Box<dyn Check>> = vec![
        Box::new(Leakage::new(scene.task.as_ref())),
        Box::new(Duplicates::new(accepted)),
        Box::new(AnswerStated),
    ];
    let judged: Vec<JudgedDatum> = fresh.into_iter().map(|d| judge(d.datum, &mut checks)).collect();
    ledger.put_data(work.iteration, work.round, &judged)?;
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    for d in judged.iter().filter(|d| d.verdict == Verdict::Accepted) {
        *counts.entry((d.datum.skill.clone(), d.datum.subskill.clone())).or_default() += 1;
    }
    let mut forest = episode.forest.clone();
    forest.record_produced(&counts);
    let accepted = counts.values().sum();
    Ok(Fact::Checked { accepted, rejected: judged.len() as u32 - accepted, forest })
}

fn train(
    work: Work,
    episode: &Episode,
    scene: &Scene,
    models: &mut Models<'_>,
    ledger: &mut dyn Ledger,
    watch: &mut Watch<'_>,
) -> Result<Fact, PortError> {
    let data = ledger.data()?;
    let accepted = data.into_iter().filter(|d| d.verdict == Verdict::Accepted).map(|d| d.datum);
    let examples: Vec<(String, String)> = accepted.map(|d| (d.instruction, d.response)).collect();
    if examples.is_empty() {
        return Ok(Fact::Trained { outcome: None });
    }
    let before = episode.training_at(work.iteration.saturating_sub(1)).map(|t| t.checkpoint.clone());
    let start: Checkpoint = before.filter(|_| scene.continues).unwrap_or_else(|| scene.base.clone());
    let order = TrainingOrder {
        start,
        examples,
        settings: scene.training.clone(),
        seed: CounterRng::keyed(scene.seed, &format!("train/{}", work.iteration)).bits(),
        output: scene.checkpoints.join(format!("iteration-{:03}", work.iteration)),
    };
    let mut refused = None;
    let outcome = models.trainer.train(&order, &mut |progress| {
        let (done, total) = (u64::from(progress.step), u64::from(progress.steps));
        watch(work, Moment { done, total, training: Some(progress), ..Moment::default() });
        match ledger.put_training_progress(work.iteration, progress) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(Fact::Trained { outcome: Some(outcome?) }),
    }
}
