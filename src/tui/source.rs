//! The thread that reads the database: facts when something was committed, samples when they are in sight.

mod calls;
mod lists;
mod pictures;

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::facts::{Accepted, Answers, Behind, BySubskill, Facts, Listing, Page, Query, Sample};
use super::filter::Field;
use super::update::Message;
use crate::gym::episode::{Episode, Phase};
use crate::gym::instance::Split;
use crate::gym::ports::TrainingProgress;
use crate::gym::statistics::{Estimate, paired_gain};
use crate::store::{Reader, StoreError};
use calls::Calls;
use pictures::Pictures;

/// Time between two looks at the database, which cost microseconds each.
const LOOK: Duration = Duration::from_millis(150);
/// Images of one sample that are read.
const MOST_PICTURES: usize = 4;
/// Entries of the journal that the log shows.
const JOURNAL: usize = 500;

/// Reads until the other side is gone.
pub(super) fn run(folder: PathBuf, queries: &Receiver<Wanted>, send: impl Fn(Message)) {
    let mut source = Source::new(folder);
    let mut complaint: Option<String> = None;
    // Asked once, and kept until the database could be looked at.
    let mut wanted: Vec<Wanted> = Vec::new();
    loop {
        let wait = if source.searching() { Duration::ZERO } else { LOOK };
        let first = match queries.recv_timeout(wait) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for order in first.into_iter().chain(queries.try_iter()) {
            match order {
                Wanted::Samples { query, asked, stale } => source.ask(query, asked, stale),
                Wanted::Journal(on) => source.follow_journal(on),
                Wanted::Facts => source.again(),
                // Of each kind the newest question alone is worth an answer.
                other => {
                    wanted.retain(|older| discriminant(older) != discriminant(&other));
                    wanted.push(other);
                }
            }
        }
        let news = source.look().and_then(|mut news| {
            for wanted in wanted.drain(..) {
                news.extend(source.answer(wanted)?);
            }
            Ok(news)
        });
        match news {
            Ok(messages) => {
                if !source.searching() {
                    complaint = None;
                }
                messages.into_iter().for_each(&send);
            }
            Err(error) => {
                source.give_up();
                let text = error.to_string();
                // Said once, not at every look.
                if complaint.as_ref() != Some(&text) {
                    complaint = Some(text.clone());
                    send(Message::SourceFailed(text));
                }
            }
        }
    }
}

/// What the screen wants to be told.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Samples.
    Samples {
        query: Query,
        /// Whether a person waits for them.
        asked: bool,
        /// Says meanwhile that others are wanted.
        stale: Arc<AtomicBool>,
    },
    /// The journal, from now on or no longer.
    Journal(bool),
    /// The committed state once more.
    Facts,
    /// How often each value of a field occurs in a list.
    Facet(Listing, Field),
    /// The values of these fields in the whole list.
    Values(Listing, Vec<Field>),
    /// The ids of everything listed.
    Ids(Listing),
    /// What the phases of an iteration asked.
    Calls(u32),
}

/// What is read, and what is remembered so that it is not read again.
pub(super) struct Source {
    folder: PathBuf,
    reader: Option<Reader>,
    query: Option<Query>,
    /// Whether the query is unanswered, and whether a person waits for the answer.
    asked: Option<bool>,
    page: Option<Page>,
    /// Samples on the page that was shown last.
    shown: usize,
    /// Set when the newest query is the newest no more, so that nobody waits for its answer.
    stale: Arc<AtomicBool>,
    /// The gain for a selected iteration, computed once.
    gain: Option<(u32, Option<Estimate>)>,
    /// Whether the journal is wanted, and its newest event when it was read.
    journal: (bool, Option<i64>),
    /// The committed state is news, whether or not it is new.
    again: bool,
    /// The newest training curve: its iteration, the journal's newest event when it was read, its points.
    curve: Option<(u32, i64, Vec<TrainingProgress>)>,
    /// Accepted data by iteration, with the number of them when they were counted by skill.
    accepted: BTreeMap<u32, (u32, BTreeMap<String, u32>)>,
    /// Those of the newest plan, with what tells whether they were counted already.
    planned: Option<((u32, u32, usize), BySubskill)>,
    /// Images that were in sight.
    pictures: Pictures,
    /// What phases asked.
    calls: Calls,
}

