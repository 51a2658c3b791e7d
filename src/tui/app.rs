//! The state of the screen. Changed only by [`super::update`], drawn by [`super::view`].

use std::collections::BTreeSet;

use super::action::Context;
use super::canvas::{Glyphs, Marks};
use super::facts::{Facts, Listing, Page, Query, Sample};
use super::keymap::Keymap;
use super::layout::{self, Pane, Places, Shape};
use super::look::Look;
use super::overlay::Overlay;
use super::skills::{self, SkillRow};
use super::theme::{Depth, Theme};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::Command;
use crate::gym::instance::Split;
use crate::gym::report::Report;
use crate::probes::Snapshot;
use crate::protocol::control::Live;
use crate::store::{CallFilter, DataFilter, JournalEntry, PredictionFilter};

/// Whether there is somebody to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nobody has answered yet.
    Searching,
    /// A runner answers.
    Connected { pid: u32 },
    /// A runner is there and will not talk to this program.
    Refused { message: String },
    /// There is no runner.
    Absent,
}

/// How far a command got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A runner is being started for it.
    Starting,
    /// It is on its way.
    Sent,
    /// The runner has it in its journal; the state that follows is not here yet.
    Acknowledged,
}

/// A command whose effect cannot be seen yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) command: Command,
    pub(crate) stage: Stage,
}

/// Which samples are in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Training,
    Predictions,
    Calls,
}

/// State of the samples pane.
#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) list: List,
    pub(crate) verdict: Option<Verdict>,
    /// Words that training data must have.
    pub(crate) words: Option<String>,
    pub(crate) correct: Option<bool>,
    pub(crate) malformed: Option<bool>,
    pub(crate) split: Split,
    /// Whether the list shows only the skill selected in the first pane.
    pub(crate) follow: bool,
    pub(crate) selected: usize,
    pub(crate) page: Option<Page>,
    pub(crate) reading: bool,
    pub(crate) scroll: usize,
}

/// Everything the screen shows or needs to decide what to show.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) size: (u16, u16),
    pub(crate) focus: Pane,
    pub(crate) zoom: bool,
    pub(crate) hint: bool,
    pub(crate) overlay: Option<Overlay>,
    /// What was open when a command was sent; it opens again when the command is refused.
    pub(crate) sent_from: Option<(u64, Overlay)>,
    /// The journal, while the log is open.
    pub(crate) journal: Option<Vec<JournalEntry>>,
    pub(crate) facts: Option<Facts>,
    pub(crate) source_error: Option<String>,
    pub(crate) link: Link,
    pub(crate) live: Option<Live>,
    pub(crate) machine: Option<Snapshot>,
    pub(crate) asked: Option<Asked>,
    /// Command after whose acknowledgement the screen closes.
    pub(crate) leaving: Option<u64>,
    /// A short message to the person; the next key takes it away.
    pub(crate) notice: Option<String>,
    /// Skill and subskill of the selected row; no skill is the row of all skills.
    pub(crate) skill: (Option<String>, Option<String>),
    /// Skills whose trees are open.
    pub(crate) open: BTreeSet<String>,
    /// Chosen iteration; `None` follows the run.
    pub(crate) iteration: Option<u32>,
    pub(crate) machine_scroll: usize,
    pub(crate) samples: Samples,
    pub(crate) themes: Vec<Theme>,
    pub(crate) theme: usize,
    pub(crate) depth: Depth,
    pub(crate) keymap: Keymap,
    pub(crate) glyphs: Glyphs,
    pub(crate) next_id: u64,
    /// The query on its way or answered.
    pub(crate) queried: Option<Query>,
    /// Whether the machine is being measured.
    pub(crate) watching: bool,
}

