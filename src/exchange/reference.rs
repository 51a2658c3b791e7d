//! Experiment folders of the reference system: `<experiment>/iteration_<n>/*.jsonl`.
//!
//! Its files are opened for appending, so that a second run, or the end of its accumulate-train loop,
//! leaves two generations of records in one file with no mark between them. They are told apart by the
//! instance that comes again, and every such case is reported.

mod beside;
mod completed;
mod experience;
mod training;
pub(super) mod write;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ExchangeError, Spot};
use super::import::{About, Item, Material, Visit};
use super::json::Lines;
use super::record::{Answered, ImageFile, Record};
use crate::gym::budget::Budget;
use crate::gym::datum::CheckResult;
use crate::gym::episode::EpisodeRules;
use crate::gym::instance::{Content, ImageRef, Split, TaskInstance};
use crate::gym::ports::EnvironmentKind;
use experience::Experiences;

const FOLDER: &str = "iteration_";
const DATA: &str = "training_data.jsonl";
/// Name of completed instances and of reports, per split. The older loop reports under another name.
const EVALUATED: [(Split, &str, &[&str]); 2] = [
    (Split::Validation, "completed_val_task_instances.jsonl", &["val_performance_reports.jsonl"]),
    (
        Split::Test,
        "completed_test_task_instances.jsonl",
        &["test_performance_reports.jsonl", "performance_reports.jsonl"],
    ),
];

/// Whether a folder is an experiment of the reference system.
pub(super) fn is_experiment(folder: &Path) -> Result<bool, ExchangeError> {
    Ok(!iterations(folder)?.is_empty())
}

fn iterations(folder: &Path) -> Result<BTreeMap<u32, PathBuf>, ExchangeError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(ExchangeError::io(folder))? {
        let entry = entry.map_err(ExchangeError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(Ok(n)) = name.strip_prefix(FOLDER).map(str::parse)
            && entry.path().is_dir()
        {
            found.insert(n, entry.path());
        }
    }
    Ok(found)
}

/// One file of completed instances and which of its generations is which evaluation.
#[derive(Debug, Clone)]
struct Evaluation {
    path: PathBuf,
    split: Split,
    /// Our iteration by generation; `None` is left out and was reported.
    iterations: Vec<Option<u32>>,
}

/// One file of training data with our place for it.
#[derive(Debug, Clone)]
struct Data {
    path: PathBuf,
    iteration: u32,
    round: u32,
}

/// An experiment.
#[derive(Debug)]
pub(super) struct Experiment {
    folder: PathBuf,
    evaluations: Vec<Evaluation>,
    data: Vec<Data>,
    experiences: Experiences,
    specifications: beside::Specifications,
    checks: HashMap<String, Vec<CheckResult>>,
    pictures: beside::Pictures,
    skills: beside::InstanceSkills,
    rules: EpisodeRules,
    notes: RefCell<BTreeSet<String>>,
}

impl Experiment {
    /// Looks at which files there are and how they fit together.
    ///
    /// # Errors
    /// When a file is damaged; the error names the line.
    pub(super) fn open(folder: &Path) -> Result<Self, ExchangeError> {
        let folders = iterations(folder)?;
        let mut notes = BTreeSet::new();
        let last = folders.keys().last().copied().unwrap_or(0);
        let gaps: Vec<String> =
            (0..last).filter(|n| !folders.contains_key(n)).map(|n| n.to_string()).collect();
        if !gaps.is_empty() {
            notes.insert(format!("iterations without a folder: {}", gaps.join(", ")));
        }
        // The accumulate-train loop evaluates before it writes data into the same folder; the episode
        // runner writes no data into the folder of iteration 0.
        let accumulates = folders.get(&0).is_some_and(|first| first.join(DATA).exists());
        let mut places = if accumulates { cycles(&folders)? } else { episode(&folders) };
        for evaluation in &mut places.0 {
            let lines = generations(&evaluation.path)?;
            place(evaluation, &lines, folder, &mut notes);
            compare_reports(evaluation, &lines, folder, &mut notes)?;
        }
        let (evaluations, data) = places;
        let experiences = Experiences::find(folder)?;
        let rules = rules(&evaluations, &data, !experiences.is_empty());
        Ok(Self {
            evaluations,
            data,
            experiences,
            specifications: beside::Specifications::find(folder)?,
            checks: beside::checks(folder)?,
            pictures: beside::pictures(folder)?,
            skills: beside::skills(folder)?,
            rules,
            notes: RefCell::new(notes),
            folder: folder.to_owned(),
        })
    }

