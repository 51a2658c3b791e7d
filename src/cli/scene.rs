//! From a configuration to the parts of a run: the one place that knows every implementor.

mod fits;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use color_eyre::eyre::{Result, bail, eyre};

use super::launch::CONFIG;
use super::{format, work};
use crate::agents::engines::{EngineChoice, Taught, TaughtSettings};
use crate::config::{
    AnswerScoring, BenchmarkConfig, BenchmarkSource, Config, EMBEDDED_TEACHERS, ENDPOINT, Method, Paths,
    PromptStyle, ScoringConfig, StateConfig, TaskConfig, Update,
};
use crate::environments::{Scene, Stays, TeacherSource, Verifier};
use crate::gym::instance::Domain;
use crate::gym::ports::{Checkpoint, Engine, Policy, SkillDiscovery, SubskillProposal, Task};
use crate::models::embedded::Embedded;
use crate::models::hub::{self, HubName};
use crate::models::source;
use crate::prompts::Prompts;
use crate::protocol::worker::Role;
use crate::runner::driver::checkpoints;
use crate::skills::{
    DiscoveredSkills, Labelled, ListProposal, SkillsChoice, SubskillsChoice, TaughtProposal, WrittenSkills,
};
use crate::tasks::arithmetic::ArithmeticTask;
use crate::tasks::benchmark::{self, Benchmark, Source, Style};
use crate::tasks::jsonl::{JsonlTask, Layout};
use crate::tasks::math::Scoring;
use crate::tasks::scripted::ScriptedTask;
use crate::tasks::several::Several;
use crate::training;
use crate::worlds::scripted;

/// Folder in a run folder with the prompts that replace built-in ones.
pub(super) const PROMPTS: &str = "prompts";
/// File in a run folder with the skills that were found.
const SKILLS: &str = "skills.json";

/// Builds the scene of the run in `folder`.
pub(super) fn scene(paths: &Paths, config: &Config, folder: &Path) -> Result<Scene> {
    exchange(config)?;
    let own = folder.join(CONFIG).exists();
    let replaced = if own { folder.join(PROMPTS) } else { paths.prompts.clone() };
    let prompts = Arc::new(Prompts::with(config.prompt_set(), &replaced)?);
    let plain = task(config, &prompts)?;
    let Skilled { task, discovery, proposal } = skilled(config, plain, folder)?;
    fits::checks(config, task.as_ref())?;
    Ok(Scene {
        policy: policy(config)?,
        proposal,
        engine: engine(config, &task)?,
        teacher: teacher(paths, config)?,
        prompts,
        verifier: verifier(paths, config, &replaced)?,
        discovery,
        hidden: config.environment.state == StateConfig::None,
        checks: config.checks.clone(),
        base: Checkpoint::Full { folder: trainable(paths, config)? },
        training: work::training(&config.trainer)?,
        continues: config.trainer.update == Update::Continue,
        stays: Stays {
            student: config.student.keep_while_training,
            teacher: config.teacher.keep_while_training,
            verifier: config.verifier.keep_while_training,
        },
        seed: config.seed,
        checkpoints: checkpoints(folder),
        task,
    })
}