impl App {
    pub(crate) fn new(size: (u16, u16), look: Look) -> Self {
        let samples = Samples {
            list: List::Training,
            verdict: None,
            words: None,
            correct: None,
            malformed: None,
            split: Split::Validation,
            follow: true,
            selected: 0,
            page: None,
            reading: false,
            scroll: 0,
        };
        Self {
            size,
            focus: Pane::Iterations,
            zoom: false,
            hint: look.hint,
            overlay: None,
            sent_from: None,
            journal: None,
            facts: None,
            source_error: None,
            link: Link::Searching,
            live: None,
            machine: None,
            asked: None,
            leaving: None,
            notice: None,
            skill: (None, None),
            open: BTreeSet::new(),
            iteration: None,
            machine_scroll: 0,
            samples,
            themes: look.themes,
            theme: look.theme,
            depth: look.depth,
            keymap: look.keymap,
            glyphs: if look.ascii { &Marks::ASCII } else { &Marks::UNICODE },
            next_id: 1,
            queried: None,
            watching: false,
        }
    }

    /// Where things go in the next frame.
    pub(crate) fn places(&self) -> Places {
        let (size, focus, zoom, hint) = (self.size, self.focus, self.zoom, self.hint);
        Places::of(Shape { size, focus, zoom, hint, machine: self.machine_rows() })
    }

    /// Rows of the machine pane: GPUs, processor, memory, workers or a word about them.
    fn machine_rows(&self) -> usize {
        let gpus = self.machine.as_ref().map_or(0, |machine| machine.gpus.len());
        gpus + 2 + self.live.as_ref().map_or(0, |live| live.workers.len()).max(1)
    }

    /// Where the keys of this moment belong.
    pub(crate) fn context(&self) -> Context {
        match (&self.overlay, self.focus) {
            (Some(overlay), _) => overlay.context(),
            (None, Pane::Skills) => Context::Skills,
            (None, Pane::Iterations) => Context::Iterations,
            (None, Pane::Machine) => Context::Everywhere,
            (None, Pane::Samples) if self.samples.reading => Context::Reading,
            (None, Pane::Samples) => Context::Samples,
        }
    }

    /// Whether a phase is running as far as is known.
    pub(crate) fn running(&self) -> bool {
        let committed = self.facts.as_ref().is_some_and(|f| f.episode.running);
        committed && !matches!(self.link, Link::Absent)
    }

    /// Whether a runner answers.
    pub(crate) fn connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    /// The iteration the screen is about.
    pub(crate) fn shown_iteration(&self) -> u32 {
        let newest = self.facts.as_ref().map_or(0, |f| f.episode.iterations.len().saturating_sub(1) as u32);
        self.iteration.unwrap_or_else(|| self.default_iteration()).min(newest)
    }

    /// The iteration shown while the person chooses none: the newest, and the best one in the end.
    pub(crate) fn default_iteration(&self) -> u32 {
        let Some(facts) = &self.facts else { return 0 };
        let newest = facts.episode.iterations.len().saturating_sub(1) as u32;
        facts.episode.selected.filter(|_| facts.episode.finished()).unwrap_or(newest)
    }

    /// The newest validation report up to the shown iteration.
    pub(crate) fn shown_report(&self) -> Option<&Report> {
        let episode = &self.facts.as_ref()?.episode;
        let upto = self.shown_iteration() as usize + 1;
        episode.iterations.iter().take(upto).rev().find_map(|i| i.validation.as_ref())
    }

    /// Rows of the first pane.
    pub(crate) fn skill_rows(&self) -> Vec<SkillRow> {
        self.facts
            .as_ref()
            .map_or_else(Vec::new, |facts| skills::rows(&facts.episode, self.shown_iteration(), &self.open))
    }

    /// Number of the selected row among `rows`.
    pub(crate) fn selected_row(&self, rows: &[SkillRow]) -> usize {
        let (skill, subskill) = &self.skill;
        let exact = rows.iter().position(|r| r.skill == *skill && r.subskill == *subskill);
        exact.or_else(|| rows.iter().position(|r| r.skill == *skill)).unwrap_or(0)
    }

