//! A run as an experiment folder of the reference system, written once instead of appended to.
//!
//! An episode with one round per iteration has the folders of its episode runner; one with several has those of
//! its accumulate-train loop, in which a cycle's folders are its rounds, and the evaluation that ends a cycle
//! stands in the first folder of the next one, or in the last folder of all.
//!
//! What its records have no place for is left out: tokens, journal, teacher calls, rejected data, the pool,
//! tests of programs, descriptions of tools, checks other than `form` and `known`. Exports of records keep
//! everything.

mod answers;
mod experiences;
mod lines;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{DATA, EVALUATED, FOLDER};
use crate::exchange::error::ExchangeError;
use crate::exchange::export::{ExportSummary, Target};
use crate::exchange::folder::{NewFile, NewFolder, put};
use crate::exchange::json;
use crate::exchange::record::{Kind, Record};
use crate::exchange::source::{Filter, Source};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Episode;
use crate::gym::instance::{Content, Domain, Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::ports::{Checkpoint, EnvironmentKind};
use crate::gym::ulid::Ulid;
use experiences::Grown;
use lines::{Hypothesis, TheirDatum, TheirSpec};

/// What to export as an experiment.
#[derive(Debug, Clone)]
pub struct ExperimentOrder {
    /// The run's folder.
    pub run: PathBuf,
    /// Which data.
    pub filter: Filter,
    /// Whether images are written.
    pub images: bool,
    /// Whether the checkpoints are copied.
    pub checkpoints: bool,
}

/// Exports a run into an experiment folder, which appears whole or not at all. Held in memory are the task
/// instances, the answers of one evaluation, and the ULIDs of the data.
///
/// # Errors
/// When the run cannot be read, the folder cannot be written or exists, or a datum has several images, for
/// which the reference's records have no place.
pub fn export_experiment(order: &ExperimentOrder, target: &Target) -> Result<ExportSummary, ExchangeError> {
    let source = Source::open(&order.run)?;
    let folder = NewFolder::begin(&target.folder, target.replace)?;
    let mut instances = Vec::new();
    source.each_record(Kind::Instances, &mut |_, record| {
        if let Record::Instance(instance) = record {
            instances.push(instance);
        }
        Ok(())
    })?;
    let episode = source.episode()?;
    let places = Places::new(&episode);
    let mut writer = Writer {
        order,
        source: &source,
        root: folder.path(),
        episode,
        places,
        files: Files::default(),
        summary: ExportSummary::default(),
    };
    writer.answers(&instances)?;
    writer.data(instances.first().map_or(Domain::Mathematics, domain))?;
    if order.checkpoints {
        writer.checkpoints()?;
    }
    let summary = writer.summary;
    folder.finish()?;
    Ok(summary)
}

fn domain(instance: &TaskInstance) -> Domain {
    match instance.content {
        Content::Mathematics { .. } => Domain::Mathematics,
        Content::Programming { .. } => Domain::Programming,
        Content::VisualQuestionAnswering { .. } => Domain::VisualQuestionAnswering,
        Content::ToolUse { .. } => Domain::ToolUse,
    }
}

/// Which folder holds what.
#[derive(Debug)]
struct Places {
    rounds: u32,
    /// The last round of every iteration that has one.
    last: BTreeMap<u32, u32>,
}

impl Places {
    fn new(episode: &Episode) -> Self {
        let plans = episode.iterations.iter().flat_map(|row| &row.plans);
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for plan in plans {
            let round = last.entry(plan.iteration).or_default();
            *round = plan.round.max(*round);
        }
        let rounds = last.values().max().map_or(1, |round| round + 1).max(episode.rules.rounds);
        Self { rounds, last }
    }

    /// Number of the folder of a round's data.
    fn data(&self, iteration: u32, round: u32) -> u32 {
        if self.rounds == 1 { iteration } else { iteration.saturating_sub(1) * self.rounds + round }
    }

    /// Number of the folder of an evaluation.
    fn evaluation(&self, iteration: u32) -> u32 {
        if self.rounds == 1 {
            return iteration;
        }
        match (self.last.contains_key(&(iteration + 1)), self.last.get(&iteration)) {
            (true, _) | (false, None) => iteration * self.rounds,
            (false, Some(round)) => self.data(iteration, *round),
        }
    }
}

/// Files of lines. A file that was finished is gone on with.
#[derive(Debug, Default)]
struct Files {
    open: BTreeMap<PathBuf, NewFile>,
    begun: HashMap<PathBuf, u64>,
}

impl Files {
    /// The file exists, whether it gets lines or not.
    fn begin(&mut self, path: &Path) -> Result<&mut NewFile, ExchangeError> {
        if !self.open.contains_key(path) {
            let begun = self.begun.contains_key(path);
            let file = if begun { NewFile::append(path)? } else { NewFile::create(path)? };
            self.begun.entry(path.to_owned()).or_default();
            self.open.insert(path.to_owned(), file);
        }
        self.open.get_mut(path).ok_or_else(|| ExchangeError::file(path, "it is not open"))
    }

    fn line(&mut self, path: &Path, line: &impl Serialize) -> Result<(), ExchangeError> {
        let text = json::text(line)?;
        let file = self.begin(path)?;
        file.write(text.as_bytes())?;
        file.write(b"\n")
    }

    fn close(&mut self) -> Result<(), ExchangeError> {
        std::mem::take(&mut self.open).into_values().try_for_each(NewFile::finish)
    }
}

/// An export in the making.
struct Writer<'a> {
    order: &'a ExperimentOrder,
    source: &'a Source,
    root: &'a Path,
    episode: Episode,
    places: Places,
    files: Files,
    summary: ExportSummary,
}

