//! `dataenvgym experiment`: makes the runs of a grid, drives them side by side, reports what they show.
//!
//! Every run is an ordinary run in a process of its own; the experiment only starts them. It may be stopped
//! and started at any time: finished runs stay, begun ones are resumed.

mod crew;
mod grid;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::{Result, WrapErr, bail};
use sha2::{Digest, Sha256};

use self::crew::{Crew, Ended};
use self::grid::{Cell, Grid};
use super::{RESUME_ME, format, report};
use crate::analysis::experiment::design::Design;
use crate::analysis::experiment::results::{Finished, Origin, Results};
use crate::config::Paths;
use crate::gym::hex::hex;
use crate::gym::statistics::Estimate;

/// The copy of the file that a begun experiment keeps.
const FILE: &str = "experiment.toml";
/// The folder with what it shows.
const REPORT: &str = "report";

/// What `experiment` can be told.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArgs {
    /// The experiment's file.
    file: PathBuf,
    /// Print the runs it would make and whether their configurations are sound, and stop.
    #[arg(long)]
    plan: bool,
    /// Report on what is finished, and run nothing.
    #[arg(long, conflicts_with = "plan")]
    report: bool,
    /// Runs at the same time [default: the file's].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Folder of the experiment with its runs [default: experiments/NAME beside the runs].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Also write the results as one JSON file, and beside it the tables (NAME.md, NAME-*.csv) and the figures
    /// (NAME-*.svg).
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
}

/// `dataenvgym experiment`.
pub(super) fn run(paths: &Paths, args: &ExperimentArgs) -> Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file)
        .wrap_err_with(|| format!("cannot read the experiment {}", args.file.display()))?;
    let design = Design::parse(&text, &args.file)?;
    let beside = paths.runs.parent().unwrap_or(&paths.runs).join("experiments");
    let folder = args.folder.clone().unwrap_or_else(|| beside.join(&design.name));
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    // Everything that can be wrong with an arm is found before the first run.
    let grid = Grid::new(paths, &design, &folder)?;
    if args.plan {
        plan(&design, &grid);
        return Ok(ExitCode::SUCCESS);
    }
    keep(&folder, &text, &args.file)?;
    // A folder that cannot be made is no news for after the last run.
    args.results.as_deref().map(place).transpose()?;
    let mut failed = Vec::new();
    if !args.report {
        let jobs = args.jobs.unwrap_or(design.jobs) as usize;
        let Some(found) = drive(&grid, &design, jobs)? else {
            println!("stopped; the same command goes on");
            return Ok(ExitCode::from(RESUME_ME));
        };
        failed = found;
    }
    conclude(&design, &grid, &folder, &text, args.results.as_deref())?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} runs did not finish; the same command tries them again:", failed.len());
    for name in &failed {
        eprintln!("  {name}: {}", grid.output(name).display());
    }
    Ok(ExitCode::FAILURE)
}

/// The grid in words.
fn plan(design: &Design, grid: &Grid) {
    println!("{}: {}", design.name, format::on_one_line(&design.question));
    let seeds = grid.seeds();
    println!(
        "{} arms x {} seeds = {} runs in {}",
        grid.arms(),
        seeds.len(),
        grid.cells().len(),
        grid.runs().display()
    );
    for arm in design.arms() {
        println!("  {}", arm.name);
    }
    for pairing in design.pairings() {
        let arms = design.arms();
        println!("compared: {} against {}", arms[pairing.arm].name, arms[pairing.against].name);
    }
}

/// A begun experiment goes on under the file it began with.
fn keep(folder: &Path, text: &str, file: &Path) -> Result<()> {
    let kept = folder.join(FILE);
    match std::fs::read_to_string(&kept) {
        Ok(before) if before == text => Ok(()),
        Ok(_) => bail!(
            "{} is not the file this experiment began with ({}): what is compared is fixed beforehand. Give the \
             changed one another `name`",
            file.display(),
            kept.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report::write(folder, &[(FILE.to_owned(), text.to_owned())])
        }
        Err(error) => Err(error).wrap_err_with(|| format!("cannot read {}", kept.display())),
    }
}

