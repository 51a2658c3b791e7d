//! The state of the screen. Changed only by [`super::update`], drawn by [`super::view`].

use std::collections::BTreeSet;

use super::action::Context;
use super::canvas::{Glyphs, Marks};
use super::facets::Facet;
use super::facts::{Facts, Listing, Order, Page, PhaseCalls, Query, Sample};
use super::filter::{EVER, Field, Filter};
use super::keymap::Keymap;
use super::layout::{self, Pane, Places, Shape};
use super::look::Look;
use super::memory::{Memory, run_key};
use super::overlay::{Menu, Overlay};
use super::skills::{self, SkillRow};
use super::theme::{Depth, Theme};
use super::view;
use crate::gym::datum::JudgedDatum;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Training,
    Predictions,
    Calls,
}

impl List {
    /// What is in it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Training => "training data",
            Self::Predictions => "predictions",
            Self::Calls => "teacher calls",
        }
    }
}

/// State of the samples pane.
#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) list: List,
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    /// Samples a person put a flag on, by id.
    pub(crate) flags: BTreeSet<String>,
    /// Where jumps came from, the last one at the end.
    pub(crate) trail: Vec<Stop>,
    /// Whether the list shows only the skill selected in the first pane.
    pub(crate) follow: bool,
    pub(crate) selected: usize,
    pub(crate) page: Option<Page>,
    pub(crate) reading: bool,
    pub(crate) scroll: usize,
    /// The sample that is read, when it left its place in the list meanwhile.
    pub(crate) kept: Option<Sample>,
    /// Id of the selected sample and the row where it was, while the rows around its new place are on their way.
    pub(crate) sought: Option<(String, usize)>,
    /// The iteration whose predictions are listed while one of them is read, whatever is evaluated meanwhile.
    pub(crate) pinned: Option<u32>,
}

/// A list as it was before a jump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) pane: Pane,
    pub(crate) list: List,
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    pub(crate) follow: bool,
    pub(crate) skill: (Option<String>, Option<String>),
    pub(crate) selected: usize,
    pub(crate) reading: bool,
}

