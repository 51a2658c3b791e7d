//! Making a run and starting the process that owns it.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use color_eyre::eyre::{Result, WrapErr, bail};

use super::config::LayerArgs;
use super::outcome::Standing;
use super::{RunArgs, endpoints, format, logs, placement, runs, scene, sealed, serve};
use crate::config::{self, Config, Paths};
use crate::faults::{self, Span};
use crate::gym::episode;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::Task;
use crate::runner::client;
use crate::runner::filesystem::SystemProbe;
use crate::runner::lock::RunLock;
use crate::runner::log_file;
use crate::runner::residence::{Residence, live_of, roots};
use crate::store::{DATABASE, Reader, RunRecord, Store, put_artifact};

/// Name of the resolved configuration in a run folder.
pub(super) const CONFIG: &str = "config.toml";
/// Name of the file with what was found between the splits of a run's task.
pub(super) const LEAKAGE: &str = "leakage.json";
/// Name of the file with what a detached runner prints.
const OUTPUT: &str = "runner-output.log";
const RENAME: Span = Span::new("config.rename.before", "config.rename.after");
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
        if !paths.run(name).join(CONFIG).exists() {
            bail!(
                "run `{name}` has no {CONFIG}: it was imported, and can be looked at and exported but not resumed; \
                 choose another --name for a new run"
            );
        }
        return Ok(paths.run(name));
    }
    let mut config = config::resolve(&args.layers.sources(paths)?)?.config;
    if args.layers.name.is_none() {
        config.name = runs::fresh_name(paths, &config.name);
    }
    create(paths, &config)
}

/// A ready configuration by name, or one from a file, above the other layers.
pub(super) fn named(paths: &Paths, name: &str) -> Result<Config> {
    let layers = LayerArgs { config: Some(name.to_owned()), ..LayerArgs::default() };
    Ok(config::resolve(&layers.sources(paths)?)?.config)
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

/// Makes the folder and the database of a new run.
pub(super) fn create(paths: &Paths, config: &Config) -> Result<PathBuf> {
    let folder = paths.run(&config.name);
    let mut config = config.clone();
    scene::pin(&mut config)?;
    let config = &config;
    // Everything that can be wrong is found before the folder exists.
    let scene = scene::scene(paths, config, &folder)?;
    placement::of(paths, config)?;
    std::fs::create_dir_all(&paths.runs)
        .and_then(|()| private(&folder))
        .wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    copy_prompts(&paths.prompts, &folder.join(scene::PROMPTS))?;
    let temporary = folder.join(format!("{CONFIG}.new"));
    std::fs::write(&temporary, sealed::seal(&toml::to_string(config)?))
        .and_then(|()| RENAME.around(|| std::fs::rename(&temporary, folder.join(CONFIG))))
        .wrap_err_with(|| format!("cannot write the configuration into {}", folder.display()))?;
    std::fs::write(folder.join(LEAKAGE), serde_json::to_string(&scene.task.contamination())?)
        .wrap_err_with(|| format!("cannot write {LEAKAGE} into {}", folder.display()))?;
    let created =
        faults::clock(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64));
    let record = RunRecord {
        name: config.name.clone(),
        task: scene.task.name().to_owned(),
        policy: scene.policy.name().to_owned(),
        engine: scene.engine.name().to_owned(),
        student: config.student.model.clone(),
        seed: config.seed,
        version: super::version().to_owned(),
        rules: config.rules(),
        created_ms: created,
    };
    let residence = Residence::settle(&folder, &SystemProbe::from_environment(), &roots())?;
    let instances = instances(scene.task.as_ref());
    // Before the database, so that a run never refers to an image that it does not have.
    for image in instances.iter().flat_map(|instance| instance.content.images()) {
        if let Some(bytes) = scene.task.image(image) {
            put_artifact(residence.live(), &bytes, &image.media_type, image.size)?;
        }
    }
    drop(Store::create(residence.live(), &record, &instances)?);
    residence.leave()?;
    Ok(folder)
}

/// What a model was asked and answered is nobody else's business. A folder that is there stays as it is.
fn private(folder: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A run keeps the prompts it began with.
fn copy_prompts(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|e| e == "txt")) {
            std::fs::copy(&path, to.join(name))
                .wrap_err_with(|| format!("cannot copy the prompt {}", path.display()))?;
        }
    }
    Ok(())
}

