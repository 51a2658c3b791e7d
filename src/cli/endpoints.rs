//! `dataenvgym endpoints`: presets, what endpoints can do, what a run would ask of them.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use color_eyre::eyre::{Result, bail, eyre};
use serde_json::json;

use super::config::LayerArgs;
use super::{format, launch, scene};
use crate::agents::engines::EngineChoice;
use crate::checks::LONGEST_VOTE;
use crate::config::{self, Config, PRESETS, Paths};
use crate::gym::instance::Split;
use crate::gym::ports::{Endpoint, Task};
use crate::models::openai::{EndpointModel, Endpoints};

/// Bytes of a text behind one token, about; between languages and tokenizers it is 3 to 5.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of a question to the teacher, about: instructions, examples and the form of the answer.
const TEACHER_QUESTION: u64 = 700;
/// Tokens of a question about one datum, about.
const DATUM: u64 = 200;

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the presets that `preset` in a table `[endpoints.NAME]` can name.
    Presets,
    /// Try out every endpoint of a configuration: a few requests of a few tokens each.
    Check {
        #[command(flatten)]
        layers: LayerArgs,
    },
    /// Print what a run would ask of endpoints at most, and what that would cost.
    Estimate {
        #[command(flatten)]
        layers: LayerArgs,
    },
}

