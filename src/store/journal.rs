//! The journal and what follows from it: the run's record, the episode, times, training curves.
//!
//! The episode after the last event is kept, so that a resume reads it and does not fold the journal
//! ([`super::snapshot`]).

use std::ops::ControlFlow;

use rusqlite::Row;

use super::access::{Access, Context, Seal, seal};
use super::index::{self, Kind, Shelf};
use super::{JournalEntry, PhaseTiming, Request, RunRecord, StoreError};
use crate::gym::episode::Event;
use crate::gym::ports::TrainingProgress;

/// Stores what is fixed when a run is created.
pub(super) fn put_record(access: Access<'_>, record: &RunRecord) -> Result<(), StoreError> {
    let text = access.context.text("run", record)?;
    let hash = seal("run", &[1], &[&text]);
    access.run("INSERT INTO run VALUES (1, ?1, ?2)", (hash, text)).map(drop)
}

/// What was fixed when the run was created.
pub(super) fn record(access: Access<'_>) -> Result<RunRecord, StoreError> {
    let found = access.first("SELECT hash, record FROM run", [], |row| {
        Ok((row.get::<_, Seal>(0)?, row.get::<_, String>(1)?))
    })?;
    let (hash, text) = found.ok_or_else(|| access.context.damaged("run", "its row is missing"))?;
    access.verify("run", hash, &[1], &[&text])?;
    access.context.json("run", &text)
}