/// Builds the task alone, with the skills of its source.
pub(super) fn task(config: &Config, prompts: &Arc<Prompts>) -> Result<Arc<dyn Task>> {
    let max_tokens = config.student.max_tokens;
    Ok(match &config.task {
        TaskConfig::Arithmetic { validation_per_skill, test_per_skill } => {
            Arc::new(ArithmeticTask::new(*validation_per_skill, *test_per_skill, max_tokens))
        }
        TaskConfig::Scripted { domain, skills, per_skill } => {
            Arc::new(ScriptedTask::new(*domain, *skills, *per_skill, max_tokens)?)
        }
        TaskConfig::Jsonl {
            file,
            task_name,
            columns,
            response,
            shares,
            rename_skills,
            scoring,
            prompt,
            shots,
        } => {
            let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
            let layout = Layout {
                name: task_name.clone().or(stem).unwrap_or_else(|| "jsonl".to_owned()),
                id: columns.id.clone(),
                question: columns.question.clone(),
                answer: columns.answer.clone(),
                skill: columns.skill.clone(),
                subject: columns.subject.clone(),
                level: columns.level.clone(),
                rename_skills: rename_skills.clone(),
                response: response.clone(),
                shares: [shares.pool, shares.validation, shares.test],
                max_tokens,
                scoring: match scoring {
                    AnswerScoring::Numeric => None,
                    AnswerScoring::Strict => Some(Scoring::Strict),
                    AnswerScoring::Parity => Some(Scoring::Parity),
                },
                style: style(*prompt, *shots),
            };
            Arc::new(JsonlTask::read(file, layout, Arc::clone(prompts))?)
        }
        TaskConfig::Benchmark(benchmark) => {
            Arc::new(Benchmark::read(&benchmark_settings(benchmark, max_tokens)?, Arc::clone(prompts))?)
        }
        TaskConfig::Several { benchmarks } => {
            let read = |benchmark| -> Result<Arc<dyn Task>> {
                let settings = benchmark_settings(benchmark, max_tokens)?;
                Ok(Arc::new(Benchmark::read(&settings, Arc::clone(prompts))?))
            };
            Arc::new(Several::new(benchmarks.iter().map(read).collect::<Result<_>>()?)?)
        }
    })
}

fn style(prompt: PromptStyle, shots: u32) -> Style {
    match prompt {
        PromptStyle::Bare => Style::Bare,
        PromptStyle::ZeroShot => Style::ZeroShot,
        PromptStyle::FewShot => Style::FewShot(shots),
    }
}

fn benchmark_settings(config: &BenchmarkConfig, max_tokens: u32) -> Result<benchmark::Settings> {
    Ok(benchmark::Settings {
        source: match config.source {
            BenchmarkSource::Gsm8k => Source::Gsm8k,
            BenchmarkSource::Svamp => Source::Svamp,
            BenchmarkSource::Aqua => Source::Aqua,
            BenchmarkSource::Math => Source::Math,
        },
        path: config.path.clone(),
        test: config.test_path.clone(),
        shares: [config.shares.pool, config.shares.validation, config.shares.test],
        splits: (config.validation.parse()?, config.test.parse()?),
        most: [config.validation_questions, config.test_questions],
        style: style(config.prompt, config.shots),
        scoring: match config.scoring {
            ScoringConfig::Strict => Scoring::Strict,
            ScoringConfig::Parity => Scoring::Parity,
        },
        max_tokens,
    })
}

/// A task with its skills, whoever finds them, and whoever names their subskills.
struct Skilled {
    task: Arc<dyn Task>,
    discovery: Option<Arc<dyn SkillDiscovery>>,
    proposal: Arc<dyn SubskillProposal>,
}

fn skilled(config: &Config, plain: Arc<dyn Task>, folder: &Path) -> Result<Skilled> {
    let listed = listed(config, plain.as_ref());
    let (task, discovery, listed): (Arc<dyn Task>, Option<Arc<dyn SkillDiscovery>>, ListProposal) =
        match &config.skills {
            SkillsChoice::Gold => (plain, None, listed),
            SkillsChoice::Mislabelled { share } => {
                (Arc::new(Labelled::mislabelled(plain, *share, config.seed)), None, listed)
            }
            SkillsChoice::Discovered(found) => {
                let labelled = Arc::new(Labelled::discovered(plain, found.clone(), folder.join(SKILLS)));
                (labelled.clone(), Some(labelled), ListProposal::default().or_whole())
            }
            SkillsChoice::File { file } => {
                let skills = DiscoveredSkills::read(file)?.skills();
                let labelled = Labelled::given(plain, &skills, file)?;
                (Arc::new(labelled), None, ListProposal::default().or_whole())
            }
            SkillsChoice::Written { file } => {
                let written = WrittenSkills::read(file)?;
                let skills = written.skills(plain.as_ref(), file)?;
                fits::written(config, &written, file)?;
                let listed = ListProposal::new(written.subskills()).or_whole();
                (Arc::new(Labelled::given(plain, &skills, file)?), None, listed)
            }
        };
    let proposal: Arc<dyn SubskillProposal> = match config.environment.subskills {
        SubskillsChoice::Listed => Arc::new(listed),
        SubskillsChoice::Taught => {
            let topic = match task.domain() {
                Domain::Mathematics => "mathematics",
                Domain::Programming => "programming",
                Domain::VisualQuestionAnswering => "image understanding",
                Domain::ToolUse => "planning calls of tools",
            };
            Arc::new(TaughtProposal::new(topic, config.seed))
        }
    };
    Ok(Skilled { task, discovery, proposal })
}