impl Writer<'_> {
    fn folder(&self, number: u32) -> PathBuf {
        self.root.join(format!("{FOLDER}{number}"))
    }

    /// The training data with what specified and checked them, and the trees they belong to.
    fn data(&mut self, domain: Domain) -> Result<(), ExchangeError> {
        let trees = self.episode.rules.environment == EnvironmentKind::SkillTree;
        let (source, order) = (self.source, self.order);
        let mut grown = Grown::default();
        let mut group: Option<Group> = None;
        let mut iteration = 0;
        source.each_datum(&order.filter, &mut |ulid, judged| {
            let from = &judged.datum.provenance;
            if from.iteration != iteration {
                iteration = from.iteration;
                self.files.close()?;
            }
            let folder = self.folder(self.places.data(from.iteration, from.round));
            let image = self.image(&judged)?;
            let line = TheirDatum::new(ulid, &judged.datum, image, trees);
            self.files.line(&folder.join(DATA), &line)?;
            self.summary.data += 1;
            if let Some((check, value)) = lines::quality(source.seed(), ulid, &judged, domain)? {
                grown.checked(&judged, check);
                let line = lines::Cached { key: check, value };
                self.files.line(&self.root.join("quality_check_cache.jsonl"), &line)?;
            }
            grown.made(&judged, ulid);
            let place = (from.iteration, from.round, judged.datum.subskill.clone());
            let spec = TheirSpec::new(ulid, &judged.datum, domain);
            match &mut group {
                Some(group) if group.place == place => group.specs.push(spec),
                group => {
                    if let Some(done) = group.replace(Group { place, specs: vec![spec] }) {
                        self.specified(done)?;
                    }
                }
            }
            Ok(())
        })?;
        if let Some(done) = group {
            self.specified(done)?;
        }
        let planned: Vec<(u32, u32)> =
            self.episode.iterations.iter().flat_map(|row| &row.plans).map(place).collect();
        for (iteration, round) in planned {
            // A round without data, as the reference's writer leaves it.
            let path = self.folder(self.places.data(iteration, round)).join(DATA);
            self.files.begin(&path)?;
        }
        self.files.close()?;
        if trees {
            self.experiences(&grown)?;
        }
        Ok(())
    }

    fn specified(
        &mut self,
        Group { place: (iteration, round, subskill), specs }: Group,
    ) -> Result<(), ExchangeError> {
        let number = self.places.data(iteration, round);
        let name = format!("data_for_generation_generation_{number}.jsonl");
        let path = self.root.join("data_strategy_outputs").join(name);
        if subskill.is_empty() {
            return specs.iter().try_for_each(|spec| self.files.line(&path, spec));
        }
        self.files.line(&path, &Hypothesis { inferred_weak_skill: subskill, data_specs: specs })
    }

    fn image(&self, judged: &JudgedDatum) -> Result<Option<Vec<u8>>, ExchangeError> {
        match judged.datum.images.as_slice() {
            [image] if self.order.images => Ok(Some(self.source.image(image)?)),
            [_, _, ..] if self.order.images => Err(ExchangeError::Asked(format!(
                "the datum `{}` has {} images, and a record of the reference holds one; leave images out \
                 (`--images none`), or choose another format",
                judged.datum.id.escape_debug(),
                judged.datum.images.len()
            ))),
            _ => Ok(None),
        }
    }

    /// Copies what training wrote beside the iteration it was evaluated in.
    fn checkpoints(&self) -> Result<(), ExchangeError> {
        for (iteration, _) in (0_u32..).zip(&self.episode.iterations).skip(1) {
            let Some(trained) = self.episode.training_at(iteration) else { continue };
            let from = match &trained.checkpoint {
                Checkpoint::Full { folder } => folder,
                Checkpoint::Adapter { adapter, .. } => adapter,
            };
            let from = if from.is_absolute() { from.clone() } else { self.order.run.join(from) };
            let number = match self.places.last.get(&iteration) {
                Some(round) => self.places.data(iteration, *round),
                None => continue,
            };
            copy(&from, &self.folder(number).join("trainable_predictor"))?;
        }
        Ok(())
    }
}

/// Specifications of data with one place.
struct Group {
    place: (u32, u32, String),
    specs: Vec<TheirSpec>,
}

fn place(plan: &Plan) -> (u32, u32) {
    (plan.iteration, plan.round)
}

fn copy(from: &Path, to: &Path) -> Result<(), ExchangeError> {
    fs::create_dir_all(to).map_err(ExchangeError::io(to))?;
    for entry in fs::read_dir(from).map_err(ExchangeError::io(from))? {
        let path = entry.map_err(ExchangeError::io(from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(ExchangeError::io(&path))?;
        }
    }
    Ok(())
}

/// A file name that an id from outside may give: itself where it is plain, otherwise its hash.
fn plain(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.len() <= 100 && id.chars().all(plain) {
        id.to_owned()
    } else {
        Ulid::derived(0, 0, id).to_string()
    }
}

/// The name that its files give to a split.
fn word(split: Split) -> &'static str {
    match split {
        Split::Validation => "val",
        Split::Test => "test",
        Split::Pool => "pool",
    }
}

/// The files of answers and reports of a split.
fn names(split: Split) -> Option<(&'static str, &'static str)> {
    EVALUATED
        .iter()
        .find(|(of, ..)| *of == split)
        .and_then(|(_, answers, reports)| Some((*answers, *reports.first()?)))
}

/// Writes a text as a whole file.
fn whole(path: &Path, text: &str) -> Result<(), ExchangeError> {
    put(path, text.as_bytes())
}
