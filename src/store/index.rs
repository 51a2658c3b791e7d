//! The index of the lists: for every value a filter can have, the places that have it.
//!
//! A *term* is one value of one kind on one shelf (`datum`, `skill`, `fractions`). Its places are kept as sets
//! of up to 4,096, one row of `posting` per block, so that any filters are combined by intersecting sets, a
//! position is found by adding up totals, and a count reads no records. Both are written in the transaction
//! that writes the records.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::access::Access;
use super::members::{Members, checksum};
use super::place::Place;
use crate::gym::rng::{hash_text, mix};

/// What a value is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Every record, under the empty value.
    All,
    /// Round within the iteration.
    Round,
    /// Skill.
    Skill,
    /// Subskill.
    Subskill,
    /// Verdict.
    Verdict,
    /// Data generation engine.
    Engine,
    /// Name of a quality check that the datum failed.
    Failed,
    /// Instance whose error the engine was shown.
    Error,
    /// Whether a person reviewed it: `yes` or `no`.
    Reviewed,
    /// Whether a prediction is correct: `yes` or `no`.
    Correct,
    /// Prompt of a teacher call.
    Prompt,
    /// Outcome of a teacher call: `used` or `malformed`.
    Outcome,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Round => "round",
            Self::Skill => "skill",
            Self::Subskill => "subskill",
            Self::Verdict => "verdict",
            Self::Engine => "engine",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Reviewed => "reviewed",
            Self::Correct => "correct",
            Self::Prompt => "prompt",
            Self::Outcome => "outcome",
        }
    }
}

/// A kind and its value.
pub(super) type Term = (Kind, String);

/// A table of records that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Datum,
    Prediction,
    TeacherCall,
    /// Only counted: so that a row that is gone is missed.
    Timing,
    /// Only counted, by iteration.
    TrainingProgress,
}

impl Shelf {
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Datum => "datum",
            Self::Prediction => "prediction",
            Self::TeacherCall => "teacher_call",
            Self::Timing => "timing",
            Self::TrainingProgress => "training_progress",
        }
    }
}

/// A term as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: i64,
    /// Places it has in all.
    pub(super) total: i64,
}

pub(super) const SELECT_TERM: &str =
    "SELECT id, total, seal FROM term WHERE shelf = ?1 AND kind = ?2 AND value = ?3";
pub(super) const SELECT_POSTING: &str =
    "SELECT total, seal, members FROM posting WHERE term = ?1 AND block = ?2";

fn term_seal(shelf: Shelf, kind: Kind, value: &str, known: Known) -> i64 {
    let names = mix(hash_text(shelf.table()) ^ hash_text(kind.as_str()).rotate_left(21)) ^ hash_text(value);
    mix(mix(names ^ mix(known.id as u64)) ^ known.total as u64) as i64
}

/// [`term`] for a reader, who must not take a damaged key for a list without records.
pub(super) fn sought(
    access: Access<'_>,
    shelf: Shelf,
    kind: Kind,
    value: &str,
) -> Result<Option<Known>, StoreError> {
    let found = term(access, shelf, kind, value)?;
    if found.is_none() {
        let sql = "SELECT 1 FROM term NOT INDEXED WHERE shelf = ?1 AND kind = ?2 AND value = ?3";
        let hidden: Option<i64> =
            access.first(sql, (shelf.table(), kind.as_str(), value), |row| row.get(0))?;
        if hidden.is_some() {
            return Err(access.context.damaged("term", format!("the key of `{value}` is wrong")));
        }
    }
    Ok(found)
}

/// A term, if any record ever had it.
pub(super) fn term(
    access: Access<'_>,
    shelf: Shelf,
    kind: Kind,
    value: &str,
) -> Result<Option<Known>, StoreError> {
    let found = access.first(SELECT_TERM, (shelf.table(), kind.as_str(), value), |row| {
        Ok((Known { id: row.get(0)?, total: row.get(1)? }, row.get::<_, i64>(2)?))
    })?;
    match found {
        Some((known, seal)) if seal != term_seal(shelf, kind, value, known) => {
            Err(access.context.damaged("term", format!("the hash of `{}` `{value}` is wrong", kind.as_str())))
        }
        found => Ok(found.map(|(known, _)| known)),
    }
}

pub(super) const SELECT_VALUES: &str = "SELECT value FROM term WHERE shelf = ?1 AND kind = ?2 ORDER BY value";

/// The values of a kind that any record has, with their numbers of records.
pub(super) fn values(access: Access<'_>, shelf: Shelf, kind: Kind) -> Result<Vec<(String, u64)>, StoreError> {
    let values: Vec<String> = access.all(SELECT_VALUES, (shelf.table(), kind.as_str()), |row| row.get(0))?;
    let mut found = Vec::new();
    for value in values {
        match term(access, shelf, kind, &value)? {
            Some(known) if known.total > 0 => found.push((value, known.total as u64)),
            _ => {}
        }
    }
    Ok(found)
}

