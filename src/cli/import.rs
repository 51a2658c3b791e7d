//! `dataenvgym import`: files become a run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use color_eyre::eyre::{Result, bail};

use super::export::Layout;
use super::{format, runs};
use crate::config::Paths;
use crate::exchange::{ImportOrder, import};

/// What `import` can be told.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file of JSON lines or Parquet, the folder of an export or of a data set, or an experiment folder
    /// (`iteration_<n>`) of the reference implementation.
    path: PathBuf,
    /// Name of the run to make [default: the name of the file or folder].
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// How the data are laid out [default: recognised by the keys].
    #[arg(long, value_enum)]
    format: Option<Layout>,
    /// Seed that names the ULIDs of later exports, where the files hold no run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// `dataenvgym import`.
pub(super) fn run(paths: &Paths, args: &ImportArgs) -> Result<ExitCode> {
    let name = match &args.into {
        Some(name) => name.clone(),
        None => runs::fresh_name(paths, &plain(&args.path)),
    };
    if !is_plain(&name) {
        bail!(
            "`{}` is no name for a run; use letters, digits, `-`, `_` and `.`, and begin with a letter or digit",
            format::escaped(&name)
        );
    }
    if args.format == Some(Layout::Reference) && !args.path.is_dir() {
        bail!("an experiment of the reference is a folder with `iteration_<n>` folders in it");
    }
    if args.format == Some(Layout::Model) {
        bail!(
            "a model is no run: give its folder to `eval` or `chat` with --student, or to a run as `student.model`"
        );
    }
    let order = ImportOrder {
        path: args.path.clone(),
        format: args.format.and_then(Layout::format),
        place: paths.run(&name),
        name: name.clone(),
        seed: args.seed,
        created_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64),
    };
    let summary = import(&order)?;
    println!("run `{name}` in {}", order.place.display());
    println!(
        "{} instances, {} predictions, {} data, {} teacher calls",
        summary.instances, summary.predictions, summary.data, summary.teacher_calls
    );
    for note in &summary.notes {
        println!("note: {}", format::escaped(note));
    }
    println!("it can be looked at (`dataenvgym attach {name}`) and exported; it cannot be resumed");
    Ok(ExitCode::SUCCESS)
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

/// A name for a run from a path.
fn plain(path: &std::path::Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = absolute.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let kept: String =
        stem.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(48).collect();
    let kept = kept.trim_start_matches(['-', '_']);
    if kept.is_empty() { "imported".to_owned() } else { kept.to_owned() }
}
