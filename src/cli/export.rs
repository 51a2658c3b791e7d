//! `dataenvgym export`: training data, records and models of a run as files.

mod model;

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::eyre::{Result, bail};

use crate::config::Paths;
use crate::exchange::{
    Container, ExperimentOrder, ExportOrder, ExportSummary, Filter, Format, Images, Kind, Target, export,
    export_experiment, export_to,
};
use crate::gym::datum::Verdict;
use crate::store::DATABASE;

/// How a datum is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// `messages`: a chat with roles.
    Messages,
    /// `prompt` and `completion`.
    #[value(name = "prompt_completion", alias = "prompt-completion")]
    PromptCompletion,
    /// `instruction`, `input` and `output`.
    Alpaca,
    /// `conversations` of `from` and `value`.
    Sharegpt,
    /// `prompt`, `chosen` and `rejected`, of the data that are preference pairs.
    Preference,
    /// Everything a run holds, nothing lost; `import` makes a run of it again.
    Records,
    /// An experiment folder in the layout of the reference implementation: `iteration_<n>/` with its files.
    Reference,
    /// No data: the student of the selected iteration, or of `--iteration N`, as a whole Hugging Face model folder.
    Model,
}

impl Layout {
    /// The format of a row; experiments and models have none, they are folders.
    pub(super) fn format(self) -> Option<Format> {
        Some(match self {
            Self::Messages => Format::Messages,
            Self::PromptCompletion => Format::PromptCompletion,
            Self::Alpaca => Format::Alpaca,
            Self::Sharegpt => Format::Sharegpt,
            Self::Preference => Format::Preference,
            Self::Records => Format::Records,
            Self::Reference | Self::Model => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Into {
    /// Lines of JSON.
    Jsonl,
    /// Parquet files and a card, as a data set of the Hugging Face hub.
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pictures {
    /// Files beside lines of JSON, bytes inside Parquet.
    Files,
    /// Into the lines, as `data:` addresses.
    Inline,
    /// Left out.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Judged {
    Accepted,
    Rejected,
    Pending,
    All,
}

impl Judged {
    /// `None` is every verdict.
    fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Accepted => Some(Verdict::Accepted),
            Self::Rejected => Some(Verdict::Rejected),
            Self::Pending => Some(Verdict::Pending),
            Self::All => None,
        }
    }
}

/// What `export` can be told.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Name of the run.
    run: String,
    /// How a datum is laid out.
    #[arg(long, value_enum, default_value = "messages")]
    format: Layout,
    /// What rows are kept in.
    #[arg(long = "as", value_enum, default_value = "jsonl")]
    container: Into,
    /// Folder to make, or `-` for lines of JSON on standard output [default: in `exports/` of the run's folder].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace the folder if it exists.
    #[arg(long)]
    force: bool,
    /// Only data with this verdict [default: accepted; all for `records`].
    #[arg(long, value_enum)]
    verdict: Option<Judged>,
    /// Only data of these iterations: `3`, or `1-4`. May be repeated. For `model`: the iteration.
    #[arg(long = "iteration", value_name = "N", value_parser = iterations)]
    iterations: Vec<RangeInclusive<u32>>,
    /// Only data for this skill. May be repeated.
    #[arg(long = "skill", value_name = "NAME")]
    skills: Vec<String>,
    /// Leave out `ulid`, `skill`, `subskill`, `iteration` and `verdict`.
    #[arg(long)]
    no_metadata: bool,
    /// Where images go.
    #[arg(long, value_enum, default_value = "files")]
    images: Pictures,
    /// Only these records, for `--format records`: run, instances, predictions, data, `teacher_calls`,
    /// training, journal, reports, plans [default: all].
    #[arg(long, value_delimiter = ',', value_name = "KINDS", value_parser = kind)]
    only: Vec<Kind>,
    /// Copy the checkpoints too, for `--format reference`.
    #[arg(long)]
    checkpoints: bool,
    /// A Parquet file ends when it has so many MiB.
    #[arg(long, value_name = "MIB", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    shard_mib: u64,
}

fn iterations(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("expected a number or a range such as `1-4`".to_owned()),
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("expected one of {}", words.join(", "))
    })
}

