//! From a configuration to the parts of a run: the one place that knows every implementor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use color_eyre::eyre::{Result, bail};

use crate::agents::engines::EngineChoice;
use crate::config::{AnswerScoring, Config, Paths, StateConfig, TaskConfig, Update};
use crate::environments::{Scene, TeacherSource};
use crate::gym::instance::Split;
use crate::gym::ports::{Checkpoint, Engine, Policy, SubskillProposal, Task};
use crate::models::embedded;
use crate::runner::driver::checkpoints;
use crate::skills::ListProposal;
use crate::tasks::arithmetic::ArithmeticTask;
use crate::tasks::jsonl::{JsonlTask, Layout};
use crate::tasks::math::Scoring;
use crate::tasks::scripted::ScriptedTask;
use crate::worlds::scripted;

/// Builds the scene of the run in `folder`.
pub(super) fn scene(paths: &Paths, config: &Config, folder: &Path) -> Result<Scene> {
    let task = task(config)?;
    Ok(Scene {
        policy: policy(config)?,
        proposal: proposal(config, task.as_ref()),
        engine: engine(config, &task)?,
        teacher: teacher(paths, config)?,
        hidden: config.environment.state == StateConfig::None,
        filters: config.checks.filter.clone(),
        base: Checkpoint::Full { folder: base(paths, config)? },
        training: config.trainer.settings(),
        continues: config.trainer.update == Update::Continue,
        seed: config.seed,
        checkpoints: checkpoints(folder),
        task,
    })
}

/// Builds the task alone.
pub(super) fn task(config: &Config) -> Result<Arc<dyn Task>> {
    let max_tokens = config.student.max_tokens;
    Ok(match &config.task {
        TaskConfig::Arithmetic { validation_per_skill, test_per_skill } => {
            Arc::new(ArithmeticTask::new(*validation_per_skill, *test_per_skill, max_tokens))
        }
        TaskConfig::Scripted { domain, skills, per_skill } => {
            Arc::new(ScriptedTask::new(*domain, *skills, *per_skill, max_tokens)?)
        }
        TaskConfig::Jsonl { file, task_name, columns, response, shares, rename_skills, scoring } => {
            let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
            let layout = Layout {
                name: task_name.clone().or(stem).unwrap_or_else(|| "jsonl".to_owned()),
                id: columns.id.clone(),
                question: columns.question.clone(),
                answer: columns.answer.clone(),
                skill: columns.skill.clone(),
                rename_skills: rename_skills.clone(),
                response: response.clone(),
                shares: [shares.pool, shares.validation, shares.test],
                max_tokens,
                scoring: match scoring {
                    AnswerScoring::Numeric => None,
                    AnswerScoring::Strict => Some(Scoring::Strict),
                    AnswerScoring::Parity => Some(Scoring::Parity),
                },
            };
            Arc::new(JsonlTask::read(file, layout)?)
        }
    })
}

fn policy(config: &Config) -> Result<Arc<dyn Policy>> {
    let (policy, kind) = (config.acting_policy().build(), config.environment.kind);
    if policy.environments().contains(&kind) {
        return Ok(policy);
    }
    let fits: Vec<&str> = policy.environments().iter().map(|kind| kind.as_str()).collect();
    bail!(
        "`policy.kind = \"{}\"` does not act in `environment.kind = \"{}\"`; it acts in `{}`",
        policy.name(),
        kind.as_str(),
        fits.join("`, `")
    )
}

fn engine(config: &Config, task: &Arc<dyn Task>) -> Result<Arc<dyn Engine>> {
    match (&config.engine, &config.task) {
        (EngineChoice::Procedural {}, TaskConfig::Arithmetic { .. }) => {}
        (EngineChoice::Procedural {}, _) => {
            bail!("`engine.kind = \"procedural\"` writes for the embedded world only; use \"selection\"")
        }
        (EngineChoice::Selection {}, _) if task.instances(Split::Pool).is_empty() => {
            bail!("`engine.kind = \"selection\"` needs a pool to select from; use \"procedural\"")
        }
        (EngineChoice::Taught(_), _) if config.teacher.model == "none" => {
            bail!("`engine.kind = \"taught\"` asks a teacher: set `teacher.model`")
        }
        _ => {}
    }
    Ok(config.engine.build(task))
}

fn teacher(paths: &Paths, config: &Config) -> Result<Option<TeacherSource>> {
    if !config.engine.asks() {
        return Ok(None);
    }
    let model = &config.teacher.model;
    let checkpoint = Checkpoint::Full { folder: weights(paths, model)? };
    Ok(Some(TeacherSource { name: model.clone(), checkpoint }))
}

fn proposal(config: &Config, task: &dyn Task) -> Arc<dyn SubskillProposal> {
    Arc::new(match config.task {
        TaskConfig::Arithmetic { .. } => ListProposal::of_arithmetic(),
        TaskConfig::Jsonl { .. } => ListProposal::from_pool(task),
        TaskConfig::Scripted { .. } => {
            ListProposal::new(task.skills().into_iter().map(|s| (s.clone(), scripted::subskills(&s))))
        }
    })
}

/// Folder of the untrained student.
fn base(paths: &Paths, config: &Config) -> Result<PathBuf> {
    weights(paths, &config.student.model)
}

/// Folder of a model's weights.
pub(super) fn weights(paths: &Paths, model: &str) -> Result<PathBuf> {
    match model {
        "embedded" => Ok(embedded::student(&paths.cache)?),
        "scripted" => {
            // A folder without a script's file is an untrained scripted student.
            let folder = paths.cache.join("scripted");
            std::fs::create_dir_all(&folder)?;
            Ok(folder)
        }
        folder => {
            let folder = Path::new(folder);
            crate::models::folder::check(folder)?;
            Ok(std::path::absolute(folder)?)
        }
    }
}
