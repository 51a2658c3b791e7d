//! What a list can be filtered by, and the terms of the index that stand for it.

use super::StoreError;
use super::access::Access;
use super::index::{self, Kind, Known, Shelf};
use super::place::{self, Place};
use super::scan::Wanted;
use super::shelves::{outcome, split_number, yes};
use super::words::Sought;
use crate::gym::datum::Verdict;
use crate::gym::instance::Split;

/// Which training data to list. Empty fields do not filter; all others must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFilter {
    /// Only this iteration.
    pub iteration: Option<u32>,
    /// Only iterations from the first to the second of these.
    pub span: Option<(u32, u32)>,
    /// Only this round of the iterations.
    pub round: Option<u32>,
    /// Only this skill.
    pub skill: Option<String>,
    /// Only this subskill.
    pub subskill: Option<String>,
    /// Only this verdict.
    pub verdict: Option<Verdict>,
    /// Only what this engine wrote.
    pub engine: Option<String>,
    /// Only what failed this check.
    pub failed: Option<String>,
    /// Only what was written after the error on this instance.
    pub source_error: Option<String>,
    /// Only what a person has reviewed, or has not.
    pub reviewed: Option<bool>,
    /// Only texts with all of these words, in any order and in lower or upper case. For the last one, unless a space
    /// or a sign ends it, any that begins so will do.
    pub text: Option<String>,
}

/// Which predictions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictionFilter {
    /// Iteration whose student answered.
    pub iteration: u32,
    /// Split it answered.
    pub split: Split,
    /// Only correct or only wrong ones.
    pub correct: Option<bool>,
    /// Only this skill.
    pub skill: Option<String>,
    /// Only this subskill of the instance, where the source says one.
    pub subskill: Option<String>,
    /// Only those that are right now and were wrong in this iteration, or the other way round.
    pub changed_since: Option<u32>,
    /// Only those with all of these words in question, response and answer, as in [`DataFilter::text`]. No index has
    /// them: records are read.
    pub text: Option<String>,
}

impl PredictionFilter {
    /// Every prediction of an iteration and a split.
    pub fn all(iteration: u32, split: Split) -> Self {
        Self { iteration, split, correct: None, skill: None, subskill: None, changed_since: None, text: None }
    }
}

/// Which teacher calls to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only this iteration.
    pub iteration: Option<u32>,
    /// Only iterations from the first to the second of these.
    pub span: Option<(u32, u32)>,
    /// Only this prompt, as `name@version`.
    pub prompt: Option<String>,
    /// Only malformed answers, or only those that were used.
    pub malformed: Option<bool>,
    /// Only those with all of these words in question and reply, as in [`DataFilter::text`]. No index has them: records
    /// are read.
    pub text: Option<String>,
}

/// What must hold beyond the terms.
#[derive(Debug)]
pub(super) enum Search {
    /// Words that the search index has.
    Indexed(Sought),
    /// What is read in the records.
    Read(Wanted),
}

/// A filter in terms of the index.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) shelf: Shelf,
    /// All must hold, the rarest first. Without any nothing is selected.
    pub(super) terms: Vec<Known>,
    /// Blocks it can have members in.
    pub(super) blocks: std::ops::RangeInclusive<i64>,
    pub(super) changed: Option<Changed>,
    pub(super) search: Option<Search>,
}

/// A comparison with the same instances in another iteration.
#[derive(Debug)]
pub(super) struct Changed {
    /// The term of correct predictions, where there are any.
    pub(super) correct: Option<i64>,
    pub(super) all: i64,
    /// From a block to the one of the other iteration.
    pub(super) offset: i64,
}

