//! Schema 2: the journal carried the whole skill forest in every fact, the snapshot its whole history, and the
//! requests behind commands had a table beside them, made when it was first needed.

use std::collections::BTreeMap;

use super::refold::refold;
use crate::store::access::{Access, Seal};
use crate::store::{Request, StoreError, journal};

/// Its tables that are no longer the same.
pub(super) const TABLES: [&str; 3] = ["journal", "snapshot", "iteration"];

/// Writes journal and snapshot anew from the tables called `old_...`.
pub(super) fn copy(access: Access<'_>) -> Result<(), StoreError> {
    let context = access.context;
    let rules = journal::record(access)?.rules;
    let last = refold(access, rules, &requests(access)?, |seq, at_ms, text| {
        let sql = "SELECT hash FROM old_journal WHERE seq = ?1";
        let hash = access.first(sql, [seq], |row| row.get::<_, Seal>(0))?.unwrap_or_default();
        access.verify("journal", hash, &[seq, at_ms], &[text])
    })?;
    let snapshot: Option<i64> = access.first("SELECT seq FROM old_snapshot", [], |row| row.get(0))?;
    if snapshot != Some(last) {
        let message = format!("it ends at {last}, the episode is that after {}", snapshot.unwrap_or(0));
        return Err(context.damaged("journal", message));
    }
    context.sql(access.connection.execute_batch("DROP TABLE IF EXISTS request"))
}

/// The requests by the number of their event. One whose event is no command was never carried out.
fn requests(access: Access<'_>) -> Result<BTreeMap<i64, Request>, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'request'";
    if access.first(sql, [], |row| row.get::<_, i64>(0))? != Some(1) {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT seq, id, origin FROM request JOIN old_journal USING (seq)
        WHERE json_extract(event, '$.event') IN ('commanded', 'reviewed') ORDER BY seq, id";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Request { id: row.get(1)?, origin: row.get(2)? }));
    Ok(access.all(sql, [], row)?.into_iter().collect())
}