/// `dataenvgym export`.
pub(super) fn run(paths: &Paths, args: ExportArgs) -> Result<ExitCode> {
    let folder = paths.run(&args.run);
    if !folder.join(DATABASE).exists() {
        bail!("no run `{}` in {}; `dataenvgym runs` lists what there is", args.run, paths.runs.display());
    }
    let Some(format) = args.format.format() else {
        return if args.format == Layout::Model {
            model::run(paths, &folder, args)
        } else {
            experiment(folder, args)
        };
    };
    if args.checkpoints {
        bail!("`--checkpoints` belongs to `--format reference`; other formats hold no checkpoints");
    }
    if !args.only.is_empty() && format != Format::Records {
        bail!("`--only` chooses among records; give `--format records` with it");
    }
    let container = if args.container == Into::Jsonl { Container::Jsonl } else { Container::Parquet };
    let order = ExportOrder {
        run: folder.clone(),
        format,
        container,
        metadata: !args.no_metadata,
        images: match args.images {
            Pictures::Files => Images::Files,
            Pictures::Inline => Images::Inline,
            Pictures::None => Images::None,
        },
        filter: Filter {
            verdict: args
                .verdict
                .map_or((format != Format::Records).then_some(Verdict::Accepted), Judged::verdict),
            iterations: args.iterations,
            skills: args.skills,
        },
        kinds: if args.only.is_empty() { Kind::ALL.to_vec() } else { args.only },
        shard_bytes: args.shard_mib << 20,
    };
    if args.out.as_deref().is_some_and(|out| out.as_os_str() == "-") {
        let summary = export_to(&order, &mut std::io::BufWriter::new(std::io::stdout().lock()))?;
        // Standard output belongs to the data.
        std::io::stderr().write_all(told(format, summary, "standard output").as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = if container == Container::Parquet { "-parquet" } else { "" };
    let place = args.out.unwrap_or_else(|| folder.join("exports").join(format!("{}{name}", format.as_str())));
    let place = std::path::absolute(&place)?;
    let summary = export(&order, &Target { folder: place.clone(), replace: args.force })?;
    print!("{}", told(format, summary, &place.display().to_string()));
    Ok(ExitCode::SUCCESS)
}

/// `export --format reference`.
fn experiment(run: PathBuf, args: ExportArgs) -> Result<ExitCode> {
    if args.container == Into::Parquet || args.out.as_deref().is_some_and(|out| out.as_os_str() == "-") {
        bail!(
            "an experiment of the reference is a folder of JSON lines; give a folder with --out, and no --as"
        );
    }
    if !args.only.is_empty() || args.no_metadata {
        bail!(
            "`--only` and `--no-metadata` do not go with `--format reference`: its records are what they are"
        );
    }
    let place = args.out.unwrap_or_else(|| run.join("exports").join("reference"));
    let place = std::path::absolute(&place)?;
    let order = ExperimentOrder {
        run,
        filter: Filter {
            verdict: args.verdict.map_or(Some(Verdict::Accepted), Judged::verdict),
            iterations: args.iterations,
            skills: args.skills,
        },
        images: args.images != Pictures::None,
        checkpoints: args.checkpoints,
    };
    let summary = export_experiment(&order, &Target { folder: place.clone(), replace: args.force })?;
    let ExportSummary { data, records, .. } = summary;
    println!("{data} data and {records} answers in {}", place.display());
    Ok(ExitCode::SUCCESS)
}

/// What a person is told.
fn told(format: Format, summary: ExportSummary, place: &str) -> String {
    let ExportSummary { data, no_pairs, records } = summary;
    let mut lines = vec![match format {
        Format::Records => format!("{data} data and {records} other records in {place}\n"),
        _ => format!("{data} data in {place}\n"),
    }];
    if no_pairs > 0 {
        lines.push(format!("{no_pairs} data left out: they have no rejected response and are no pair\n"));
    }
    if data == 0 && records == 0 {
        lines.push("nothing matches; `--verdict all` takes data that were not accepted too\n".to_owned());
    }
    lines.concat()
}
