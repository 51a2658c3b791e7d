//! What a person can do, in one table: it dispatches keys, fills the footer, the help, the palette and the key
//! reference. Which keys do it is a matter of `configs/keymap.toml`.

use super::layout::Pane;
use super::text_box::Edit;
use crate::gym::episode::Command;

/// Something a key does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Tell(Command),
    Focus(Pane),
    NextPane,
    PreviousPane,
    Zoom,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Close,
    FollowSkill,
    OtherList,
    NextFilter,
    OtherSplit,
    NextSample,
    PreviousSample,
    Review(Review),
    EditHere,
    EditOutside,
    Remark,
    Copy,
    Bulk,
    Search,
    /// Takes the first way to go on with the line.
    Complete,
    Sort,
    Flag,
    Facets,
    Jump,
    Back,
    Themes,
    Gates,
    Limits,
    Plan,
    Note,
    Log,
    Charts,
    Runs,
    NewRun,
    /// Has a run of the list go on.
    ResumeRun,
    DeleteRun,
    /// Marks a run to be compared.
    Mark,
    Compare,
    Doctor,
    /// Hides the pane, which its digit shows again.
    Hide,
    /// The newest part of a curve, or all of it.
    Recent,
    HideHint,
    Suspend,
    Help,
    Palette,
    Quit,
    /// One of the answers of a question, by its number.
    Answer(usize),
    /// Changes the selected number by so much.
    Change(i64),
    /// Nothing for the selected number: no limit, no change.
    Clear,
    /// Another way to plan: numbers of data, or actions per skill.
    OtherMode,
    /// The next of what can be done to a skill.
    OtherMove,
    /// The next or previous part of a text, chart of a set.
    NextPart,
    PreviousPart,
    Export,
    Write(Edit),
}

/// What a person does to a datum with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Review {
    Accept,
    Reject,
    Restore,
}

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// In every pane, unless the pane gives the key another meaning.
    Everywhere,
    Skills,
    Iterations,
    Samples,
    /// One sample is being read.
    Reading,
    /// A text lies over the panes.
    Text,
    /// A list to choose from lies over the panes.
    List,
    /// The list of runs.
    Runs,
    /// Runs beside each other.
    Compare,
    /// The values of a new run.
    Form,
    /// Numbers to be changed.
    Numbers,
    /// The plan is being changed.
    Plan,
    /// A filter is being written.
    Filter,
    /// The values of a field are counted.
    Facets,
    /// A line is being written.
    Line,
    /// A datum is being written.
    Editor,
    Charts,
    /// The question before leaving.
    Leaving,
}

impl Context {
    /// Every context, in the order of the help.
    pub(crate) const ALL: [Self; 18] = [
        Self::Everywhere,
        Self::Skills,
        Self::Iterations,
        Self::Samples,
        Self::Reading,
        Self::Plan,
        Self::Numbers,
        Self::Charts,
        Self::List,
        Self::Runs,
        Self::Compare,
        Self::Form,
        Self::Facets,
        Self::Text,
        Self::Line,
        Self::Filter,
        Self::Editor,
        Self::Leaving,
    ];

