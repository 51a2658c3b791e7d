//! Walking through lists: pages, counts, everything in order.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::StoreError;
use super::access::{Access, Seal};
use super::filters::{DataFilter, Search, Selection};
use super::index::{self, Kind, Shelf};
use super::members::Members;
use super::place::{self, Place};
use super::scan::{self, Memory};
use super::shelves::{self, Listed, find};
use super::words::Sought;
use crate::gym::datum::JudgedDatum;
use crate::gym::instance::Split;
use crate::gym::prediction::Prediction;
use crate::gym::review::DataSelection;
use crate::gym::teacher_call::TeacherCall;

/// Counts of searches end here: a person reads `10000+`.
pub const COUNTED_HITS: u64 = 10_000;

/// Where a page begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At this row of the list, counted from 0.
    Position(usize),
    /// Behind this record, which need not be in the list any more.
    After(Place),
    /// Before this record; the page ends there.
    Before(Place),
}

/// How long to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience<'a> {
    /// The end of it.
    pub until: Option<Instant>,
    /// Ends it when set, from another thread.
    pub cancelled: Option<&'a AtomicBool>,
}

impl Patience<'_> {
    /// Looks for this long.
    pub fn of(duration: Duration) -> Self {
        Self { until: Some(Instant::now() + duration), cancelled: None }
    }

    pub(super) fn spent(&self) -> bool {
        self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    /// The records with their places, in the order of the list.
    pub rows: Vec<(Place, T)>,
    /// Where the search stopped because patience was spent: go on from here. `None` when the page is whole.
    pub reached: Option<Place>,
}

/// How many records match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// At least so many.
    pub rows: u64,
    /// Whether there are no more.
    pub exact: bool,
}

pub(super) const SELECT_DIRECTORY: &str = "SELECT block, total FROM posting WHERE term = ?1 ORDER BY block";
pub(super) const SELECT_HITS: &str =
    "SELECT rowid FROM search WHERE search MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid";
pub(super) const SELECT_HITS_BACK: &str =
    "SELECT rowid FROM search WHERE search MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC";

/// The blocks in which the selection can have members, with the rarest term's total there.
pub(super) fn directory(access: Access<'_>, selection: &Selection) -> Result<Vec<(i64, u64)>, StoreError> {
    let Some(rarest) = selection.terms.first() else { return Ok(Vec::new()) };
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64));
    let mut blocks: Vec<(i64, u64)> = access.all(SELECT_DIRECTORY, [rarest.id], read)?;
    let sum = blocks.iter().fold(0, |sum: u64, (_, total)| sum.saturating_add(*total));
    if sum != rarest.total as u64 {
        let message = format!("term {} has {sum} places, {} were put there", rarest.id, rarest.total);
        return Err(access.context.damaged("posting", message));
    }
    blocks.retain(|(block, _)| selection.blocks.contains(block));
    Ok(blocks)
}

/// The selected places of one block, words aside.
pub(super) fn members(access: Access<'_>, selection: &Selection, block: i64) -> Result<Members, StoreError> {
    let of = |term: i64, block: i64| {
        Ok::<_, StoreError>(index::members(access, term, block)?.unwrap_or_else(Members::new))
    };
    let mut terms = selection.terms.iter();
    let Some(rarest) = terms.next() else { return Ok(Members::new()) };
    let mut set = of(rarest.id, block)?;
    for term in terms {
        set.keep(&of(term.id, block)?);
    }
    if let Some(changed) = &selection.changed {
        let other = block + changed.offset;
        if let Some(correct) = changed.correct {
            let mut differing = of(correct, block)?;
            differing.differ(&of(correct, other)?);
            set.keep(&differing);
        } else {
            set = Members::new();
        }
        set.keep(&of(changed.all, block)?);
        set.keep(&of(changed.all, other)?);
    }
    Ok(set)
}

/// A page of a list.
pub(super) fn page<T: Listed>(
    access: Access<'_>,
    selection: &Selection,
    at: At,
    limit: usize,
    patience: Patience<'_>,
    memory: &mut Memory,
) -> Result<Slice<T>, StoreError> {
    let (mut places, reached) = match &selection.search {
        Some(search) => hits(access, selection, search, at, limit, patience, memory)?,
        None => places(access, selection, at, limit, patience)?,
    };
    places.sort_unstable();
    let mut rows = Vec::with_capacity(places.len());
    for place in places {
        rows.push((place, whole(access, place)?));
    }
    Ok(Slice { rows, reached })
}

