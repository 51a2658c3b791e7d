//! Imports: from files to a run folder that can be looked at, exported and compared.
//!
//! An imported run has no configuration, so it cannot be resumed. The files are read twice: first every
//! record is verified and what a run needs at its start is gathered, then the rest is written. Held in
//! memory are the task instances, the journal, one round of data and 16 bytes per ULID; of the reference's folders
//! also what stands beside the data: specifications, checks, trees.

mod build;
mod input;
mod journal;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::datum::Draft;
use super::error::{ExchangeError, Spot};
use super::folder::NewFolder;
use super::format::Format;
use super::record::Record;
use super::table::Picture;
use crate::gym::budget::Budget;
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::{EpisodeRules, Event};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::EnvironmentKind;
use crate::gym::report::Report;
use crate::gym::skill_forest::SkillForest;
use crate::store::{RunRecord, Store};

use build::Builder;

/// Name of the data generation engine, policy and student of what was imported.
const IMPORTED: &str = "import";

/// What to import, and into which run.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// A file, an export's folder, or an experiment folder of the reference system.
    pub path: PathBuf,
    /// The format of training data; recognised by the keys when it is not given.
    pub format: Option<Format>,
    /// Name of the run.
    pub name: String,
    /// Folder of the run, to be made.
    pub place: PathBuf,
    /// Seed of a run whose files do not say: it names the ULIDs of later exports.
    pub seed: u64,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// What an import came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Task instances.
    pub instances: u64,
    /// Predictions.
    pub predictions: u64,
    /// Training data.
    pub data: u64,
    /// Teacher calls.
    pub teacher_calls: u64,
    /// What a person should know: repetitions, gaps, what could not be placed.
    pub notes: Vec<String>,
}

/// One thing that a file says.
#[derive(Debug)]
pub(super) enum Item {
    /// One of our records.
    Record(Box<Record>),
    /// One of our data from a table, with its images.
    Datum(Box<JudgedDatum>, Vec<Picture>),
    /// Another program's datum; with its round where that is known.
    Draft(Box<Draft>, Option<u32>),
}

/// Takes an item with the place where it stands.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Spot<'_>, Item) -> Result<(), ExchangeError>;

/// Files that can be imported.
pub(super) trait Material {
    /// Visits everything, the same in every pass.
    fn each(&self, visit: Visit<'_>) -> Result<(), ExchangeError>;
    /// What the files as a whole say of the run.
    fn about(&self) -> About {
        About::default()
    }
}

/// What is known of a run beside its records.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// Rules of the episode, where there is no record of the run.
    pub(super) rules: EpisodeRules,
    /// The forest after each `(iteration, round)`.
    pub(super) forests: BTreeMap<(u32, u32), SkillForest>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

impl Default for About {
    fn default() -> Self {
        let rules = EpisodeRules {
            environment: EnvironmentKind::default(),
            budget: Budget::default(),
            rounds: 1,
            test_every_iteration: false,
            gates: BTreeSet::new(),
            retries: 0,
        };
        Self { rules, forests: BTreeMap::new(), notes: Vec::new() }
    }
}

/// What the first pass gathers.
#[derive(Debug, Default)]
struct Gathered {
    run: Option<RunRecord>,
    instances: Vec<TaskInstance>,
    events: Vec<Event>,
    plans: BTreeMap<(u32, u32), Plan>,
    reports: BTreeMap<(u32, Split), Report>,
}

/// Imports into a new run folder, which appears whole or not at all.
///
/// # Errors
/// When a record is damaged (file, line, what is wrong and what to do) or the folder cannot be made.
pub fn import(order: &ImportOrder) -> Result<ImportSummary, ExchangeError> {
    if order.place.exists() {
        let message = format!("a run `{}` exists already; choose another name with --into", order.name);
        return Err(ExchangeError::file(&order.place, message));
    }
    let material = input::open(&order.path, order.format)?;
    let gathered = gather(material.as_ref())?;
    let run = run_record(order, &gathered, &material.about());
    let folder = NewFolder::begin(&order.place, false)?;
    let store = Store::create(folder.path(), &run, &gathered.instances)?;
    let mut builder = Builder::new(store, run, &gathered.instances);
    material.each(&mut |spot, item| builder.put(spot, item))?;
    let mut summary = builder.finish(&gathered, &material.about())?;
    folder.finish()?;
    if summary.instances + summary.data + summary.predictions == 0 {
        summary.notes.push("the files hold no record".to_owned());
    }
    Ok(summary)
}

fn gather(material: &dyn Material) -> Result<Gathered, ExchangeError> {
    let mut gathered = Gathered::default();
    let mut known = std::collections::HashSet::new();
    material.each(&mut |spot, item| {
        let Item::Record(record) = item else { return Ok(()) };
        match *record {
            Record::Run(_) if gathered.run.is_some() => {
                return Err(spot.error("a second run begins here; split the file and import each part"));
            }
            Record::Run(run) => gathered.run = Some(run),
            Record::Instance(instance) => {
                if !known.insert((instance.split, instance.id.clone())) {
                    let (split, id) = (instance.split.as_str(), instance.id.escape_debug());
                    return Err(spot.error(format!("the {split} instance `{id}` stands twice; remove one")));
                }
                gathered.instances.push(instance);
            }
            Record::Event(event) => gathered.events.push(event),
            Record::Plan(plan) => drop(gathered.plans.insert((plan.iteration, plan.round), plan)),
            Record::Report(report) => {
                gathered.reports.insert((report.iteration, report.split), report);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(gathered)
}

fn run_record(order: &ImportOrder, gathered: &Gathered, about: &About) -> RunRecord {
    let named =
        |run: &RunRecord| RunRecord { name: order.name.clone(), created_ms: order.created_ms, ..run.clone() };
    gathered.run.as_ref().map_or_else(
        || RunRecord {
            name: order.name.clone(),
            task: gathered.instances.first().map_or(IMPORTED, |instance| &instance.task).to_owned(),
            policy: IMPORTED.to_owned(),
            engine: IMPORTED.to_owned(),
            student: IMPORTED.to_owned(),
            seed: order.seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: about.rules.clone(),
            created_ms: order.created_ms,
        },
        named,
    )
}

/// The folder in which a file's images lie.
fn beside(spot: Spot<'_>) -> &Path {
    spot.path.parent().unwrap_or(Path::new(""))
}
