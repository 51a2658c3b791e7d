//! The tables, and how an older database becomes a newer one.

use rusqlite::Connection;

use super::{Context, StoreError};

/// One script per schema version; the number of scripts is the current version.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL) STRICT;
    CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), episode TEXT NOT NULL) STRICT;
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, event TEXT NOT NULL) STRICT;
    CREATE TABLE instance (
        split TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (split, id)) STRICT, WITHOUT ROWID;
    CREATE TABLE prediction (
        iteration INTEGER NOT NULL, split TEXT NOT NULL, instance_id TEXT NOT NULL,
        correct INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (iteration, split, instance_id)) STRICT, WITHOUT ROWID;
    CREATE TABLE datum (
        id TEXT PRIMARY KEY, iteration INTEGER NOT NULL, round INTEGER NOT NULL, skill TEXT NOT NULL,
        subskill TEXT NOT NULL, verdict TEXT NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX datum_round ON datum (iteration, round);
    CREATE INDEX datum_skill ON datum (skill, verdict);
    CREATE TABLE training_progress (
        iteration INTEGER NOT NULL, step INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (iteration, step)) STRICT, WITHOUT ROWID;
    CREATE TABLE timing (
        iteration INTEGER NOT NULL, round INTEGER NOT NULL, phase TEXT NOT NULL, split TEXT NOT NULL,
        began_ms INTEGER NOT NULL, ended_ms INTEGER,
        PRIMARY KEY (iteration, round, phase, split)) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE teacher_call (
        id TEXT PRIMARY KEY, iteration INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
",
];

/// Brings the database to the current schema; refuses one from the future.
pub(super) fn migrate(connection: &mut Connection, context: &Context) -> Result<(), StoreError> {
    let found: i64 = context.sql(connection.pragma_query_value(None, "user_version", |row| row.get(0)))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { path: context.path.clone(), found, known });
    }
    for (version, script) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = context.sql(connection.transaction())?;
        context.sql(transaction.execute_batch(script))?;
        context.sql(transaction.pragma_update(None, "user_version", version as i64 + 1))?;
        context.sql(transaction.commit())?;
    }
    Ok(())
}
