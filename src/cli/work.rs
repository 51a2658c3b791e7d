//! Worker processes: what they host, and how the runner starts them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use color_eyre::eyre::{Result, WrapErr, bail, eyre};

use super::{format, placement, scene};
use crate::config::{Config, ENDPOINT, Method, Paths, ScriptConfig, TeacherConfig, TrainerConfig};
use crate::gym::instance::Split;
use crate::gym::ports::{Device, PortError, Serving, Student, Trainer, TrainingSettings};
use crate::models::openai::{EndpointModel, Endpoints};
use crate::models::scripted::{
    Script, ScriptedPainter, ScriptedStudent, ScriptedTeacher, ScriptedTrainer, TeacherScript,
};
use crate::prompts::Prompts;
use crate::protocol::worker::Role;
use crate::runner::driver::Hands;
use crate::runner::log_file;
use crate::runner::pool::{Roster, TrainerProcess, WorkerCommand, WorkerPool};
use crate::runner::purse::Purse;
use crate::store::artifact_folder;
use crate::training::Control;
use crate::worker::{Core, Hosts, StudentHost, runner_stream, serve};

/// File in a run folder that tells a scripted student the right answers.
const ANSWERS: &str = "answers.json";

/// Folder in a run folder where scripted models that are to fail keep what they attempted.
const ATTEMPTS: &str = "attempts";

/// `dataenvgym worker`: serves the runner behind standard input.
pub(super) fn worker(
    role: Role,
    scripted: Option<&str>,
    endpoint: Option<&str>,
    one_core: bool,
) -> Result<ExitCode> {
    // Standard error is the worker's log file.
    std::panic::set_hook(Box::new(|info| eprintln!("panic: {}", format::escaped(&info.to_string()))));
    // Before any thread is started, and until the process ends.
    let _core = (one_core && scripted.is_none() && endpoint.is_none()).then(|| Core::take(role));
    let hosts = match scripted {
        _ if endpoint.is_some() => endpoint_hosts(endpoint.unwrap_or_default())?,
        Some(text) if matches!(role, Role::Teacher | Role::Verifier) => {
            scripted_teacher(serde_json::from_str(text).wrap_err("--scripted")?)
        }
        Some(text) => scripted_hosts(&serde_json::from_str(text).wrap_err("--scripted")?),
        None => Hosts { student: real_student(), trainer: Box::new(|control| Ok(real_trainer(control))) },
    };
    tracing::debug!(role = role.as_str(), "worker");
    serve(&runner_stream()?, hosts)?;
    Ok(ExitCode::SUCCESS)
}

fn scripted_hosts(script: &Script) -> Hosts {
    let (student, trainer) = (script.clone(), script.clone());
    Hosts {
        student: Box::new(move |_, _| Ok(Box::new(ScriptedStudent::new(student.clone())?))),
        trainer: Box::new(move |_| Ok(Box::new(ScriptedTrainer::new(trainer.clone())))),
    }
}

/// The client of endpoints. Its log is its own words alone: those of libraries may quote headers. Its memory, which holds
/// keys, is left in no core file and can be read by no other process of this user.
fn endpoint_hosts(text: &str) -> Result<Hosts> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let endpoints: Endpoints = serde_json::from_str(text).wrap_err("--endpoint")?;
    let filter = tracing_subscriber::EnvFilter::new("off,dataenvgym=info");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr);
    // Only a second installation in one process fails.
    let _ = log.try_init();
    Ok(Hosts {
        student: Box::new(move |_, _| Ok(Box::new(EndpointModel::new(&endpoints)?))),
        trainer: Box::new(|_| Err(PortError::fatal("an endpoint does not train"))),
    })
}

/// A teacher is served like a student whose weights never change.
fn scripted_teacher(script: TeacherScript) -> Hosts {
    Hosts {
        student: Box::new(move |_, _| Ok(Box::new(ScriptedTeacher::new(script.clone())))),
        trainer: Box::new(|_| Err(PortError::fatal("a teacher does not train"))),
    }
}

fn real_trainer(control: Arc<Control>) -> Box<dyn Trainer> {
    Box::new(super::train::InProcess { control })
}

/// Makes students that mistral.rs serves.
#[cfg(feature = "mistralrs")]
pub(super) fn real_student() -> StudentHost {
    use crate::models::mistral::MistralStudent;
    Box::new(|device, serving| Ok(Box::new(MistralStudent::new(device, serving)?)))
}

#[cfg(not(feature = "mistralrs"))]
pub(super) fn real_student() -> StudentHost {
    let message = "this program was built without mistral.rs, which serves real students: build it with the \
                   default features, or set `student.model = \"scripted\"`";
    Box::new(move |_, _| Err(PortError::fatal(message)))
}