/// Runs every cell that is not finished; the names of those that did not finish, or `None` when it was
/// told to stop.
fn drive(grid: &Grid, design: &Design, jobs: usize) -> Result<Option<Vec<String>>> {
    let mut waiting: Vec<&Cell> =
        grid.cells().iter().filter(|cell| !grid.is_finished(&cell.name)).rev().collect();
    let all = grid.cells().len();
    let mut done = all - waiting.len();
    println!("{done} of {all} runs are finished; {jobs} at the same time");
    let mut crew = Crew::new(jobs, &design.devices)?;
    let mut failed = Vec::new();
    loop {
        while crew.has_room() && !crew.stopping() {
            let Some(cell) = waiting.pop() else { break };
            grid.prepare(cell)?;
            crew.start(grid, cell)?;
        }
        match crew.next(grid)? {
            Ended::Nothing if crew.stopping() => return Ok(None),
            Ended::Nothing => return Ok(Some(failed)),
            Ended::Run { name, success: true } => {
                done += 1;
                println!("[{done}/{all}] {name}: {}", gain_of(grid, &name)?);
            }
            Ended::Run { name, success: false } if !crew.stopping() => {
                println!("{name} did not finish: {}", grid.output(&name).display());
                failed.push(name);
            }
            Ended::Run { .. } => {}
        }
    }
}

/// The result of one run in a few words.
fn gain_of(grid: &Grid, name: &str) -> Result<String> {
    let facts = report::facts(&grid.runs().join(name))?;
    let score = crate::analysis::report::test_score(&facts.test);
    let words = |gain: Estimate| format!("{} on {} test questions", format::gain(&gain), gain.n);
    Ok(score.map_or_else(|| "no test answers".to_owned(), |score| words(score.paired_gain)))
}

/// Folder and name of the file with the results; the folder is there afterwards.
fn place(path: &Path) -> Result<(&Path, String)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = name.filter(|_| !path.is_dir()) else {
        bail!("`--results {}` is a folder; name a file in it, such as results.json", path.display())
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    Ok((folder, name))
}

/// Writes what there is.
fn conclude(design: &Design, grid: &Grid, folder: &Path, text: &str, json: Option<&Path>) -> Result<()> {
    let read = |cell: &Cell| -> Result<Finished> {
        let run = grid.runs().join(&cell.name);
        Ok(Finished {
            arm: cell.arm,
            seed: cell.seed,
            configuration_sha256: report::configuration_sha256(&run)?.unwrap_or_default(),
            facts: report::facts(&run)?,
        })
    };
    let finished: Vec<Finished> =
        grid.cells().iter().filter(|cell| grid.is_finished(&cell.name)).map(read).collect::<Result<_>>()?;
    let versions: BTreeSet<&str> = finished.iter().map(|run| run.facts.record.version.as_str()).collect();
    let origin = Origin {
        file_sha256: hex(Sha256::digest(text)),
        version: versions.into_iter().collect::<Vec<_>>().join(", "),
        machine: crate::probes::processor_name(),
    };
    let results = Results::new(design, origin, &finished);
    let written = format::json_lines(&results)?;
    let mut files = results.files();
    files.push(("results.json".to_owned(), written.clone()));
    let out = folder.join(REPORT);
    report::write(&out, &files)?;
    if let Some(path) = json {
        let (folder, name) = place(path)?;
        let stem = Path::new(&name).with_extension("").to_string_lossy().into_owned();
        let mut files = results.files_of(&stem);
        files.push((name, written));
        report::write(folder, &files)?;
    }
    for table in [results.arm_table(), results.contrast_table()].into_iter().filter(|table| !table.is_empty())
    {
        print!("\n{}", format::escaped(&table.text()));
    }
    println!("\nreport: {}", out.join("report.md").display());
    Ok(())
}