    /// The samples the list shows.
    pub(crate) fn listing(&self) -> Listing {
        let skill = self.skill.0.clone().filter(|_| self.samples.follow);
        match self.samples.list {
            List::Training => Listing::Training(DataFilter {
                iteration: self.iteration,
                skill,
                subskill: self.skill.1.clone().filter(|_| self.samples.follow),
                verdict: self.samples.verdict,
                text: self.samples.words.clone(),
                ..DataFilter::default()
            }),
            List::Predictions => Listing::Predictions(PredictionFilter {
                iteration: self.predicted_iteration(),
                split: self.samples.split,
                correct: self.samples.correct,
                skill,
                changed_since: None,
            }),
            List::Calls => Listing::Calls(CallFilter {
                iteration: self.iteration,
                prompt: None,
                malformed: self.samples.malformed,
            }),
        }
    }

    /// The newest iteration with answers on the split in sight, up to the shown one. An evaluation under way
    /// counts.
    fn predicted_iteration(&self) -> u32 {
        let Some(facts) = &self.facts else { return 0 };
        let split = self.samples.split;
        let shown = self.shown_iteration();
        let answering = facts.episode.work.filter(|w| facts.episode.running && w.split == Some(split));
        let answered = |n: &u32| {
            let row = facts.episode.iterations.get(*n as usize);
            let report =
                row.and_then(|i| if split == Split::Test { i.test.as_ref() } else { i.validation.as_ref() });
            report.is_some() || answering.is_some_and(|w| w.iteration == *n)
        };
        (0..=shown).rev().find(answered).unwrap_or(0)
    }

    /// Rows of the sample list in sight.
    pub(crate) fn list_rows(&self) -> usize {
        let area = self.places().pane(Pane::Samples);
        let parts = area.map(|area| layout::samples(layout::inside(area), self.samples.reading));
        parts.and_then(|(list, _)| list).map_or(1, |list| usize::from(list.height).max(1))
    }

    /// First row of the sample list in sight: as far up as keeps the selected row a little above the end.
    pub(crate) fn list_top(&self) -> usize {
        window(self.samples.selected, self.list_rows(), self.samples.page.as_ref().map_or(0, |p| p.total))
    }

    /// The selected sample, where it is loaded.
    pub(crate) fn selected_sample(&self) -> Option<&Sample> {
        let page = self.samples.page.as_ref().filter(|p| p.listing == self.listing())?;
        page.sample(self.samples.selected)
    }

    /// What the source should load. The window reaches a screenful beyond both ends of what is in sight and
    /// moves by whole screenfuls, so that moving the selection rarely needs a new one.
    pub(crate) fn query(&self) -> Option<Query> {
        self.facts.as_ref()?;
        let rows = self.list_rows();
        let offset = (self.list_top() / rows * rows).saturating_sub(rows);
        Some(Query { listing: self.listing(), offset, limit: rows * 4, selected: self.samples.selected })
    }

    /// The theme in use.
    pub(crate) fn theme(&self) -> &Theme {
        &self.themes[self.theme]
    }

    /// The datum under the selection, in the list of training data.
    pub(crate) fn selected_datum(&self) -> Option<&JudgedDatum> {
        match self.selected_sample()? {
            Sample::Datum(judged) => Some(judged),
            Sample::Prediction(_) | Sample::Call(_) => None,
        }
    }

    /// Rows in the list, as far as it is loaded.
    pub(crate) fn listed(&self) -> usize {
        self.samples.page.as_ref().filter(|page| page.listing == self.listing()).map_or(0, |page| page.total)
    }
}

/// First visible row of a list of `total` rows that shows `rows` of them with row `selected` in sight.
pub(crate) fn window(selected: usize, rows: usize, total: usize) -> usize {
    let page = rows.max(1);
    // Whole pages: a selection that moves within a page moves nothing else on the screen.
    let top = selected / page * page;
    top.min(total.saturating_sub(page))
}
