//! From a configuration to the parts of a run: the one place that knows every implementor.

use std::path::Path;
use std::sync::Arc;

use color_eyre::eyre::{Result, bail, eyre};

use crate::agents::engines::{self, Procedural, Selection};
use crate::agents::policies::{self, Alternating, ByError};
use crate::config::{AgentConfig, Config, Paths, TaskConfig, Update};
use crate::environments::Scene;
use crate::gym::ports::{Checkpoint, Engine, Policy, SubskillProposal, Task};
use crate::models::embedded;
use crate::runner::driver::checkpoints;
use crate::skills::ListProposal;
use crate::tasks::arithmetic::ArithmeticTask;
use crate::tasks::jsonl::{JsonlTask, Layout};

/// Builds the scene of the run in `folder`.
pub(super) fn scene(paths: &Paths, config: &Config, folder: &Path) -> Result<Scene> {
    let task = task(config)?;
    Ok(Scene {
        policy: policy(&config.agent)?,
        proposal: proposal(config, task.as_ref()),
        engine: engine(config, &task)?,
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
        TaskConfig::Jsonl { file, task_name, columns, response, shares, rename_skills } => {
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
            };
            Arc::new(JsonlTask::read(file, layout)?)
        }
    })
}

fn policy(agent: &AgentConfig) -> Result<Arc<dyn Policy>> {
    Ok(match agent.policy.as_str() {
        "by_error" => Arc::new(ByError { data: agent.data_per_iteration }),
        "alternating" => Arc::new(Alternating {
            new_subskills: agent.explore_subskills,
            data_per_subskill: agent.explore_data,
            max_data_per_skill: (agent.max_data_per_skill > 0).then_some(agent.max_data_per_skill),
        }),
        other => return Err(unknown("agent.policy", other, policies::NAMES)),
    })
}

fn engine(config: &Config, task: &Arc<dyn Task>) -> Result<Arc<dyn Engine>> {
    match (config.agent.engine.as_str(), &config.task) {
        ("procedural", TaskConfig::Arithmetic { .. }) => Ok(Arc::new(Procedural)),
        ("procedural", TaskConfig::Jsonl { .. }) => {
            bail!("`agent.engine = \"procedural\"` writes for the embedded world only; use \"selection\"")
        }
        ("selection", TaskConfig::Jsonl { .. }) => Ok(Arc::new(Selection::new(Arc::clone(task)))),
        ("selection", TaskConfig::Arithmetic { .. }) => {
            bail!("`agent.engine = \"selection\"` needs a pool to select from; use \"procedural\"")
        }
        (other, _) => Err(unknown("agent.engine", other, engines::NAMES)),
    }
}

fn proposal(config: &Config, task: &dyn Task) -> Arc<dyn SubskillProposal> {
    Arc::new(match config.task {
        TaskConfig::Arithmetic { .. } => ListProposal::of_arithmetic(),
        TaskConfig::Jsonl { .. } => ListProposal::from_pool(task),
    })
}

/// Folder of the untrained student.
fn base(paths: &Paths, config: &Config) -> Result<std::path::PathBuf> {
    match config.student.model.as_str() {
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

fn unknown(key: &str, value: &str, known: &[&str]) -> color_eyre::Report {
    eyre!("`{key}` is `{value}`; it can be `{}`", known.join("`, `"))
}
