//! Old journals told anew: every event in the words of today, and the episode they come to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::Row;
use serde_json::Value;

use crate::gym::decimal::decimals;
use crate::gym::episode::{Episode, EpisodeRules, Event};
use crate::gym::ports::Fact;
use crate::store::access::Access;
use crate::store::{Request, StoreError, journal, snapshot};

/// How the message of a phase began that found no room on a disk.
const DISK_FULL: &str = "disk full: ";

/// Copies the journal from the table `old_journal`, stores the episode it comes to, and returns the number of
/// its last event. `verify` judges a row's number, time and text.
pub(super) fn refold(
    access: Access<'_>,
    rules: EpisodeRules,
    requests: &BTreeMap<i64, Request>,
    verify: impl Fn(i64, i64, &str) -> Result<(), StoreError>,
) -> Result<i64, StoreError> {
    let context = access.context;
    let mut episode = Episode::new(rules);
    let mut last = 0;
    let entry = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
    let sql = "SELECT seq, at_ms, event FROM old_journal ORDER BY seq";
    access.each(sql, [], entry, |(seq, at_ms, text)| {
        last += 1;
        if seq != last {
            return Err(context.damaged("journal", format!("entry {last} is missing")));
        }
        verify(seq, at_ms, &text)?;
        let mut value: Value = context.json("journal", &text)?;
        decimals(&mut value);
        let event = serde_json::from_value(value).map_err(|e| context.damaged("journal", e.to_string()))?;
        let event = retold(event, &episode);
        journal::put_event(access, seq, at_ms, &event, requests.get(&seq))?;
        episode.handle(event);
        Ok(ControlFlow::Continue(()))
    })?;
    snapshot::put(access, last, None, &episode)?;
    Ok(last)
}

/// The event with what it changes in the forest in place of the whole forest, and a full disk by its name.
fn retold(mut event: Event, episode: &Episode) -> Event {
    match &mut event {
        Event::Completed { fact: Fact::Planned { forest, .. } | Fact::Checked { forest, .. }, .. } => {
            let mut after = episode.forest.clone();
            after.change(forest);
            *forest = episode.forest.change_to(&after);
        }
        Event::Failed { message, .. } if message.starts_with(DISK_FULL) => {
            return Event::NoRoom { message: message.split_off(DISK_FULL.len()) };
        }
        _ => {}
    }
    event
}