    /// The word of the key file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Skills => "skills",
            Self::Iterations => "iterations",
            Self::Samples => "samples",
            Self::Reading => "reading",
            Self::Text => "text",
            Self::List => "list",
            Self::Runs => "runs",
            Self::Numbers => "numbers",
            Self::Plan => "plan",
            Self::Compare => "compare",
            Self::Form => "form",
            Self::Filter => "filter",
            Self::Facets => "facets",
            Self::Line => "line",
            Self::Editor => "editor",
            Self::Charts => "charts",
            Self::Leaving => "leaving",
        }
    }

    /// Heading in the help.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Skills => "In 1 Skills",
            Self::Iterations => "In 2 Iterations",
            Self::Samples => "In 4 Samples",
            Self::Reading => "While reading a sample, besides those of 4 Samples",
            Self::Text => "In details, in the log and in this help",
            Self::List => "In a list to choose from",
            Self::Runs => "In the list of runs, besides those of a list",
            Self::Numbers => "While changing numbers (digits type one)",
            Self::Plan => "While changing the plan, besides those for numbers",
            Self::Compare => "In a comparison of runs",
            Self::Form => "While making a new run, besides those for a line",
            Self::Filter => "While writing a filter, besides those for a line",
            Self::Facets => "In the values of a field, besides those of a list",
            Self::Line => "While writing a line",
            Self::Editor => "While writing a datum, besides those for a line",
            Self::Charts => "In the charts",
            Self::Leaving => "In the question before leaving",
        }
    }

    /// Where a key is looked for that means nothing here.
    pub(crate) fn beyond(self) -> Option<Self> {
        match self {
            Self::Skills | Self::Iterations | Self::Samples => Some(Self::Everywhere),
            Self::Reading => Some(Self::Samples),
            Self::Runs | Self::Facets => Some(Self::List),
            Self::Plan => Some(Self::Numbers),
            Self::Editor | Self::Filter | Self::Form => Some(Self::Line),
            _ => None,
        }
    }

    /// This context and those beyond it.
    pub(crate) fn chain(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |context| context.beyond())
    }

    /// Whether characters are text here, so that they cannot be keys.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Line | Self::Editor | Self::Filter | Self::Form)
    }

    /// Whether digits are numbers here, so that they cannot be keys.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Numbers | Self::Plan)
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    /// Its name in the key file, unique within the context.
    pub(crate) name: &'static str,
    pub(crate) action: Action,
    /// One or two words for the footer; empty keeps it out of there.
    pub(crate) word: &'static str,
    pub(crate) description: &'static str,
}

const fn entry(
    context: Context,
    name: &'static str,
    action: Action,
    word: &'static str,
    description: &'static str,
) -> Entry {
    Entry { context, name, action, word, description }
}

use Action::{Answer, Change, Focus, Tell, Write};
use Context::{
    Charts, Compare, Editor, Everywhere, Facets, Filter, Form, Iterations, Leaving, Line, List, Numbers,
    Plan, Reading, Runs, Samples, Skills, Text,
};