/// The models and the trainer of a run, in worker processes that start when they are needed.
pub(super) fn hands(paths: &Paths, config: &Config, folder: &Path) -> Result<Hands> {
    let cores = cores();
    let roster = Roster::new();
    let purse = Purse::open(folder).map_err(|message| eyre!(message))?;
    let identities = Arc::new(placement::identities());
    let command = |arguments: Vec<OsString>, asked: &[String]| -> Result<WorkerCommand> {
        let keys = config.endpoints.values().filter_map(|endpoint| endpoint.key_variable.clone());
        Ok(WorkerCommand {
            without: keys.filter(|key| !asked.contains(key)).collect(),
            program: std::env::current_exe().wrap_err("cannot find this program's own file")?,
            arguments,
            log_folder: log_file::folder(folder),
            cache_folder: paths.cache.join("hub"),
            nice: Some(5),
            gpus: Arc::clone(&identities),
        })
    };
    let pool = |role, command, devices: &[Device], (serving, threads): (Serving, u32)| {
        let threads = threads_each(threads, cores, devices.len());
        WorkerPool::new(command, role, devices, (serving, threads), roster.clone())
    };
    let endpoint = |role: Role, model: &str, base| -> Result<Option<WorkerPool>> {
        let key = format!("{}.model", role.as_str());
        let members = config.endpoints_of(model).map_err(|message| eyre!("`{key}`: {message}"))?;
        let Some(members) = members else { return Ok(None) };
        let keys: Vec<String> = members.iter().filter_map(|(_, e, _)| e.key_variable.clone()).collect();
        let images = Some(artifact_folder(folder));
        let arguments = serde_json::to_string(&Endpoints { members, base, images })?;
        let command = command(vec![OsString::from("--endpoint"), arguments.into()], &keys)?;
        let name = model.strip_prefix(ENDPOINT).unwrap_or(model);
        Ok(Some(WorkerPool::of_endpoint(command, role, name, purse.clone(), roster.clone())))
    };
    let served = config.student.model.starts_with(ENDPOINT);
    let own = if served { &config.student.weights } else { &config.student.model };
    let student_command = command(
        match own.as_str() {
            "scripted" => vec![OsString::from("--scripted"), script(config, folder)?.into()],
            _ => Vec::new(),
        },
        &[],
    )?;
    let placed = &config.student;
    let base = if served { Some(scene::base(paths, config)?) } else { None };
    let student = if let Some(student) = endpoint(Role::Student, &placed.model, base)? {
        student
    } else {
        let devices = seats("student.device", &placed.device, placed.workers)?;
        pool(Role::Student, student_command.clone(), &devices, (placed.serving(), placed.threads))
    };
    let trainer = TrainerProcess::new(student_command, cores, roster.clone());
    let hired = |role: Role, placed: &TeacherConfig| -> Result<Option<Box<dyn Student>>> {
        let arguments = match placed.model.as_str() {
            "none" => return Ok(None),
            "scripted" => {
                vec![OsString::from("--scripted"), teacher_script(role, placed, config.seed, folder)?.into()]
            }
            _ => Vec::new(),
        };
        Ok(Some(Box::new(if let Some(served) = endpoint(role, &placed.model, None)? {
            served
        } else {
            let key = format!("{}.device", role.as_str());
            let devices = seats(&key, &placed.device, placed.workers)?;
            pool(role, command(arguments, &[])?, &devices, (placed.serving(), placed.threads))
        })))
    };
    let teacher = if config.asks() { hired(Role::Teacher, &config.teacher)? } else { None };
    let verifier = if config.verifies() { hired(Role::Verifier, &config.verifier)? } else { None };
    let shown = roster.clone();
    Ok(Hands {
        student: Box::new(student),
        trainer: Box::new(trainer),
        teacher,
        verifier,
        painter: Some(Box::new(ScriptedPainter)),
        cancel: Arc::new(move || roster.cancel()),
        workers: Arc::new(move || shown.statuses()),
        purse,
    })
}

pub(super) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, NonZero::get) as u32
}

/// Threads of each of so many workers; 0 asks for an equal share of the cores.
fn threads_each(threads: u32, cores: u32, workers: usize) -> u32 {
    if threads == 0 { (cores / (workers.max(1) as u32)).max(1) } else { threads }
}

/// The devices of a role, once per worker. On the processor one single-threaded worker per core is fastest; a GPU is
/// served by one.
pub(super) fn seats(key: &str, words: &str, workers: u32) -> Result<Vec<Device>> {
    let devices: Vec<Device> =
        words.split(',').map(|word| device(key, word.trim())).collect::<Result<_>>()?;
    let each = match (workers, devices.as_slice()) {
        (0, [Device::Cpu]) => cores(),
        (n, _) => n.max(1),
    };
    Ok(devices.into_iter().flat_map(|device| std::iter::repeat_n(device, each as usize)).collect())
}

