//! `export --format model`: the student of an iteration as a whole model folder for use elsewhere.
//!
//! Reads the run only, so it may go on meanwhile.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use color_eyre::eyre::{Result, bail, eyre};

use super::ExportArgs;
use crate::checksums;
use crate::cli::format;
use crate::config::Paths;
use crate::gym::episode::Episode;
use crate::gym::ports::{Checkpoint, TrainingOutcome};
use crate::models::embedded::Embedded;
use crate::models::hub;
use crate::runner::driver;
use crate::store::{Reader, RunRecord};
use crate::training;

/// Writes the folder.
pub(super) fn run(paths: &Paths, run: &Path, args: ExportArgs) -> Result<ExitCode> {
    let elsewhere = args.container != super::Into::Jsonl
        || args.no_metadata
        || args.checkpoints
        || args.verdict.is_some()
        || !args.only.is_empty()
        || !args.skills.is_empty()
        || args.images != super::Pictures::Files;
    if elsewhere {
        bail!(
            "`--format model` is the model of one iteration: only --iteration N and --out FOLDER go with it"
        );
    }
    if args.force {
        bail!(
            "a model is never written over another folder: remove that one first, or give another with --out"
        );
    }
    let reader = Reader::open(run)?;
    let (record, episode) = (reader.record()?, reader.episode()?);
    let iteration = asked(&episode, &args.iterations)?;
    let outcome = trained(&episode, iteration)?;
    let checkpoint = found(paths, run, &outcome.checkpoint)?;
    let place =
        args.out.unwrap_or_else(|| run.join("exports").join(format!("model-iteration-{iteration:03}")));
    let place = std::path::absolute(place)?;
    if place.exists() {
        bail!(
            "{} exists already; give a folder that does not with --out, or remove it",
            format::escaped(&place.display().to_string())
        );
    }
    training::publish(&checkpoint, &place, &card(&record, &episode, iteration, &checkpoint))
        .map_err(|error| eyre!("{error}\n  {}", error.hint()))?;
    let how = match (args.iterations.is_empty(), episode.selected) {
        (false, _) => "",
        (true, Some(_)) => ", selected by validation",
        (true, None) => ", the best by validation so far",
    };
    println!(
        "the student of iteration {iteration}{how}, in {}",
        format::escaped(&place.display().to_string())
    );
    Ok(ExitCode::SUCCESS)
}

/// The iteration that is meant: the one named; otherwise the selected one, or while there is none, the best so far.
fn asked(episode: &Episode, named: &[RangeInclusive<u32>]) -> Result<u32> {
    match named {
        [] => Ok(episode.selected.unwrap_or_else(|| episode.best())),
        [one] if one.start() == one.end() => Ok(*one.start()),
        _ => bail!("a model is of one iteration: give one number with --iteration"),
    }
}

/// The training that made the student of an iteration: its own, or where that had no data, an earlier one.
fn trained(episode: &Episode, iteration: u32) -> Result<&TrainingOutcome> {
    let own: Vec<String> = (0..episode.iterations.len())
        .filter(|n| matches!(episode.iterations[*n].training, Some(Some(_))))
        .map(|n| n.to_string())
        .collect();
    let others = match own.as_slice() {
        [] => "No iteration of this run is trained yet".to_owned(),
        own => format!("Trained are: {}; name one with --iteration", own.join(", ")),
    };
    let row = episode.iterations.get(iteration as usize);
    if iteration > 0 && row.is_none_or(|row| row.training.is_none()) {
        bail!("iteration {iteration} is not trained. {others}");
    }
    episode.training_at(iteration).ok_or_else(|| {
        eyre!(
            "iteration {iteration} is the untrained student: use the model that the run began with (`student.model` in \
             its config.toml) as it is. {others}"
        )
    })
}

