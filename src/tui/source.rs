//! The thread that reads the database: facts when something was committed, samples when they are in sight.

mod lists;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::facts::{Answers, Behind, Facts, Listing, Page, Query, Sample};
use super::filter::Field;
use super::picture::Picture;
use super::update::Message;
use crate::gym::episode::{Episode, Phase};
use crate::gym::instance::Split;
use crate::gym::statistics::{Estimate, paired_gain};
use crate::store::{Reader, StoreError, read_artifact};

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
    loop {
        let (mut asked, mut wanted) = (None, None);
        let first = match queries.recv_timeout(LOOK) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for order in first.into_iter().chain(queries.try_iter()) {
            match order {
                Wanted::Samples(query) => asked = Some(query),
                Wanted::Journal(on) => source.follow_journal(on),
                // The newest question alone is worth an answer.
                other => wanted = Some(other),
            }
        }
        let news = source.look(asked).and_then(|mut news| {
            if let Some(wanted) = wanted {
                news.extend(source.answer(wanted)?);
            }
            Ok(news)
        });
        match news {
            Ok(messages) => {
                complaint = None;
                messages.into_iter().for_each(&send);
            }
            Err(error) => {
                source.reader = None;
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
    Samples(Query),
    /// The journal, from now on or no longer.
    Journal(bool),
    /// How often each value of a field occurs in a list.
    Facet(Listing, Field),
    /// The values of these fields in the whole list.
    Values(Listing, Vec<Field>),
    /// The ids of everything listed.
    Ids(Listing),
}

/// What is read, and what is remembered so that it is not read again.
pub(super) struct Source {
    folder: PathBuf,
    reader: Option<Reader>,
    query: Option<Query>,
    page: Option<Page>,
    /// The gain for a selected iteration, computed once.
    gain: Option<(u32, Option<Estimate>)>,
    /// Whether the journal is wanted, and whether it was read since.
    journal: (bool, bool),
}

impl Source {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, reader: None, query: None, page: None, gain: None, journal: (false, false) }
    }

    pub(super) fn follow_journal(&mut self, on: bool) {
        self.journal = (on, false);
    }

    /// News since the last look: committed facts, and the page for the newest query.
    pub(super) fn look(&mut self, asked: Option<Query>) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::new();
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.folder)?,
        };
        let changed = reader.changed()?;
        if changed {
            messages.push(Message::Facts(Box::new(self.facts(&reader)?)));
        }
        if self.journal.0 && (changed || !self.journal.1) {
            messages.push(Message::Journal(reader.journal(JOURNAL)?));
            self.journal.1 = true;
        }
        let moved = asked.is_some();
        if let Some(query) = asked {
            self.query = Some(query);
        }
        if let Some(query) = self.query.clone().filter(|_| changed || moved) {
            let page = self.page(&reader, &query, changed)?;
            // Without a new query a page is news only when it differs: often something else was committed.
            if moved || self.page.as_ref() != Some(&page) {
                messages.push(Message::Page(Box::new(page.clone())));
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
            Wanted::Samples(_) | Wanted::Journal(_) => None,
        })
    }

    fn facts(&mut self, reader: &Reader) -> Result<Facts, StoreError> {
        let episode = reader.episode()?;
        let curve = match trained(&episode) {
            Some(iteration) => reader.training_curve(iteration)?,
            None => Vec::new(),
        };
        let gain = self.gain(reader, &episode)?;
        Ok(Facts { record: reader.record()?, timings: reader.timings()?, gain, curve, episode })
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

    fn page(&self, reader: &Reader, query: &Query, changed: bool) -> Result<Page, StoreError> {
        let asked =
            |p: &&Page| (&p.listing, p.offset, p.limit) == (&query.listing, query.offset, query.limit);
        let same = self.page.as_ref().filter(|p| !changed && p.order == query.order).filter(asked);
        let mut page = match same {
            Some(page) => page.clone(),
            None => lists::load(reader, query)?,
        };
        page.behind = match page.sample(query.selected) {
            Some(sample) => self.behind(reader, sample)?,
            None => Behind::default(),
        };
        Ok(page)
    }

    /// What stands behind a sample: the errors that led to it, the call that wrote it, its images.
    fn behind(&self, reader: &Reader, sample: &Sample) -> Result<Behind, StoreError> {
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
        let read = |image| match read_artifact(&self.folder, image) {
            Ok(bytes) => Picture::decode(&bytes),
            Err(error) => Err(error.to_string()),
        };
        behind.pictures = sample.images().iter().take(MOST_PICTURES).map(read).collect();
        Ok(behind)
    }
}

/// The iteration with the newest training curve.
fn trained(episode: &Episode) -> Option<u32> {
    let training = episode.work.filter(|w| w.phase == Phase::Train).map(|w| w.iteration);
    let last = episode.iterations.iter().rposition(|i| i.training.is_some());
    training.or_else(|| last.map(|n| n as u32))
}