fn policy(config: &Config) -> Result<Arc<dyn Policy>> {
    let choice = config.acting_policy();
    fits::policy(config, &choice)?;
    Ok(choice.build())
}

pub(super) fn engine(config: &Config, task: &Arc<dyn Task>) -> Result<Arc<dyn Engine>> {
    fits::engine(config, task.as_ref())?;
    match &config.engine {
        // The embedded teachers learned to write one exercise per question.
        EngineChoice::Taught(settings) if embedded_teacher(&config.teacher.model).is_some() => Ok(Arc::new(
            Taught::new(TaughtSettings { data_per_question: 1, ..settings.clone() }, Arc::clone(task)),
        )),
        engine => Ok(engine.build(task)),
    }
}

fn teacher(paths: &Paths, config: &Config) -> Result<Option<TeacherSource>> {
    if !config.asks() {
        return Ok(None);
    }
    if config.teacher.model == "none" {
        bail!(
            "this configuration asks a teacher (`engine`, `policy`, `skills`, `environment.subskills` or \
             `checks.votes`): set `teacher.model`, or for `checks.votes` alone `verifier.model`"
        )
    }
    teacher_source(paths, config, Role::Teacher).map(Some)
}

fn verifier(paths: &Paths, config: &Config, replaced: &Path) -> Result<Option<Verifier>> {
    if !config.verifies() {
        return Ok(None);
    }
    let prompts = Arc::new(Prompts::with(config.verifier.prompt_set(), replaced)?);
    Ok(Some(Verifier { source: teacher_source(paths, config, Role::Verifier)?, prompts }))
}

fn teacher_source(paths: &Paths, config: &Config, role: Role) -> Result<TeacherSource> {
    let checkpoint = Checkpoint::Full { folder: teacher_weights(paths, config, role)? };
    Ok(TeacherSource { name: hired(config, role).clone(), checkpoint })
}

/// The model of the teacher or of the verifier.
fn hired(config: &Config, role: Role) -> &String {
    if role == Role::Verifier { &config.verifier.model } else { &config.teacher.model }
}

/// Folder of the weights of the teacher or of the verifier; those behind an endpoint are its own.
pub(super) fn teacher_weights(paths: &Paths, config: &Config, role: Role) -> Result<PathBuf> {
    let model = hired(config, role);
    let key = role.as_str();
    match config.endpoints_of(model).map_err(|message| eyre!("`{key}.model`: {message}"))? {
        Some(_) => Ok(PathBuf::new()),
        None => match embedded_teacher(model) {
            Some(teacher) => Ok(teacher.folder(&paths.cache)?),
            None => weights(paths, model),
        },
    }
}

/// The embedded teacher of that name.
fn embedded_teacher(name: &str) -> Option<Embedded> {
    let [better, weaker] = EMBEDDED_TEACHERS;
    [(better, Embedded::Teacher), (weaker, Embedded::WeakTeacher)]
        .into_iter()
        .find_map(|(known, teacher)| (known == name).then_some(teacher))
}

/// The subskills that the source of a task names.
fn listed(config: &Config, task: &dyn Task) -> ListProposal {
    match config.task {
        TaskConfig::Arithmetic { .. } => ListProposal::of_arithmetic(),
        TaskConfig::Scripted { .. } => {
            ListProposal::new(task.skills().into_iter().map(|s| (s.clone(), scripted::subskills(&s))))
        }
        TaskConfig::Jsonl { .. } | TaskConfig::Benchmark(_) | TaskConfig::Several { .. } => {
            ListProposal::from_pool(task).or_whole()
        }
    }
}

