//! Schema 1: records without hashes, text keys, no search.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::Row;

use super::refold::refold;
use crate::gym::datum::JudgedDatum;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::TrainingProgress;
use crate::gym::prediction::Prediction;
use crate::store::access::Access;
use crate::store::{RunRecord, StoreError, journal, shelves};

/// Its tables.
pub(super) const TABLES: [&str; 8] =
    ["run", "snapshot", "journal", "instance", "prediction", "datum", "training_progress", "timing"];

/// Copies everything from the tables called `old_...` into those of the current schema.
pub(super) fn copy(access: Access<'_>) -> Result<(), StoreError> {
    let context = access.context;
    let text = |row: &Row<'_>| row.get::<_, String>(0);
    let one = |table, sql: &str| {
        let found = access.first(sql, [], text)?;
        found.ok_or_else(|| context.damaged(table, "its row is missing"))
    };
    let record: RunRecord = context.json("run", &one("run", "SELECT record FROM old_run")?)?;
    journal::put_record(access, &record)?;
    // Its snapshot did not tell an iteration without a training from one that had nothing to train on.
    refold(access, record.rules, &BTreeMap::new(), |_, _, _| Ok(()))?;
    timings(access)?;
    let point = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
    access.each(
        "SELECT iteration, record FROM old_training_progress",
        [],
        point,
        |(iteration, record)| {
            let progress: TrainingProgress = context.json("training_progress", &record)?;
            journal::put_progress(access, iteration, progress)?;
            Ok(ControlFlow::Continue(()))
        },
    )?;
    let instances = access.all("SELECT record FROM old_instance ORDER BY split, position", [], text)?;
    let instances = instances.iter().map(|text| context.json::<TaskInstance>("instance", text));
    shelves::put_instances(access, &instances.collect::<Result<Vec<_>, _>>()?)?;
    predictions(access)?;
    data(access)
}

fn timings(access: Access<'_>) -> Result<(), StoreError> {
    let sql = "SELECT iteration, round, phase, split, began_ms, ended_ms FROM old_timing
        ORDER BY began_ms, iteration, round";
    let rows = access.all(sql, [], journal::timing)?;
    rows.iter().try_for_each(|timing| journal::put_timing(access, timing))
}

fn predictions(access: Access<'_>) -> Result<(), StoreError> {
    let groups = access.all("SELECT DISTINCT iteration, split FROM old_prediction", [], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
    })?;
    for (iteration, word) in groups {
        let split = [Split::Pool, Split::Validation, Split::Test].into_iter().find(|s| s.as_str() == word);
        let unknown = || access.context.damaged("prediction", format!("there is no split `{word}`"));
        let split = split.ok_or_else(unknown)?;
        let sql = "SELECT record FROM old_prediction WHERE iteration = ?1 AND split = ?2";
        let texts = access.all(sql, (iteration, word.as_str()), |row| row.get::<_, String>(0))?;
        let records = texts.iter().map(|text| access.context.json::<Prediction>("prediction", text));
        shelves::put_predictions(access, iteration, split, &records.collect::<Result<Vec<_>, _>>()?)?;
    }
    Ok(())
}

/// One round at a time, so that a large database fits into memory.
fn data(access: Access<'_>) -> Result<(), StoreError> {
    let rounds = access.all("SELECT DISTINCT iteration, round FROM old_datum ORDER BY 1, 2", [], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?))
    })?;
    for (iteration, round) in rounds {
        let sql = "SELECT id, record FROM old_datum WHERE iteration = ?1 AND round = ?2";
        let rows = access
            .all(sql, (iteration, round), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let sorted: BTreeMap<String, String> = rows.into_iter().collect();
        let records = sorted.values().map(|text| access.context.json::<JudgedDatum>("datum", text));
        shelves::put_data(access, iteration, round, &records.collect::<Result<Vec<_>, _>>()?)?;
    }
    Ok(())
}
