//! Making a run and starting the process that owns it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use color_eyre::eyre::{Result, WrapErr, bail};

use super::{RunArgs, logs, runs, scene};
use crate::config::{self, Config, Paths};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::Task;
use crate::runner::lock::RunLock;
use crate::store::{DATABASE, Reader, RunRecord, Store};

/// Name of the resolved configuration in a run folder.
const CONFIG: &str = "config.toml";
/// How long a fresh runner may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The folder of the run that the arguments mean; it is made when there is none.
pub(super) fn prepare(paths: &Paths, args: &RunArgs) -> Result<PathBuf> {
    if let Some(name) = &args.layers.name
        && paths.run(name).join(DATABASE).exists()
    {
        if args.layers.sets_keys() {
            bail!("run `{name}` exists: its configuration is fixed; choose another --name for a new run");
        }
        return Ok(paths.run(name));
    }
    let mut config = config::resolve(&args.layers.sources(paths)?)?.config;
    if args.layers.name.is_none() {
        config.name = runs::fresh_name(paths, &config.name);
    }
    create(paths, &config)
}

/// What runs when nothing is said, the quick start or a project: the newest unfinished run of its name, or
/// a fresh one.
pub(super) fn quick_start(paths: &Paths) -> Result<PathBuf> {
    let args = RunArgs::default();
    let config = config::resolve(&args.layers.sources(paths)?)?.config;
    let numbered = |rest: &str| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number);
    let of_it = |name: &str| name.strip_prefix(&config.name).is_some_and(numbered);
    match runs::newest(paths, |run| of_it(&run.record.name) && !run.episode.finished()) {
        Some(run) => Ok(run.folder),
        None => prepare(paths, &args),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn create(paths: &Paths, config: &Config) -> Result<PathBuf> {
    let folder = paths.run(&config.name);
    // Everything that can be wrong is found before the folder exists.
    let scene = scene::scene(paths, config, &folder)?;
    std::fs::create_dir_all(&folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    let temporary = folder.join(format!("{CONFIG}.new"));
    std::fs::write(&temporary, toml::to_string(config)?)
        .and_then(|()| std::fs::rename(&temporary, folder.join(CONFIG)))
        .wrap_err_with(|| format!("cannot write the configuration into {}", folder.display()))?;
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let record = RunRecord {
        name: config.name.clone(),
        task: scene.task.name().to_owned(),
        policy: scene.policy.name().to_owned(),
        engine: scene.engine.name().to_owned(),
        student: config.student.model.clone(),
        seed: config.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rules: config.rules(),
        created_ms: created,
    };
    Store::create(&folder, &record, &instances(scene.task.as_ref()))?;
    Ok(folder)
}

fn instances(task: &dyn Task) -> Vec<TaskInstance> {
    let splits = [Split::Validation, Split::Test, Split::Pool];
    splits.into_iter().flat_map(|split| task.instances(split)).cloned().collect()
}

/// The configuration of an existing run.
pub(super) fn config_of(folder: &Path) -> Result<Config> {
    Ok(config::read(&folder.join(CONFIG))?)
}

/// `dataenvgym run` without `--headless`.
pub(super) fn run(paths: &Paths, args: &RunArgs) -> Result<ExitCode> {
    let folder = prepare(paths, args)?;
    let name = Reader::open(&folder)?.record()?.name;
    if RunLock::is_held(&folder) {
        println!("run `{name}` is running already");
    } else {
        start(paths, &folder, true)?;
        println!("run `{name}` works in the background");
    }
    println!("  watch it:   dataenvgym attach {name}");
    println!("  stop it:    dataenvgym stop {name}");
    println!("  its folder: {}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Starts a detached runner and waits until it listens.
pub(super) fn start(paths: &Paths, folder: &Path, go: bool) -> Result<()> {
    let log = logs::runner_log(folder)?;
    let mut command = Command::new(std::env::current_exe().wrap_err("cannot find this program's own file")?);
    command.arg("--runs-dir").arg(&paths.runs).arg("runner").arg(folder).args(go.then_some("--go"));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn().wrap_err("cannot start the process that owns the run")?;
    wait_until_it_listens(folder, &mut child)
}

fn wait_until_it_listens(folder: &Path, child: &mut Child) -> Result<()> {
    let socket = config::socket(folder)?;
    let began = Instant::now();
    let log = || logs::folder(folder).join("runner.log");
    while began.elapsed() < START_LIMIT {
        if RunLock::is_held(folder) && std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let text = std::fs::read_to_string(log()).unwrap_or_default();
            let last = text.lines().rev().take(5).collect::<Vec<_>>();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
            bail!("the run's process ended at once ({status}); {} says:\n  {last}", log().display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the run's process does not answer after {START_LIMIT:?}; see {}", log().display())
}
