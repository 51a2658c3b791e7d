//! The open-ended and the skill-list environment: the state is what the student got wrong.

use std::collections::HashMap;

use crate::environments::Scene;
use crate::gym::episode::Episode;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{
    Decision, EnvironmentKind, Example, PlanAids, PlanContext, PortError, SkillErrors, State, Task, Trial,
};
use crate::gym::prediction::Prediction;
use crate::gym::report::{Report, SkillReport, UNSORTED};
use crate::gym::rng::CounterRng;

/// Lets the policy ask for data. With a hidden state, errors are replaced by as many training instances as
/// the validation split has questions, drawn at random: not even their number tells how well the student does.
pub(super) fn plan(
    scene: &Scene,
    episode: &Episode,
    predictions: &[Prediction],
    report: &Report,
    context: PlanContext,
    aids: &mut dyn PlanAids,
) -> Result<Plan, PortError> {
    let (task, policy, kind) = (scene.task.as_ref(), scene.policy.as_ref(), episode.rules.environment);
    let examples =
        if scene.hidden { training_examples(task, context)? } else { answered(task, predictions, false) };
    let state = match kind {
        EnvironmentKind::SkillList => {
            let solved = answered(task, predictions, true);
            State::SkillList(by_skill((&examples, &solved), report, scene.hidden, episode))
        }
        _ => State::OpenEnded(examples),
    };
    let allocations = match policy.plan(&state, context, aids)? {
        Decision::Allocations(allocations) => allocations,
        Decision::Actions(_) => {
            let (policy, kind) = (policy.name(), kind.as_str());
            let message = format!("policy `{policy}` answers with actions; it does not fit `{kind}`");
            return Err(PortError::fatal(message));
        }
    };
    Ok(Plan {
        iteration: context.iteration,
        round: context.round,
        policy: policy.name().to_owned(),
        actions: Vec::new(),
        allocations: allocations.into_iter().filter(|a| a.count > 0).collect(),
        edited: false,
    })
}

/// What the student got right, or wrong, in the order of the split.
fn answered<'a>(task: &'a dyn Task, predictions: &'a [Prediction], correct: bool) -> Vec<Example<'a>> {
    let those: HashMap<&str, &Prediction> =
        predictions.iter().filter(|p| p.correct == correct).map(|p| (p.instance_id.as_str(), p)).collect();
    let example = |instance: &'a TaskInstance| {
        let prediction = those.get(instance.id.as_str()).copied()?;
        Some(Example { instance, prediction: Some(prediction) })
    };
    task.instances(Split::Validation).iter().filter_map(example).collect()
}

fn training_examples(task: &dyn Task, context: PlanContext) -> Result<Vec<Example<'_>>, PortError> {
    let pool = task.instances(Split::Pool);
    if pool.is_empty() {
        let message = format!("a hidden state shows training instances, and task `{}` has none", task.name());
        return Err(PortError::fatal(message));
    }
    let mut order: Vec<usize> = (0..pool.len()).collect();
    CounterRng::keyed(context.seed, "hidden state").shuffle(&mut order);
    order.truncate(task.instances(Split::Validation).len());
    Ok(order.into_iter().map(|n| Example { instance: &pool[n], prediction: None }).collect())
}

/// The examples by skill, and what was solved: the skills of the report in its order, then others.
fn by_skill<'a>(
    (examples, solved): (&[Example<'a>], &[Example<'a>]),
    report: &'a Report,
    hidden: bool,
    episode: &Episode,
) -> Vec<SkillErrors<'a>> {
    let known = |s: &'a SkillReport| SkillErrors {
        skill: s.skill.as_str(),
        accuracy: (!hidden).then_some(s.accuracy.mean),
        questions: s.accuracy.n,
        examples: Vec::new(),
        solved: Vec::new(),
        trials: if hidden { Vec::new() } else { trials(episode, &s.skill) },
    };
    let mut skills: Vec<SkillErrors<'a>> = report.skills.iter().map(known).collect();
    let mut places: HashMap<&str, usize> = skills.iter().enumerate().map(|(n, s)| (s.skill, n)).collect();
    for example in examples {
        let skill = example.instance.skill.as_deref().unwrap_or(UNSORTED);
        let place = *places.entry(skill).or_insert_with(|| {
            skills.push(SkillErrors {
                skill,
                accuracy: None,
                questions: 0,
                examples: Vec::new(),
                solved: Vec::new(),
                trials: Vec::new(),
            });
            skills.len() - 1
        });
        skills[place].examples.push(example.clone());
    }
    for example in solved {
        let skill = example.instance.skill.as_deref().unwrap_or(UNSORTED);
        if let Some(&place) = places.get(skill) {
            skills[place].solved.push(example.clone());
        }
    }
    skills
}

/// What the iterations so far did to a skill. What was asked for counts as its data.
fn trials(episode: &Episode, skill: &str) -> Vec<Trial> {
    let accuracy = |n: usize| -> Option<f64> {
        Some(episode.iterations.get(n)?.validation.as_ref()?.skill(skill)?.accuracy.mean)
    };
    let trial = |n: usize| -> Option<Trial> {
        let plans = &episode.iterations.get(n)?.plans;
        let data = plans.iter().map(|plan| plan.allocated_to(skill)).sum();
        Some(Trial { iteration: n as u32, data, before: accuracy(n - 1)?, after: accuracy(n) })
    };
    let planned = |n: &usize| !episode.iterations[*n].plans.is_empty();
    (1..episode.iterations.len()).filter(planned).filter_map(trial).collect()
}
