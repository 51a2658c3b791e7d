//! What goes together: parts of a configuration that are sound alone and would leave a run without data, told before
//! it begins.

use std::collections::BTreeSet;
use std::path::Path;

use color_eyre::eyre::{Result, bail};

use crate::agents::engines::EngineChoice;
use crate::agents::policies::{PolicyChoice, View};
use crate::config::{Config, TaskConfig};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::ports::{EnvironmentKind, Task};
use crate::gym::report::UNSORTED;
use crate::skills::{SkillsChoice, SubskillsChoice, WrittenSkills};

/// Whether a policy acts in the environment and is shown what it looks at.
pub(super) fn policy(config: &Config, choice: &PolicyChoice) -> Result<()> {
    let (policy, kind) = (choice.build(), config.environment.kind);
    if !policy.environments().contains(&kind) {
        let fits: Vec<&str> = policy.environments().iter().map(|kind| kind.as_str()).collect();
        bail!(
            "`policy.kind = \"{}\"` does not act in `environment.kind = \"{}\"`; it acts in `{}`",
            policy.name(),
            kind.as_str(),
            fits.join("`, `")
        )
    }
    match choice {
        PolicyChoice::Planner(planner)
            if planner.view == View::Training && config.checks.known_samples == 0 =>
        {
            bail!(
                "`policy.view = \"training\"` shows the planner how much of its data the student solved before it was \
                 trained, and that is not measured: set `checks.known_samples` (4, for example), or \
                 `policy.view = \"reward\"`"
            )
        }
        _ => Ok(()),
    }
}

/// Whether an engine writes for the skills and subskills that are asked for.
pub(super) fn engine(config: &Config, task: &dyn Task) -> Result<()> {
    if config.invents_subskills() && !config.engine.asks() {
        bail!(
            "`environment.subskills = \"taught\"` and the policy `hypotheses` make up subskills, and only \
             `engine.kind = \"taught\"` writes for those; use it, or set `environment.subskills = \"listed\"` or \
             `policy.ask = false`"
        )
    }
    match (&config.engine, &config.task) {
        (EngineChoice::Procedural {}, TaskConfig::Arithmetic { .. }) if own_skills(config) => Ok(()),
        (EngineChoice::Procedural {}, TaskConfig::Arithmetic { .. }) => bail!(
            "`engine.kind = \"procedural\"` writes for the skills of the embedded world, and `skills.kind` gives its \
             questions others; use `engine.kind = \"taught\"`, or `skills.kind = \"gold\"`"
        ),
        (EngineChoice::Procedural {}, _) => {
            bail!("`engine.kind = \"procedural\"` writes for the embedded world only; use \"selection\"")
        }
        (EngineChoice::Selection {}, _) => selection(config, task),
        // What is written has the form of the task whose question was shown, whichever of several that is.
        (EngineChoice::Taught(_), _) if task.instances(Split::Validation).iter().any(has_options) => {
            bail!(
                "`engine.kind = \"taught\"` writes no questions with options, as those of `{}` are; use \
                 `engine.kind = \"selection\"`",
                task.name().escape_debug()
            )
        }
        (EngineChoice::Taught(_), _) => Ok(()),
    }
}

/// Whether the pool has questions of the skills that are asked for.
fn selection(config: &Config, task: &dyn Task) -> Result<()> {
    let pool = task.instances(Split::Pool);
    if pool.is_empty() {
        bail!("`engine.kind = \"selection\"` needs a pool to select from; use \"procedural\"")
    }
    if let SkillsChoice::Discovered(discovery) = &config.skills {
        if discovery.assign.contains(&Split::Pool) {
            return Ok(());
        }
        bail!(
            "`engine.kind = \"selection\"` selects by skill, and a discovery looks at the validation questions alone: \
             set `skills.assign = [\"pool\"]`, so that the teacher sorts the {} questions of the pool as well",
            pool.len()
        )
    }
    let skill = |instance: &TaskInstance| instance.skill.clone().unwrap_or_else(|| UNSORTED.to_owned());
    let known: BTreeSet<String> = task.instances(Split::Validation).iter().map(skill).collect();
    if pool.iter().any(|instance| known.contains(&skill(instance))) {
        return Ok(());
    }
    let names: Vec<String> = known.iter().take(3).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if known.len() > names.len() { ", ..." } else { "" };
    let remedy = if own_skills(config) {
        "`skills.kind = \"discovered\"` with `skills.assign = [\"pool\"]` sorts both"
    } else {
        "name the questions of the pool in `skills.file` as well"
    };
    bail!(
        "`engine.kind = \"selection\"` has nothing to select: no question of the pool has a skill of the validation \
         questions ({}{more}); {remedy}",
        names.join(", ")
    )
}

/// Whether an engine has something for the subskills of a written file: no question is put into those.
pub(super) fn written(config: &Config, written: &WrittenSkills, file: &Path) -> Result<()> {
    let listed = config.environment.kind == EnvironmentKind::SkillTree
        && config.environment.subskills == SubskillsChoice::Listed;
    match (&config.engine, written.subskills().first()) {
        (EngineChoice::Selection {}, Some((skill, _))) if listed => bail!(
            "{}: the skill `{}` has subskills, and `engine.kind = \"selection\"` has nothing for those, because no \
             question of the pool is put into one; leave `subskills` out of the file, or use `engine.kind = \"taught\"`",
            file.display(),
            skill.escape_debug()
        ),
        _ => Ok(()),
    }
}

/// Whether a model that solves data anew can be shown all there is to them.
pub(super) fn checks(config: &Config, task: &dyn Task) -> Result<()> {
    let mut all = [Split::Validation, Split::Pool].into_iter().flat_map(|split| task.instances(split));
    if config.checks.votes > 0 && all.any(has_options) {
        bail!(
            "`checks.votes` has data solved anew without their options, and questions of `{}` have some; set \
             `checks.votes = 0`",
            task.name().escape_debug()
        )
    }
    Ok(())
}

/// Whether the skills are those that the source names, some of them perhaps of the wrong questions.
fn own_skills(config: &Config) -> bool {
    matches!(config.skills, SkillsChoice::Gold | SkillsChoice::Mislabelled { .. })
}

/// Whether a question is answered with one of its options.
fn has_options(instance: &TaskInstance) -> bool {
    matches!(&instance.content, Content::Mathematics { options, .. } if !options.is_empty())
}
