//! The write side: the journal and the ledger of one run.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Context, DATABASE, RunRecord, StoreError, artifacts, schema};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::{Episode, Event, Work};
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::ports::{Ledger, PortError, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::TeacherCall;

/// The one writer of a run's database. Whoever holds it holds the run's lock.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    context: Context,
    folder: PathBuf,
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
        let mut store = Self::connect(folder, &unfinished)?;
        store.fill(record, instances)?;
        let context = store.context.clone();
        // Closing moves everything from the write-ahead log into the file.
        store
            .connection
            .close()
            .map_err(|(_, source)| StoreError::Database { path: context.path, source })?;
        std::fs::rename(&unfinished, &path).map_err(io)?;
        Self::connect(folder, &path)
    }

    fn fill(&mut self, record: &RunRecord, instances: &[TaskInstance]) -> Result<(), StoreError> {
        let context = self.context.clone();
        let transaction = context.sql(self.connection.transaction())?;
        let text = context.text("run", record)?;
        context.sql(transaction.execute("INSERT INTO run VALUES (1, ?1)", [text]))?;
        let episode = context.text("snapshot", &Episode::new(record.rules.clone()))?;
        context.sql(transaction.execute("INSERT INTO snapshot VALUES (1, ?1)", [episode]))?;
        for (position, instance) in instances.iter().enumerate() {
            let text = context.text("instance", instance)?;
            let row = params![instance.split.as_str(), position as i64, instance.id, text];
            context.sql(transaction.execute("INSERT INTO instance VALUES (?1, ?2, ?3, ?4)", row))?;
        }
        context.sql(transaction.commit())
    }

    /// Opens the database of an existing run for writing.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        if !folder.join(DATABASE).exists() {
            return Err(StoreError::NoRun(folder.to_owned()));
        }
        Self::connect(folder, &folder.join(DATABASE))
    }

    fn connect(folder: &Path, path: &Path) -> Result<Self, StoreError> {
        let context = Context { path: path.to_owned() };
        let mut connection = context.sql(Connection::open(&context.path))?;
        context.sql(connection.busy_timeout(Duration::from_secs(10)))?;
        context.sql(connection.pragma_update(None, "journal_mode", "WAL"))?;
        context.sql(connection.pragma_update(None, "synchronous", "FULL"))?;
        schema::migrate(&mut connection, &context)?;
        Ok(Self { connection, context, folder: folder.to_owned() })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was fixed when the run was created.
    pub fn record(&self) -> Result<RunRecord, StoreError> {
        let text: String =
            self.context.sql(self.connection.query_row("SELECT record FROM run", [], |row| row.get(0)))?;
        self.context.json("run", &text)
    }

    /// Rebuilds the episode from the journal.
    pub fn replay(&self) -> Result<Episode, StoreError> {
        let mut episode = Episode::new(self.record()?.rules);
        let mut statement =
            self.context.sql(self.connection.prepare("SELECT event FROM journal ORDER BY seq"))?;
        let mut rows = self.context.sql(statement.query([]))?;
        while let Some(row) = self.context.sql(rows.next())? {
            let text: String = self.context.sql(row.get(0))?;
            episode.handle(self.context.json("journal", &text)?);
        }
        Ok(episode)
    }

    /// Commits an event and the state after it, together.
    pub fn append(&mut self, event: &Event, after: &Episode) -> Result<(), StoreError> {
        let event = self.context.text("journal", event)?;
        let episode = self.context.text("snapshot", after)?;
        let transaction = self.context.sql(self.connection.transaction())?;
        let row = params![now_ms(), event];
        self.context.sql(transaction.execute("INSERT INTO journal (at_ms, event) VALUES (?1, ?2)", row))?;
        self.context.sql(transaction.execute("UPDATE snapshot SET episode = ?1", [episode]))?;
        self.context.sql(transaction.commit())
    }

    /// Commits a review: the event, the state after it and the changed data, together.
    pub fn append_review(
        &mut self,
        event: &Event,
        after: &Episode,
        data: &[JudgedDatum],
    ) -> Result<(), StoreError> {
        let context = self.context.clone();
        let event = context.text("journal", event)?;
        let episode = context.text("snapshot", after)?;
        let transaction = context.sql(self.connection.transaction())?;
        for judged in data {
            let row = params![judged.datum.id, judged.verdict.as_str(), context.text("datum", judged)?];
            let sql = "UPDATE datum SET verdict = ?2, record = ?3 WHERE id = ?1";
            context.sql(transaction.execute(sql, row))?;
        }
        let row = params![now_ms(), event];
        context.sql(transaction.execute("INSERT INTO journal (at_ms, event) VALUES (?1, ?2)", row))?;
        context.sql(transaction.execute("UPDATE snapshot SET episode = ?1", [episode]))?;
        context.sql(transaction.commit())
    }

    /// Notes the start of a phase; a repeated start overwrites the first.
    pub fn begin(&mut self, work: Work) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO timing VALUES (?1, ?2, ?3, ?4, ?5, NULL)";
        let (phase, split) = (work.phase.as_str(), split_word(work));
        let row = params![work.iteration, work.round, phase, split, now_ms()];
        self.context.sql(self.connection.execute(sql, row)).map(drop)
    }

    /// Notes the end of a phase.
    pub fn end(&mut self, work: Work) -> Result<(), StoreError> {
        let sql = "UPDATE timing SET ended_ms = ?5
            WHERE iteration = ?1 AND round = ?2 AND phase = ?3 AND split = ?4";
        let (phase, split) = (work.phase.as_str(), split_word(work));
        let row = params![work.iteration, work.round, phase, split, now_ms()];
        self.context.sql(self.connection.execute(sql, row)).map(drop)
    }

    fn insert_predictions(
        &mut self,
        iteration: u32,
        split: Split,
        new: &[Prediction],
    ) -> Result<(), StoreError> {
        let context = self.context.clone();
        let transaction = context.sql(self.connection.transaction())?;
        for prediction in new {
            let text = context.text("prediction", prediction)?;
            let (id, correct) = (&prediction.instance_id, prediction.correct);
            let row = params![iteration, split.as_str(), id, correct, text];
            let sql = "INSERT OR REPLACE INTO prediction VALUES (?1, ?2, ?3, ?4, ?5)";
            context.sql(transaction.execute(sql, row))?;
        }
        context.sql(transaction.commit())
    }

    fn replace_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), StoreError> {
        let context = self.context.clone();
        let transaction = context.sql(self.connection.transaction())?;
        let round_row = params![iteration, round];
        let sql = "DELETE FROM datum WHERE iteration = ?1 AND round = ?2";
        context.sql(transaction.execute(sql, round_row))?;
        for judged in data {
            let (datum, verdict) = (&judged.datum, judged.verdict.as_str());
            let text = context.text("datum", judged)?;
            let row = params![datum.id, iteration, round, datum.skill, datum.subskill, verdict, text];
            let sql = "INSERT INTO datum VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            context.sql(transaction.execute(sql, row))?;
        }
        context.sql(transaction.commit())
    }

    fn insert_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), StoreError> {
        let context = self.context.clone();
        let transaction = context.sql(self.connection.transaction())?;
        for call in calls {
            let row = params![call.id, call.context.iteration, context.text("teacher_call", call)?];
            let sql = "INSERT OR REPLACE INTO teacher_call VALUES (?1, ?2, ?3)";
            context.sql(transaction.execute(sql, row))?;
        }
        context.sql(transaction.commit())
    }

    fn records<T: serde::de::DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<Vec<T>, StoreError> {
        records(&self.connection, &self.context, table, sql, arguments)
    }
}

