//! The second pass: records into the database of the new run.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{About, Gathered, IMPORTED, ImportSummary, Item, beside, journal};
use crate::exchange::datum::Draft;
use crate::exchange::error::{ExchangeError, Spot};
use crate::exchange::image;
use crate::exchange::record::{Answered, Record};
use crate::exchange::table::Picture;
use crate::gym::datum::{JudgedDatum, Provenance, TrainingDatum, Verdict};
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::ports::Ledger;
use crate::gym::prediction::Prediction;
use crate::gym::report::UNSORTED;
use crate::gym::ulid::Ulid;
use crate::store::{RunRecord, Store};

/// Data without a round are put into rounds of so many.
const ROUND: usize = 10_000;
/// Predictions are committed so many at a time.
const BATCH: usize = 1_000;

/// Writes a run.
pub(super) struct Builder {
    store: Store,
    run: RunRecord,
    known: HashMap<Split, HashSet<String>>,
    summary: ImportSummary,
    /// The round being read.
    round: Option<(u32, u32)>,
    data: Vec<JudgedDatum>,
    /// Rounds already written.
    closed: HashSet<(u32, u32)>,
    /// Data without a round, by iteration.
    loose: BTreeMap<u32, Vec<JudgedDatum>>,
    next_round: HashMap<u32, u32>,
    ulids: HashSet<Ulid>,
    answered: Option<(u32, Split)>,
    predictions: Vec<Prediction>,
    /// Outcomes by iteration, for reports of runs without a journal.
    outcomes: BTreeMap<(u32, Split), HashMap<String, bool>>,
    counts: BTreeMap<(u32, u32), journal::Round>,
}