impl Selection {
    fn new(
        access: Access<'_>,
        shelf: Shelf,
        wanted: &[(Kind, Option<String>)],
        blocks: std::ops::RangeInclusive<i64>,
    ) -> Result<Self, StoreError> {
        let mut terms = Vec::new();
        let given = wanted.iter().filter_map(|(kind, value)| Some((*kind, value.as_deref()?)));
        let mut given: Vec<(Kind, &str)> = given.collect();
        if given.is_empty() {
            given.push((Kind::All, ""));
        }
        for (kind, value) in given {
            match index::sought(access, shelf, kind, value)? {
                Some(known) if known.total > 0 => terms.push(known),
                _ => return Ok(Self { shelf, terms: Vec::new(), blocks, changed: None, search: None }),
            }
        }
        terms.sort_by_key(|known| known.total);
        Ok(Self { shelf, terms, blocks, changed: None, search: None })
    }

    /// The same with what must be read in the records.
    fn reading(mut self, wanted: Option<Wanted>) -> Self {
        if wanted.as_ref().is_some_and(Wanted::hopeless) {
            self.terms.clear();
        }
        self.search = wanted.map(Search::Read);
        self
    }

    /// Whether a block's total in the index is its share of the selection.
    pub(super) fn plain(&self) -> bool {
        self.terms.len() == 1 && self.changed.is_none()
    }
}

impl DataFilter {
    pub(super) fn selection(&self, access: Access<'_>) -> Result<Selection, StoreError> {
        // With an iteration a round is a range of places, without one it is a term.
        let loose_round = self.round.filter(|_| self.iteration.is_none());
        let wanted = [
            (Kind::Round, loose_round.map(|round| round.to_string())),
            (Kind::Skill, self.skill.clone()),
            (Kind::Subskill, self.subskill.clone()),
            (Kind::Verdict, self.verdict.map(|verdict| verdict.as_str().to_owned())),
            (Kind::Engine, self.engine.clone()),
            (Kind::Failed, self.failed.clone()),
            (Kind::Error, self.source_error.clone()),
            (Kind::Reviewed, self.reviewed.map(yes)),
        ];
        let blocks = place::within(place::blocks(self.iteration, self.round), self.span);
        let mut selection = Selection::new(access, Shelf::Datum, &wanted, blocks)?;
        let text = self.text.as_deref().filter(|text| !text.trim().is_empty());
        let words = text.map(Sought::of);
        if words.as_ref().is_some_and(Sought::is_empty) {
            // Signs without a word are in no index.
            selection.terms.clear();
        }
        selection.search = words.map(Search::Indexed);
        Ok(selection)
    }
}

impl PredictionFilter {
    pub(super) fn selection(&self, access: Access<'_>) -> Result<Selection, StoreError> {
        let wanted = [(Kind::Skill, self.skill.clone()), (Kind::Correct, self.correct.map(yes))];
        let blocks = place::blocks(Some(self.iteration), Some(split_number(self.split)));
        let mut selection = Selection::new(access, Shelf::Prediction, &wanted, blocks)?;
        if let Some(other) = self.changed_since {
            let correct = index::sought(access, Shelf::Prediction, Kind::Correct, &yes(true))?;
            let Some(all) = index::sought(access, Shelf::Prediction, Kind::All, "")? else {
                selection.terms.clear();
                return Ok(selection);
            };
            let offset =
                Place::in_iteration(0, other).block() - Place::in_iteration(0, self.iteration).block();
            let correct = correct.map(|known| known.id);
            selection.changed = Some(Changed { correct, all: all.id, offset });
        }
        Ok(selection.reading(Wanted::of(self.text.as_deref(), self.subskill.as_deref())))
    }
}

impl CallFilter {
    pub(super) fn selection(&self, access: Access<'_>) -> Result<Selection, StoreError> {
        let wanted = [(Kind::Prompt, self.prompt.clone()), (Kind::Outcome, self.malformed.map(outcome))];
        let blocks = place::within(place::blocks(self.iteration, None), self.span);
        let selection = Selection::new(access, Shelf::TeacherCall, &wanted, blocks)?;
        Ok(selection.reading(Wanted::of(self.text.as_deref(), None)))
    }
}
