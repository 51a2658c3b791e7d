//! Writing the records that are listed: instances, predictions, training data, teacher calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::access::{Access, Seal, seal};
use super::index::{Index, Kind, Shelf, Term};
use super::listing;
use super::place::{Place, blocks};
use super::words::words;
use crate::gym::datum::JudgedDatum;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::prediction::Prediction;
use crate::gym::report::UNSORTED;
use crate::gym::teacher_call::{CallOutcome, TeacherCall};

/// What a filter can ask of a record, and the words it can be found by.
pub(super) trait Listed: Serialize + DeserializeOwned + PartialEq {
    const SHELF: Shelf;
    fn id(&self) -> &str;
    /// `skill` is the skill of a prediction's instance, which its record does not name.
    fn terms(&self, round: u32, skill: &str) -> Vec<Term>;
    /// Texts that are searched; none on shelves without search.
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// The value under which the index knows a yes or a no.
pub(super) fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// The value of an outcome.
pub(super) fn outcome(malformed: bool) -> String {
    if malformed { "malformed" } else { "used" }.to_owned()
}

impl Listed for JudgedDatum {
    const SHELF: Shelf = Shelf::Datum;

    fn id(&self) -> &str {
        &self.datum.id
    }

    fn terms(&self, round: u32, _: &str) -> Vec<Term> {
        let datum = &self.datum;
        let mut terms = vec![
            (Kind::All, String::new()),
            (Kind::Round, round.to_string()),
            (Kind::Skill, datum.skill.clone()),
            (Kind::Subskill, datum.subskill.clone()),
            (Kind::Verdict, self.verdict.as_str().to_owned()),
            (Kind::Engine, datum.provenance.engine.clone()),
            (Kind::Reviewed, yes(self.review.is_some())),
        ];
        let failed = self.checks.iter().filter(|result| !result.passed);
        terms.extend(failed.map(|result| (Kind::Failed, result.check.clone())));
        terms.extend(datum.provenance.source_errors.iter().map(|id| (Kind::Error, id.clone())));
        terms
    }

    fn texts(&self) -> Vec<&str> {
        let datum = &self.datum;
        let answer = datum.answer.as_deref().unwrap_or_default();
        vec![&datum.instruction, &datum.response, answer]
    }
}

impl Listed for Prediction {
    const SHELF: Shelf = Shelf::Prediction;

    fn id(&self) -> &str {
        &self.instance_id
    }

    fn terms(&self, _: u32, skill: &str) -> Vec<Term> {
        vec![(Kind::All, String::new()), (Kind::Skill, skill.to_owned()), (Kind::Correct, yes(self.correct))]
    }
}

impl Listed for TeacherCall {
    const SHELF: Shelf = Shelf::TeacherCall;

    fn id(&self) -> &str {
        &self.id
    }

    fn terms(&self, round: u32, _: &str) -> Vec<Term> {
        let malformed = matches!(self.outcome, CallOutcome::Malformed { .. });
        vec![
            (Kind::All, String::new()),
            (Kind::Round, round.to_string()),
            (Kind::Prompt, self.context.prompt.clone()),
            (Kind::Outcome, outcome(malformed)),
        ]
    }
}

/// The number of a split in the round's bits of a place.
pub(super) fn split_number(split: Split) -> u32 {
    match split {
        Split::Pool => 0,
        Split::Validation => 1,
        Split::Test => 2,
    }
}

fn place(access: Access<'_>, iteration: u32, round: u32, ordinal: usize) -> Result<Place, StoreError> {
    let path = access.context.path.clone();
    Place::new(iteration, round, ordinal).ok_or(StoreError::Full { path, iteration, round, ordinal })
}

/// Stores the instances of the task, in their order within their split.
pub(super) fn put_instances(access: Access<'_>, instances: &[TaskInstance]) -> Result<(), StoreError> {
    let mut next: BTreeMap<Split, usize> = BTreeMap::new();
    for instance in instances {
        let ordinal = next.entry(instance.split).or_default();
        let place = place(access, 0, split_number(instance.split), *ordinal)?.low();
        *ordinal += 1;
        let text = access.context.text("instance", instance)?;
        let split = instance.split.as_str();
        let hash = seal("instance", &[place], &[split, &instance.id, &text]);
        let row = (place, split, &instance.id, hash, &text);
        access.run("INSERT INTO instance VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
    }
    Ok(())
}

pub(super) const SELECT_INSTANCE: &str =
    "SELECT place, hash, record FROM instance WHERE split = ?1 AND id = ?2";

/// An instance with the iteration-less part of its places.
pub(super) fn instance(
    access: Access<'_>,
    split: Split,
    id: &str,
) -> Result<Option<(i64, TaskInstance)>, StoreError> {
    let found = access.first(SELECT_INSTANCE, (split.as_str(), id), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Seal>(1)?, row.get::<_, String>(2)?))
    })?;
    let Some((place, hash, text)) = found else {
        // Seldom asked, and a damaged key must not look like an instance that is not there.
        let sql = "SELECT 1 FROM instance NOT INDEXED WHERE split = ?1 AND id = ?2";
        let hidden: Option<i64> = access.first(sql, (split.as_str(), id), |row| row.get(0))?;
        let wrong = || access.context.damaged("instance", format!("the key of `{id}` is wrong"));
        return hidden.map_or(Ok(None), |_| Err(wrong()));
    };
    access.verify("instance", hash, &[place], &[split.as_str(), id, &text])?;
    Ok(Some((place, access.context.json("instance", &text)?)))
}

