//! Which commands of clients were journalled: a request is carried out once however often it is sent.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::access::Context;
use super::{DATABASE, StoreError};

/// The ids of requests beside the journal, through a connection of its own.
///
/// An id is noted with the journal's next number just before its event is appended. It counts as carried out
/// only when that number is a command's: a kill in between leaves a number that nobody has, or that the next
/// process's opening takes.
#[derive(Debug)]
pub struct Requests {
    connection: Connection,
    context: Context,
}

impl Requests {
    /// Opens the requests of the run in `folder`. The caller holds the run's lock.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let context = Context::new(folder);
        let connection = context.sql(Connection::open(folder.join(DATABASE)))?;
        context.sql(connection.busy_timeout(Duration::from_secs(10)))?;
        let sql = "CREATE TABLE IF NOT EXISTS request (
            id TEXT PRIMARY KEY, seq INTEGER NOT NULL, origin TEXT NOT NULL) STRICT, WITHOUT ROWID";
        context.sql(connection.execute(sql, []))?;
        Ok(Self { connection, context })
    }

    /// Whether the command of this id is in the journal.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn is_journalled(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "SELECT json_extract(event, '$.event') IN ('commanded', 'reviewed') FROM request JOIN journal USING (seq)
            WHERE id = ?1";
        let found = self.connection.query_row(sql, [id], |row| row.get(0)).optional();
        Ok(self.context.sql(found)?.unwrap_or(false))
    }

    /// Notes that the next event of the journal is the command of this id, asked for by `origin`.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn note(&mut self, id: &str, origin: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO request
            SELECT ?1, coalesce(max(seq), 0) + 1, ?2 FROM journal";
        self.context.sql(self.connection.execute(sql, params![id, origin])).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_with_its_event_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Connection::open(folder.path().join(DATABASE)).unwrap();
        journal
            .execute_batch("CREATE TABLE journal (seq INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT")
            .unwrap();
        let append = |event: &str| {
            journal.execute("INSERT INTO journal (event) VALUES (?1)", [event]).unwrap();
        };
        append(r#"{"event":"opened"}"#);
        let mut requests = Requests::open(folder.path()).unwrap();
        assert!(!requests.is_journalled("a/1").unwrap());
        requests.note("a/1", "user 1 process 2").unwrap();
        assert!(!requests.is_journalled("a/1").unwrap());
        // A kill here: the next process opens, the client asks again.
        append(r#"{"event":"opened"}"#);
        assert!(!requests.is_journalled("a/1").unwrap());
        requests.note("a/1", "user 1 process 2").unwrap();
        append(r#"{"event":"commanded","command":"run"}"#);
        let again = Requests::open(folder.path()).unwrap();
        assert!(again.is_journalled("a/1").unwrap() && !again.is_journalled("a/2").unwrap());
    }
}