/// The places of a term in one block.
pub(super) fn members(access: Access<'_>, term: i64, block: i64) -> Result<Option<Members>, StoreError> {
    let found = access.first(SELECT_POSTING, (term, block), |row| {
        let bytes = row.get_ref(2)?.as_blob()?;
        let set = Members::decode(bytes).filter(|_| row.get(1) == Ok(checksum(term, block, bytes)));
        let total: i64 = row.get(0)?;
        Ok(set.filter(|set| set.len() as i64 == total))
    })?;
    let wrong =
        || access.context.damaged("posting", format!("the hash of block {block} of term {term} is wrong"));
    found.map(|set| set.ok_or_else(wrong)).transpose()
}

fn intern(access: Access<'_>, shelf: Shelf, kind: Kind, value: &str) -> Result<Known, StoreError> {
    if let Some(known) = term(access, shelf, kind, value)? {
        return Ok(known);
    }
    let last = "SELECT coalesce(max(id), 0) FROM term";
    let last: i64 = access.first(last, [], |row| row.get(0))?.unwrap_or(0);
    let known = Known { id: last + 1, total: 0 };
    let seal = term_seal(shelf, kind, value, known);
    let row = (known.id, shelf.table(), kind.as_str(), value, known.total, seal);
    access.run("INSERT INTO term VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)?;
    Ok(known)
}

/// Changes the total of a term.
pub(super) fn raise(
    access: Access<'_>,
    shelf: Shelf,
    kind: Kind,
    value: &str,
    rise: i64,
) -> Result<(), StoreError> {
    let known = intern(access, shelf, kind, value)?;
    let total = known.total + rise;
    let seal = term_seal(shelf, kind, value, Known { total, ..known });
    access.run("UPDATE term SET total = ?2, seal = ?3 WHERE id = ?1", (known.id, total, seal)).map(drop)
}

/// Refuses a number of rows that is not the one that was put there.
pub(super) fn expect(access: Access<'_>, shelf: Shelf, value: &str, rows: usize) -> Result<(), StoreError> {
    let put = term(access, shelf, Kind::All, value)?.map_or(0, |known| known.total);
    if put == rows as i64 {
        return Ok(());
    }
    Err(access.context.damaged(shelf.table(), format!("{rows} rows are left of {put}")))
}

/// Collects what changes in the index and writes it block by block.
pub(super) struct Index<'a> {
    access: Access<'a>,
    shelf: Shelf,
    ids: HashMap<Kind, HashMap<String, i64>>,
    /// Per term, what its total rises by.
    totals: BTreeMap<i64, (Kind, String, i64)>,
    block: i64,
    changes: BTreeMap<i64, Vec<(u16, bool)>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(access: Access<'a>, shelf: Shelf) -> Self {
        let (ids, totals, changes) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { access, shelf, ids, totals, block: -1, changes }
    }

    /// A record appears at a place.
    pub(super) fn add(&mut self, place: Place, terms: &[Term]) -> Result<(), StoreError> {
        terms.iter().try_for_each(|term| self.change(place, term, true))
    }

    /// A record leaves its place.
    pub(super) fn remove(&mut self, place: Place, terms: &[Term]) -> Result<(), StoreError> {
        terms.iter().try_for_each(|term| self.change(place, term, false))
    }

    fn change(&mut self, place: Place, (kind, value): &Term, present: bool) -> Result<(), StoreError> {
        if place.block() != self.block {
            self.write_block()?;
            self.block = place.block();
        }
        let known = self.ids.get(kind).and_then(|values| values.get(value)).copied();
        let id = match known {
            Some(id) => id,
            None => self.intern(*kind, value)?,
        };
        self.changes.entry(id).or_default().push((place.bit(), present));
        Ok(())
    }

    fn intern(&mut self, kind: Kind, value: &str) -> Result<i64, StoreError> {
        let id = intern(self.access, self.shelf, kind, value)?.id;
        self.ids.entry(kind).or_default().insert(value.to_owned(), id);
        self.totals.insert(id, (kind, value.to_owned(), 0));
        Ok(id)
    }

    fn write_block(&mut self) -> Result<(), StoreError> {
        let block = self.block;
        for (term, changes) in std::mem::take(&mut self.changes) {
            let mut set = members(self.access, term, block)?.unwrap_or_else(Members::new);
            let before = set.len() as i64;
            for (bit, present) in changes {
                set.set(bit, present);
            }
            let after = set.len() as i64;
            if let Some((_, _, rise)) = self.totals.get_mut(&term) {
                *rise += after - before;
            }
            if after == 0 {
                self.access.run("DELETE FROM posting WHERE term = ?1 AND block = ?2", (term, block))?;
                continue;
            }
            let bytes = set.encode();
            let row = (term, block, after, checksum(term, block, &bytes), bytes);
            self.access.run("INSERT OR REPLACE INTO posting VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
        }
        Ok(())
    }

    /// Writes what is left, and the totals.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.write_block()?;
        for (kind, value, rise) in std::mem::take(&mut self.totals).into_values() {
            if rise != 0 {
                raise(self.access, self.shelf, kind, &value, rise)?;
            }
        }
        Ok(())
    }
}