/// Gives instances the skills of `instances`, and lists the answers to them under these.
pub(super) fn put_skills(access: Access<'_>, instances: &[TaskInstance]) -> Result<(), StoreError> {
    let mut index = Index::new(access, Shelf::Prediction);
    for new in instances {
        let split = new.split.as_str();
        let Some((low, old)) = instance(access, new.split, &new.id)? else {
            let path = access.context.path.clone();
            return Err(StoreError::NoInstance { path, split, id: new.id.clone() });
        };
        if old == *new {
            continue;
        }
        let text = access.context.text("instance", new)?;
        let hash = seal("instance", &[low], &[split, &new.id, &text]);
        access.run("UPDATE instance SET hash = ?2, record = ?3 WHERE place = ?1", (low, hash, text))?;
        let term = |instance| (Kind::Skill, skill_of(instance).to_owned());
        for (iteration, _) in listing::answers(access, low)? {
            let place = Place::in_iteration(low, iteration);
            index.remove(place, &[term(&old)])?;
            index.add(place, &[term(new)])?;
        }
    }
    index.finish()
}

/// The skill under which an instance's predictions are listed.
pub(super) fn skill_of(instance: &TaskInstance) -> &str {
    instance.skill.as_deref().unwrap_or(UNSORTED)
}

/// Stores predictions; one that exists already is replaced.
pub(super) fn put_predictions(
    access: Access<'_>,
    iteration: u32,
    split: Split,
    new: &[Prediction],
) -> Result<(), StoreError> {
    place(access, iteration, 0, 0)?;
    let mut wanted = BTreeMap::new();
    for prediction in new {
        let id = &prediction.instance_id;
        let Some((low, instance)) = instance(access, split, id)? else {
            let path = access.context.path.clone();
            return Err(StoreError::NoInstance { path, split: split.as_str(), id: id.clone() });
        };
        wanted.insert(Place::in_iteration(low, iteration), (prediction, skill_of(&instance).to_owned()));
    }
    let mut shelf = Writer::new(access);
    for (place, (prediction, skill)) in wanted {
        let old = find::<Prediction>(access, place)?;
        shelf.put(place, old.as_ref(), prediction, 0, &skill)?;
    }
    shelf.finish()
}

/// Makes a round consist of these data, in this order. What is there already is touched only where it differs:
/// a check phase that changes verdicts leaves texts and their search index alone.
pub(super) fn put_data(
    access: Access<'_>,
    iteration: u32,
    round: u32,
    data: &[JudgedDatum],
) -> Result<(), StoreError> {
    place(access, iteration, round, data.len())?;
    let mut old = round_places(access, iteration, round)?;
    let mut shelf = Writer::new(access);
    // First everything that goes, so that an id can move to another place.
    let keeps = |(place, id): &(Place, String)| data.get(place.ordinal()).is_some_and(|d| d.datum.id == *id);
    for (place, id) in old.iter().filter(|row| !keeps(row)) {
        let record = find::<JudgedDatum>(access, *place)?;
        let record =
            record.ok_or_else(|| access.context.damaged("datum", format!("row `{id}` is missing")))?;
        shelf.remove(*place, &record, round)?;
    }
    old.retain(keeps);
    let kept: BTreeSet<Place> = old.into_iter().map(|(place, _)| place).collect();
    for (ordinal, judged) in data.iter().enumerate() {
        let place = place(access, iteration, round, ordinal)?;
        let before = if kept.contains(&place) { find::<JudgedDatum>(access, place)? } else { None };
        shelf.put(place, before.as_ref(), judged, round, "")?;
    }
    shelf.finish()
}

pub(super) const SELECT_DATUM_PLACE: &str = "SELECT place FROM datum WHERE id = ?1";

/// Stores what a person changed, each where it stands.
pub(super) fn change_data(access: Access<'_>, data: &[JudgedDatum]) -> Result<(), StoreError> {
    let mut found = BTreeMap::new();
    for judged in data {
        let place: Option<i64> = access.first(SELECT_DATUM_PLACE, [&judged.datum.id], |row| row.get(0))?;
        let missing = || access.context.damaged("datum", format!("row `{}` is missing", judged.datum.id));
        found.insert(Place(place.ok_or_else(missing)?), judged);
    }
    let mut shelf = Writer::new(access);
    for (place, judged) in found {
        let old = find::<JudgedDatum>(access, place)?;
        shelf.put(place, old.as_ref(), judged, place.round(), "")?;
    }
    shelf.finish()
}

pub(super) const SELECT_IDS: &str =
    "SELECT place, id FROM datum WHERE place BETWEEN ?1 AND ?2 ORDER BY place";