    fn note(&self, text: String) {
        self.notes.borrow_mut().insert(text);
    }

    fn instances(&self, visit: Visit<'_>) -> Result<(), ExchangeError> {
        let mut known = HashSet::new();
        for evaluation in &self.evaluations {
            each::<completed::Completed>(&evaluation.path, &mut |spot, completed| {
                let mut instance = completed.instance(evaluation.split);
                if !known.insert((evaluation.split, instance.id.clone())) {
                    return Ok(());
                }
                if let Some((skill, subskill)) = self.skills.get(completed.own_id()) {
                    (instance.skill, instance.subskill) = (Some(skill.clone()), subskill.clone());
                }
                self.image(&mut instance, visit)?;
                visit(spot, Item::Record(Box::new(Record::Instance(instance))))
            })?;
        }
        Ok(())
    }

    /// Visits the image of a question, if it is kept anywhere, and refers the question to it.
    fn image(&self, instance: &mut TaskInstance, visit: Visit<'_>) -> Result<(), ExchangeError> {
        let Content::VisualQuestionAnswering { image, .. } = &mut instance.content else { return Ok(()) };
        let Some(kept) = self.pictures.get(&instance.id) else {
            self.note(
                "images of questions are lost: the reference leaves them out of the answers; put folders that \
                 its serialiser writes (records.jsonl and images/) below the experiment to keep them"
                    .into(),
            );
            return Ok(());
        };
        let (bytes, media_type, size) = beside::picture(kept)?;
        *image = ImageRef::of(&bytes, media_type, size);
        let file = ImageFile { image: image.clone(), path: kept.2.clone() };
        let spot = Spot { path: &kept.0, unit: "line", number: kept.1 };
        visit(spot, Item::Record(Box::new(Record::Image(file))))
    }

    fn data(
        &self,
        data: &Data,
        (seen, specified): (&mut HashSet<String>, &mut beside::Pass<'_>),
        visit: Visit<'_>,
    ) -> Result<(), ExchangeError> {
        each::<training::Datum>(&data.path, &mut |spot, datum| {
            if !seen.insert(datum.ulid.clone()) {
                self.note(format!(
                    "{}, line {}: the datum {} stands a second time and is imported once",
                    relative(spot.path, &self.folder),
                    spot.number,
                    datum.ulid.escape_debug()
                ));
                return Ok(());
            }
            let skills = self.experiences.place_of(&datum.ulid);
            let checks = self.checks.get(&datum.ulid).cloned().unwrap_or_default();
            let mut draft = datum.draft(data.iteration, skills).map_err(|message| spot.error(message))?;
            draft.checks = checks;
            let ulid = draft.ulid.as_deref().unwrap_or_default();
            if let Some(found) = specified.of(ulid, &draft.instruction, &draft.response) {
                // What is asked as it is has no question beside it.
                draft.question = found.question.filter(|question| *question != draft.instruction);
                draft.answer = found.answer;
                draft.subskill = draft.subskill.or(found.subskill);
            }
            visit(spot, Item::Draft(Box::new(draft), Some(data.round)))
        })
    }
}

/// The answers of the generations that have an iteration.
fn predictions(evaluation: &Evaluation, visit: Visit<'_>) -> Result<(), ExchangeError> {
    let (mut generation, mut seen) = (0, HashSet::new());
    let split = evaluation.split;
    each::<completed::Completed>(&evaluation.path, &mut |spot, completed| {
        let prediction = completed.prediction();
        if !seen.insert(prediction.instance_id.clone()) {
            generation += 1;
            seen = HashSet::from([prediction.instance_id.clone()]);
        }
        let Some(Some(iteration)) = evaluation.iterations.get(generation).copied() else { return Ok(()) };
        let answered = Answered { iteration, split, prediction };
        visit(spot, Item::Record(Box::new(Record::Prediction(answered))))
    })
}

impl Material for Experiment {
    fn each(&self, visit: Visit<'_>) -> Result<(), ExchangeError> {
        self.instances(&mut *visit)?;
        for evaluation in &self.evaluations {
            predictions(evaluation, &mut *visit)?;
        }
        let (mut seen, mut specified) = (HashSet::new(), self.specifications.pass());
        for data in &self.data {
            self.data(data, (&mut seen, &mut specified), &mut *visit)?;
        }
        if let Some(note) = specified.note() {
            self.note(note);
        }
        let places: Vec<(u32, u32)> = self.data.iter().map(|data| (data.iteration, data.round)).collect();
        self.experiences.plans(&places, visit)
    }

