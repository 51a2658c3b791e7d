//! The write side: the journal and the ledger of one run.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};

use super::access::{self, Access, Context};
use super::check::{self, Beside};
use super::filters::DataFilter;
use super::listing;
use super::{
    DATABASE, PhaseTiming, Request, RunRecord, StoreError, artifacts, journal, schema, shelves, snapshot, wal,
};
use crate::faults::{self, Span};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Episode, Event, Work};
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::ports::{Ledger, PortError, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::review::DataSelection;
use crate::gym::teacher_call::TeacherCall;

const CREATE: Span = Span::new("store.create.before", "store.create.after");
const APPEND: Span = Span::new("store.append.before", "store.append.after");
const REVIEW: Span = Span::new("store.review.before", "store.review.after");
const BEGIN: Span = Span::new("store.begin.before", "store.begin.after");
const END: Span = Span::new("store.end.before", "store.end.after");
const PREDICTIONS: Span = Span::new("store.predictions.before", "store.predictions.after");
const DATA: Span = Span::new("store.data.before", "store.data.after");
const CALLS: Span = Span::new("store.calls.before", "store.calls.after");
const SKILLS: Span = Span::new("store.skills.before", "store.skills.after");
const PROGRESS: Span = Span::new("store.progress.before", "store.progress.after");

/// The one writer of a run's database. Whoever holds it holds the run's lock.
#[derive(Debug)]
pub struct Store {
    /// Before the connection, so that this one is the last to close and leaves no log behind.
    beside: Option<Beside>,
    connection: Connection,
    context: Context,
    folder: PathBuf,
    /// The last event and the episode after it, as stored.
    last: Option<(i64, Episode)>,
}

impl Store {
    /// Makes the database of a new run in `folder`, which is created. It gets its name when it is whole, so
    /// that neither a client nor a kill ever meets half of one; the episode's snapshot is in it from the
    /// first moment.
    pub fn create(folder: &Path, record: &RunRecord, instances: &[TaskInstance]) -> Result<Self, StoreError> {
        let path = folder.join(DATABASE);
        if path.exists() {
            return Err(StoreError::Exists(folder.to_owned()));
        }
        let io = |source| StoreError::Io { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let unfinished = folder.join(format!("{DATABASE}.new"));
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // What an earlier attempt left behind; there is nothing in it that anybody was shown.
            let _ = std::fs::remove_file(format!("{}{suffix}", unfinished.display()));
        }
        let context = Context { path: unfinished.clone() };
        let mut connection = access::writer(&context)?;
        access::log_ahead(&connection, &context)?;
        schema::create(&mut connection, &context)?;
        let mut store = Self { beside: None, connection, context, folder: folder.to_owned(), last: None };
        // Nothing of this is there before the file has its name.
        store.change(None, |access| {
            journal::put_record(access, record)?;
            snapshot::put(access, 0, None, &Episode::new(record.rules.clone()))?;
            shelves::put_instances(access, instances)
        })?;
        // Closing moves everything from the write-ahead log into the file.
        let Self { connection, .. } = store;
        let closed = connection.close();
        closed.map_err(|(_, source)| StoreError::Database { path: unfinished.clone(), source })?;
        CREATE.around(|| std::fs::rename(&unfinished, &path)).map_err(io)?;
        Self::open(folder)
    }

    /// Opens the database of an existing run for writing. One of an older schema is brought to the current one.
    ///
    /// # Errors
    /// Names the file and what to do when it is damaged, of another program or of a newer schema.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let context = Context::new(folder);
        if !context.path.exists() {
            return Err(StoreError::NoRun(folder.to_owned()));
        }
        wal::verify(&context.path)?;
        // A log that was not moved into the file was left by a process that did not end by itself.
        let left =
            std::fs::metadata(format!("{}-wal", context.path.display())).is_ok_and(|log| log.len() > 0);
        let connection = access::writer(&context)?;
        if schema::version(&connection, &context)? < schema::CURRENT {
            drop(connection);
            schema::upgrade(&context)?;
            return Self::open(folder);
        }
        access::log_ahead(&connection, &context)?;
        let mut beside = None;
        if left {
            check::first(&connection, &context)?;
            beside = Some(Beside::start(&context)?);
        }
        Ok(Self { beside, connection, context, folder: folder.to_owned(), last: None })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was fixed when the run was created.
    pub fn record(&self) -> Result<RunRecord, StoreError> {
        journal::record(self.access())
    }

    /// The episode as of the last event.
    pub fn replay(&self) -> Result<Episode, StoreError> {
        Ok(snapshot::episode(self.access(), &mut snapshot::Cache::default())?.1)
    }

    /// The episode folded from the whole journal: the same as [`Store::replay`], found the long way.
    pub fn refold(&self) -> Result<Episode, StoreError> {
        let mut episode = Episode::new(self.record()?.rules);
        journal::events(self.access(), 1, |entry| drop(episode.handle(entry.event)))?;
        Ok(episode)
    }

    /// Whether the command of this request is in the journal.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn is_journalled(&self, request: &str) -> Result<bool, StoreError> {
        journal::is_journalled(self.access(), request)
    }

    /// Commits an event and the state after it, together.
    pub fn append(&mut self, event: &Event, after: &Episode) -> Result<(), StoreError> {
        self.append_asked(event, after, None)
    }

    /// Commits an event, who asked for it and the state after it, together.
    pub fn append_asked(
        &mut self,
        event: &Event,
        after: &Episode,
        request: Option<&Request>,
    ) -> Result<(), StoreError> {
        self.commit_event(APPEND, event, after, &[], request)
    }

    /// Commits a review: the event, who asked for it, the state after it and the changed data, together.
    pub fn append_review(
        &mut self,
        event: &Event,
        after: &Episode,
        data: &[JudgedDatum],
        request: Option<&Request>,
    ) -> Result<(), StoreError> {
        self.commit_event(REVIEW, event, after, data, request)
    }

    fn commit_event(
        &mut self,
        span: Span,
        event: &Event,
        after: &Episode,
        data: &[JudgedDatum],
        request: Option<&Request>,
    ) -> Result<(), StoreError> {
        let (last, before) = match self.last.take() {
            Some(last) => last,
            None => snapshot::episode(self.access(), &mut snapshot::Cache::default())?,
        };
        self.change(Some(span), |access| {
            shelves::change_data(access, data)?;
            journal::put_event(access, last + 1, now_ms(), event, request)?;
            snapshot::put(access, last + 1, Some(&before), after)
        })?;
        self.last = Some((last + 1, after.clone()));
        Ok(())
    }

    /// Notes the start of a phase; a repeated start overwrites the first.
    pub fn begin(&mut self, work: Work) -> Result<(), StoreError> {
        self.change(Some(BEGIN), |access| journal::put_timing(access, &timing(work, None)))
    }

    /// Notes the end of a phase.
    pub fn end(&mut self, work: Work) -> Result<(), StoreError> {
        self.change(Some(END), |access| journal::end_timing(access, &timing(work, Some(now_ms()))))
    }

    /// Waits for the check that goes on after an unclean end.
    #[cfg(test)]
    pub(super) fn checked(&mut self) -> Result<(), StoreError> {
        if let Some(beside) = &mut self.beside {
            beside.wait();
            beside.passed(&self.context)?;
        }
        Ok(())
    }

    fn access(&self) -> Access<'_> {
        Access::new(&self.connection, &self.context)
    }

    /// Carries out changes together or not at all. Every change of a run that is there lies within a span, so
    /// that a test can end the process on either side of it.
    fn change(
        &mut self,
        span: Option<Span>,
        act: impl FnOnce(Access<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(beside) = &self.beside {
            beside.passed(&self.context)?;
        }
        let commit = || {
            let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
            let transaction = self.context.sql(begun)?;
            act(Access::new(&transaction, &self.context))?;
            self.context.sql(transaction.commit())
        };
        match span {
            Some(span) => span.around(commit),
            None => commit(),
        }
    }

    fn every(&self, filter: &DataFilter) -> Result<Vec<JudgedDatum>, StoreError> {
        let mut found = Vec::new();
        listing::each_datum(self.access(), filter, |judged| found.push(judged))?;
        Ok(found)
    }
}