/// Folder of the untrained student; where an endpoint serves it, of the same weights here.
pub(super) fn base(paths: &Paths, config: &Config) -> Result<PathBuf> {
    let (key, model) = if config.student.model.starts_with(ENDPOINT) {
        ("student.weights", &config.student.weights)
    } else {
        ("student.model", &config.student.model)
    };
    let path = weights(paths, model)?;
    if path.is_file() {
        bail!(
            "{}: a GGUF file can be asked (`eval`, `chat`, `teacher.model`), but not trained: set `{key}` to the model's \
             Hugging Face folder",
            path.display()
        );
    }
    Ok(path)
}

/// As [`base`], for a run: what the trainer cannot train is found before anything is evaluated.
fn trainable(paths: &Paths, config: &Config) -> Result<PathBuf> {
    let folder = base(paths, config)?;
    let scripted =
        [&config.student.model, &config.student.weights].into_iter().any(|model| model == "scripted");
    if !scripted {
        training::check(&folder).map_err(|error| eyre!("{error}\n  {}", error.hint()))?;
    }
    Ok(folder)
}

/// Whether every endpoint that serves the student can be given what a training leaves.
fn exchange(config: &Config) -> Result<()> {
    let members =
        config.endpoints_of(&config.student.model).map_err(|message| eyre!("`student.model`: {message}"))?;
    for (name, endpoint, _) in members.into_iter().flatten() {
        if let Some(why) = endpoint.adapters.refusal(config.trainer.method == Method::Lora) {
            bail!("endpoint `{}`: {why}", name.escape_debug());
        }
    }
    Ok(())
}

/// Folder or GGUF file of a model's weights.
pub(super) fn weights(paths: &Paths, model: &str) -> Result<PathBuf> {
    match model {
        "embedded" => Ok(Embedded::Student.folder(&paths.cache)?),
        "scripted" => {
            // A folder without a script's file is an untrained scripted student.
            let folder = paths.cache.join("scripted");
            std::fs::create_dir_all(&folder)?;
            Ok(folder)
        }
        name if name.starts_with(hub::PREFIX) => Ok(settled(name)?.1),
        path => {
            let path = Path::new(path);
            source::check(path)?;
            Ok(std::path::absolute(path)?)
        }
    }
}

/// Models of the hub by their commits, so that a run goes on with the weights it began with.
pub(super) fn pin(config: &mut Config) -> Result<()> {
    let Config { student, teacher, verifier, .. } = config;
    for model in [&mut student.model, &mut student.weights, &mut teacher.model, &mut verifier.model] {
        if model.starts_with(hub::PREFIX) {
            *model = settled(model)?.0;
        }
    }
    Ok(())
}

/// A model of the hub with its commit, and its folder in the cache; fetched where it is not there.
fn settled(text: &str) -> Result<(String, PathBuf)> {
    let Some(name) = HubName::parse(text) else { bail!("`{text}` is no model of the hub") };
    let name = name?;
    let get = |name: &str| std::env::var(name).ok();
    let home = std::env::home_dir();
    let access = hub::Access::from_variables(get, home.as_deref());
    let terminal = std::io::stderr().is_terminal();
    let mut shown = None;
    let (commit, folder) = name.settle(&access, &mut |file, done, total| {
        let percent = (100 * done).checked_div(total).unwrap_or(100);
        if shown.as_ref() != Some(&(file.to_owned(), percent)) && (terminal || done == total) {
            let file_line = format!("{name}: {file} {percent} % of {} MiB", total >> 20);
            eprint!(
                "{}{}{}",
                if terminal { "\r\x1b[K" } else { "" },
                format::escaped(&file_line),
                if terminal { "" } else { "\n" }
            );
            shown = Some((file.to_owned(), percent));
        }
    })?;
    if terminal && shown.is_some() {
        eprintln!();
    }
    Ok((name.pinned(&commit).to_string(), folder))
}