    fn about(&self) -> About {
        let places: Vec<(u32, u32)> = self.data.iter().map(|data| (data.iteration, data.round)).collect();
        let mut notes: Vec<String> = self.notes.borrow().iter().cloned().collect();
        notes.extend(self.experiences.note(&places));
        About { rules: self.rules.clone(), forests: self.experiences.forests(&places), notes }
    }
}

type Places = (Vec<Evaluation>, Vec<Data>);

fn files_of(folder: &Path, iterations: &[Option<u32>]) -> Vec<Evaluation> {
    let of = |(split, name, _): &(Split, &str, &[&str])| {
        let path = folder.join(name);
        path.exists().then(|| Evaluation { path, split: *split, iterations: iterations.to_vec() })
    };
    EVALUATED.iter().filter_map(of).collect()
}

/// The episode runner: iteration n is its data and the evaluation after training on them.
fn episode(folders: &BTreeMap<u32, PathBuf>) -> Places {
    let (mut evaluations, mut data) = (Vec::new(), Vec::new());
    for (&n, folder) in folders {
        evaluations.extend(files_of(folder, &[Some(n)]));
        let path = folder.join(DATA);
        if path.exists() {
            data.push(Data { path, iteration: n.max(1), round: 0 });
        }
    }
    (evaluations, data)
}

/// The accumulate-train loop: a folder with an evaluation begins a cycle, and its student is that of the
/// cycle before. The last folder also takes the evaluation after the last training.
fn cycles(folders: &BTreeMap<u32, PathBuf>) -> Result<Places, ExchangeError> {
    let (mut evaluations, mut data) = (Vec::new(), Vec::new());
    let (mut cycle, mut round) = (0, 0);
    let last = folders.keys().last();
    for (n, folder) in folders {
        let begins = folder.join(EVALUATED[0].1);
        let several = begins.exists() && generations(&begins)?.len() > 1;
        let is_last = Some(n) == last;
        let has_data = folder.join(DATA).exists();
        // In a last folder inside a cycle the only evaluation is the final one.
        let begins = begins.exists()
            && !(is_last && !several && *n > 0 && folders.len() > 1 && round_open(folders, *n));
        if begins {
            (cycle, round) = (cycle + 1, 0);
            let after = (is_last && has_data).then_some(cycle);
            let places: Vec<Option<u32>> = std::iter::once(Some(cycle - 1)).chain(after.map(Some)).collect();
            evaluations.extend(files_of(folder, &places));
        } else {
            round += 1;
            evaluations.extend(files_of(folder, &[Some(cycle)]));
        }
        if has_data {
            data.push(Data { path: folder.join(DATA), iteration: cycle.max(1), round });
        }
    }
    Ok((evaluations, data))
}

/// Whether the cycle goes on in folder `n`: the folder before it began none, or cycles are longer than one.
fn round_open(folders: &BTreeMap<u32, PathBuf>, n: u32) -> bool {
    let begins = |n: &u32| folders.get(n).is_some_and(|folder| folder.join(EVALUATED[0].1).exists());
    let beginnings: Vec<u32> = folders.keys().copied().filter(|k| *k < n && begins(k)).collect();
    match beginnings.as_slice() {
        [.., a, b] => n - b < b - a,
        [0] => true,
        _ => false,
    }
}

/// First and last line of each generation of a file of completed instances.
fn generations(path: &Path) -> Result<Vec<Generation>, ExchangeError> {
    let mut found: Vec<Generation> = Vec::new();
    let mut seen = HashSet::new();
    each::<completed::Completed>(path, &mut |spot, completed| {
        let id = completed.instance_id();
        if !seen.insert(id.clone()) || found.is_empty() {
            seen = HashSet::from([id]);
            found.push(Generation { first: spot.number, ..Generation::default() });
        }
        if let Some(generation) = found.last_mut() {
            generation.last = spot.number;
            let counts = generation.tasks.entry(completed.task_name().to_owned()).or_default();
            counts.0 += u32::from(completed.was_correct());
            counts.1 += 1;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Lines of one evaluation, and `(correct, all)` per task.
#[derive(Debug, Default)]
struct Generation {
    first: u64,
    last: u64,
    tasks: HashMap<String, (u32, u32)>,
}

/// Gives every generation its iteration, and reports what does not fit.
fn place(evaluation: &mut Evaluation, lines: &[Generation], folder: &Path, notes: &mut BTreeSet<String>) {
    let expected = evaluation.iterations.len();
    if lines.len() <= 1 && expected > 1 {
        let short = evaluation.iterations.drain(1..).flatten().map(|n| n.to_string()).collect::<Vec<_>>();
        let name = relative(&evaluation.path, folder);
        notes.insert(format!(
            "{name}: no evaluation after the last training (iteration {})",
            short.join(", ")
        ));
    }
    if lines.len() <= 1 {
        return;
    }
    let ranges: Vec<String> = lines.iter().map(|g| format!("{}-{}", g.first, g.last)).collect();
    let name = relative(&evaluation.path, folder);
    let ranges = ranges.join(", ");
    if lines.len() == expected {
        notes.insert(format!(
            "{name}: {expected} evaluations in one file (lines {ranges}): before the last training and after it"
        ));
        return;
    }
    // The files were appended to by another run; what it wrote last is whole.
    let surplus = lines.len() - expected;
    let kept = std::mem::take(&mut evaluation.iterations);
    evaluation.iterations = std::iter::repeat_n(None, surplus).chain(kept).collect();
    notes.insert(format!(
        "{name}: {} runs wrote into one file (lines {ranges}); only the last is imported",
        surplus + 1
    ));
}

/// A report of the reference, as far as it can be compared.
#[derive(Debug, Deserialize)]
struct TaskReport {
    task_name: String,
    overall_performance: f64,
    #[serde(default, rename = "slices")]
    _slices: Vec<SliceReport>,
}

/// A slice of a report; verified, and made again from the predictions.
#[derive(Debug, Deserialize)]
#[allow(dead_code)] // read so that a damaged one is found
struct SliceReport {
    slice_name: String,
    slice_relname: String,
    metric_name: String,
    metric_value: f64,
    #[serde(default)]
    children: Vec<SliceReport>,
    count: u64,
}

/// Says where a report does not agree with the answers beside it. Reports are made again from the answers.
fn compare_reports(
    evaluation: &Evaluation,
    lines: &[Generation],
    folder: &Path,
    notes: &mut BTreeSet<String>,
) -> Result<(), ExchangeError> {
    let names = EVALUATED.iter().find(|(split, ..)| *split == evaluation.split).map_or(&[][..], |e| e.2);
    let beside = evaluation.path.parent().unwrap_or(folder);
    for path in names.iter().map(|name| beside.join(name)).filter(|path| path.exists()) {
        let mut latest: BTreeMap<String, f64> = BTreeMap::new();
        each::<TaskReport>(&path, &mut |_, report| {
            latest.insert(report.task_name, report.overall_performance);
            Ok(())
        })?;
        for (task, said) in latest {
            let counts = lines.last().and_then(|generation| generation.tasks.get(&task));
            let found = counts.map(|(right, all)| f64::from(*right) / f64::from((*all).max(1)));
            if found.is_none_or(|found| (found - said).abs() > 1e-6) {
                let found = found.map_or("no answers".to_owned(), |found| format!("{found:.4}"));
                let (name, task) = (relative(&path, folder), task.escape_debug());
                notes.insert(format!(
                    "{name}: the report of `{task}` says {said:.4}, the answers say {found}"
                ));
            }
        }
    }
    Ok(())
}

fn rules(evaluations: &[Evaluation], data: &[Data], forest: bool) -> EpisodeRules {
    let of = |split| -> BTreeSet<u32> {
        let of = evaluations.iter().filter(|evaluation| evaluation.split == split);
        of.flat_map(|evaluation| evaluation.iterations.iter().flatten().copied()).collect()
    };
    let (validation, test) = (of(Split::Validation), of(Split::Test));
    EpisodeRules {
        environment: if forest { EnvironmentKind::SkillTree } else { EnvironmentKind::OpenEnded },
        budget: Budget { iterations: validation.last().copied().unwrap_or(0), ..Budget::default() },
        rounds: data.iter().map(|data| data.round + 1).max().unwrap_or(1),
        test_every_iteration: !test.is_empty() && validation.is_subset(&test),
        ..About::default().rules
    }
}

/// Visits the records of a file.
fn each<T: DeserializeOwned>(
    path: &Path,
    visit: &mut dyn FnMut(Spot<'_>, T) -> Result<(), ExchangeError>,
) -> Result<(), ExchangeError> {
    let file = File::open(path).map_err(ExchangeError::io(path))?;
    let mut lines = Lines::new(path, BufReader::with_capacity(1 << 20, file));
    while let Some((spot, value)) = lines.next()? {
        visit(spot, parsed(value).map_err(|message| spot.error(message))?)?;
    }
    Ok(())
}

fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| {
        format!("not a record that the reference system writes here: {e}; mend or remove this line")
    })
}

fn relative(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string().escape_debug().to_string()
}
