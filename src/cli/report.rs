//! `dataenvgym report` and `dataenvgym compare`: what was learned, as text, Markdown, JSON and files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::{Result, WrapErr, eyre};
use sha2::{Digest, Sha256};

use super::launch::CONFIG;
use super::table::contamination;
use super::{format, runs};
use crate::analysis::compare::{self, Comparison, Entrant};
use crate::analysis::facts::{RunFacts, World};
use crate::analysis::figure::Chart;
use crate::analysis::report::{Beside, Report};
use crate::config::Paths;
use crate::gym::hex::hex;
use crate::gym::instance::Split;
use crate::runner::residence::live_of;
use crate::store::{Reader, spending};
use crate::tasks::arithmetic;
use crate::worlds::arithmetic::read;

/// What `report` can be told.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Name of the run [default: the newest].
    run: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Also write report.md, report.json, figures as SVG and their numbers as CSV into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What `compare` can be told.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Names of the runs; every other one is compared with the first.
    #[arg(required = true, num_args = 2..)]
    runs: Vec<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Also write compare.md, compare.json, the figure, and the questions that only one run has right (items.csv) into
    /// this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// `dataenvgym report`.
pub(super) fn report(paths: &Paths, args: &ReportArgs) -> Result<ExitCode> {
    let folder = runs::find(paths, args.run.as_deref())?;
    let beside = Beside {
        spending: spending::read(&folder).map_err(|message| eyre!(message))?,
        configuration_sha256: configuration_sha256(&folder)?,
        contamination: contamination(&folder),
    };
    let report = Report::new(&facts(&folder)?, beside);
    let json = format::json_lines(&report)?;
    if let Some(out) = &args.out {
        let charts = [
            ("learning-curve", report.learning_curve()),
            ("gain-by-difficulty", report.gain_by_difficulty()),
        ];
        let mut files =
            vec![("report.md".to_owned(), report.markdown()), ("report.json".to_owned(), json.clone())];
        files.extend(drawn(charts));
        write(out, &files)?;
    }
    if args.json {
        print!("{json}");
    } else {
        print!("{}", format::escaped(&report.outcome()));
        let tables =
            [report.iteration_table(), report.skill_table(), report.slice_table(), report.endpoint_table()];
        for table in tables {
            if !table.is_empty() {
                print!("\n{}", format::escaped(&table.text()));
            }
        }
        say_where(args.out.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

/// `dataenvgym compare`.
pub(super) fn compare(paths: &Paths, args: &CompareArgs) -> Result<ExitCode> {
    let read = |name: &String| {
        let folder = runs::find(paths, Some(name))?;
        Ok(Entrant::read(&Reader::open(&live_of(&folder))?, Split::Test)?)
    };
    let runs: Vec<Entrant> = args.runs.iter().map(read).collect::<Result<_>>()?;
    let comparison = compare::compare(&runs, Split::Test)?;
    let json = format::json_lines(&comparison)?;
    if let Some(out) = &args.out {
        let mut files = vec![
            ("compare.md".to_owned(), markdown(&comparison)),
            ("compare.json".to_owned(), json.clone()),
            ("compare.csv".to_owned(), comparison.csv()),
            ("items.csv".to_owned(), comparison.items_csv()),
        ];
        files.extend(drawn([("differences", comparison.chart())]));
        write(out, &files)?;
    }
    if args.json {
        print!("{json}");
    } else {
        println!("{}", basis(&comparison));
        for table in [comparison.table(), comparison.skill_table()] {
            print!("\n{}", format::escaped(&table.text()));
        }
        say_where(args.out.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

/// What the comparison rests on.
fn basis(comparison: &Comparison) -> String {
    let Comparison { common, questions: (fewest, most), .. } = comparison;
    let all = if common == most { String::new() } else { format!(" (the runs have {fewest} to {most})") };
    format!(
        "{common} test questions in common{all}. Single runs: the intervals know the chance of the questions, \
         not that of the training; `dataenvgym experiment` repeats arms over seeds."
    )
}

fn markdown(comparison: &Comparison) -> String {
    format!(
        "# Comparison\n\n{}\n\n{}\n## Skills\n\n{}",
        basis(comparison),
        comparison.table().markdown(),
        comparison.skill_table().markdown()
    )
}

/// Reads a run for analysis.
pub(super) fn facts(folder: &Path) -> Result<RunFacts> {
    let reader = Reader::open(&live_of(folder))?;
    let world: World = |question| read(question).map(|reading| reading.answer);
    let world = (reader.record()?.task == arithmetic::NAME).then_some(world);
    Ok(RunFacts::read(&reader, world)?)
}

/// SHA-256 of a run's resolved configuration; an imported run has none.
pub(super) fn configuration_sha256(folder: &Path) -> Result<Option<String>> {
    match std::fs::read(folder.join(CONFIG)) {
        Ok(bytes) => Ok(Some(hex(Sha256::digest(bytes)))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot read {}", folder.join(CONFIG).display())),
    }
}

/// The files of charts that show something.
fn drawn<const N: usize>(charts: [(&str, Chart); N]) -> Vec<(String, String)> {
    let shown = charts.into_iter().filter(|(_, chart)| !chart.is_empty());
    shown.flat_map(|(name, c)| [(format!("{name}.svg"), c.svg()), (format!("{name}.csv"), c.csv())]).collect()
}

/// Writes the files of a report, each whole or not at all.
pub(super) fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    std::fs::create_dir_all(folder).wrap_err_with(|| format!("cannot create {}", folder.display()))?;
    for (name, text) in files {
        let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn say_where(out: Option<&Path>) {
    if let Some(out) = out {
        println!("\nwritten to {}", format::on_one_line(&out.display().to_string()));
    }
}