/// The hyper-parameters of a run's trainings, with where they compute.
pub(super) fn training(config: &TrainerConfig) -> Result<TrainingSettings> {
    let devices: Vec<Device> =
        config.device.split(',').map(|word| device("trainer.device", word.trim())).collect::<Result<_>>()?;
    if config.method == Method::Full && devices.len() > 1 {
        bail!(
            "`trainer.device` is `{}`: several devices can share the training of an adapter, not of a whole model. Set \
             `trainer.method = \"lora\"`, or name one device",
            config.device
        );
    }
    // The processor alone goes without saying: what was trained before there was a choice is continued.
    let devices = if devices == [Device::Cpu] { Vec::new() } else { devices };
    Ok(TrainingSettings { devices, ..config.settings() })
}

/// The script of a scripted teacher or verifier.
fn teacher_script(role: Role, placed: &TeacherConfig, seed: u64, folder: &Path) -> Result<String> {
    let crate::config::TeacherScript { latency_ms, truncated, malformed, repeated, failing } = placed.script;
    let attempts = Some(folder.join(ATTEMPTS).join(role.as_str()));
    let script = TeacherScript { seed, latency_ms, truncated, malformed, repeated, failing, attempts };
    Ok(serde_json::to_string(&script)?)
}

/// `cpu`, `cuda:N` or `metal`.
pub(super) fn device(key: &str, word: &str) -> Result<Device> {
    Ok(match word.split_once(':') {
        None if word == "cpu" => Device::Cpu,
        None if word == "metal" => Device::Metal,
        None if word == "cuda" => Device::Cuda(0),
        Some(("cuda", index)) => {
            Device::Cuda(index.parse().wrap_err_with(|| format!("`{key}` is `{word}`"))?)
        }
        _ => bail!("`{key}` is `{word}`; it can be `cpu`, `cuda:0` (or another index) or `metal`"),
    })
}

/// The script of a scripted student, which is told every right answer.
fn script(config: &Config, folder: &Path) -> Result<String> {
    let prompts = folder.join(scene::PROMPTS);
    let task = scene::task(config, &Arc::new(Prompts::with(config.prompt_set(), &prompts)?))?;
    let instances = [Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split));
    let answers: HashMap<String, String> =
        instances.map(|instance| (task.prompt(instance), task.solution(instance))).collect();
    let path = folder.join(ANSWERS);
    std::fs::write(&path, serde_json::to_string(&answers)?)
        .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    let ScriptConfig { skill, ceiling, examples, latency_ms, malformed, failing } = config.student.script;
    let (seed, answers) = (config.seed, Some(path));
    let attempts = Some(folder.join(ATTEMPTS).join("student"));
    // What an endpoint serves may be trained as an adapter.
    let adapters = config.student.model.starts_with(ENDPOINT) && config.trainer.method == Method::Lora;
    let script = Script {
        seed,
        skill,
        ceiling,
        examples,
        latency_ms,
        malformed,
        failing,
        attempts,
        answers,
        adapters,
    };
    Ok(serde_json::to_string(&script)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_gpus_share_the_work() {
        let both = seats("student.device", "cuda:0, cuda:2", 0).unwrap();
        assert_eq!(both, [Device::Cuda(0), Device::Cuda(2)]);
        assert_eq!(seats("student.device", "cuda:0,cuda:1", 2).unwrap().len(), 4);
        assert_eq!(seats("student.device", "cpu", 0).unwrap().len(), cores() as usize);
        assert_eq!(seats("student.device", "cpu", 3).unwrap(), [Device::Cpu; 3]);
        assert!(seats("student.device", "cuda:0,cpu:1", 0).is_err());
    }

    #[test]
    fn cores_are_shared_among_workers() {
        assert_eq!(threads_each(1, 8, 8), 1);
        assert_eq!(threads_each(3, 8, 8), 3);
        assert_eq!([1, 3, 8, 20].map(|workers| threads_each(0, 8, workers)), [8, 2, 1, 1]);
    }

    #[test]
    fn the_trainer_computes_where_the_configuration_says() {
        let on = |device: &str, method| {
            training(&TrainerConfig { device: device.into(), method, ..TrainerConfig::default() })
        };
        assert_eq!(on("cpu", Method::Full).unwrap().devices, []);
        let both = on("cuda:1, cuda:0", Method::Lora).unwrap().devices;
        assert_eq!(both, [Device::Cuda(1), Device::Cuda(0)]);
        assert!(on("cuda:0,cuda:1", Method::Full).unwrap_err().to_string().contains("trainer.method"));
        assert!(on("tpu", Method::Lora).unwrap_err().to_string().contains("trainer.device"));
    }

    #[test]
    fn devices_are_read_or_refused() {
        assert_eq!(device("student.device", "cpu").unwrap(), Device::Cpu);
        assert_eq!(device("student.device", "cuda:3").unwrap(), Device::Cuda(3));
        for wrong in ["gpu", "cuda:x", "tpu:0"] {
            assert!(device("student.device", wrong).unwrap_err().to_string().contains(wrong));
        }
    }
}