fn instances(task: &dyn Task) -> Vec<TaskInstance> {
    let splits = [Split::Validation, Split::Test, Split::Pool];
    splits.into_iter().flat_map(|split| task.instances(split)).cloned().collect()
}

/// The configuration of an existing run.
pub(super) fn config_of(folder: &Path) -> Result<Config> {
    let path = folder.join(CONFIG);
    // What is no text is named by the reading of it.
    if let Ok(text) = std::fs::read_to_string(&path) {
        sealed::verify(&text).wrap_err_with(|| path.display().to_string())?;
    }
    Ok(config::read(&path)?)
}

/// `dataenvgym run` without `--headless`.
pub(super) fn run(paths: &Paths, args: &RunArgs) -> Result<ExitCode> {
    let folder = prepare(paths, args)?;
    endpoints::announce(paths, &folder);
    let name = Reader::open(&live_of(&folder))?.record()?.name;
    let how = go_on(paths, &folder)?;
    let name = format::on_one_line(&name);
    println!("run `{name}` {how}");
    println!("  watch it:   dataenvgym attach {name}");
    println!("  stop it:    dataenvgym stop {name}");
    println!("  its folder: {}", folder.display());
    println!("  its log:    {}", logs::runner_log(&folder).display());
    let live = live_of(&folder);
    if live != folder {
        println!("  works in:   {}", live.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Has a run go on, by its own process or by a new one; says how, in words that follow its name.
pub(super) fn go_on(paths: &Paths, folder: &Path) -> Result<&'static str> {
    let reader = Reader::open(&live_of(folder))?;
    let held = RunLock::is_held(&live_of(folder));
    Ok(match Standing::of(&reader.episode()?, held) {
        Standing::Running => "is running already",
        Standing::Finished if held => "is finished",
        _ if held => {
            // Its process waits for a person: at a gate, after a failure, for room on the disk.
            runs::order(folder, &reader.record()?.name, episode::Command::Run)?;
            "goes on in the background"
        }
        _ => {
            start(paths, folder, true)?;
            "works in the background"
        }
    })
}

/// Starts a detached runner and waits until it listens.
pub(super) fn start(paths: &Paths, folder: &Path, go: bool) -> Result<()> {
    // What it says before its log is open, and what libraries print later.
    let output = logs::made_folder(folder)?.join(OUTPUT);
    let file = File::create(&output).wrap_err_with(|| format!("cannot write {}", output.display()))?;
    let mut command = Command::new(std::env::current_exe().wrap_err("cannot find this program's own file")?);
    command.arg("--runs-dir").arg(&paths.runs).arg("runner").arg(folder);
    let client = client::fresh_name();
    if go {
        command.arg("--go").arg(&client);
    }
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().wrap_err("cannot start the process that owns the run")?;
    wait_until_it_listens(folder, go.then_some(client.as_str()), &output, &mut child)
}

/// Waits until the process listens and, where it was told to go, has taken note of that: whoever looks next
/// finds the run running.
fn wait_until_it_listens(folder: &Path, go: Option<&str>, output: &Path, child: &mut Child) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < START_LIMIT {
        let live = live_of(folder);
        if RunLock::is_held(&live) && client::stream(&live).is_some() {
            let told = |name| {
                let client = client::Client::connect(&client::socket_of(&live), None, name);
                client.and_then(|mut client| client.command(serve::GO, episode::Command::Run))
            };
            // The answer of one that ends meanwhile is missing; what follows says why it ended.
            if go.is_none_or(|name| told(name).is_ok()) {
                return Ok(());
            }
        }
        if let Some(status) = child.try_wait()? {
            // One that ended because it had nothing to do did nothing wrong.
            if status.success() {
                return Ok(());
            }
            bail!("the run's process ended at once ({status}):\n  {}", last_words(folder, output));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = logs::runner_log(folder);
    bail!("the run's process does not answer after {START_LIMIT:?}; see {}", log.display())
}

/// What a process that ended said last: on its standard error, or in its log.
fn last_words(folder: &Path, output: &Path) -> String {
    for path in [output.to_owned(), logs::runner_log(folder)] {
        let lines = log_file::Follower::begin(&path, 6, 0).read().unwrap_or_default();
        if !lines.is_empty() {
            let lines: Vec<_> = lines.iter().map(|line| format::on_one_line(line)).collect();
            return format!("{}\n  ({})", lines.join("\n  "), path.display());
        }
    }
    "it said nothing".to_owned()
}