/// The record that the index says is at a place.
fn whole<T: Listed>(access: Access<'_>, place: Place) -> Result<T, StoreError> {
    let missing = || access.context.damaged(T::SHELF.table(), format!("row {} is missing", place.0));
    find(access, place)?.ok_or_else(missing)
}

type Found = (Vec<Place>, Option<Place>);

fn places(
    access: Access<'_>,
    selection: &Selection,
    at: At,
    limit: usize,
    patience: Patience<'_>,
) -> Result<Found, StoreError> {
    let mut blocks = directory(access, selection)?;
    let mut skip = 0;
    match at {
        At::Position(position) => skip = position as u64,
        At::After(cursor) => blocks.retain(|(block, _)| *block >= cursor.block()),
        At::Before(cursor) => {
            blocks.retain(|(block, _)| *block <= cursor.block());
            blocks.reverse();
        }
    }
    let mut found = Vec::new();
    for (block, total) in blocks {
        if found.len() >= limit {
            break;
        }
        if selection.plain() && total <= skip {
            skip -= total;
            continue;
        }
        let set = members(access, selection, block)?;
        let in_block = set.iter().map(|bit| Place::of_block(block, bit));
        let wanted = limit - found.len();
        match at {
            At::Position(_) => {
                let size = set.len() as u64;
                found.extend(in_block.skip(skip.min(size) as usize).take(wanted));
                skip = skip.saturating_sub(size);
            }
            At::After(cursor) => found.extend(in_block.filter(|place| *place > cursor).take(wanted)),
            At::Before(cursor) => found.extend(in_block.rev().filter(|place| *place < cursor).take(wanted)),
        }
        if found.len() < limit && patience.spent() {
            let end = if matches!(at, At::Before(_)) { 0 } else { (1 << place::BLOCK_BITS) - 1 };
            return Ok((found, Some(Place::of_block(block, end))));
        }
    }
    Ok((found, None))
}

/// Says of one place after another whether it is selected, with the block of the last one at hand.
struct Sieve<'a, 's> {
    access: Access<'a>,
    selection: &'s Selection,
    /// Whether every place of the range is selected.
    open: bool,
    block: Option<(i64, Members)>,
}

impl<'a, 's> Sieve<'a, 's> {
    fn new(access: Access<'a>, selection: &'s Selection) -> Result<Self, StoreError> {
        let all = index::sought(access, Shelf::Datum, Kind::All, "")?;
        let open = selection.plain() && selection.terms.first() == all.as_ref();
        Ok(Self { access, selection, open, block: None })
    }

    fn passes(&mut self, place: Place) -> Result<bool, StoreError> {
        if self.open {
            return Ok(true);
        }
        let known = self.block.take().filter(|(block, _)| *block == place.block());
        let (block, set) = match known {
            Some(known) => known,
            None => (place.block(), members(self.access, self.selection, place.block())?),
        };
        let passes = set.contains(place.bit());
        self.block = Some((block, set));
        Ok(passes)
    }
}

/// Walks the hits of a search that pass the filter, in the order of the list or against it.
fn walk_hits(
    access: Access<'_>,
    selection: &Selection,
    search: &Search,
    at: At,
    patience: Patience<'_>,
    memory: &mut Memory,
    visit: impl FnMut(Place) -> ControlFlow<()>,
) -> Result<Option<Place>, StoreError> {
    match search {
        Search::Indexed(words) => walk_index(access, selection, words, at, patience, visit),
        Search::Read(wanted) => scan::walk(access, selection, wanted, at, patience, memory, visit),
    }
}