/// Where the folders of a checkpoint are now.
fn found(paths: &Paths, run: &Path, checkpoint: &Checkpoint) -> Result<Checkpoint> {
    let own = |folder: &Path| -> Result<PathBuf> {
        // The run may have been moved since.
        let here = folder.file_name().map(|name| driver::checkpoints(run).join(name));
        let found = here.into_iter().chain([folder.to_owned()]).find(|folder| folder.is_dir());
        found.ok_or_else(|| {
            eyre!(
                "the checkpoint {} is gone. Restore it from a copy, or name another iteration with --iteration; imported \
                 runs have none",
                folder.display()
            )
        })
    };
    let whole = |folder: PathBuf, whose: &str| -> Result<PathBuf> {
        if !folder.is_dir() {
            bail!("the {whose} {} is gone. Put it back there: the adapter needs it", folder.display());
        }
        if !folder.join("config.json").is_file() {
            bail!(
                "the {whose} {} is no model: a scripted student has no weights to export",
                folder.display()
            );
        }
        Ok(folder)
    };
    match checkpoint {
        Checkpoint::Full { folder } => Ok(Checkpoint::Full { folder: whole(own(folder)?, "checkpoint")? }),
        Checkpoint::Adapter { base, adapter } => {
            if !base.is_dir() && base.starts_with(&paths.cache) {
                // Somebody emptied the cache: the embedded student comes from this program.
                Embedded::Student.folder(&paths.cache)?;
            }
            let base = whole(base.clone(), "adapter's base model")?;
            Ok(Checkpoint::Adapter { base, adapter: own(adapter)? })
        }
    }
}

/// What the folder says of itself. Of a path only the last name: cards are published.
fn card(record: &RunRecord, episode: &Episode, iteration: u32, checkpoint: &Checkpoint) -> String {
    let RunRecord { name, student, task, seed, version, .. } = record;
    let published = student.strip_prefix(hub::PREFIX);
    let base = published.or_else(|| student.rsplit('/').next()).unwrap_or(student);
    let mut text = "---\nlibrary_name: transformers\n".to_owned();
    if let Some(repository) = published.and_then(|model| model.split('@').next()) {
        let _ = writeln!(text, "base_model: {repository}");
    }
    let (name, task, base) =
        (format::on_one_line(name), format::on_one_line(task), format::on_one_line(base));
    let _ = write!(
        text,
        "---\n\n# {name}, iteration {iteration}\n\nThe student of iteration {iteration} of the run `{name}` (task {task}, \
         seed {seed}), written by dataenvgym {version}.\n\n- base: `{base}`\n"
    );
    let (folder, how) = match checkpoint {
        Checkpoint::Full { folder } => (folder, "every parameter was trained"),
        Checkpoint::Adapter { adapter, .. } => {
            (adapter, "a low-rank adapter, merged into the base in 32 bits")
        }
    };
    let _ = writeln!(text, "- training: {how}");
    let report = episode.iterations.get(iteration as usize).and_then(|row| row.validation.as_ref());
    if let Some(report) = report {
        let score = report.overall;
        let (mean, low, high) = (100.0 * score.mean, 100.0 * score.low, 100.0 * score.high);
        let _ = writeln!(
            text,
            "- validation accuracy: {mean:.1} % [{low:.1}, {high:.1}] of {} questions",
            score.n
        );
    }
    for (sum, file) in weights(folder) {
        let _ = writeln!(text, "- checkpoint: `{file}`, SHA-256 `{sum}`");
    }
    text
}

/// Checksums of the weights of a checkpoint, as its list has them.
fn weights(folder: &Path) -> Vec<(String, String)> {
    let list = std::fs::read_to_string(folder.join(checksums::FILE)).unwrap_or_default();
    let lines = list.lines().filter_map(|line| line.split_once("  "));
    let kept = lines.filter(|(_, name)| Path::new(name).extension().is_some_and(|end| end == "safetensors"));
    kept.map(|(sum, name)| (sum.to_owned(), name.to_owned())).collect()
}