/// Everything the screen shows or needs to decide what to show.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) size: (u16, u16),
    pub(crate) focus: Pane,
    pub(crate) zoom: bool,
    /// Panes that are not shown.
    pub(crate) hidden: BTreeSet<Pane>,
    /// What was remembered last.
    pub(crate) remembered: Memory,
    pub(crate) hint: bool,
    pub(crate) overlay: Option<Overlay>,
    /// What was open when commands were sent; it opens again when its command is refused.
    pub(crate) sent_from: Vec<(u64, Overlay)>,
    /// What is to open again as soon as nothing else is open.
    pub(crate) returned: Vec<Overlay>,
    /// The configuration of which a new run is being made.
    pub(crate) making: Option<String>,
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
    /// The values that fields have in this run, once they were asked for.
    pub(crate) values: Vec<Facet>,
    /// What the phases of an iteration asked, once its details were opened.
    pub(crate) calls: Option<(u32, PhaseCalls)>,
    /// The iteration whose details were in sight last.
    pub(crate) detailed: Option<u32>,
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
    /// The theme that files and environment say.
    first_theme: usize,
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
        // Said once; `dataenvgym keys` says all of it.
        let remark = look.keymap.remarks().first();
        let notice = remark.map(|(line, said)| format!("keymap.toml, line {line}: {said}"));
        let samples = Samples {
            list: List::Training,
            filter: Filter::default(),
            order: Order::Newest,
            flags: BTreeSet::new(),
            trail: Vec::new(),
            follow: true,
            selected: 0,
            page: None,
            reading: false,
            scroll: 0,
            kept: None,
            sought: None,
            pinned: None,
        };
        Self {
            size,
            focus: Pane::Iterations,
            zoom: false,
            hidden: BTreeSet::new(),
            remembered: Memory::default(),
            hint: look.hint,
            overlay: None,
            sent_from: Vec::new(),
            returned: Vec::new(),
            making: None,
            journal: None,
            facts: None,
            source_error: None,
            link: Link::Searching,
            live: None,
            machine: None,
            asked: None,
            leaving: None,
            values: Vec::new(),
            calls: None,
            detailed: None,
            notice,
            skill: (None, None),
            open: BTreeSet::new(),
            iteration: None,
            machine_scroll: 0,
            samples,
            themes: look.themes,
            theme: look.theme,
            first_theme: look.theme,
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
        let (size, focus, zoom, hint, hidden) = (self.size, self.focus, self.zoom, self.hint, &self.hidden);
        Places::of(Shape { size, focus, zoom, hint, hidden, machine: self.machine_rows() })
    }

    /// Rows of the machine pane: GPUs, processor, memory, workers or a word about them, what endpoints were paid. With
    /// one row for a GPU, and with all four.
    fn machine_rows(&self) -> (usize, usize) {
        let gpus = self.machine.as_ref().map_or(0, |machine| machine.gpus.len());
        let lines = |live: &Live| live.workers.iter().map(|worker| 1 + worker.notes.len()).sum();
        let paid = self.live.as_ref().map_or(0, |live| live.spending.endpoints.len());
        let rest = 2 + self.live.as_ref().map_or(0, lines).max(1) + paid;
        (rest + gpus, rest + gpus * view::GPU_ROWS)
    }

    /// Takes over what was remembered. A theme that a file of the person's names counts more.
    pub(crate) fn recall(&mut self, memory: Memory, own_theme: bool) {
        self.hidden = Pane::ALL.into_iter().filter(|pane| memory.hidden.contains(&pane.digit())).collect();
        if self.hidden.len() == Pane::ALL.len() {
            self.hidden.clear();
        }
        if self.hidden.contains(&self.focus) {
            let shown = Pane::ALL.into_iter().find(|pane| !self.hidden.contains(pane));
            self.focus = shown.unwrap_or(self.focus);
        }
        self.zoom = memory.zoom;
        self.hint &= !memory.no_hint;
        let chosen = memory.theme.as_ref().filter(|_| !own_theme);
        let known = chosen.and_then(|name| self.themes.iter().position(|theme| theme.name() == name));
        self.theme = known.unwrap_or(self.theme);
        self.remembered = memory;
    }

    /// What is to be remembered now.
    pub(crate) fn memory(&self) -> Memory {
        let mut memory = self.remembered.clone();
        memory.hidden = self.hidden.iter().map(|pane| pane.digit()).collect();
        memory.zoom = self.zoom;
        memory.no_hint |= !self.hint;
        if !matches!(self.overlay, Some(Overlay::Menu { menu: Menu::Themes { .. }, .. }))
            && self.themes.len() > 1
        {
            let name = self.theme().name();
            // The theme it began with is nobody's choice.
            if self.theme != self.first_theme || memory.theme.is_some() {
                memory.theme = Some(name.to_owned());
            }
        }
        if let Some(facts) = &self.facts {
            let run = run_key(&facts.record.name, facts.record.created_ms);
            if self.samples.flags.is_empty() {
                memory.flags.remove(&run);
            } else {
                memory.flags.insert(run, self.samples.flags.clone());
            }
        }
        memory
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

    /// The iteration whose details are in sight.
    pub(crate) fn details(&self) -> Option<u32> {
        matches!(self.overlay, Some(Overlay::Details { .. })).then(|| self.shown_iteration())
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
            .map_or_else(Vec::new, |facts| skills::rows(facts, self.shown_iteration(), &self.open))
    }

    /// Number of the selected row among `rows`.
    pub(crate) fn selected_row(&self, rows: &[SkillRow]) -> usize {
        let (skill, subskill) = &self.skill;
        let exact = rows.iter().position(|r| r.skill == *skill && r.subskill == *subskill);
        exact.or_else(|| rows.iter().position(|r| r.skill == *skill)).unwrap_or(0)
    }

    /// The split whose predictions are listed.
    pub(crate) fn split(&self) -> Split {
        self.samples.filter.split.unwrap_or(Split::Validation)
    }

    /// The skill and subskill that the list follows.
    pub(crate) fn followed(&self) -> (Option<String>, Option<String>) {
        if self.samples.follow { self.skill.clone() } else { (None, None) }
    }

    /// The samples the list shows.
    pub(crate) fn listing(&self) -> Listing {
        let (filter, list) = (&self.samples.filter, self.samples.list);
        if filter.flagged {
            return Listing::Picked {
                list,
                split: self.split(),
                ids: self.samples.flags.iter().cloned().collect(),
            };
        }
        if let Some(id) = &filter.id {
            return Listing::Picked { list, split: self.split(), ids: vec![id.clone()] };
        }
        let (skill, subskill) = self.followed();
        let skill = filter.skill.clone().or(skill);
        // An iteration that is written counts more than the one that is marked.
        let iteration = self.iteration.filter(|_| filter.span.is_none());
        match list {
            List::Training => Listing::Training(DataFilter {
                iteration,
                span: filter.span,
                round: filter.round,
                // The marked subskill is one of the marked skill.
                subskill: filter.subskill.clone().or(subskill.filter(|_| filter.skill.is_none())),
                skill,
                verdict: filter.verdict,
                engine: filter.engine.clone(),
                failed: filter.failed.clone(),
                source_error: filter.error.clone(),
                reviewed: filter.reviewed,
                text: filter.text.clone(),
            }),
            List::Predictions => Listing::Predictions(PredictionFilter {
                iteration: self
                    .samples
                    .pinned
                    .filter(|_| self.samples.reading)
                    .unwrap_or_else(|| self.predicted_iteration()),
                split: self.split(),
                correct: filter.correct,
                skill,
                // The marked subskill is one of training data: questions of a task seldom have one.
                subskill: filter.subskill.clone(),
                changed_since: filter.changed,
                text: filter.text.clone(),
            }),
            List::Calls => Listing::Calls(CallFilter {
                iteration,
                span: filter.span,
                prompt: filter.prompt.clone(),
                malformed: filter.malformed,
                text: filter.text.clone(),
            }),
        }
    }

    /// The newest iteration with answers on the split in sight, up to the shown one or among those that are
    /// asked for. An evaluation under way counts.
    fn predicted_iteration(&self) -> u32 {
        let Some(facts) = &self.facts else { return 0 };
        let split = self.split();
        let (first, last) = self.samples.filter.span.unwrap_or((0, self.shown_iteration()));
        let newest = facts.episode.iterations.len().saturating_sub(1) as u32;
        let answering = facts.episode.work.filter(|w| facts.episode.running && w.split == Some(split));
        let answered = |n: &u32| {
            let row = facts.episode.iterations.get(*n as usize);
            let report =
                row.and_then(|i| if split == Split::Test { i.test.as_ref() } else { i.validation.as_ref() });
            report.is_some() || answering.is_some_and(|w| w.iteration == *n)
        };
        // Nothing is answered in an iteration that is not there.
        (first..=last.min(newest)).rev().find(answered).unwrap_or(if first > newest { EVER } else { first })
    }

    /// The values of a field in this run: those of the database, or what the screen knows meanwhile.
    pub(crate) fn known(&self, field: Field) -> Vec<String> {
        if let Some(facet) = self.values.iter().find(|facet| facet.field == field) {
            return facet.values.iter().map(|(value, _)| value.clone()).collect();
        }
        let Some(facts) = &self.facts else { return Vec::new() };
        match field {
            Field::Skill => facts.episode.forest.trees.iter().map(|tree| tree.skill.clone()).collect(),
            Field::Iteration => (0..facts.episode.iterations.len()).map(|n| n.to_string()).collect(),
            _ => Vec::new(),
        }
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

    /// The iteration of the listed predictions; `None` where none are listed.
    pub(crate) fn listed_iteration(&self) -> Option<u32> {
        match self.listing() {
            Listing::Predictions(filter) => Some(filter.iteration),
            _ => None,
        }
    }

    /// The selected sample, where it is loaded. One that is read stays selected when it leaves the list.
    pub(crate) fn selected_sample(&self) -> Option<&Sample> {
        if let Some(kept) = self.samples.kept.as_ref().filter(|_| self.samples.reading) {
            return Some(kept);
        }
        let page = self.samples.page.as_ref().filter(|p| p.listing == self.listing())?;
        page.sample(self.samples.selected)
    }

    /// What the source should load. The window reaches a screenful beyond both ends of what is in sight and
    /// moves by whole screenfuls, so that moving the selection rarely needs a new one.
    pub(crate) fn query(&self) -> Option<Query> {
        self.facts.as_ref()?;
        let rows = self.list_rows();
        let offset = (self.list_top() / rows * rows).saturating_sub(rows);
        let (order, selected) = (self.samples.order, self.samples.selected);
        let read = self.selected_sample().filter(|_| self.samples.reading);
        let held = read.map(|sample| sample.id().to_owned());
        Some(Query { listing: self.listing(), order, offset, limit: rows * 4, selected, held })
    }

    /// Opens again what was open when these commands were sent: what was typed is not lost.
    pub(crate) fn give_back(&mut self, of: impl Fn(u64) -> bool) {
        let (back, rest) = std::mem::take(&mut self.sent_from).into_iter().partition(|(id, _)| of(*id));
        self.sent_from = rest;
        self.returned.extend(Vec::into_iter(back).map(|(_, overlay)| overlay));
    }

    /// Nothing is known to have come of what was asked.
    pub(crate) fn undone(&mut self) {
        (self.asked, self.leaving) = (None, None);
        self.give_back(|_| true);
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