/// Everything. The footer shows those with a word in this order, those of the focused pane first.
pub(crate) static ACTIONS: &[Entry] = &[
    entry(Everywhere, "run-on", Tell(Command::Run), "run on", "run on to the end, or resume"),
    entry(
        Everywhere,
        "one-iteration",
        Tell(Command::AdvanceIteration),
        "one iteration",
        "advance to the end of the iteration, then pause",
    ),
    entry(
        Everywhere,
        "one-phase",
        Tell(Command::AdvancePhase),
        "one phase",
        "advance one phase (evaluate, plan, generate, check or train), then pause",
    ),
    entry(Everywhere, "pause", Tell(Command::Pause), "pause", "pause after the running phase"),
    entry(Everywhere, "next-pane", Action::NextPane, "next pane", "go to the next pane"),
    entry(
        Everywhere,
        "stop",
        Tell(Command::Stop),
        "",
        "stop: end the runner after the running phase; run on resumes",
    ),
    entry(
        Everywhere,
        "stop-now",
        Tell(Command::StopNow),
        "",
        "stop now: end the runner at once; the running phase is repeated on resume",
    ),
    entry(Everywhere, "help", Action::Help, "help", "this help; type to search it"),
    entry(Everywhere, "palette", Action::Palette, "all actions", "find an action by its words and do it"),
    entry(
        Everywhere,
        "quit",
        Action::Quit,
        "quit",
        "leave; the run goes on in the background unless you say otherwise",
    ),
    entry(
        Everywhere,
        "plan",
        Action::Plan,
        "",
        "change the plan before its data are generated, or act in place of the policy",
    ),
    entry(Everywhere, "gates", Action::Gates, "", "choose the phases before which the run waits for you"),
    entry(
        Everywhere,
        "limits",
        Action::Limits,
        "",
        "change when the run ends: iterations, data, tokens, time",
    ),
    entry(Everywhere, "charts", Action::Charts, "charts", "accuracy, loss and speed as charts; exports them"),
    entry(Everywhere, "note", Action::Note, "", "write a note into the run's journal"),
    entry(Everywhere, "log", Action::Log, "", "what happened so far: the journal, with your notes"),
    entry(Everywhere, "runs", Action::Runs, "runs", "all runs: open or delete one, or start a new one"),
    entry(
        Everywhere,
        "doctor",
        Action::Doctor,
        "",
        "what this machine has and lacks, and what to do about it",
    ),
    entry(Everywhere, "previous-pane", Action::PreviousPane, "", "go to the pane before"),
    entry(Everywhere, "go-to-skills", Focus(Pane::Skills), "", "go to the skills"),
    entry(Everywhere, "go-to-iterations", Focus(Pane::Iterations), "", "go to the iterations"),
    entry(Everywhere, "go-to-machine", Focus(Pane::Machine), "", "go to the machine"),
    entry(Everywhere, "go-to-samples", Focus(Pane::Samples), "", "go to the samples"),
    entry(Everywhere, "zoom", Action::Zoom, "zoom", "give the whole screen to this pane, or give it back"),
    entry(Everywhere, "hide", Action::Hide, "", "hide this pane; its digit shows it again"),
    entry(Everywhere, "down", Action::Down, "", "one row down"),
    entry(Everywhere, "up", Action::Up, "", "one row up"),
    entry(Everywhere, "page-down", Action::PageDown, "", "one page down"),
    entry(Everywhere, "page-up", Action::PageUp, "", "one page up"),
    entry(Everywhere, "top", Action::Top, "", "to the first row"),
    entry(Everywhere, "bottom", Action::Bottom, "", "to the last row"),
    entry(Everywhere, "hide-hint", Action::HideHint, "", "hide the hint line"),
    entry(Everywhere, "themes", Action::Themes, "", "choose a colour theme, seen at once"),
    entry(Everywhere, "suspend", Action::Suspend, "", "suspend this screen; `fg` brings it back"),
    entry(Skills, "open", Action::Open, "subskills", "open or close the tree of a skill: its subskills"),
    entry(Skills, "close", Action::Close, "", "close the tree"),
    entry(Skills, "edit-plan", Action::Plan, "plan", "change the plan, or act in place of the policy"),
    entry(Skills, "follow", Action::FollowSkill, "", "samples follow the selected skill, or show all"),
    entry(
        Iterations,
        "details",
        Action::Open,
        "details",
        "everything about the iteration, and messages in full",
    ),
    entry(Iterations, "set-gates", Action::Gates, "gates", "choose the phases before which the run waits"),
    entry(
        Iterations,
        "newest",
        Action::Close,
        "",
        "follow the newest iteration again; in the end the best one",
    ),
    entry(Samples, "read", Action::Open, "read", "read the selected sample; then up and down scroll it"),
    entry(
        Samples,
        "other-list",
        Action::OtherList,
        "list",
        "training data, the student's predictions, or the teacher's calls",
    ),
    entry(
        Samples,
        "filter",
        Action::NextFilter,
        "verdict",
        "next of: all, accepted, rejected; all, wrong, right; all, used, malformed",
    ),
    entry(
        Samples,
        "search",
        Action::Search,
        "filter",
        "only what fits: `skill:division iter:>2 verdict:rejected`, or plain words; empty shows all again",
    ),
    entry(
        Samples,
        "accept",
        Action::Review(Review::Accept),
        "accept",
        "accept the datum, whatever the checks say",
    ),
    entry(
        Samples,
        "reject",
        Action::Review(Review::Reject),
        "reject",
        "reject the datum: it is not trained on",
    ),
    entry(Samples, "edit", Action::EditHere, "edit", "edit the words of the datum; it is accepted then"),
    entry(Samples, "edit-outside", Action::EditOutside, "", "edit the datum in `$VISUAL` or `$EDITOR`"),
    entry(Samples, "copy", Action::Copy, "", "copy the sample to the clipboard, and into a file"),
    entry(Samples, "remark", Action::Remark, "", "write a remark on the datum"),
    entry(
        Samples,
        "restore",
        Action::Review(Review::Restore),
        "",
        "take your review back: the engine's words, the checks' verdict",
    ),
    entry(Samples, "bulk", Action::Bulk, "all listed", "accept, reject or restore everything the list names"),
    entry(
        Samples,
        "values",
        Action::Facets,
        "values",
        "how often each value of a field occurs in the list; choosing one narrows the list to it",
    ),
    entry(Samples, "order", Action::Sort, "", "newest first, oldest first, or by the values of a field"),
    entry(
        Samples,
        "flag",
        Action::Flag,
        "",
        "put a flag on the sample, or take it away; `flagged:true` lists them",
    ),
    entry(
        Samples,
        "go-to",
        Action::Jump,
        "go to",
        "go to the sample's skill, its errors, its teacher call, or the data that an error or a call led to",
    ),
    entry(Samples, "go-back", Action::Back, "", "back to where the last jump came from"),
    entry(
        Samples,
        "other-split",
        Action::OtherSplit,
        "",
        "predictions of the validation or of the test split",
    ),
    entry(Samples, "follow", Action::FollowSkill, "", "follow the skill selected in 1, or show all"),
    entry(Reading, "back", Action::Close, "back", "back to the list"),
    entry(Reading, "next-sample", Action::NextSample, "next sample", "read the next sample"),
    entry(Reading, "previous-sample", Action::PreviousSample, "", "read the sample before"),
    entry(
        Plan,
        "other-mode",
        Action::OtherMode,
        "numbers or actions",
        "set numbers of data, or act per skill",
    ),
    entry(
        Plan,
        "other-action",
        Action::OtherMove,
        "action",
        "the skill's action: leave it, explore new subskills, exploit known ones",
    ),
    entry(Numbers, "apply", Action::Open, "apply", "apply the numbers"),
    entry(Numbers, "cancel", Action::Close, "cancel", "change nothing"),
    entry(Numbers, "more", Change(1), "more", "one more"),
    entry(Numbers, "less", Change(-1), "less", "one less"),
    entry(Numbers, "ten-more", Change(10), "", "ten more"),
    entry(Numbers, "ten-less", Change(-10), "", "ten less"),
    entry(Numbers, "clear", Action::Clear, "", "no limit, or nothing of this"),
    entry(Numbers, "rub-out", Write(Edit::Back), "", "take the last digit away"),
    entry(Numbers, "down", Action::Down, "", "next number"),
    entry(Numbers, "up", Action::Up, "", "number before"),
    entry(Numbers, "page-down", Action::PageDown, "", "one page down"),
    entry(Numbers, "page-up", Action::PageUp, "", "one page up"),
    entry(Numbers, "top", Action::Top, "", "to the first number"),
    entry(Numbers, "bottom", Action::Bottom, "", "to the last number"),
    entry(Charts, "next-chart", Action::NextPart, "next chart", "the next chart"),
    entry(Charts, "previous-chart", Action::PreviousPart, "", "the chart before"),
    entry(Charts, "next-skill", Action::Down, "next skill", "the next skill, in the chart of a skill"),
    entry(Charts, "previous-skill", Action::Up, "", "the skill before"),
    entry(
        Charts,
        "recent",
        Action::Recent,
        "recent or all",
        "the newest steps and iterations, or all of them; an export holds what is seen",
    ),
    entry(
        Charts,
        "export",
        Action::Export,
        "export",
        "write every chart as SVG and CSV into the run's folder",
    ),
    entry(Charts, "close", Action::Close, "close", "close the charts"),
    entry(List, "choose", Action::Open, "choose", "choose the marked line"),
    entry(List, "cancel", Action::Close, "close", "close the list"),
    entry(List, "down", Action::Down, "", "one line down"),
    entry(List, "up", Action::Up, "", "one line up"),
    entry(List, "page-down", Action::PageDown, "", "one page down"),
    entry(List, "page-up", Action::PageUp, "", "one page up"),
    entry(List, "top", Action::Top, "", "to the first line"),
    entry(List, "bottom", Action::Bottom, "", "to the last line"),
    entry(Runs, "new-run", Action::NewRun, "new run", "start a new run from a ready configuration"),
    entry(Runs, "resume-run", Action::ResumeRun, "resume", "have the run go on in the background"),
    entry(Runs, "delete-run", Action::DeleteRun, "delete", "delete the run, after a question"),
    entry(
        Runs,
        "mark-run",
        Action::Mark,
        "mark",
        "mark the run to be compared, the one to compare with first",
    ),
    entry(
        Runs,
        "compare",
        Action::Compare,
        "compare",
        "compare the marked runs, or this one with the one on the screen",
    ),
    entry(Compare, "close", Action::Close, "close", "back to the list of runs"),
    entry(Compare, "other-split", Action::OtherSplit, "split", "the test or the validation split"),
    entry(
        Compare,
        "export",
        Action::Export,
        "export",
        "write the comparison as CSV and SVG into the folder of the run on the screen",
    ),
    entry(Compare, "down", Action::Down, "down", "one line down"),
    entry(Compare, "up", Action::Up, "", "one line up"),
    entry(Compare, "page-down", Action::PageDown, "", "one page down"),
    entry(Compare, "page-up", Action::PageUp, "", "one page up"),
    entry(Compare, "top", Action::Top, "", "to the first line"),
    entry(Compare, "bottom", Action::Bottom, "", "to the last line"),
    entry(Form, "start", Action::Open, "start", "make the run and start it"),
    entry(Form, "next-choice", Action::NextPart, "next choice", "the next of the words a value can be"),
    entry(Form, "previous-choice", Action::PreviousPart, "", "the word before"),
    entry(Facets, "next-field", Action::NextPart, "next field", "count the values of the next field"),
    entry(Facets, "previous-field", Action::PreviousPart, "", "count those of the field before"),
    entry(Text, "close", Action::Close, "close", "close"),
    entry(Text, "down", Action::Down, "down", "one line down"),
    entry(Text, "up", Action::Up, "up", "one line up"),
    entry(Text, "page-down", Action::PageDown, "", "one page down"),
    entry(Text, "page-up", Action::PageUp, "", "one page up"),
    entry(Text, "top", Action::Top, "", "to the first line"),
    entry(Text, "bottom", Action::Bottom, "", "to the last line"),
    entry(Line, "done", Action::Open, "done", "done"),
    entry(Line, "cancel", Action::Close, "cancel", "cancel; in the help and the palette: close"),
    entry(Line, "down", Action::Down, "", "next line"),
    entry(Line, "up", Action::Up, "", "line before"),
    entry(Line, "page-down", Action::PageDown, "", "one page down"),
    entry(Line, "page-up", Action::PageUp, "", "one page up"),
    entry(Line, "left", Write(Edit::Left), "", "one character back"),
    entry(Line, "right", Write(Edit::Right), "", "one character on"),
    entry(Line, "start", Write(Edit::Start), "", "to the start of the line"),
    entry(Line, "end", Write(Edit::End), "", "to the end of the line"),
    entry(Line, "rub-out", Write(Edit::Back), "", "take away the character before"),
    entry(Line, "delete", Write(Edit::Delete), "", "take away the character under the cursor"),
    entry(Line, "rub-out-word", Write(Edit::BackWord), "", "take away the word before"),
    entry(Line, "rub-out-all", Write(Edit::Clear), "", "take away everything before the cursor"),
    entry(Filter, "complete", Action::Complete, "complete", "write the first of the proposals out"),
    entry(Editor, "apply", Action::Open, "apply", "take these words; the datum is accepted"),
    entry(Editor, "new-line", Write(Edit::NewLine), "", "begin a new line"),
    entry(Editor, "next-part", Action::NextPart, "next part", "question, response, answer"),
    entry(Editor, "previous-part", Action::PreviousPart, "", "the part before"),
    entry(Editor, "edit-outside", Action::EditOutside, "$EDITOR", "go on in `$VISUAL` or `$EDITOR`"),
    entry(Leaving, "choose", Action::Open, "choose", "do the marked answer"),
    entry(Leaving, "down", Action::Down, "down", "next answer"),
    entry(Leaving, "up", Action::Up, "up", "answer before"),
    entry(Leaving, "keep-running", Answer(0), "", "leave, the run goes on"),
    entry(Leaving, "stop-after-phase", Answer(1), "", "stop after the running phase and leave"),
    entry(Leaving, "stop-now", Answer(2), "", "stop now and leave"),
    entry(Leaving, "stay", Answer(3), "", "stay"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_everything_is_described() {
        for (n, a) in ACTIONS.iter().enumerate() {
            assert!(!a.description.is_empty());
            assert!(a.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", a.name);
            let same = |b: &&Entry| (a.context, a.name) == (b.context, b.name);
            assert_eq!(ACTIONS[n + 1..].iter().find(same).map(|b| b.name), None);
        }
    }

    #[test]
    fn every_context_is_in_the_help_once() {
        for entry in ACTIONS {
            assert_eq!(Context::ALL.iter().filter(|c| **c == entry.context).count(), 1);
        }
        assert_eq!(Reading.chain().collect::<Vec<_>>(), [Reading, Samples, Everywhere]);
    }
}
