//! The episode after the last event, stored so that an event costs what it changes.
//!
//! Iterations are rows of their own, the histories of the skill forest are blocks of rows, and the rest is one
//! row that does not grow with the run. An event rewrites what differs from what was stored last; what the two
//! episodes share is not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::access::{Access, Seal, seal};
use super::journal::SELECT_LAST_EVENT;
use crate::gym::episode::{Episode, Iteration};
use crate::gym::shared::Shared;
use crate::gym::skill_forest::{ForestChange, SkillExperience};

/// Experiences of one row of the table `history`.
const BLOCK: usize = 16;

/// What is in neither an iteration nor a history.
#[derive(Serialize, Deserialize)]
struct Rest {
    episode: Episode,
    /// Iterations there are.
    iterations: usize,
    /// Experiences of each tree, in the order of the forest.
    histories: Vec<usize>,
    /// What makes the forest into the one before the last plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_plan: Option<ForestChange>,
}

/// Stores the episode after event `seq`. `before` is what was stored last.
pub(super) fn put(
    access: Access<'_>,
    seq: i64,
    before: Option<&Episode>,
    after: &Episode,
) -> Result<(), StoreError> {
    let none = Shared::default();
    let same = before.map_or(0, |before| before.iterations.same_start(&after.iterations));
    for (number, iteration) in after.iterations.iter().enumerate().skip(same) {
        if before.is_some_and(|before| before.iterations.same_part(&after.iterations, number, number + 1)) {
            continue;
        }
        let text = access.context.text("iteration", iteration)?;
        let row = (number as i64, seal("iteration", &[number as i64], &[&text]), text);
        access.run("INSERT OR REPLACE INTO iteration VALUES (?1, ?2, ?3)", row)?;
    }
    for (number, tree) in after.forest.trees.iter().enumerate() {
        let stored = before.and_then(|before| before.forest.trees.get(number)).map_or(&none, |t| &t.history);
        for from in (0..tree.history.len()).step_by(BLOCK) {
            if !stored.same_part(&tree.history, from, from + BLOCK) {
                put_block(access, number, from / BLOCK, tree.history.part(from, from + BLOCK))?;
            }
        }
        if stored.len() > tree.history.len() {
            let first = tree.history.len().div_ceil(BLOCK);
            access.run(DELETE_BLOCKS, (number as i64, first as i64))?;
        }
    }
    if before.is_some_and(|before| before.forest.trees.len() > after.forest.trees.len()) {
        access.run(DELETE_TREES, [after.forest.trees.len() as i64])?;
    }
    put_rest(access, seq, after)
}

pub(super) const DELETE_BLOCKS: &str = "DELETE FROM history WHERE tree = ?1 AND block >= ?2";
pub(super) const DELETE_TREES: &str = "DELETE FROM history WHERE tree >= ?1";

fn put_block(
    access: Access<'_>,
    tree: usize,
    block: usize,
    experiences: &[Arc<SkillExperience>],
) -> Result<(), StoreError> {
    let items: Vec<&SkillExperience> = experiences.iter().map(AsRef::as_ref).collect();
    let text = access.context.text("history", &items)?;
    let keys = [tree as i64, block as i64];
    let row = (keys[0], keys[1], seal("history", &keys, &[&text]), text);
    access.run("INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4)", row).map(drop)
}

fn put_rest(access: Access<'_>, seq: i64, after: &Episode) -> Result<(), StoreError> {
    let mut episode = after.clone();
    episode.iterations = Shared::default();
    let before_plan = episode.before_plan.take().map(|before| after.forest.change_to(&before));
    let histories = episode.forest.trees.iter_mut().map(|tree| std::mem::take(&mut tree.history).len());
    let histories = histories.collect();
    let rest = Rest { episode, iterations: after.iterations.len(), histories, before_plan };
    let text = access.context.text("snapshot", &rest)?;
    let row = (seq, seal("snapshot", &[seq], &[&text]), text);
    access.run("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2, ?3)", row).map(drop)
}

/// A row of a history, with its hash.
type Block = (Seal, Vec<Arc<SkillExperience>>);

/// Rows read before, with their hashes: they are neither verified nor parsed again.
#[derive(Debug, Default)]
pub(super) struct Cache {
    iterations: Vec<(Seal, Arc<Iteration>)>,
    histories: BTreeMap<(i64, i64), Block>,
}

