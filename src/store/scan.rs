//! Searching what no index holds: the texts of predictions and teacher calls are read one record after the other, and
//! what was read once is remembered while the search stays the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use super::StoreError;
use super::access::Access;
use super::filters::Selection;
use super::index::Shelf;
use super::journal::SELECT_LAST_EVENT;
use super::listing::{self, At, Patience};
use super::members::Members;
use super::place::Place;
use super::reader::instance;
use super::shelves::find;
use super::words::Sought;
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::TeacherCall;

/// Records that are read between two looks at the clock.
const STRETCH: u32 = 64;

/// What a record must have that no set of places says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Words in its texts.
    pub(super) words: Option<Sought>,
    /// The subskill of its instance.
    pub(super) subskill: Option<String>,
}

impl Wanted {
    /// `None` when nothing is wanted.
    pub(super) fn of(text: Option<&str>, subskill: Option<&str>) -> Option<Self> {
        let words = text.filter(|text| !text.trim().is_empty()).map(Sought::of);
        let subskill = subskill.map(str::to_owned);
        (words.is_some() || subskill.is_some()).then_some(Self { words, subskill })
    }

    /// Whether nothing can have it: signs without a word are in no text.
    pub(super) fn hopeless(&self) -> bool {
        self.words.as_ref().is_some_and(Sought::is_empty)
    }
}

/// Whether the texts of the record at a place have the words.
fn has(access: Access<'_>, shelf: Shelf, place: Place, words: &Sought) -> Result<bool, StoreError> {
    let missing = || access.context.damaged(shelf.table(), format!("row {} is missing", place.0));
    if shelf == Shelf::TeacherCall {
        let call = find::<TeacherCall>(access, place)?.ok_or_else(missing)?;
        return Ok(words.found_in(&[&call.request.prompt, &call.reply]));
    }
    let instance = instance(access, place.low())?;
    let prediction = find::<Prediction>(access, place)?.ok_or_else(missing)?;
    let answer = prediction.answer.as_deref().unwrap_or_default();
    Ok(words.found_in(&[instance.content.question(), &prediction.response, answer]))
}

/// Subskills of instances, by the iteration-less part of their places.
type Subskills = BTreeMap<i64, Option<String>>;

/// What the newest search for words found in the records that it has read, and the subskills of the instances that
/// searches needed. A list, its count and the lists that are parts of it ask for the same words in the same records.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The newest event of the journal when it began: within a phase records come and none changes.
    at: i64,
    of: Option<(Shelf, Sought)>,
    /// By block: what was read, and what of it has the words.
    blocks: BTreeMap<i64, (Members, Members)>,
    subskills: Subskills,
}

impl Memory {
    /// Forgets another search.
    fn turn_to(
        &mut self,
        access: Access<'_>,
        shelf: Shelf,
        words: Option<&Sought>,
    ) -> Result<(), StoreError> {
        let last = access.first(SELECT_LAST_EVENT, [], |row| row.get(0))?.unwrap_or(0);
        let changed = std::mem::replace(&mut self.at, last) != last;
        if changed {
            self.subskills.clear();
        }
        let same = |(of, known): &(Shelf, Sought)| *of == shelf && words.is_none_or(|words| words == known);
        // What a teacher was asked and said is written once; what else is known of its call is not searched.
        let stays = self.of.as_ref().is_some_and(same) && (!changed || shelf == Shelf::TeacherCall);
        if !stays && (changed || words.is_some()) {
            self.of = words.map(|words| (shelf, words.clone()));
            self.blocks.clear();
        }
        Ok(())
    }

    /// Whether the record at a place has what is wanted, and whether it had to be read for that.
    fn has(
        &mut self,
        access: Access<'_>,
        shelf: Shelf,
        place: Place,
        wanted: &Wanted,
    ) -> Result<(bool, bool), StoreError> {
        let mut read = false;
        if shelf != Shelf::TeacherCall && wanted.subskill.is_some() {
            let known = match self.subskills.entry(place.low()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    read = true;
                    new.insert(instance(access, place.low())?.subskill)
                }
            };
            if wanted.subskill != *known {
                return Ok((false, read));
            }
        }
        let Some(words) = &wanted.words else { return Ok((true, read)) };
        if let Some(known) = self.known(place) {
            return Ok((known, read));
        }
        let found = has(access, shelf, place, words)?;
        self.learn(place, found);
        Ok((found, true))
    }

    /// What is known of a place.
    fn known(&self, place: Place) -> Option<bool> {
        let (read, found) = self.blocks.get(&place.block())?;
        read.contains(place.bit()).then(|| found.contains(place.bit()))
    }

    fn learn(&mut self, place: Place, has: bool) {
        let (read, found) =
            self.blocks.entry(place.block()).or_insert_with(|| (Members::new(), Members::new()));
        read.set(place.bit(), true);
        found.set(place.bit(), has);
    }
}

/// Walks the selected places whose records have what is wanted, in the order of the list or against it. `Some` says
/// where patience ended; only what has to be read costs any.
pub(super) fn walk(
    access: Access<'_>,
    selection: &Selection,
    wanted: &Wanted,
    at: At,
    patience: Patience<'_>,
    memory: &mut Memory,
    mut visit: impl FnMut(Place) -> ControlFlow<()>,
) -> Result<Option<Place>, StoreError> {
    memory.turn_to(access, selection.shelf, wanted.words.as_ref())?;
    let mut blocks = listing::directory(access, selection)?;
    let back = matches!(at, At::Before(_));
    if back {
        blocks.reverse();
    }
    let mut fresh = 0_u32;
    for (block, _) in blocks {
        let beyond = match at {
            At::Position(_) => false,
            At::After(cursor) => block < cursor.block(),
            At::Before(cursor) => block > cursor.block(),
        };
        if beyond {
            continue;
        }
        let set = listing::members(access, selection, block)?;
        let mut places: Vec<Place> = set.iter().map(|bit| Place::of_block(block, bit)).collect();
        match at {
            At::Position(_) => {}
            At::After(cursor) => places.retain(|place| *place > cursor),
            At::Before(cursor) => places.retain(|place| *place < cursor),
        }
        if back {
            places.reverse();
        }
        for place in places {
            let (has, read) = memory.has(access, selection.shelf, place, wanted)?;
            fresh = fresh.wrapping_add(u32::from(read));
            if has && visit(place).is_break() {
                return Ok(None);
            }
            if fresh > 0 && fresh.is_multiple_of(STRETCH) && patience.spent() {
                return Ok(Some(place));
            }
        }
    }
    Ok(None)
}
