//! What lies over the panes.

use super::action::Context;
use super::numbers::Limits;
use super::plan_edit::PlanEdit;
use super::runs::RunRow;
use super::text_box::TextBox;
use super::wording::Draft;
use crate::gym::review::DataSelection;

/// A text, a list, a form or a question over the panes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    Help { search: TextBox, scroll: usize },
    Details { scroll: usize },
    Log { scroll: usize },
    Charts { chart: usize, skill: usize },
    Palette { search: TextBox, choice: usize, from: Context },
    Menu { menu: Menu, choice: usize },
    Prompt { about: About, line: TextBox },
    Limits(Limits),
    Plan(PlanEdit),
    Draft(Draft),
    Leaving { choice: usize },
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
    Runs { runs: Option<Vec<RunRow>> },
    /// The configurations of a new run, with a word about each.
    Ready { ready: Vec<(String, String)> },
    /// Whether a run is to be deleted.
    Delete { name: String },
    /// Whether the words of a datum are to be thrown away.
    Discard { draft: Draft },
}

/// What a line is written for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum About {
    /// A note in the journal.
    Run,
    /// Words to search for.
    Search,
    /// A remark on a datum.
    Datum { id: String },
}

impl Overlay {
    pub(crate) fn menu(menu: Menu) -> Self {
        Self::Menu { menu, choice: 0 }
    }

    /// Where the keys of this moment belong.
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Help { .. } | Self::Palette { .. } | Self::Prompt { .. } => Context::Line,
            Self::Details { .. } | Self::Log { .. } => Context::Text,
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
            Self::Prompt { line, .. } => Some(line),
            Self::Draft(draft) => Some(&mut draft.parts[draft.part]),
            _ => None,
        }
    }
}
