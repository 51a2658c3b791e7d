//! The read side: pages for the screen, from a read-only connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::writer::{record, records};
use super::{Context, DATABASE, RunRecord, StoreError};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Episode, Event};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::TrainingProgress;
use crate::gym::prediction::Prediction;

/// Which training data to show. Empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFilter {
    /// Only this iteration.
    pub iteration: Option<u32>,
    /// Only this skill.
    pub skill: Option<String>,
    /// Only this verdict.
    pub verdict: Option<Verdict>,
}

/// Which predictions to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictionFilter {
    /// Iteration whose student answered.
    pub iteration: u32,
    /// Split it answered.
    pub split: Split,
    /// Only correct or only wrong ones.
    pub correct: Option<bool>,
    /// Only this gold skill.
    pub skill: Option<String>,
}

/// A prediction with its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPrediction {
    /// The question and the truth.
    pub instance: TaskInstance,
    /// The student's answer.
    pub prediction: Prediction,
}

/// How long a phase took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseTiming {
    /// Iteration.
    pub iteration: u32,
    /// Round within the iteration.
    pub round: u32,
    /// Word of the phase.
    pub phase: String,
    /// Word of the split, empty unless it is an evaluation.
    pub split: String,
    /// Milliseconds since the Unix epoch.
    pub began_ms: i64,
    /// Milliseconds since the Unix epoch; `None` while it runs.
    pub ended_ms: Option<i64>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Number of the entry.
    pub seq: i64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What happened.
    pub event: Event,
}

/// A read-only view of a run's database. Any number may be open beside the writer.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    context: Context,
    version: i64,
}