impl Builder {
    pub(super) fn new(store: Store, run: RunRecord, instances: &[TaskInstance]) -> Self {
        let mut known: HashMap<Split, HashSet<String>> = HashMap::new();
        for instance in instances {
            known.entry(instance.split).or_default().insert(instance.id.clone());
        }
        let summary = ImportSummary { instances: instances.len() as u64, ..ImportSummary::default() };
        Self {
            store,
            run,
            known,
            summary,
            round: None,
            data: Vec::new(),
            closed: HashSet::new(),
            loose: BTreeMap::new(),
            next_round: HashMap::new(),
            ulids: HashSet::new(),
            answered: None,
            predictions: Vec::new(),
            outcomes: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Takes an item of the second pass.
    pub(super) fn put(&mut self, spot: Spot<'_>, item: Item) -> Result<(), ExchangeError> {
        match item {
            Item::Draft(draft, round) => self.draft(spot, *draft, round),
            Item::Datum(judged, pictures) => {
                let images = self.pictures(spot, pictures)?;
                if !images.is_empty() && !same_files(&images, &judged.datum.images) {
                    return Err(spot.error("the images are not those of `image_references`; export it again"));
                }
                self.datum(spot, *judged)
            }
            Item::Record(record) => match *record {
                Record::Datum(judged) => self.datum(spot, judged),
                Record::Image(file) => {
                    let picture = Picture { path: Some(file.path), bytes: None };
                    let bytes = image::bytes_of(picture, beside(spot)).map_err(|m| spot.error(m))?;
                    let kept = self.store.put_image(&bytes, &file.image.media_type, file.image.size)?;
                    if kept == file.image {
                        Ok(())
                    } else {
                        Err(spot.error("the image is not that of its hash"))
                    }
                }
                Record::Prediction(answered) => self.prediction(spot, answered),
                Record::TeacherCall(call) => {
                    self.summary.teacher_calls += 1;
                    Ok(self.store.put_teacher_calls(&[call])?)
                }
                Record::Training(point) => {
                    Ok(self.store.put_training_progress(point.iteration, point.progress)?)
                }
                // Gathered by the first pass.
                Record::Run(_)
                | Record::Instance(_)
                | Record::Event(_)
                | Record::Report(_)
                | Record::Plan(_) => Ok(()),
            },
        }
    }

    /// Writes what is left, and the journal.
    pub(super) fn finish(
        mut self,
        gathered: &Gathered,
        about: &About,
    ) -> Result<ImportSummary, ExchangeError> {
        self.flush_predictions()?;
        self.flush_round()?;
        for (iteration, data) in std::mem::take(&mut self.loose) {
            self.flush_loose(iteration, &data)?;
        }
        self.summary.notes.extend(about.notes.iter().cloned());
        let history = journal::History {
            rules: &self.run.rules,
            gathered,
            outcomes: &self.outcomes,
            rounds: &self.counts,
            forests: &about.forests,
        };
        let notes = journal::write(&mut self.store, &history)?;
        self.summary.notes.extend(notes);
        Ok(self.summary)
    }

    fn draft(&mut self, spot: Spot<'_>, draft: Draft, round: Option<u32>) -> Result<(), ExchangeError> {
        let images = self.pictures(spot, draft.pictures)?;
        let iteration = draft.iteration.unwrap_or(1);
        let ulid = draft.ulid.map(|text| text.parse::<Ulid>()).transpose();
        let ulid = ulid.map_err(|e| spot.error(format!("`ulid`: {e}")))?;
        if let Some(ulid) = ulid
            && !self.ulids.insert(ulid)
        {
            return Err(spot.error(format!("the ULID {ulid} stands twice; remove one of the two")));
        }
        let place = match round {
            Some(round) => round,
            None => *self.next_round.entry(iteration).or_default(),
        };
        let length = match round {
            Some(_) => self.data.len(),
            None => self.loose.get(&iteration).map_or(0, Vec::len),
        };
        let id =
            ulid.map_or_else(|| format!("i{iteration:03}-r{place:03}-{length:05}"), |ulid| ulid.to_string());
        let judged = JudgedDatum {
            verdict: draft.verdict.unwrap_or(Verdict::Accepted),
            checks: draft.checks,
            review: None,
            datum: TrainingDatum {
                id,
                key: draft.instruction.split_whitespace().collect::<Vec<_>>().join(" "),
                instruction: draft.instruction,
                question: draft.question,
                response: draft.response,
                answer: draft.answer,
                rejected_response: draft.rejected_response,
                images,
                skill: draft.skill.unwrap_or_else(|| UNSORTED.to_owned()),
                subskill: draft.subskill.unwrap_or_default(),
                provenance: Provenance {
                    iteration,
                    round: place,
                    engine: IMPORTED.to_owned(),
                    allocation: 0,
                    draw: self.summary.data,
                    source_errors: Vec::new(),
                    source_instance: None,
                    teacher_call: None,
                },
            },
        };
        if round.is_some() {
            return self.datum(spot, judged);
        }
        self.summary.data += 1;
        let data = self.loose.entry(iteration).or_default();
        data.push(judged);
        if data.len() >= ROUND {
            let data = std::mem::take(data);
            self.flush_loose(iteration, &data)?;
        }
        Ok(())
    }

    fn flush_loose(&mut self, iteration: u32, data: &[JudgedDatum]) -> Result<(), ExchangeError> {
        if data.is_empty() {
            return Ok(());
        }
        let round = self.next_round.entry(iteration).or_default();
        let place = (iteration, *round);
        *round += 1;
        self.commit(place, data)
    }

    fn datum(&mut self, spot: Spot<'_>, judged: JudgedDatum) -> Result<(), ExchangeError> {
        let place = (judged.datum.provenance.iteration, judged.datum.provenance.round);
        if self.round != Some(place) {
            self.flush_round()?;
            if self.closed.contains(&place) {
                let (iteration, round) = place;
                return Err(spot.error(format!(
                    "round {round} of iteration {iteration} begins again; sort the data by iteration and round"
                )));
            }
            self.round = Some(place);
        }
        if self.data.last().is_some_and(|last| last.datum.id >= judged.datum.id)
            && self.data.iter().any(|other| other.datum.id == judged.datum.id)
        {
            let id = judged.datum.id.escape_debug();
            return Err(spot.error(format!("the datum `{id}` stands twice; remove one of the two")));
        }
        self.summary.data += 1;
        self.data.push(judged);
        Ok(())
    }

    fn flush_round(&mut self) -> Result<(), ExchangeError> {
        let Some(place) = self.round.take() else { return Ok(()) };
        self.closed.insert(place);
        let data = std::mem::take(&mut self.data);
        self.commit(place, &data)
    }

    fn commit(&mut self, place: (u32, u32), data: &[JudgedDatum]) -> Result<(), ExchangeError> {
        let counts = self.counts.entry(place).or_default();
        for judged in data {
            counts.add(judged);
        }
        Ok(self.store.put_data(place.0, place.1, data)?)
    }

    fn prediction(&mut self, spot: Spot<'_>, answered: Answered) -> Result<(), ExchangeError> {
        let place = (answered.iteration, answered.split);
        let id = &answered.prediction.instance_id;
        if !self.known.get(&answered.split).is_some_and(|ids| ids.contains(id)) {
            let (split, id) = (answered.split.as_str(), id.escape_debug());
            return Err(spot.error(format!(
                "it answers the {split} instance `{id}`, which the files do not hold; export the instances too"
            )));
        }
        if self.answered != Some(place) || self.predictions.len() >= BATCH {
            self.flush_predictions()?;
            self.answered = Some(place);
        }
        let outcomes = self.outcomes.entry(place).or_default();
        if outcomes.insert(id.clone(), answered.prediction.correct).is_some() {
            let id = id.escape_debug();
            return Err(spot.error(format!("the answer to `{id}` stands twice; remove one of the two")));
        }
        self.summary.predictions += 1;
        self.predictions.push(answered.prediction);
        Ok(())
    }

    fn flush_predictions(&mut self) -> Result<(), ExchangeError> {
        let Some((iteration, split)) = self.answered else { return Ok(()) };
        let predictions = std::mem::take(&mut self.predictions);
        Ok(self.store.put_predictions(iteration, split, &predictions)?)
    }

    fn pictures(&mut self, spot: Spot<'_>, pictures: Vec<Picture>) -> Result<Vec<ImageRef>, ExchangeError> {
        let mut images = Vec::new();
        for picture in pictures {
            let bytes = image::bytes_of(picture, beside(spot)).map_err(|m| spot.error(m))?;
            let (media_type, size) = image::facts(&bytes).map_err(|m| spot.error(m))?;
            images.push(self.store.put_image(&bytes, media_type, size)?);
        }
        Ok(images)
    }
}

fn same_files(a: &[ImageRef], b: &[ImageRef]) -> bool {
    a.iter().map(|image| &image.sha256).eq(b.iter().map(|image| &image.sha256))
}