fn round_places(access: Access<'_>, iteration: u32, round: u32) -> Result<Vec<(Place, String)>, StoreError> {
    let range = blocks(Some(iteration), Some(round));
    let (first, last) = (Place::of_block(*range.start(), 0).0, Place::of_block(*range.end() + 1, 0).0 - 1);
    access.all(SELECT_IDS, (first, last), |row| Ok((Place(row.get(0)?), row.get(1)?)))
}

pub(super) const SELECT_CALL_PLACE: &str = "SELECT place FROM teacher_call WHERE id = ?1";
pub(super) const SELECT_LAST_CALL: &str = "SELECT max(place) FROM teacher_call WHERE place BETWEEN ?1 AND ?2";

/// Stores teacher calls; one that exists already is replaced where it stands.
pub(super) fn put_teacher_calls(access: Access<'_>, calls: &[TeacherCall]) -> Result<(), StoreError> {
    let mut shelf = Writer::new(access);
    for call in calls {
        let (iteration, round) = (call.context.iteration, call.context.round);
        let known: Option<i64> = access.first(SELECT_CALL_PLACE, [&call.id], |row| row.get(0))?;
        let old = match known {
            Some(at) => find::<TeacherCall>(access, Place(at))?,
            None => None,
        };
        let first = place(access, iteration, round, 0)?;
        // A call that was made again in another round stays where it was first made.
        let (at, round) = if let (Some(at), Some(old)) = (known, &old) {
            (Place(at), old.context.round)
        } else {
            let last = place(access, iteration, round, (1 << 23) - 1)?;
            let last: Option<i64> =
                access.first(SELECT_LAST_CALL, (first.0, last.0), |row| row.get(0))?.flatten();
            let next = last.map_or(0, |last| Place(last).ordinal() + 1);
            (place(access, iteration, round, next)?, round)
        };
        shelf.put(at, old.as_ref(), call, round, "")?;
    }
    shelf.finish()
}

/// The record at a place of its shelf, verified.
pub(super) fn find<T: Listed>(access: Access<'_>, place: Place) -> Result<Option<T>, StoreError> {
    let table = T::SHELF.table();
    let sql = select_one(T::SHELF);
    let found = access.first(&sql, [place.0], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Seal>(1)?, row.get::<_, String>(2)?))
    })?;
    let Some((id, hash, text)) = found else { return Ok(None) };
    access.verify(table, hash, &[place.0], &[&id, &text])?;
    access.context.json(table, &text).map(Some)
}

pub(super) fn select_one(shelf: Shelf) -> String {
    format!("SELECT id, hash, record FROM {} WHERE place = ?1", shelf.table())
}

/// Writes records of one shelf, with their index and their words.
struct Writer<'a> {
    access: Access<'a>,
    index: Option<Index<'a>>,
}

impl<'a> Writer<'a> {
    fn new(access: Access<'a>) -> Self {
        Self { access, index: None }
    }

    fn index<T: Listed>(&mut self) -> &mut Index<'a> {
        self.index.get_or_insert_with(|| Index::new(self.access, T::SHELF))
    }

    fn put<T: Listed>(
        &mut self,
        place: Place,
        old: Option<&T>,
        new: &T,
        round: u32,
        skill: &str,
    ) -> Result<(), StoreError> {
        if old == Some(new) {
            return Ok(());
        }
        let table = T::SHELF.table();
        let text = self.access.context.text(table, new)?;
        let hash = seal(table, &[place.0], &[new.id(), &text]);
        // Replaced by place only: an id that stands elsewhere already is refused.
        let sql = format!(
            "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4) ON CONFLICT (place) DO UPDATE
             SET id = excluded.id, hash = excluded.hash, record = excluded.record"
        );
        self.access.run(&sql, (place.0, new.id(), hash, text))?;
        let terms = new.terms(round, skill);
        let gone = old.map(|old| old.terms(round, skill)).unwrap_or_default();
        let index = self.index::<T>();
        index
            .remove(place, &gone.iter().filter(|term| !terms.contains(term)).cloned().collect::<Vec<_>>())?;
        index.add(place, &terms.into_iter().filter(|term| !gone.contains(term)).collect::<Vec<_>>())?;
        let texts = new.texts();
        if texts.is_empty() || old.is_some_and(|old| old.texts() == texts) {
            return Ok(());
        }
        if old.is_some() {
            self.access.run("DELETE FROM search WHERE rowid = ?1", [place.0])?;
        }
        let words = words(texts).join(" ");
        self.access.run("INSERT INTO search (rowid, words) VALUES (?1, ?2)", (place.0, words)).map(drop)
    }

    fn remove(&mut self, place: Place, old: &JudgedDatum, round: u32) -> Result<(), StoreError> {
        let terms = old.terms(round, "");
        self.index::<JudgedDatum>().remove(place, &terms)?;
        self.access.run("DELETE FROM datum WHERE place = ?1", [place.0])?;
        self.access.run("DELETE FROM search WHERE rowid = ?1", [place.0]).map(drop)
    }

    fn finish(self) -> Result<(), StoreError> {
        self.index.map_or(Ok(()), Index::finish)
    }
}