impl Reader {
    /// Opens a run's database for reading.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let context = Context::new(folder);
        if !folder.join(DATABASE).exists() {
            return Err(StoreError::NoRun(folder.to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = context.sql(Connection::open_with_flags(&context.path, flags))?;
        context.sql(connection.busy_timeout(Duration::from_secs(2)))?;
        Ok(Self { connection, context, version: -1 })
    }

    /// Whether anything was committed since the last call; the first call says yes. Costs microseconds.
    pub fn changed(&mut self) -> Result<bool, StoreError> {
        let sql = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        let version: i64 = self.context.sql(sql)?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }

    /// What was fixed when the run was created.
    pub fn record(&self) -> Result<RunRecord, StoreError> {
        let found = record(&self.connection, &self.context, "run", "SELECT record FROM run", [])?;
        found.ok_or_else(|| StoreError::NoRun(self.context.path.clone()))
    }

    /// The episode as of the last committed event.
    pub fn episode(&self) -> Result<Episode, StoreError> {
        let sql = "SELECT episode FROM snapshot";
        let found = record(&self.connection, &self.context, "snapshot", sql, [])?;
        found.ok_or_else(|| StoreError::NoRun(self.context.path.clone()))
    }

    /// Number of training data that match.
    pub fn count_data(&self, filter: &DataFilter) -> Result<usize, StoreError> {
        self.count(
            "SELECT count(*) FROM datum WHERE (?1 IS NULL OR iteration = ?1)
                AND (?2 IS NULL OR skill = ?2) AND (?3 IS NULL OR verdict = ?3)",
            params![filter.iteration, filter.skill, filter.verdict.map(Verdict::as_str)],
        )
    }

    /// A page of training data that match, newest iteration first, then by id.
    pub fn data(
        &self,
        filter: &DataFilter,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<JudgedDatum>, StoreError> {
        let sql = "SELECT record FROM datum WHERE (?1 IS NULL OR iteration = ?1)
            AND (?2 IS NULL OR skill = ?2) AND (?3 IS NULL OR verdict = ?3)
            ORDER BY iteration DESC, id LIMIT ?5 OFFSET ?4";
        let verdict = filter.verdict.map(Verdict::as_str);
        let arguments = params![filter.iteration, filter.skill, verdict, offset as i64, limit as i64];
        records(&self.connection, &self.context, "datum", sql, arguments)
    }

    /// Number of predictions that match.
    pub fn count_predictions(&self, filter: &PredictionFilter) -> Result<usize, StoreError> {
        self.count(
            "SELECT count(*) FROM prediction p JOIN instance i ON i.split = p.split AND i.id = p.instance_id
             WHERE p.iteration = ?1 AND p.split = ?2 AND (?3 IS NULL OR p.correct = ?3)
               AND (?4 IS NULL OR i.record ->> '$.skill' = ?4)",
            params![filter.iteration, filter.split.as_str(), filter.correct, filter.skill],
        )
    }

    /// A page of predictions that match, in the order of the instances.
    pub fn predictions(
        &self,
        filter: &PredictionFilter,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<ScoredPrediction>, StoreError> {
        let sql = "SELECT i.record, p.record
             FROM prediction p JOIN instance i ON i.split = p.split AND i.id = p.instance_id
             WHERE p.iteration = ?1 AND p.split = ?2 AND (?3 IS NULL OR p.correct = ?3)
               AND (?4 IS NULL OR i.record ->> '$.skill' = ?4)
             ORDER BY i.position LIMIT ?6 OFFSET ?5";
        let (split, offset, limit) = (filter.split.as_str(), offset as i64, limit as i64);
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let arguments = params![filter.iteration, split, filter.correct, filter.skill, offset, limit];
        let mut rows = self.context.sql(statement.query(arguments))?;
        let mut page = Vec::new();
        while let Some(row) = self.context.sql(rows.next())? {
            let (instance, prediction): (String, String) =
                (self.context.sql(row.get(0))?, self.context.sql(row.get(1))?);
            page.push(ScoredPrediction {
                instance: self.context.json("instance", &instance)?,
                prediction: self.context.json("prediction", &prediction)?,
            });
        }
        Ok(page)
    }

    /// Every iteration's answer to one instance.
    pub fn answers(&self, split: Split, instance_id: &str) -> Result<Vec<(u32, Prediction)>, StoreError> {
        let sql = "SELECT iteration, record FROM prediction WHERE split = ?1 AND instance_id = ?2
            ORDER BY iteration";
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let mut rows = self.context.sql(statement.query(params![split.as_str(), instance_id]))?;
        let mut answers = Vec::new();
        while let Some(row) = self.context.sql(rows.next())? {
            let (iteration, text): (u32, String) =
                (self.context.sql(row.get(0))?, self.context.sql(row.get(1))?);
            answers.push((iteration, self.context.json("prediction", &text)?));
        }
        Ok(answers)
    }

    /// `(key, correct before, correct after)` for every instance of a split answered in both iterations.
    pub fn paired(
        &self,
        split: Split,
        before: u32,
        after: u32,
    ) -> Result<Vec<(String, bool, bool)>, StoreError> {
        let sql = "SELECT i.record ->> '$.key', a.correct, b.correct FROM prediction a
            JOIN prediction b ON b.split = a.split AND b.instance_id = a.instance_id AND b.iteration = ?3
            JOIN instance i ON i.split = a.split AND i.id = a.instance_id
            WHERE a.split = ?1 AND a.iteration = ?2 ORDER BY i.position";
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let rows = statement.query_map(params![split.as_str(), before, after], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        let rows = self.context.sql(rows)?;
        self.context.sql(rows.collect())
    }

    /// The training curve of an iteration, by optimiser step.
    pub fn training_curve(&self, iteration: u32) -> Result<Vec<TrainingProgress>, StoreError> {
        let sql = "SELECT record FROM training_progress WHERE iteration = ?1 ORDER BY step";
        records(&self.connection, &self.context, "training_progress", sql, [iteration])
    }

    /// Every phase with its times, in the order in which they began.
    pub fn timings(&self) -> Result<Vec<PhaseTiming>, StoreError> {
        let sql = "SELECT iteration, round, phase, split, began_ms, ended_ms FROM timing ORDER BY began_ms";
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let rows = statement.query_map([], |row| {
            Ok(PhaseTiming {
                iteration: row.get(0)?,
                round: row.get(1)?,
                phase: row.get(2)?,
                split: row.get(3)?,
                began_ms: row.get(4)?,
                ended_ms: row.get(5)?,
            })
        });
        let rows = self.context.sql(rows)?;
        self.context.sql(rows.collect())
    }

    /// The newest `limit` entries of the journal, oldest first.
    pub fn journal(&self, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let sql = "SELECT seq, at_ms, event FROM journal ORDER BY seq DESC LIMIT ?1";
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let mut rows = self.context.sql(statement.query([limit as i64]))?;
        let mut entries = Vec::new();
        while let Some(row) = self.context.sql(rows.next())? {
            let text: String = self.context.sql(row.get(2))?;
            let event = self.context.json("journal", &text)?;
            let (seq, at_ms) = (self.context.sql(row.get(0))?, self.context.sql(row.get(1))?);
            entries.push(JournalEntry { seq, at_ms, event });
        }
        entries.reverse();
        Ok(entries)
    }

    fn count(&self, sql: &str, arguments: impl rusqlite::Params) -> Result<usize, StoreError> {
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let found: Option<i64> =
            self.context.sql(statement.query_row(arguments, |row| row.get(0)).optional())?;
        Ok(found.unwrap_or(0) as usize)
    }
}