impl Source {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            reader: None,
            query: None,
            asked: None,
            page: None,
            shown: 0,
            stale: Arc::default(),
            gain: None,
            journal: (false, None),
            again: false,
            curve: None,
            accepted: BTreeMap::new(),
            planned: None,
            pictures: Pictures::default(),
            calls: Calls::default(),
        }
    }

    pub(super) fn follow_journal(&mut self, on: bool) {
        self.journal = (on, None);
    }

    /// The next look tells the committed state, also when nothing was committed since.
    pub(super) fn again(&mut self) {
        self.again = true;
    }

    /// Asks for samples, until the flag says that others are wanted.
    pub(super) fn ask(&mut self, query: Query, asked: bool, stale: Arc<AtomicBool>) {
        // A person who waits for an answer to the query before is answered by this one.
        let asked = asked || self.asked == Some(true);
        (self.query, self.asked, self.stale) = (Some(query), Some(asked), stale);
    }

    /// One that has read a part of a search, in a folder that is not there.
    #[cfg(test)]
    pub(super) fn searching_for(page: Page) -> Self {
        Self { page: Some(page), ..Self::new(PathBuf::from("/nonexistent")) }
    }

    /// Reads from the beginning, after an error. A search that came upon one would come upon it again: it ends.
    pub(super) fn give_up(&mut self) {
        self.reader = None;
        if self.searching() {
            (self.page, self.query, self.asked) = (None, None, None);
        }
    }

    /// Whether a search goes on with the next look.
    pub(super) fn searching(&self) -> bool {
        self.page.as_ref().is_some_and(Page::growing)
    }

    /// News since the last look: committed facts, and the page for the newest query.
    pub(super) fn look(&mut self) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::new();
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.folder)?,
        };
        let changed = reader.changed()?;
        if changed || self.again {
            messages.push(Message::Facts(Box::new(self.facts(&reader)?)));
            self.again = false;
        }
        if self.journal.0 && (changed || self.journal.1.is_none()) {
            let last = reader.last_event()?;
            // What is committed most often is no event.
            if self.journal.1 != Some(last) {
                messages.push(Message::Journal(reader.journal(JOURNAL)?));
                self.journal.1 = Some(last);
            }
        }
        let (moved, asked) = (self.asked.is_some(), self.asked == Some(true));
        let searching = self.searching();
        if let Some(query) = self.query.clone().filter(|_| changed || moved || searching) {
            let page = self.page(&reader, &query, changed)?;
            if self.stale.load(Ordering::Relaxed) {
                // It may have been cut short, and the next query waits already.
                (self.page, self.reader) = (None, Some(reader));
                return Ok(messages);
            }
            // A search that began anew has yet to find what stands on the screen already: until then that stays.
            let listed = |old: &Page| (&old.listing, old.order) == (&page.listing, page.order);
            let behind = page.growing() && page.total < self.shown && self.page.as_ref().is_some_and(listed);
            // Without a new query a page is news only when it differs: often something else was committed.
            if !behind && (moved || self.page.as_ref() != Some(&page)) {
                self.shown = page.total;
                messages.push(Message::Page { page: Box::new(page.clone()), asked });
            }
            if !behind {
                self.asked = None;
            }
            self.page = Some(page);
        }
        self.reader = Some(reader);
        Ok(messages)
    }

    /// The answer to a question that is asked once.
    pub(super) fn answer(&mut self, wanted: Wanted) -> Result<Option<Message>, StoreError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        Ok(match wanted {
            Wanted::Facet(listing, field) => {
                Some(Message::Facet(Box::new(lists::facet(reader, &listing, field)?)))
            }
            Wanted::Values(listing, fields) => {
                let facets = fields.into_iter().map(|field| lists::facet(reader, &listing, field));
                Some(Message::Values(facets.collect::<Result<_, _>>()?))
            }
            Wanted::Ids(listing) => {
                let ids = lists::ids(reader, &listing)?;
                Some(Message::Ids { listing: Box::new(listing), ids })
            }
            Wanted::Calls(iteration) => {
                let (calls, whole) = self.calls.of(reader, iteration)?;
                Some(Message::Calls { iteration, calls, whole })
            }
            Wanted::Samples { .. } | Wanted::Journal(_) | Wanted::Facts => None,
        })
    }

    fn facts(&mut self, reader: &Reader) -> Result<Facts, StoreError> {
        let last = reader.last_event()?;
        let episode = reader.episode()?;
        let curve = self.curve(reader, &episode, last)?;
        let gain = self.gain(reader, &episode)?;
        let accepted = self.accepted(reader, &episode)?;
        let planned = self.planned(reader, &episode)?;
        let (record, timings) = (reader.record()?, reader.timings()?);
        Ok(Facts { record, episode, timings, gain, curve, accepted, planned })
    }

    /// The newest training curve. While it grows its new points alone are read: a look must not cost more the longer
    /// a training lasts.
    fn curve(
        &mut self,
        reader: &Reader,
        episode: &Episode,
        last: i64,
    ) -> Result<Vec<TrainingProgress>, StoreError> {
        let Some(iteration) = trained(episode) else { return Ok(Vec::new()) };
        let known = self.curve.as_mut().filter(|(of, event, _)| (*of, *event) == (iteration, last));
        if let Some((_, _, points)) = known {
            if episode.work.is_none_or(|work| work.phase != Phase::Train) {
                return Ok(points.clone());
            }
            let step = points.last().map_or(0, |point| point.step);
            let new = reader.training_curve_after(iteration, step)?;
            // Without new ones the training may have begun anew, which writes old ones again.
            if !points.is_empty() && !new.is_empty() {
                points.extend(new);
                return Ok(points.clone());
            }
        }
        let points = reader.training_curve(iteration)?;
        self.curve = Some((iteration, last, points.clone()));
        Ok(points)
    }

    /// Accepted data by iteration and skill. A skill tree counts its own; where there is none, each iteration is
    /// counted whenever its number of accepted data is another one.
    fn accepted(&mut self, reader: &Reader, episode: &Episode) -> Result<Accepted, StoreError> {
        if episode.forest.trees.iter().any(|tree| !tree.history.is_empty()) {
            return Ok(Accepted::new());
        }
        for (n, row) in episode.iterations.iter().enumerate() {
            let n = n as u32;
            if row.accepted > 0 && self.accepted.get(&n).is_none_or(|(count, _)| *count != row.accepted) {
                self.accepted.insert(n, (row.accepted, lists::accepted(reader, n)?));
            }
        }
        Ok(self.accepted.iter().map(|(n, (_, skills))| (*n, skills.clone())).collect())
    }

    /// The accepted data of the newest plan by subskill, counted whenever their number is another one.
    fn planned(
        &mut self,
        reader: &Reader,
        episode: &Episode,
    ) -> Result<Option<(u32, BySubskill)>, StoreError> {
        let Some(plan) = episode.iterations.iter().rev().find_map(|row| row.plans.last()) else {
            return Ok(None);
        };
        let accepted = episode.iterations.get(plan.iteration as usize).map_or(0, |row| row.accepted);
        let key = (plan.iteration, accepted, plan.allocations.len());
        let counts = match self.planned.take().filter(|(of, _)| *of == key) {
            Some((_, counts)) => counts,
            None if accepted == 0 => BySubskill::new(),
            None => lists::planned(reader, plan)?,
        };
        self.planned = Some((key, counts.clone()));
        Ok(Some((plan.iteration, counts)))
    }

    fn gain(&mut self, reader: &Reader, episode: &Episode) -> Result<Option<Estimate>, StoreError> {
        let Some(selected) = episode.selected.filter(|n| *n > 0 && episode.finished()) else {
            return Ok(None);
        };
        if let Some((_, gain)) = self.gain.filter(|(known, _)| *known == selected) {
            return Ok(gain);
        }
        let pairs = reader.paired(Split::Test, 0, selected)?;
        let gain = paired_gain(pairs.iter().map(|(key, before, after)| (key.as_str(), *before, *after)));
        self.gain = Some((selected, gain));
        Ok(gain)
    }

    fn page(&mut self, reader: &Reader, query: &Query, changed: bool) -> Result<Page, StoreError> {
        let asked =
            |p: &&Page| (&p.listing, p.offset, p.limit) == (&query.listing, query.offset, query.limit);
        let same =
            self.page.as_ref().filter(|p| !changed && !p.growing() && p.order == query.order).filter(asked);
        let mut page = match same {
            Some(page) => page.clone(),
            None => lists::load(reader, query, &self.stale)?,
        };
        page.held = match &query.held {
            Some(id) if page.row_of(id).is_none() => lists::held(reader, &query.listing, id)?,
            _ => None,
        };
        let held = query.held.as_ref().and_then(|id| page.sample(page.row_of(id)?));
        page.behind = match page.held.as_ref().or(held).or_else(|| page.sample(query.selected)) {
            Some(sample) => self.behind(reader, sample)?,
            None => Behind::default(),
        };
        Ok(page)
    }

    /// What stands behind a sample: the errors that led to it, the call that wrote it, its images.
    fn behind(&mut self, reader: &Reader, sample: &Sample) -> Result<Behind, StoreError> {
        let mut behind = Behind::default();
        for (split, instance_id) in sample.related() {
            let by_iteration = reader.answers(split, &instance_id)?;
            let instance = match sample {
                Sample::Datum(_) => reader.instance(split, &instance_id)?,
                Sample::Prediction(_) | Sample::Call(_) => None,
            };
            behind.answers.push(Answers { instance_id, instance, by_iteration });
        }
        if let Sample::Datum(judged) = sample
            && let Some(call) = &judged.datum.provenance.teacher_call
        {
            behind.call = reader.teacher_call(call)?;
        }
        let images = sample.images().iter().take(MOST_PICTURES);
        behind.pictures = images.map(|image| self.pictures.of(&self.folder, image)).collect();
        Ok(behind)
    }
}

/// The iteration with the newest training curve.
fn trained(episode: &Episode) -> Option<u32> {
    let training = episode.work.filter(|w| w.phase == Phase::Train).map(|w| w.iteration);
    let last = episode.iterations.iter().rposition(|i| i.training.is_some());
    training.or_else(|| last.map(|n| n as u32))
}