/// The same where the search index has the words.
fn walk_index(
    access: Access<'_>,
    selection: &Selection,
    words: &Sought,
    at: At,
    patience: Patience<'_>,
    mut visit: impl FnMut(Place) -> ControlFlow<()>,
) -> Result<Option<Place>, StoreError> {
    if selection.terms.is_empty() {
        return Ok(None);
    }
    let first = Place::of_block(*selection.blocks.start(), 0).0;
    let last = Place::of_block(*selection.blocks.end() + 1, 0).0 - 1;
    let (sql, first, last) = match at {
        At::Position(_) => (SELECT_HITS, first, last),
        At::After(cursor) => (SELECT_HITS, first.max(cursor.0 + 1), last),
        At::Before(cursor) => (SELECT_HITS_BACK, first, last.min(cursor.0 - 1)),
    };
    let mut sieve = Sieve::new(access, selection)?;
    let (mut seen, mut reached) = (0_u32, None);
    let read = |row: &rusqlite::Row<'_>| row.get(0).map(Place);
    access.each(sql, (words.query(), first, last), read, |place| {
        if sieve.passes(place)? && visit(place).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        seen = seen.wrapping_add(1);
        if seen.is_multiple_of(64) && patience.spent() {
            reached = Some(place);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(reached)
}

fn hits(
    access: Access<'_>,
    selection: &Selection,
    search: &Search,
    at: At,
    limit: usize,
    patience: Patience<'_>,
    memory: &mut Memory,
) -> Result<Found, StoreError> {
    let mut skip = if let At::Position(position) = at { position } else { 0 };
    let mut found = Vec::new();
    if limit == 0 {
        return Ok((found, None));
    }
    let reached = walk_hits(access, selection, search, at, patience, memory, |place| {
        if skip > 0 {
            skip -= 1;
            return ControlFlow::Continue(());
        }
        found.push(place);
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((found, reached))
}

/// How many records are selected. Reads no record unless it must search in them; a search is counted up to 10,000.
pub(super) fn count(
    access: Access<'_>,
    selection: &Selection,
    patience: Patience<'_>,
    memory: &mut Memory,
) -> Result<Count, StoreError> {
    let mut rows = 0_u64;
    if let Some(search) = &selection.search {
        let mut full = false;
        let reached = walk_hits(access, selection, search, At::Position(0), patience, memory, |_| {
            full = rows == COUNTED_HITS;
            rows += u64::from(!full);
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        return Ok(Count { rows, exact: !full && reached.is_none() });
    }
    for (block, total) in directory(access, selection)? {
        rows += if selection.plain() { total } else { members(access, selection, block)?.len() as u64 };
        if patience.spent() {
            return Ok(Count { rows, exact: false });
        }
    }
    Ok(Count { rows, exact: true })
}

/// Every selected record, oldest iteration first, in the order in which they were stored.
pub(super) fn each<T: Listed>(
    access: Access<'_>,
    selection: &Selection,
    mut visit: impl FnMut(Place, T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut blocks: Vec<i64> = directory(access, selection)?.into_iter().map(|(block, _)| block).collect();
    blocks.sort_by_key(|block| (Place::of_block(*block, 0).iteration(), *block));
    for block in blocks {
        let set = members(access, selection, block)?;
        // A range is read faster than its rows one by one, unless most of them are not wanted.
        if set.len() < 512 {
            for bit in set.iter() {
                let place = Place::of_block(block, bit);
                visit(place, whole(access, place)?)?;
            }
            continue;
        }
        let mut left = set.len();
        block_rows(access, block, |place, record| {
            if set.contains(place.bit()) {
                left -= 1;
                visit(place, record()?)?;
            }
            Ok(())
        })?;
        if left > 0 {
            return Err(access.context.damaged(T::SHELF.table(), format!("{left} rows are missing")));
        }
    }
    Ok(())
}

pub(super) fn select_block(shelf: Shelf) -> String {
    let table = shelf.table();
    format!("SELECT place, id, hash, record FROM {table} WHERE place BETWEEN ?1 AND ?2 ORDER BY place")
}

/// Every row of a block; the record is read and verified when it is asked for.
fn block_rows<T: Listed>(
    access: Access<'_>,
    block: i64,
    mut visit: impl FnMut(Place, &dyn Fn() -> Result<T, StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (context, table) = (access.context, T::SHELF.table());
    let mut statement = context.sql(access.connection.prepare_cached(&select_block(T::SHELF)))?;
    let (first, last) = (Place::of_block(block, 0).0, Place::of_block(block + 1, 0).0 - 1);
    let mut rows = context.sql(statement.query((first, last)))?;
    while let Some(row) = context.sql(rows.next())? {
        let place = Place(context.sql(row.get(0))?);
        visit(place, &|| {
            let id = context.sql(row.get_ref(1))?.as_str();
            let text = context.sql(row.get_ref(3))?.as_str();
            let hash: Seal = context.sql(row.get(2))?;
            let (Ok(id), Ok(text)) = (id, text) else {
                return Err(context.damaged(table, format!("row {} is no text", place.0)));
            };
            access.verify(table, hash, &[place.0], &[id, text])?;
            context.json(table, text)
        })?;
    }
    Ok(())
}

/// Every datum that matches, oldest iteration first, in the order of the ids.
pub(super) fn each_datum(
    access: Access<'_>,
    filter: &DataFilter,
    mut visit: impl FnMut(JudgedDatum),
) -> Result<(), StoreError> {
    let selection = filter.selection(access)?;
    match &selection.search {
        None => each(access, &selection, |_, judged| {
            visit(judged);
            Ok(())
        }),
        Some(search) => {
            let mut places = Vec::new();
            let (start, patience, mut memory) = (At::Position(0), Patience::default(), Memory::default());
            walk_hits(access, &selection, search, start, patience, &mut memory, |place| {
                places.push(place);
                ControlFlow::Continue(())
            })?;
            places.sort_by_key(|place| (place.iteration(), *place));
            places.into_iter().try_for_each(|place| {
                visit(whole(access, place)?);
                Ok(())
            })
        }
    }
}

/// The data that a person's selection names, in the order of the ids.
pub(super) fn selected(access: Access<'_>, wanted: &DataSelection) -> Result<Vec<JudgedDatum>, StoreError> {
    let mut found = Vec::new();
    if wanted.ids.is_empty() {
        let filter = DataFilter {
            iteration: wanted.iteration,
            round: wanted.round,
            skill: wanted.skill.clone(),
            subskill: wanted.subskill.clone(),
            verdict: wanted.verdict,
            failed: wanted.failed_check.clone(),
            ..DataFilter::default()
        };
        each_datum(access, &filter, |judged| found.push(judged))?;
        return Ok(found);
    }
    for id in &wanted.ids {
        found.extend(datum(access, id)?.filter(|judged| wanted.names(judged)));
    }
    Ok(found)
}

/// The datum of an id.
pub(super) fn datum(access: Access<'_>, id: &str) -> Result<Option<JudgedDatum>, StoreError> {
    let place: Option<i64> = access.first(shelves::SELECT_DATUM_PLACE, [id], |row| row.get(0))?;
    place.map_or(Ok(None), |place| find(access, Place(place)))
}

/// Every prediction of an iteration and split, in the order of the instances.
pub(super) fn each_prediction(
    access: Access<'_>,
    iteration: u32,
    split: Split,
    mut visit: impl FnMut(Place, Prediction),
) -> Result<(), StoreError> {
    let filter = super::PredictionFilter::all(iteration, split);
    each(access, &filter.selection(access)?, |place, prediction| {
        visit(place, prediction);
        Ok(())
    })
}

/// Every iteration's prediction for the instance at `low`.
pub(super) fn answers(access: Access<'_>, low: i64) -> Result<Vec<(u32, Prediction)>, StoreError> {
    let Some(all) = index::sought(access, Shelf::Prediction, Kind::All, "")? else { return Ok(Vec::new()) };
    let selection = Selection {
        shelf: Shelf::Prediction,
        terms: vec![all],
        blocks: place::blocks(None, None),
        changed: None,
        search: None,
    };
    let mut found = Vec::new();
    for (block, _) in directory(access, &selection)? {
        let iteration = Place::of_block(block, 0).iteration();
        let place = Place::in_iteration(low, iteration);
        if place.block() == block && members(access, &selection, block)?.contains(place.bit()) {
            found.push((iteration, whole(access, place)?));
        }
    }
    found.reverse();
    Ok(found)
}

/// The teacher call of an id.
pub(super) fn teacher_call(access: Access<'_>, id: &str) -> Result<Option<TeacherCall>, StoreError> {
    let place: Option<i64> = access.first(shelves::SELECT_CALL_PLACE, [id], |row| row.get(0))?;
    place.map_or(Ok(None), |place| find(access, Place(place)))
}