/// `dataenvgym endpoints`.
pub(super) fn run(paths: &Paths, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Presets => {
            for (name, text) in PRESETS {
                println!("{name:<14} {}", config::about(text));
            }
        }
        Verb::Check { layers } => return check(&config::resolve(&layers.sources(paths)?)?.config),
        Verb::Estimate { layers } => {
            let config = config::resolve(&layers.sources(paths)?)?.config;
            let lines = estimate(paths, &config)?;
            if lines.is_empty() {
                bail!(
                    "this configuration asks no endpoint: set `teacher.model`, `verifier.model` or `student.model` to \
                     `endpoint:NAME`"
                );
            }
            for line in &lines {
                println!("{line}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(config: &Config) -> Result<ExitCode> {
    if config.endpoints.is_empty() {
        bail!("this configuration has no endpoints: add a table `[endpoints.NAME]`");
    }
    let mut well = true;
    for (name, endpoint) in &config.endpoints {
        let endpoint = Endpoint { probe: true, ..endpoint.clone() };
        let place = format!("{name} ({}, {})", endpoint.url, endpoint.model);
        let place = format::on_one_line(&place).into_owned();
        let endpoints = Endpoints { members: vec![(name.clone(), endpoint, 1.0)], ..Endpoints::default() };
        match EndpointModel::new(&endpoints).and_then(|model| model.probe()) {
            Ok(findings) => {
                println!("{place}: answers");
                for missing in findings.into_iter().flat_map(|finding| finding.missing) {
                    println!("  {missing}");
                }
            }
            Err(error) => {
                well = false;
                println!("{place}: {}", format::on_one_line(&error.message));
            }
        }
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says before a run what it may ask of endpoints. What cannot be estimated is no reason not to run.
pub(super) fn announce(paths: &Paths, folder: &Path) {
    let lines = launch::config_of(folder).and_then(|config| estimate(paths, &config)).unwrap_or_default();
    for line in &lines {
        println!("{line}");
    }
}

/// Questions, their tokens, and the limit of their answers in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    questions: u64,
    prompt: u64,
    answer: u64,
}

fn estimate(paths: &Paths, config: &Config) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut total = 0.0;
    let members = |model: &str| config.endpoints_of(model).map_err(|message| eyre!(message));
    if let Some(members) = members(&config.student.model)? {
        let prompts =
            std::sync::Arc::new(crate::prompts::Prompts::with(config.prompt_set(), &paths.prompts)?);
        let load = evaluations(config, scene::task(config, &prompts)?.as_ref());
        total += say("student, evaluations", load, &members, &mut lines);
        if let Some(load) = knowing(config) {
            total += say("student, what it knows", load, &members, &mut lines);
        }
    }
    let votes = voting(config);
    if let Some(members) = members(&config.teacher.model)?.filter(|_| config.asks()) {
        let loads =
            [("teacher, data", teaching(config)), ("teacher, votes", votes.filter(|_| !config.verifies()))];
        if loads.iter().all(|(_, load)| load.is_none()) {
            lines.push("teacher: only asked by the policy, or about skills; not estimated".to_owned());
        }
        for (what, load) in loads {
            total += load.map_or(0.0, |load| say(what, load, &members, &mut lines));
        }
    }
    if let Some(members) = members(&config.verifier.model)?.filter(|_| config.verifies()) {
        match votes {
            Some(load) => total += say("verifier, votes", load, &members, &mut lines),
            None => lines.push(
                "verifier: votes on what the policy plans, which is not known beforehand; not estimated"
                    .to_owned(),
            ),
        }
    }
    if !lines.is_empty() {
        let limit = match config.episode.money {
            money if money > 0.0 => format!("; at {money} the run pauses (`episode.money`)"),
            _ => "; no limit (`episode.money`)".to_owned(),
        };
        lines.push(format!(
            "endpoints: at most about {total:.2} in all{limit}. Not in it: questions asked again, and those of \
             policies and about skills"
        ));
    }
    Ok(lines)
}

/// What the evaluations of a run ask.
fn evaluations(config: &Config, task: &dyn Task) -> Load {
    let rounds = u64::from(config.episode.iterations) + 1;
    let tests = if config.episode.test_every_iteration { rounds } else { rounds.min(2) };
    [(Split::Validation, rounds), (Split::Test, tests)].into_iter().fold(
        Load::default(),
        |load, (split, times)| {
            let instances = task.instances(split);
            let bytes: u64 = instances.iter().map(|instance| task.prompt(instance).len() as u64).sum();
            let questions = instances.len() as u64;
            Load {
                questions: load.questions + questions * times,
                prompt: load.prompt + bytes / BYTES_PER_TOKEN * times,
                answer: load.answer + questions * u64::from(task.max_tokens()) * times,
            }
        },
    )
}

/// What an engine that asks a teacher asks in a run, where the policy says how many data it plans.
fn teaching(config: &Config) -> Option<Load> {
    let EngineChoice::Taught(engine) = &config.engine else { return None };
    let (data, plans) = planned(config)?;
    let questions = data.div_ceil(u64::from(engine.data_per_question.max(1))) * plans;
    let answer = questions * u64::from(engine.max_tokens);
    Some(Load { questions, prompt: questions * TEACHER_QUESTION, answer })
}

/// What the votes on all data ask.
fn voting(config: &Config) -> Option<Load> {
    let (data, plans) = planned(config)?;
    let questions = data * plans * u64::from(config.checks.votes);
    let answer = questions * u64::from(LONGEST_VOTE);
    (questions > 0).then_some(Load { questions, prompt: questions * DATUM, answer })
}

/// What the check of what the student knows asks it.
fn knowing(config: &Config) -> Option<Load> {
    let (data, plans) = planned(config)?;
    let questions = data * plans * u64::from(config.checks.known_samples);
    let answer = questions * u64::from(config.student.max_tokens);
    (questions > 0).then_some(Load { questions, prompt: questions * DATUM, answer })
}

/// Data of a plan, where the policy says how many, and plans of the run.
fn planned(config: &Config) -> Option<(u64, u64)> {
    let policy = serde_json::to_value(config.acting_policy()).unwrap_or_else(|_| json!({}));
    let data = policy.get("data").and_then(serde_json::Value::as_u64)?;
    Some((data, u64::from(config.episode.iterations) * u64::from(config.episode.rounds)))
}

/// Adds a line and returns the cost, split over the endpoints by their weights.
fn say(what: &str, load: Load, members: &[(String, Endpoint, f64)], lines: &mut Vec<String>) -> f64 {
    let weights: f64 = members.iter().map(|(_, _, weight)| weight).sum();
    let cost: f64 = members
        .iter()
        .map(|(_, endpoint, weight)| endpoint.price.of(load.prompt, load.answer) * weight / weights)
        .sum();
    lines.push(format!(
        "{what}: {} questions, about {} tokens asked, at most {} answered, at most about {cost:.2}",
        load.questions, load.prompt, load.answer
    ));
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::ports::Price;

    #[test]
    fn a_load_costs_what_the_weights_say() {
        let at = |prompt, answer| Endpoint { price: Price { prompt, answer }, ..Endpoint::default() };
        let members = [("a".to_owned(), at(1.0, 2.0), 3.0), ("b".to_owned(), at(5.0, 6.0), 1.0)];
        let load = Load { questions: 10, prompt: 1_000_000, answer: 2_000_000 };
        let mut lines = Vec::new();
        // 3/4 of (1 + 4) and 1/4 of (5 + 12).
        assert!((say("x", load, &members, &mut lines) - 8.0).abs() < 1e-9);
        assert!(lines[0].contains("10 questions") && lines[0].contains("8.00"), "{lines:?}");
    }
}
