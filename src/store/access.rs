//! One way to every statement: errors name the file, rows carry their seal.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{DATABASE, StoreError};

/// Names the file in whatever the database engine says.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) path: PathBuf,
}

impl Context {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(DATABASE) }
    }

    pub(super) fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|source| StoreError::Database { path: self.path.clone(), source })
    }

    pub(super) fn damaged(&self, table: &'static str, message: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), table, message: message.into() }
    }

    pub(super) fn json<T: DeserializeOwned>(&self, table: &'static str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| self.damaged(table, e.to_string()))
    }

    pub(super) fn text<T: Serialize>(&self, table: &'static str, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|e| self.damaged(table, e.to_string()))
    }
}

/// The SHA-256 kept beside every record: of its table, its keys and its text.
pub(super) type Seal = [u8; 32];

/// Seals a record. Each part goes in with its length, so that parts cannot run into each other.
pub(super) fn seal(table: &str, keys: &[i64], texts: &[&str]) -> Seal {
    let mut digest = Sha256::new();
    let numbers = keys.iter().map(|key| key.to_le_bytes());
    digest.update(table.as_bytes());
    numbers.for_each(|bytes| digest.update(bytes));
    for text in texts {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    digest.finalize().into()
}

/// A connection, or the transaction on it, with the name of its file.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) connection: &'a Connection,
    pub(super) context: &'a Context,
}

impl<'a> Access<'a> {
    pub(super) fn new(connection: &'a Connection, context: &'a Context) -> Self {
        Self { connection, context }
    }

    /// Carries out a statement; the number of rows it changed.
    pub(super) fn run(self, sql: &str, arguments: impl Params) -> Result<usize, StoreError> {
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        self.context.sql(statement.execute(arguments))
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        self,
        sql: &str,
        arguments: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        self.context.sql(statement.query_row(arguments, read).optional())
    }

    /// Every row in turn, until `visit` breaks.
    pub(super) fn each<T>(
        self,
        sql: &str,
        arguments: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        mut visit: impl FnMut(T) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.context.sql(self.connection.prepare_cached(sql))?;
        let mut rows = self.context.sql(statement.query(arguments))?;
        while let Some(row) = self.context.sql(rows.next())? {
            if visit(self.context.sql(read(row))?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Every row in a vector.
    pub(super) fn all<T>(
        self,
        sql: &str,
        arguments: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, arguments, read, |row| {
            found.push(row);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Refuses a record whose seal is not that of its keys and text.
    pub(super) fn verify(
        self,
        table: &'static str,
        found: Seal,
        keys: &[i64],
        texts: &[&str],
    ) -> Result<(), StoreError> {
        if seal(table, keys, texts) == found {
            return Ok(());
        }
        let at = keys
            .iter()
            .map(ToString::to_string)
            .chain(texts.iter().take(texts.len() - 1).map(ToString::to_string));
        let at: Vec<String> = at.collect();
        Err(self.context.damaged(table, format!("the hash of row {} is not that of its text", at.join("/"))))
    }
}

/// A connection that writes. `path` may be a file that is not there yet.
pub(super) fn writer(context: &Context) -> Result<Connection, StoreError> {
    let connection = context.sql(Connection::open(&context.path))?;
    guard(&connection, context, Duration::from_secs(10))?;
    // 64 MiB at most; the index is written in as many places as there are terms.
    set(&connection, context, "cache_size", -65536)?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn reader(context: &Context) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = context.sql(Connection::open_with_flags(&context.path, flags))?;
    guard(&connection, context, Duration::from_secs(2))?;
    // What leads to the rows of a page stays in memory: 16 MiB at most.
    set(&connection, context, "cache_size", -16384)?;
    Ok(connection)
}

/// A write-ahead log, synchronised at every commit and cut to 64 MiB when it is empty.
pub(super) fn log_ahead(connection: &Connection, context: &Context) -> Result<(), StoreError> {
    context.sql(connection.pragma_update(None, "journal_mode", "WAL"))?;
    context.sql(connection.pragma_update(None, "synchronous", "FULL"))?;
    set(connection, context, "wal_autocheckpoint", 2000)?;
    set(connection, context, "journal_size_limit", 64 << 20)
}

/// A run folder may come from somebody else: nothing in the file is executed or trusted.
fn guard(connection: &Connection, context: &Context, patience: Duration) -> Result<(), StoreError> {
    context.sql(connection.busy_timeout(patience))?;
    connection.set_prepared_statement_cache_capacity(64);
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        context.sql(connection.set_db_config(config, on))?;
    }
    context.sql(connection.pragma_update(None, "cell_size_check", true))?;
    // A file that is cut while it is mapped would end the process.
    set(connection, context, "mmap_size", 0)
}

fn set(connection: &Connection, context: &Context, pragma: &str, value: i64) -> Result<(), StoreError> {
    // Some pragmas answer with the value they took, some do not.
    context.sql(connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(|error| {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Ok(()),
            other => Err(other),
        }
    }))
}