impl Ledger for Store {
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError> {
        let mut found = Vec::new();
        listing::each_prediction(self.access(), iteration, split, |_, prediction| found.push(prediction))?;
        Ok(found)
    }

    fn put_skills(&mut self, instances: &[TaskInstance]) -> Result<(), PortError> {
        Ok(self.change(Some(SKILLS), |access| shelves::put_skills(access, instances))?)
    }

    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError> {
        Ok(self.change(Some(PREDICTIONS), |access| shelves::put_predictions(access, iteration, split, new))?)
    }

    fn data(&self) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(self.every(&DataFilter::default())?)
    }

    fn each_datum(
        &self,
        verdict: Option<Verdict>,
        visit: &mut dyn FnMut(JudgedDatum),
    ) -> Result<(), PortError> {
        let filter = DataFilter { verdict, ..DataFilter::default() };
        Ok(listing::each_datum(self.access(), &filter, visit)?)
    }

    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError> {
        Ok(self.change(Some(DATA), |access| shelves::put_data(access, iteration, round, data))?)
    }

    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError> {
        let filter = DataFilter { iteration: Some(iteration), round: Some(round), ..DataFilter::default() };
        Ok(self.every(&filter)?)
    }

    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError> {
        Ok(listing::teacher_call(self.access(), id)?)
    }

    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError> {
        Ok(self.change(Some(CALLS), |access| shelves::put_teacher_calls(access, calls))?)
    }

    fn selected(&self, selection: &DataSelection) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(listing::selected(self.access(), selection)?)
    }

    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError> {
        Ok(artifacts::put_artifact(&self.folder, bytes, media_type, size)?)
    }

    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError> {
        Ok(self.change(Some(PROGRESS), |access| journal::put_progress(access, iteration, progress))?)
    }
}

fn timing(work: Work, ended_ms: Option<i64>) -> PhaseTiming {
    PhaseTiming {
        iteration: work.iteration,
        round: work.round,
        phase: work.phase.as_str().to_owned(),
        split: work.split.map_or("", Split::as_str).to_owned(),
        began_ms: now_ms(),
        ended_ms,
    }
}

fn now_ms() -> i64 {
    faults::clock(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64))
}
