//! The read side: pages for the screen, everything for an export, from a read-only connection.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;

use super::access::{self, Access, Context, Seal};
use super::filters::{CallFilter, DataFilter, PredictionFilter, Selection};
use super::index::Shelf;
use super::listing::{self, At, Count, Patience, Slice};
use super::place::Place;
use super::shelves::Listed;
use super::{
    JournalEntry, Kind, PhaseTiming, RunRecord, ScoredPrediction, StoreError, journal, scan, schema, shelves,
    snapshot, wal,
};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Episode;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::TrainingProgress;
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::TeacherCall;

/// A read-only view of a run's database. Any number may be open beside the writer.
///
/// Every call sees one state of the database and holds it no longer than it lasts.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    context: Context,
    version: i64,
    /// Parts of the episode that were read before.
    known: RefCell<snapshot::Cache>,
    /// What the newest search read.
    searched: RefCell<scan::Memory>,
}

impl Reader {
    /// Opens a run's database for reading. One of an older schema is first brought to the current one.
    ///
    /// # Errors
    /// Names the file and what to do when it is damaged, of another program or of a newer schema.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let context = Context::new(folder);
        if !context.path.exists() {
            return Err(StoreError::NoRun(folder.to_owned()));
        }
        wal::verify(&context.path)?;
        let connection = access::reader(&context)?;
        if schema::version(&connection, &context)? < schema::CURRENT {
            drop(connection);
            schema::upgrade(&context)?;
            return Self::open(folder);
        }
        Ok(Self { connection, context, version: -1, known: RefCell::default(), searched: RefCell::default() })
    }

    /// Whether anything was committed since the last call; the first call says yes. Costs microseconds.
    pub fn changed(&mut self) -> Result<bool, StoreError> {
        let sql = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        let version: i64 = self.context.sql(sql)?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }

    /// What was fixed when the run was created.
    pub fn record(&self) -> Result<RunRecord, StoreError> {
        self.look(journal::record)
    }

    /// The episode as of the last committed event.
    pub fn episode(&self) -> Result<Episode, StoreError> {
        self.look(|access| Ok(snapshot::episode(access, &mut self.known.borrow_mut())?.1))
    }

    /// Number of training data that match.
    pub fn count_data(&self, filter: &DataFilter, patience: Patience<'_>) -> Result<Count, StoreError> {
        self.count(|access| filter.selection(access), patience)
    }

    /// A page of training data that match, newest iteration first, then in the order of their ids.
    pub fn data(
        &self,
        filter: &DataFilter,
        at: At,
        limit: usize,
        patience: Patience<'_>,
    ) -> Result<Slice<JudgedDatum>, StoreError> {
        self.slice(|access| filter.selection(access), at, limit, patience)
    }

    /// Every datum that matches, in the order of the ids, one at a time and verified.
    pub fn each_datum(&self, filter: &DataFilter, visit: impl FnMut(JudgedDatum)) -> Result<(), StoreError> {
        self.look(|access| listing::each_datum(access, filter, visit))
    }

    /// Number of predictions that match.
    pub fn count_predictions(
        &self,
        filter: &PredictionFilter,
        patience: Patience<'_>,
    ) -> Result<Count, StoreError> {
        self.count(|access| filter.selection(access), patience)
    }

    /// A page of predictions that match, in the order of the instances.
    pub fn predictions(
        &self,
        filter: &PredictionFilter,
        at: At,
        limit: usize,
        patience: Patience<'_>,
    ) -> Result<Slice<ScoredPrediction>, StoreError> {
        self.look(|access| {
            let (selection, mut searched) = (filter.selection(access)?, self.searched.borrow_mut());
            let page: Slice<Prediction> =
                listing::page(access, &selection, at, limit, patience, &mut searched)?;
            let mut rows = Vec::with_capacity(page.rows.len());
            for (place, prediction) in page.rows {
                let instance = instance(access, place.low())?;
                rows.push((place, ScoredPrediction { instance, prediction }));
            }
            Ok(Slice { rows, reached: page.reached })
        })
    }

    /// Every prediction of an iteration and split, in the order of the instances.
    pub fn each_prediction(
        &self,
        iteration: u32,
        split: Split,
        mut visit: impl FnMut(Prediction),
    ) -> Result<(), StoreError> {
        self.look(|access| listing::each_prediction(access, iteration, split, |_, found| visit(found)))
    }

    /// Every instance of a split, in order.
    pub fn each_instance(&self, split: Split, mut visit: impl FnMut(TaskInstance)) -> Result<(), StoreError> {
        self.look(|access| {
            instances(access, split, |_, found| {
                visit(found);
                ControlFlow::Continue(())
            })
        })
    }

    /// The subskills of a split's instances, and whether patience held for all instances.
    pub fn subskills(
        &self,
        split: Split,
        patience: Patience<'_>,
    ) -> Result<(BTreeSet<String>, bool), StoreError> {
        let (mut found, mut whole) = (BTreeSet::new(), true);
        self.look(|access| {
            instances(access, split, |_, instance| {
                found.extend(instance.subskill);
                whole = !patience.spent();
                if whole { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        })?;
        Ok((found, whole))
    }

    /// An instance by its id.
    pub fn instance(&self, split: Split, id: &str) -> Result<Option<TaskInstance>, StoreError> {
        self.look(|access| Ok(shelves::instance(access, split, id)?.map(|(_, found)| found)))
    }

    /// Every iteration's answer to one instance.
    pub fn answers(&self, split: Split, instance_id: &str) -> Result<Vec<(u32, Prediction)>, StoreError> {
        self.look(|access| match shelves::instance(access, split, instance_id)? {
            Some((low, _)) => listing::answers(access, low),
            None => Ok(Vec::new()),
        })
    }

    /// `(key, correct before, correct after)` for every instance of a split answered in both iterations.
    pub fn paired(
        &self,
        split: Split,
        before: u32,
        after: u32,
    ) -> Result<Vec<(String, bool, bool)>, StoreError> {
        self.look(|access| {
            let verdicts = |iteration| {
                let mut found: HashMap<i64, bool> = HashMap::new();
                listing::each_prediction(access, iteration, split, |place, prediction| {
                    found.insert(place.low(), prediction.correct);
                })?;
                Ok::<_, StoreError>(found)
            };
            let (before, after) = (verdicts(before)?, verdicts(after)?);
            let mut pairs = Vec::new();
            instances(access, split, |low, instance| {
                if let (Some(before), Some(after)) = (before.get(&low), after.get(&low)) {
                    pairs.push((instance.key, *before, *after));
                }
                ControlFlow::Continue(())
            })?;
            Ok(pairs)
        })
    }

    /// Number of teacher calls that match.
    pub fn count_teacher_calls(
        &self,
        filter: &CallFilter,
        patience: Patience<'_>,
    ) -> Result<Count, StoreError> {
        self.count(|access| filter.selection(access), patience)
    }

    /// A page of teacher calls that match, newest iteration first, then in the order in which they were made.
    pub fn teacher_calls(
        &self,
        filter: &CallFilter,
        at: At,
        limit: usize,
        patience: Patience<'_>,
    ) -> Result<Slice<TeacherCall>, StoreError> {
        self.slice(|access| filter.selection(access), at, limit, patience)
    }

    /// The teacher call of an id.
    pub fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, StoreError> {
        self.look(|access| listing::teacher_call(access, id))
    }

    /// The datum of an id.
    pub fn datum(&self, id: &str) -> Result<Option<JudgedDatum>, StoreError> {
        self.look(|access| listing::datum(access, id))
    }

    /// The values that training data have of a kind, with the number of data: what a filter can offer.
    pub fn data_values(&self, kind: Kind) -> Result<Vec<(String, u64)>, StoreError> {
        self.look(|access| super::index::values(access, Shelf::Datum, kind))
    }

    /// The same of predictions.
    pub fn prediction_values(&self, kind: Kind) -> Result<Vec<(String, u64)>, StoreError> {
        self.look(|access| super::index::values(access, Shelf::Prediction, kind))
    }

    /// The same of teacher calls.
    pub fn call_values(&self, kind: Kind) -> Result<Vec<(String, u64)>, StoreError> {
        self.look(|access| super::index::values(access, Shelf::TeacherCall, kind))
    }

    /// The training curve of an iteration, by optimiser step.
    pub fn training_curve(&self, iteration: u32) -> Result<Vec<TrainingProgress>, StoreError> {
        self.look(|access| journal::curve(access, iteration))
    }

    /// The points of that curve behind an optimiser step: what came since it was read.
    pub fn training_curve_after(
        &self,
        iteration: u32,
        step: u32,
    ) -> Result<Vec<TrainingProgress>, StoreError> {
        self.look(|access| journal::points(access, iteration, step.into()))
    }

    /// Number of the newest event in the journal.
    pub fn last_event(&self) -> Result<i64, StoreError> {
        self.look(|access| Ok(access.first(journal::SELECT_LAST_EVENT, [], |row| row.get(0))?.unwrap_or(0)))
    }

    /// Every phase with its times, in the order in which they began.
    pub fn timings(&self) -> Result<Vec<PhaseTiming>, StoreError> {
        self.look(journal::timings)
    }

    /// The newest `limit` entries of the journal, oldest first.
    pub fn journal(&self, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        self.look(|access| {
            let last = access.first(journal::SELECT_LAST_EVENT, [], |row| row.get::<_, i64>(0))?.unwrap_or(0);
            let mut entries = Vec::new();
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            journal::events(access, last.saturating_sub(limit).max(0) + 1, |entry| entries.push(entry))?;
            Ok(entries)
        })
    }

    fn count(
        &self,
        selection: impl FnOnce(Access<'_>) -> Result<Selection, StoreError>,
        patience: Patience<'_>,
    ) -> Result<Count, StoreError> {
        self.look(|access| {
            listing::count(access, &selection(access)?, patience, &mut self.searched.borrow_mut())
        })
    }

    fn slice<T: Listed>(
        &self,
        selection: impl FnOnce(Access<'_>) -> Result<Selection, StoreError>,
        at: At,
        limit: usize,
        patience: Patience<'_>,
    ) -> Result<Slice<T>, StoreError> {
        self.look(|access| {
            let selection = selection(access)?;
            listing::page(access, &selection, at, limit, patience, &mut self.searched.borrow_mut())
        })
    }

    /// Reads within one transaction, so that a commit of the writer never falls between two statements.
    fn look<T>(&self, read: impl FnOnce(Access<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.context.sql(self.connection.unchecked_transaction())?;
        read(Access::new(&transaction, &self.context))
    }
}

pub(super) const SELECT_INSTANCES: &str =
    "SELECT place, split, id, hash, record FROM instance WHERE place BETWEEN ?1 AND ?2 ORDER BY place";

type Row = (i64, String, String, Seal, String);

fn read_instance(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn verified(access: Access<'_>, (place, split, id, hash, text): &Row) -> Result<TaskInstance, StoreError> {
    access.verify("instance", *hash, &[*place], &[split, id, text])?;
    access.context.json("instance", text)
}

/// The instance at the iteration-less part of a place.
pub(super) fn instance(access: Access<'_>, place: i64) -> Result<TaskInstance, StoreError> {
    let found = access.first(SELECT_INSTANCES, (place, place), read_instance)?;
    let missing = || access.context.damaged("instance", format!("row {place} is missing"));
    verified(access, &found.ok_or_else(missing)?)
}

fn instances(
    access: Access<'_>,
    split: Split,
    mut visit: impl FnMut(i64, TaskInstance) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let first = Place::new(0, shelves::split_number(split), 0).map_or(0, Place::low);
    let range = (first, first + (1 << 23) - 1);
    access.each(SELECT_INSTANCES, range, read_instance, |row| Ok(visit(row.0, verified(access, &row)?)))
}
