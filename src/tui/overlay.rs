//! What lies over the panes.

use super::action::Context;
use super::compare::Named;
use super::facets::Facet;
use super::filter::Filter;
use super::new_run::NewRun;
use super::numbers::Limits;
use super::plan_edit::PlanEdit;
use super::runs::{Finding, RunRow};
use super::text_box::TextBox;
use super::wording::Draft;
use crate::analysis::compare::Comparison;
use crate::gym::instance::Split;
use crate::gym::review::DataSelection;

/// A text, a list, a form or a question over the panes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    Help {
        search: TextBox,
        scroll: usize,
    },
    Details {
        scroll: usize,
    },
    Log {
        scroll: usize,
    },
    Charts {
        chart: usize,
        skill: usize,
        /// Whether the newest part of a curve is shown, not all of it.
        recent: bool,
    },
    Palette {
        search: TextBox,
        choice: usize,
        from: Context,
    },
    Menu {
        menu: Menu,
        choice: usize,
    },
    Prompt {
        about: About,
        line: TextBox,
    },
    /// A filter being written; the list shows what it finds. With the one to go back to.
    Filter {
        line: TextBox,
        before: Filter,
    },
    /// The values of a field of the list, by its number; `None` until they are counted.
    Facets {
        field: usize,
        choice: usize,
        facet: Option<Facet>,
    },
    /// What this machine has and lacks; `None` until it was looked at.
    Doctor {
        findings: Option<Vec<Finding>>,
        scroll: usize,
    },
    /// Runs beside each other; `None` until they are read.
    Compare {
        runs: Vec<Named>,
        split: Split,
        shown: Option<Result<Comparison, String>>,
        scroll: usize,
    },
    NewRun(NewRun),
    Limits(Limits),
    Plan(PlanEdit),
    Draft(Draft),
    Leaving {
        choice: usize,
    },
}

/// What a list offers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Menu {
    /// The phases before which the run can wait.
    Gates,
    /// What can be done to all listed data.
    Bulk { selection: DataSelection, count: usize },
    /// Themes; with the one to go back to.
    Themes { before: usize },
    /// The runs; `None` until they are listed.
    Runs {
        runs: Option<Vec<RunRow>>,
        /// Names of those to be compared, in the order in which they were marked.
        marked: Vec<String>,
    },
    /// The configurations of a new run, with a word about each.
    Ready { ready: Vec<(String, String)> },
    /// Whether a run is to be deleted.
    Delete { name: String },
    /// Whether the words of a datum are to be thrown away.
    Discard { draft: Draft },
    /// Where to go from a sample.
    Jump { targets: Vec<Target> },
}

/// What a line is written for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum About {
    /// A note in the journal.
    Run,
    /// A remark on a datum.
    Datum { id: String },
}

/// Where a jump leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The skill and subskill, in the first pane.
    Skill(String, Option<String>),
    /// The student's answers to an instance.
    Instance(Split, String),
    /// A teacher call.
    Call(String),
    /// The data that the error on an instance led to.
    DataOf(String),
    /// The data of an iteration of a skill and subskill, which a teacher call was about.
    DataFor { iteration: u32, skill: String, subskill: String },
}

impl Overlay {
    pub(crate) fn menu(menu: Menu) -> Self {
        Self::Menu { menu, choice: 0 }
    }

    /// Where the keys of this moment belong.
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Help { .. } | Self::Palette { .. } | Self::Prompt { .. } => Context::Line,
            Self::Filter { .. } => Context::Filter,
            Self::Facets { .. } => Context::Facets,
            Self::Details { .. } | Self::Log { .. } | Self::Doctor { .. } => Context::Text,
            Self::Compare { .. } => Context::Compare,
            Self::NewRun(_) => Context::Form,
            Self::Charts { .. } => Context::Charts,
            Self::Menu { menu: Menu::Runs { .. }, .. } => Context::Runs,
            Self::Menu { .. } => Context::List,
            Self::Limits(_) => Context::Numbers,
            Self::Plan(_) => Context::Plan,
            Self::Draft(_) => Context::Editor,
            Self::Leaving { .. } => Context::Leaving,
        }
    }

    /// The line being written, if one is.
    pub(crate) fn text_box(&mut self) -> Option<&mut TextBox> {
        match self {
            Self::Help { search, .. } | Self::Palette { search, .. } => Some(search),
            Self::Prompt { line, .. } | Self::Filter { line, .. } => Some(line),
            Self::NewRun(form) => form.lines.get_mut(form.selected),
            Self::Draft(draft) => Some(&mut draft.parts[draft.part]),
            _ => None,
        }
    }
}
