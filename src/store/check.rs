//! The look over the file after an unclean end.
//!
//! What a resume reads at once is checked before it; the whole file is checked beside the running phase,
//! because that takes seconds where a run is large. Records are verified by their hashes whenever they are
//! read: this finds damage in what holds them together, before anything more is written.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::{Connection, InterruptHandle};

use super::StoreError;
use super::access::{self, Context};

/// What is read on resume, small next to the records.
const FIRST: [&str; 7] = ["run", "snapshot", "iteration", "timing", "instance", "term", "posting"];

/// Checks the tables that a resume reads at once.
pub(super) fn first(connection: &Connection, context: &Context) -> Result<(), StoreError> {
    FIRST.iter().try_for_each(|table| verdict(connection, context, &format!("PRAGMA quick_check({table})")))
}

fn verdict(connection: &Connection, context: &Context, sql: &str) -> Result<(), StoreError> {
    let said = context.sql(connection.query_row(sql, [], |row| row.get::<_, String>(0)))?;
    if said == "ok" { Ok(()) } else { Err(context.damaged("sqlite_schema", said)) }
}

/// A check of the whole file that goes on beside the work. Dropping it ends it.
pub(super) struct Beside {
    found: Arc<OnceLock<String>>,
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    pub(super) fn start(context: &Context) -> Result<Self, StoreError> {
        let connection = access::reader(context)?;
        let interrupt = connection.get_interrupt_handle();
        let found = Arc::new(OnceLock::new());
        let (tell, context) = (Arc::clone(&found), context.clone());
        let thread = std::thread::spawn(move || match verdict(&connection, &context, "PRAGMA quick_check") {
            Ok(()) => tracing::info!("the database is whole after an unclean end"),
            Err(StoreError::Database { source, .. }) if interrupted(&source) => {}
            Err(error) => {
                tracing::error!(%error, "the database is damaged");
                let StoreError::Damaged { message, .. } = error else {
                    return drop(tell.set(error.to_string()));
                };
                let _ = tell.set(message);
            }
        });
        Ok(Self { found, interrupt, thread: Some(thread) })
    }

    /// Refuses to go on once damage was found.
    pub(super) fn passed(&self, context: &Context) -> Result<(), StoreError> {
        self.found.get().map_or(Ok(()), |message| Err(context.damaged("sqlite_schema", message.clone())))
    }

    /// Waits for the end of the check.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("found", &self.found).finish_non_exhaustive()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Again and again: an interrupt that comes before the statement begins does nothing.
        while !thread.is_finished() {
            self.interrupt.interrupt();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = thread.join();
    }
}

fn interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
}
