//! The tables, and how an older database becomes a newer one.

mod first;
mod refold;
mod second;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::access::{self, Access, Context};
use super::{StoreError, wal};

/// `DEGy` in the file's header: what `file` and SQLite call the application id.
const APPLICATION: i64 = 0x4445_4779;
/// The schema this program writes.
pub(super) const CURRENT: i64 = 3;

/// The journal, the episode after its last event, and which command was whose ([`super::snapshot`]).
const JOURNAL: &str = "
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, request TEXT UNIQUE, origin TEXT,
        hash BLOB NOT NULL, event TEXT NOT NULL) STRICT;
    CREATE TABLE snapshot (
        one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL,
        record TEXT NOT NULL) STRICT;
    CREATE TABLE iteration (number INTEGER PRIMARY KEY, hash BLOB NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE history (
        tree INTEGER NOT NULL, block INTEGER NOT NULL, hash BLOB NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (tree, block)) STRICT, WITHOUT ROWID;
";

/// Every record has a hash over its keys and its text ([`access::seal`]). `term` and `posting` are the index
/// of the lists: which places a filter's value has, in blocks of 4,096 ([`super::index`]).
const RECORDS: &str = "
    CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), hash BLOB NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE timing (
        seq INTEGER PRIMARY KEY, iteration INTEGER NOT NULL, round INTEGER NOT NULL, phase TEXT NOT NULL,
        split TEXT NOT NULL, began_ms INTEGER NOT NULL, ended_ms INTEGER, hash BLOB NOT NULL,
        UNIQUE (iteration, round, phase, split)) STRICT;
    CREATE TABLE training_progress (
        iteration INTEGER NOT NULL, step INTEGER NOT NULL, hash BLOB NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (iteration, step)) STRICT, WITHOUT ROWID;
    CREATE TABLE instance (
        place INTEGER PRIMARY KEY, split TEXT NOT NULL, id TEXT NOT NULL, hash BLOB NOT NULL,
        record TEXT NOT NULL, UNIQUE (split, id)) STRICT;
    CREATE TABLE datum (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE prediction (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL, hash BLOB NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE teacher_call (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE term (
        id INTEGER PRIMARY KEY, shelf TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
        total INTEGER NOT NULL, seal INTEGER NOT NULL, UNIQUE (shelf, kind, value)) STRICT;
    CREATE TABLE posting (
        term INTEGER NOT NULL, block INTEGER NOT NULL, total INTEGER NOT NULL, seal INTEGER NOT NULL,
        members BLOB NOT NULL, PRIMARY KEY (term, block)) STRICT, WITHOUT ROWID;
    CREATE VIRTUAL TABLE search USING fts5 (
        words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
    INSERT INTO search (search, rank) VALUES ('hashsize', 8388608);
";

/// Makes the tables of a new database.
pub(super) fn create(connection: &mut Connection, context: &Context) -> Result<(), StoreError> {
    let transaction = context.sql(connection.transaction())?;
    context.sql(transaction.execute_batch(JOURNAL))?;
    context.sql(transaction.execute_batch(RECORDS))?;
    mark(&transaction, context)?;
    context.sql(transaction.commit())
}

fn mark(connection: &Connection, context: &Context) -> Result<(), StoreError> {
    context.sql(connection.pragma_update(None, "application_id", APPLICATION))?;
    context.sql(connection.pragma_update(None, "user_version", CURRENT))
}

/// The schema of a run's database. Refuses one from the future and one that is no run.
pub(super) fn version(connection: &Connection, context: &Context) -> Result<i64, StoreError> {
    let pragma = |name| context.sql(connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)));
    let (application, found) = (pragma("application_id")?, pragma("user_version")?);
    let tables =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('run', 'journal', 'datum')";
    let tables: i64 = context.sql(connection.query_row(tables, [], |row| row.get(0)))?;
    match (application, found) {
        // Schema 1 did not say whose it was.
        (0, 1) | (APPLICATION, 2..=CURRENT) if tables == 3 => Ok(found),
        (APPLICATION, _) if found > CURRENT => {
            Err(StoreError::Newer { path: context.path.clone(), found, known: CURRENT })
        }
        _ => Err(StoreError::Foreign { path: context.path.clone() }),
    }
}

/// Brings a database to the current schema. The old file stays beside it under the name of its schema.
///
/// # Errors
/// When another process has the database open: an older program may be writing it.
pub(super) fn upgrade(context: &Context) -> Result<(), StoreError> {
    wal::verify(&context.path)?;
    let mut connection = access::writer(context)?;
    let found = version(&connection, context)?;
    if found == CURRENT {
        return Ok(());
    }
    context.sql(connection.busy_timeout(Duration::from_secs(1)))?;
    // Leaving the write-ahead log needs the file for oneself alone, and puts everything into it.
    let mode =
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    if mode.as_deref() != Ok("delete") {
        return Err(StoreError::InUse { path: context.path.clone(), found });
    }
    let kept = PathBuf::from(format!("{}.schema-{found}", context.path.display()));
    fs::copy(&context.path, &kept).map_err(|source| StoreError::Io { path: kept.clone(), source })?;
    let transaction =
        context.sql(connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive))?;
    let access = Access::new(&transaction, context);
    match found {
        1 => replace(access, &first::TABLES, &[JOURNAL, RECORDS], first::copy)?,
        _ => replace(access, &second::TABLES, &[JOURNAL], second::copy)?,
    }
    mark(&transaction, context)?;
    context.sql(transaction.commit())?;
    tracing::info!(kept = %kept.display(), from = found, to = CURRENT, "database brought to the current schema");
    Ok(())
}

/// Makes `tables` anew and lets `copy` fill them from those there were, which are called `old_...` meanwhile.
fn replace(
    access: Access<'_>,
    tables: &[&str],
    made: &[&str],
    copy: fn(Access<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let batch = |sql: &str| access.context.sql(access.connection.execute_batch(sql));
    tables.iter().try_for_each(|table| batch(&format!("ALTER TABLE {table} RENAME TO old_{table}")))?;
    made.iter().try_for_each(|sql| batch(sql))?;
    copy(access)?;
    tables.iter().try_for_each(|table| batch(&format!("DROP TABLE old_{table}")))
}