/// The number of the last event and the episode after it.
pub(super) fn episode(access: Access<'_>, cache: &mut Cache) -> Result<(i64, Episode), StoreError> {
    let context = access.context;
    let found = access.first("SELECT seq, hash, record FROM snapshot", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Seal>(1)?, row.get::<_, String>(2)?))
    })?;
    let (seq, hash, text) = found.ok_or_else(|| context.damaged("snapshot", "its row is missing"))?;
    access.verify("snapshot", hash, &[seq], &[&text])?;
    let Rest { mut episode, iterations: count, histories, before_plan } = context.json("snapshot", &text)?;
    iterations(access, cache, &mut episode)?;
    if episode.iterations.len() != count {
        return Err(context.damaged("iteration", format!("row {} is missing", episode.iterations.len())));
    }
    history(access, cache, &mut episode)?;
    let found: Vec<usize> = episode.forest.trees.iter().map(|tree| tree.history.len()).collect();
    if found != histories {
        return Err(context.damaged("history", format!("{found:?} rows in place of {histories:?}")));
    }
    episode.before_plan = before_plan.map(|change| {
        let mut forest = episode.forest.clone();
        forest.change(&change);
        forest
    });
    let last: i64 = access.first(SELECT_LAST_EVENT, [], |row| row.get(0))?.unwrap_or(0);
    if last != seq {
        return Err(context.damaged("journal", format!("it ends at {last}, the episode is that after {seq}")));
    }
    Ok((seq, episode))
}

const SELECT_ITERATIONS: &str = "SELECT number, hash, record FROM iteration ORDER BY number";

fn iterations(access: Access<'_>, cache: &mut Cache, episode: &mut Episode) -> Result<(), StoreError> {
    let context = access.context;
    let mut statement = context.sql(access.connection.prepare_cached(SELECT_ITERATIONS))?;
    let mut rows = context.sql(statement.query([]))?;
    while let Some(row) = context.sql(rows.next())? {
        let number = episode.iterations.len();
        let (found, hash): (i64, Seal) = (context.sql(row.get(0))?, context.sql(row.get(1))?);
        if found != number as i64 {
            break;
        }
        let known = cache.iterations.get(number).filter(|(known, _)| *known == hash);
        let iteration = if let Some((_, iteration)) = known {
            Arc::clone(iteration)
        } else {
            let text: String = context.sql(row.get(2))?;
            access.verify("iteration", hash, &[found], &[&text])?;
            let iteration: Arc<Iteration> = Arc::new(context.json("iteration", &text)?);
            let entry = (hash, Arc::clone(&iteration));
            match cache.iterations.get_mut(number) {
                Some(stale) => *stale = entry,
                None => cache.iterations.push(entry),
            }
            iteration
        };
        episode.iterations.push(iteration);
    }
    Ok(())
}

const SELECT_HISTORY: &str = "SELECT tree, block, hash, record FROM history ORDER BY tree, block";

fn history(access: Access<'_>, cache: &mut Cache, episode: &mut Episode) -> Result<(), StoreError> {
    let context = access.context;
    let mut statement = context.sql(access.connection.prepare_cached(SELECT_HISTORY))?;
    let mut rows = context.sql(statement.query([]))?;
    while let Some(row) = context.sql(rows.next())? {
        let key: (i64, i64) = (context.sql(row.get(0))?, context.sql(row.get(1))?);
        let hash: Seal = context.sql(row.get(2))?;
        let wrong = || context.damaged("history", format!("row {}/{} is in no tree", key.0, key.1));
        let tree = usize::try_from(key.0).ok().and_then(|n| episode.forest.trees.get_mut(n));
        let tree = tree.ok_or_else(wrong)?;
        if cache.histories.get(&key).is_none_or(|(known, _)| *known != hash) {
            let text: String = context.sql(row.get(3))?;
            access.verify("history", hash, &[key.0, key.1], &[&text])?;
            let items: Vec<SkillExperience> = context.json("history", &text)?;
            cache.histories.insert(key, (hash, items.into_iter().map(Arc::new).collect()));
        }
        if let Some((_, items)) = cache.histories.get(&key) {
            tree.history.extend(items.iter().cloned());
        }
    }
    Ok(())
}