impl Ledger for Store {
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError> {
        let sql = "SELECT record FROM prediction WHERE iteration = ?1 AND split = ?2";
        Ok(self.records("prediction", sql, params![iteration, split.as_str()])?)
    }

    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError> {
        Ok(self.insert_predictions(iteration, split, new)?)
    }

    fn data(&self) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(self.records("datum", "SELECT record FROM datum ORDER BY id", [])?)
    }

    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError> {
        Ok(self.replace_data(iteration, round, data)?)
    }

    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError> {
        let sql = "SELECT record FROM datum WHERE iteration = ?1 AND round = ?2 ORDER BY id";
        Ok(self.records("datum", sql, params![iteration, round])?)
    }

    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError> {
        let sql = "SELECT record FROM teacher_call WHERE id = ?1";
        Ok(record(&self.connection, &self.context, "teacher_call", sql, [id])?)
    }

    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError> {
        Ok(self.insert_teacher_calls(calls)?)
    }

    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError> {
        Ok(artifacts::put(&self.folder, bytes, media_type, size)?)
    }

    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError> {
        let text = self.context.text("training_progress", &progress)?;
        let sql = "INSERT OR REPLACE INTO training_progress VALUES (?1, ?2, ?3)";
        self.context.sql(self.connection.execute(sql, params![iteration, progress.step, text]))?;
        Ok(())
    }
}

/// Reads one JSON column of every row.
pub(super) fn records<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    context: &Context,
    table: &'static str,
    sql: &str,
    arguments: impl rusqlite::Params,
) -> Result<Vec<T>, StoreError> {
    let mut statement = context.sql(connection.prepare_cached(sql))?;
    let mut rows = context.sql(statement.query(arguments))?;
    let mut records = Vec::new();
    while let Some(row) = context.sql(rows.next())? {
        let text: String = context.sql(row.get(0))?;
        records.push(context.json(table, &text)?);
    }
    Ok(records)
}

/// Reads one JSON column of at most one row.
pub(super) fn record<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    context: &Context,
    table: &'static str,
    sql: &str,
    arguments: impl rusqlite::Params,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> =
        context.sql(connection.query_row(sql, arguments, |row| row.get(0)).optional())?;
    text.map(|text| context.json(table, &text)).transpose()
}

fn split_word(work: Work) -> &'static str {
    work.split.map_or("", Split::as_str)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
