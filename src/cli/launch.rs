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
    if let Some(name) = &args.name
        && paths.run(name).join(DATABASE).exists()
    {
        if args.seed.is_some() || args.iterations.is_some() {
            bail!(
                "run `{name}` exists: its seed and iterations are fixed; choose another --name for a new run"
            );
        }
        return Ok(paths.run(name));
    }
    let mut config = named(&args.config)?;
    config.seed = args.seed.unwrap_or(config.seed);
    config.episode.iterations = args.iterations.unwrap_or(config.episode.iterations);
    config.name = match &args.name {
        Some(name) => name.clone(),
        None => runs::fresh_name(paths, &config.name),
    };
    // The name from the command line must be as plain as one from a file.
    let config =
        config::parse(&toml::to_string(&config)?, "the configuration with the command line's values")?;
    create(paths, &config)
}

/// A built-in configuration by name, or one from a file.
pub(super) fn named(name: &str) -> Result<Config> {
    Ok(match config::built_in(name) {
        Some(config) => config?,
        None => config::read(Path::new(name))?,
    })
}

/// The quick start: the newest unfinished run of it, or a fresh one.
pub(super) fn quick_start(paths: &Paths) -> Result<PathBuf> {
    let args = RunArgs { config: "quickstart".to_owned(), ..RunArgs::default() };
    match runs::newest(paths, |run| run.record.name.starts_with("quickstart") && !run.episode.finished()) {
        Some(run) => Ok(run.folder),
        None => prepare(paths, &args),
    }
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
