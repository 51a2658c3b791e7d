//! `dataenvgym bench teacher`: a teacher asked as a run's engine and checks ask it.

use std::sync::Arc;
use std::time::Instant;

use color_eyre::eyre::Result;

use super::super::doctor::teacher::Hired;
use super::super::doctor::teacher::clerk::Clerk;
use super::super::scene;
use crate::agents::engines::{EngineChoice, TaughtSettings};
use crate::bench::Sink;
use crate::bench::teacher::{Written, cost, figures, solved};
use crate::checks::{solve, vote};
use crate::config::{Paths, TaskConfig};
use crate::gym::datum::TrainingDatum;
use crate::gym::instance::{Domain, Split, TaskInstance};
use crate::gym::plan::Allocation;
use crate::gym::ports::{Engine, EngineAids, EngineJob, PortError, Question, Task};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::prompts::Prompts;
use crate::prompts::asking::ask_once;
use crate::worlds::arithmetic::Skill;

/// What is asked of whom.
pub(super) struct Options {
    /// As `teacher.model`.
    pub(super) model: String,
    /// Exercises per skill.
    pub(super) data: u32,
    /// As `engine.temperature`.
    pub(super) temperature: f64,
    /// As `engine.top_p`.
    pub(super) top_p: f64,
    /// Decides every draw.
    pub(super) seed: u64,
}

/// Asks for exercises of every subskill, by its name and by an example that a student got wrong, and for solutions
/// of validation questions.
pub(super) fn run(paths: &Paths, options: &Options, sink: &mut Sink<'_>) -> Result<()> {
    let mut hired = Hired::new(paths, &options.model)?;
    hired.config.task = TaskConfig::Arithmetic { validation_per_skill: 20, test_per_skill: 1 };
    let (temperature, top_p) = (options.temperature, options.top_p);
    hired.config.engine =
        EngineChoice::Taught(TaughtSettings { temperature, top_p, ..TaughtSettings::default() });
    let task = scene::task(&hired.config, &Arc::new(Prompts::default()))?;
    let engine = scene::engine(&hired.config, &task)?;
    let mut clerk = hired.clerk(paths)?;
    let asked = ask(&mut clerk, engine.as_ref(), &task, options, sink);
    drop(clerk);
    asked.map_err(|error| hired.told(&error))?;
    hired.dismiss();
    Ok(())
}

fn ask(
    clerk: &mut Clerk<'_>,
    engine: &dyn Engine,
    task: &Arc<dyn Task>,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<(), PortError> {
    let subskills =
        || Skill::ALL.into_iter().flat_map(|skill| skill.subskills().iter().map(move |name| (skill, *name)));
    let share = |skill: Skill| options.data.div_ceil(skill.subskills().len() as u32);
    let named: Vec<Allocation> = subskills()
        .map(|(skill, name)| Allocation {
            skill: skill.name().to_owned(),
            subskill: name.to_owned(),
            count: share(skill),
            shown: Vec::new(),
        })
        .collect();
    let began = Instant::now();
    let written = exercises(engine, &named, options.seed, clerk)?;
    let seconds = began.elapsed().as_secs_f64();
    let (answers, tokens, malformed) = clerk.counted();
    cost(answers, malformed, tokens, seconds).into_iter().for_each(&mut *sink);
    let own = exercises(&crate::agents::engines::Procedural, &named, options.seed, clerk)?;
    figures("named", &written, &own).into_iter().for_each(&mut *sink);

    let shown: Vec<Allocation> = task
        .instances(Split::Pool)
        .iter()
        .map(|instance| {
            clerk.errors.insert(instance.id.clone(), (instance.clone(), wrong(instance)));
            let shown = vec![instance.id.clone()];
            Allocation {
                skill: String::new(),
                subskill: String::new(),
                count: options.data.div_ceil(100),
                shown,
            }
        })
        .collect();
    let written = exercises(engine, &shown, options.seed, clerk)?;
    figures("example", &written, &[]).into_iter().for_each(&mut *sink);

    let instances = task.instances(Split::Validation);
    let questions: Result<Vec<Question>, PortError> =
        instances.iter().map(|i| solve(i.content.question(), None, (options.seed, 0), clerk)).collect();
    let votes = ask_once(clerk, questions?, |_, text| vote(text, Domain::Mathematics))?;
    let right =
        instances.iter().zip(votes).filter(|(i, vote)| vote.as_deref() == Some(i.content.truth().as_str()));
    sink(solved(right.count(), instances.len()));
    Ok(())
}

/// What an engine writes for a plan, every datum beside what it was asked for, by turns of the allocations.
fn exercises(
    engine: &dyn Engine,
    allocations: &[Allocation],
    seed: u64,
    aids: &mut dyn EngineAids,
) -> Result<Vec<Written>, PortError> {
    let mut data = engine.generate(&EngineJob { seed, iteration: 1, round: 0, allocations }, aids)?;
    data.sort_by_key(|datum| (datum.provenance.draw, datum.provenance.allocation));
    let asked = |datum: TrainingDatum| {
        let skill = Skill::from_name(&datum.skill)?;
        let subskill = skill.subskills().iter().find(|name| **name == datum.subskill)?;
        Some(Written { skill, subskill, datum })
    };
    Ok(data.into_iter().filter_map(asked).collect())
}

/// An error of a student: no answer.
fn wrong(instance: &TaskInstance) -> Prediction {
    Prediction {
        instance_id: instance.id.clone(),
        response: "I do not know.".to_owned(),
        answer: None,
        correct: false,
        tokens: 1,
        finish: FinishReason::Stop,
    }
}
