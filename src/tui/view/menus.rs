//! Lists to choose from.

use ratatui::layout::Rect;

use super::overlay::panel;
use crate::gym::datum::Verdict;
use crate::gym::review::DataSelection;
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, window};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::overlay::{Menu, Target};
use crate::tui::runs::RunRow;
use crate::tui::text::{cut, duration, end, interval, left, right, width, wrap};
use crate::tui::theme::Scope;
use crate::tui::update::{BULK, PHASES};

/// Columns of the list of runs: name, state, iterations, accuracy, age. They fit into 80.
const RUN: [usize; 5] = [20, 10, 11, 16, 13];

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, menu: &Menu, choice: usize) {
    // Configurations are told apart by what is said of them, so they get what there is.
    let most = if matches!(menu, Menu::Ready { .. }) { 110 } else { 74 };
    let columns = app.size.0.saturating_sub(6).min(most);
    let head: Vec<Line> = about(app, menu)
        .iter()
        .flat_map(|text| wrap(text, usize::from(columns).saturating_sub(2)))
        .map(|line| Line::of(Scope::Text, format!(" {line}")))
        .collect();
    let lines = lines(app, menu, columns.into());
    let room = app.size.1.saturating_sub(6).saturating_sub(head.len() as u16 + 1).max(1);
    let shown = (lines.len() as u16).clamp(1, room);
    let rows = head.len() as u16 + 1 + shown;
    let Some(inner) = panel(app, canvas, (columns, rows), &Line::of(Scope::TitleFocus, title(menu))) else {
        return;
    };
    canvas.lines(inner, &head, 0);
    let used = (head.len() as u16 + 1).min(inner.height.saturating_sub(1));
    let below = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    let visible = usize::from(below.height).max(1);
    let top = window(choice, visible, lines.len());
    for (row, line) in lines.iter().enumerate().skip(top).take(visible) {
        let at = (row - top) as u16;
        canvas.line(below, at, line);
        if row == choice {
            canvas.highlight(below, at, true);
        }
    }
}

fn title(menu: &Menu) -> String {
    match menu {
        Menu::Gates => " Gates ".into(),
        Menu::Bulk { count, .. } => format!(" All {count} listed data "),
        Menu::Themes { .. } => " Theme ".into(),
        Menu::Runs { .. } => " Runs ".into(),
        Menu::Ready { .. } => " A new run ".into(),
        Menu::Delete { name } => format!(" Delete run {name}? "),
        Menu::Discard { .. } => " Throw your words away? ".into(),
        Menu::Jump { .. } => " Go to ".into(),
    }
}

/// What stands above the list.
fn about(app: &App, menu: &Menu) -> Vec<String> {
    match menu {
        Menu::Gates => vec![
            "The run waits for you before the marked phases. At generate the plan can be changed, at check and \
             train the data."
                .into(),
        ],
        Menu::Bulk { selection, .. } => vec![format!("{}.", named(selection))],
        Menu::Themes { .. } => vec!["What you mark is seen at once.".into()],
        Menu::Runs { runs: None, .. } => vec!["Looking for runs.".into()],
        Menu::Runs { runs: Some(runs), .. } if runs.is_empty() => {
            let key = app.keymap.key(Context::Runs, &Action::NewRun);
            vec![format!("There are no runs. {key} starts one.")]
        }
        Menu::Runs { .. } => vec![format!(
            "  {}{}{}{}{}",
            left("name", RUN[0]),
            left("state", RUN[1]),
            right("iterations", RUN[2]),
            right("validation %", RUN[3]),
            right("age", RUN[4])
        )],
        Menu::Ready { .. } => vec!["Choose a configuration; its values can be changed before the run starts.".into()],
        Menu::Delete { .. } => vec![
            "Its database, checkpoints, logs and exports are gone then; there is no way back.".into(),
        ],
        Menu::Jump { .. } => vec!["What belongs to this sample.".into()],
        Menu::Discard { draft } => vec![format!("The words of datum {} were changed and not applied.", draft.id)],
    }
    .into_iter()
    .chain(app.asked.as_ref().filter(|_| matches!(menu, Menu::Gates)).and_then(|_| crate::tui::status::transition(app)))
    .collect()
}