/// Appends an event, with the request it was asked for by.
pub(super) fn put_event(
    access: Access<'_>,
    seq: i64,
    at_ms: i64,
    event: &Event,
    request: Option<&Request>,
) -> Result<(), StoreError> {
    let text = access.context.text("journal", event)?;
    let hash = event_seal(seq, at_ms, request, &text);
    let row = (seq, at_ms, request.map(|r| &r.id), request.map(|r| &r.origin), hash, text);
    access.run("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).map(drop)
}

fn event_seal(seq: i64, at_ms: i64, request: Option<&Request>, text: &str) -> Seal {
    match request {
        Some(Request { id, origin }) => seal("journal", &[seq, at_ms], &[id, origin, text]),
        None => seal("journal", &[seq, at_ms], &[text]),
    }
}

pub(super) const SELECT_REQUEST: &str = "SELECT 1 FROM journal WHERE request = ?1";

/// Whether the command of this request is in the journal.
pub(super) fn is_journalled(access: Access<'_>, request: &str) -> Result<bool, StoreError> {
    Ok(access.first(SELECT_REQUEST, [request], |row| row.get::<_, i64>(0))?.is_some())
}

pub(super) const SELECT_LAST_EVENT: &str = "SELECT coalesce(max(seq), 0) FROM journal";
pub(super) const SELECT_EVENTS: &str =
    "SELECT seq, at_ms, request, origin, hash, event FROM journal WHERE seq >= ?1 ORDER BY seq";

/// Every event from number `first` on, in order and without a gap.
pub(super) fn events(
    access: Access<'_>,
    first: i64,
    mut visit: impl FnMut(JournalEntry),
) -> Result<(), StoreError> {
    let mut next = first;
    let read = |row: &Row<'_>| {
        let request: (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        let request = request.0.zip(request.1).map(|(id, origin)| Request { id, origin });
        Ok((row.get(0)?, row.get(1)?, request, row.get::<_, Seal>(4)?, row.get::<_, String>(5)?))
    };
    access.each(SELECT_EVENTS, [first], read, |(seq, at_ms, request, hash, text)| {
        if seq != next {
            return Err(access.context.damaged("journal", format!("entry {next} is missing")));
        }
        next += 1;
        if hash != event_seal(seq, at_ms, request.as_ref(), &text) {
            return Err(access.context.damaged("journal", format!("the hash of entry {seq} is wrong")));
        }
        visit(JournalEntry { seq, at_ms, request, event: access.context.json("journal", &text)? });
        Ok(ControlFlow::Continue(()))
    })
}

/// The columns of a timing from the first on.
pub(super) fn timing(row: &Row<'_>) -> rusqlite::Result<PhaseTiming> {
    Ok(PhaseTiming {
        iteration: row.get(0)?,
        round: row.get(1)?,
        phase: row.get(2)?,
        split: row.get(3)?,
        began_ms: row.get(4)?,
        ended_ms: row.get(5)?,
    })
}

fn timing_seal(timing: &PhaseTiming) -> Seal {
    let PhaseTiming { iteration, round, phase, split, began_ms, ended_ms } = timing;
    let keys = [i64::from(*iteration), i64::from(*round), *began_ms, ended_ms.unwrap_or(-1)];
    seal("timing", &keys, &[phase, split])
}

pub(super) const SELECT_BEGAN: &str =
    "SELECT began_ms FROM timing WHERE iteration = ?1 AND round = ?2 AND phase = ?3 AND split = ?4";

/// Stores the times of a phase; those of an earlier try are replaced and take their place at the end.
pub(super) fn put_timing(access: Access<'_>, timing: &PhaseTiming) -> Result<(), StoreError> {
    let PhaseTiming { iteration, round, phase, split, began_ms, ended_ms } = timing;
    let known = access.first(SELECT_BEGAN, (iteration, round, phase, split), |row| row.get::<_, i64>(0))?;
    if known.is_none() {
        index::raise(access, Shelf::Timing, Kind::All, "", 1)?;
    }
    let sql = "INSERT OR REPLACE INTO timing (iteration, round, phase, split, began_ms, ended_ms, hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = (iteration, round, phase, split, began_ms, ended_ms, timing_seal(timing));
    access.run(sql, row).map(drop)
}

/// Notes the end of a phase.
pub(super) fn end_timing(access: Access<'_>, timing: &PhaseTiming) -> Result<(), StoreError> {
    let key = (timing.iteration, timing.round, &timing.phase, &timing.split);
    let Some(began_ms) = access.first(SELECT_BEGAN, key, |row| row.get(0))? else { return Ok(()) };
    let timing = PhaseTiming { began_ms, ..timing.clone() };
    let sql = "UPDATE timing SET ended_ms = ?5, hash = ?6
        WHERE iteration = ?1 AND round = ?2 AND phase = ?3 AND split = ?4";
    let row = (key.0, key.1, key.2, key.3, timing.ended_ms, timing_seal(&timing));
    access.run(sql, row).map(drop)
}

pub(super) const SELECT_TIMINGS: &str =
    "SELECT iteration, round, phase, split, began_ms, ended_ms, hash FROM timing ORDER BY seq";

/// Every phase with its times, in the order in which they began.
pub(super) fn timings(access: Access<'_>) -> Result<Vec<PhaseTiming>, StoreError> {
    let rows = access.all(SELECT_TIMINGS, [], |row| Ok((timing(row)?, row.get::<_, Seal>(6)?)))?;
    index::expect(access, Shelf::Timing, "", rows.len())?;
    let verified = rows.into_iter().map(|(timing, hash)| {
        let wrong =
            || access.context.damaged("timing", format!("the hash of a {} phase is wrong", timing.phase));
        if hash == timing_seal(&timing) { Ok(timing) } else { Err(wrong()) }
    });
    verified.collect()
}

pub(super) const SELECT_POINT: &str = "SELECT 1 FROM training_progress WHERE iteration = ?1 AND step = ?2";

/// Stores a point of a training curve.
pub(super) fn put_progress(
    access: Access<'_>,
    iteration: u32,
    progress: TrainingProgress,
) -> Result<(), StoreError> {
    let text = access.context.text("training_progress", &progress)?;
    let hash = progress_seal(iteration, progress.step, &text);
    let known = access.first(SELECT_POINT, (iteration, progress.step), |row| row.get::<_, i64>(0))?;
    if known.is_none() {
        index::raise(access, Shelf::TrainingProgress, Kind::All, &iteration.to_string(), 1)?;
    }
    let sql = "INSERT OR REPLACE INTO training_progress VALUES (?1, ?2, ?3, ?4)";
    access.run(sql, (iteration, progress.step, hash, text)).map(drop)
}

fn progress_seal(iteration: u32, step: u32, text: &str) -> Seal {
    seal("training_progress", &[iteration.into(), step.into()], &[text])
}

pub(super) const SELECT_CURVE: &str =
    "SELECT step, hash, record FROM training_progress WHERE iteration = ?1 AND step > ?2 ORDER BY step";

/// The training curve of an iteration, by optimiser step.
pub(super) fn curve(access: Access<'_>, iteration: u32) -> Result<Vec<TrainingProgress>, StoreError> {
    let points = points(access, iteration, -1)?;
    index::expect(access, Shelf::TrainingProgress, &iteration.to_string(), points.len())?;
    Ok(points)
}

/// The points of a training curve behind an optimiser step.
pub(super) fn points(
    access: Access<'_>,
    iteration: u32,
    behind: i64,
) -> Result<Vec<TrainingProgress>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, Seal>(1)?, row.get::<_, String>(2)?));
    let rows = access.all(SELECT_CURVE, (iteration, behind), read)?;
    let context: &Context = access.context;
    let verified = rows.iter().map(|(step, hash, text)| {
        if *hash != progress_seal(iteration, *step, text) {
            return Err(context.damaged("training_progress", format!("the hash of step {step} is wrong")));
        }
        context.json("training_progress", text)
    });
    verified.collect()
}