/// The data a selection names, in words.
fn named(selection: &DataSelection) -> String {
    if !selection.ids.is_empty() {
        return "The data in the list as it is now, one by one".into();
    }
    let verdict = selection.verdict.map_or("All data", |verdict| match verdict {
        Verdict::Accepted => "All accepted data",
        Verdict::Rejected => "All rejected data",
        Verdict::Pending => "All data not yet checked",
    });
    let skill = selection.skill.as_ref().map(|skill| format!(" of skill {skill}")).unwrap_or_default();
    let skill =
        skill + &selection.subskill.as_ref().map(|name| format!(", subskill {name}")).unwrap_or_default();
    let iteration =
        selection.iteration.map_or(" of every iteration".into(), |n| format!(" of iteration {n}"));
    let failed = selection.failed_check.as_ref().map(|c| format!(" that failed {c}")).unwrap_or_default();
    format!("{verdict}{skill}{failed}{iteration}: what the list names")
}

fn lines(app: &App, menu: &Menu, columns: usize) -> Vec<Line> {
    let text = |text: String| Line::of(Scope::Text, text);
    match menu {
        Menu::Gates => {
            let gates = app.facts.as_ref().map(|f| f.episode.rules.gates.clone()).unwrap_or_default();
            let line = |phase: &crate::gym::episode::Phase| {
                let mark = if gates.contains(phase) { "[x]" } else { "[ ]" };
                text(format!("  {mark} before {}", phase.as_str()))
            };
            PHASES.iter().map(line).collect()
        }
        Menu::Bulk { .. } => BULK.iter().map(|(words, _)| text(format!("  {words}"))).collect(),
        Menu::Themes { .. } => app.themes.iter().map(|theme| text(format!("  {}", theme.name()))).collect(),
        Menu::Runs { runs, marked } => {
            let shown = app.facts.as_ref().map(|f| f.record.name.as_str());
            let line = |run: &RunRow| {
                let number = marked.iter().position(|name| *name == run.name);
                run_line(run, shown == Some(&run.name), number, app)
            };
            runs.iter().flatten().map(line).collect()
        }
        Menu::Ready { ready } if ready.is_empty() => vec![Line::of(Scope::Muted, "  ...")],
        Menu::Ready { ready } => {
            let longest = ready.iter().map(|(name, _)| width(name)).max().unwrap_or(0).min(24);
            let room = columns.saturating_sub(longest + 5);
            let line = |(name, about): &(String, String)| {
                // The end of a path says which file it is.
                text(format!("  {}  ", left(&end(name, longest), longest)))
                    .with(Scope::Muted, cut(about, room))
            };
            ready.iter().map(line).collect()
        }
        Menu::Delete { .. } => vec![text("  delete it".into()), text("  keep it".into())],
        Menu::Jump { targets } => targets.iter().map(|target| text(format!("  {}", leads(target)))).collect(),
        Menu::Discard { .. } => vec![text("  throw them away".into()), text("  go on writing".into())],
    }
}

/// Where a jump leads, in words.
fn leads(target: &Target) -> String {
    match target {
        Target::Skill(skill, None) => format!("the skill {skill}"),
        Target::Skill(skill, Some(subskill)) => format!("the skill {skill}, subskill {subskill}"),
        Target::Instance(split, id) => {
            format!("the student's answers to {id} ({}) in every iteration", split.as_str())
        }
        Target::Call(id) => format!("the teacher call {id} that wrote it"),
        Target::DataOf(id) => format!("the training data that the error on {id} led to"),
        Target::DataFor { iteration, skill, subskill } => {
            format!("the training data of iteration {iteration} for {skill} / {subskill}")
        }
    }
}

fn run_line(run: &RunRow, shown: bool, marked: Option<usize>, app: &App) -> Line {
    let mark = if shown { app.glyphs.here } else { " " };
    let scope = match run.state.as_str() {
        "running" => Scope::Running,
        "finished" => Scope::Good,
        "failed" => Scope::Bad,
        _ => Scope::Text,
    };
    let accuracy = run
        .accuracy
        .as_ref()
        .map_or_else(|| "-".to_owned(), |e| format!("{:.1} ({})", e.mean * 100.0, interval(e)));
    // The letter it has in a comparison.
    let letter = marked.map_or(' ', |n| char::from(b'A' + n.min(25) as u8));
    Line::of(Scope::Key, letter.to_string())
        .with(Scope::Running, format!("{mark} "))
        .with(Scope::Strong, left(&run.name, RUN[0]))
        .with(scope, left(&run.state, RUN[1]))
        .with(Scope::Text, right(&run.iterations.to_string(), RUN[2]))
        .with(Scope::Text, right(&accuracy, RUN[3]))
        .with(Scope::Muted, right(&duration(run.age_ms), RUN[4]))
}
