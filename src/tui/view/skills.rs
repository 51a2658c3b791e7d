//! The first pane: accuracy per skill, and what the plan does about it.

use ratatui::layout::Rect;

use crate::tui::app::{App, window};
use crate::tui::canvas::{Canvas, Glyphs, Line};
use crate::tui::skills::SkillRow;
use crate::tui::text::{interval, left, points, right, wrap};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let Some(facts) = &app.facts else { return String::new() };
    let Some(report) = app.shown_report() else { return "no accuracy yet".into() };
    let mut plans = facts.episode.iterations.iter().take(app.shown_iteration() as usize + 1).rev();
    let planned = plans.find_map(|i| i.plans.last()).map(|p| {
        let by = if p.edited { ", yours" } else { "" };
        format!(", plan of iteration {}{by}", p.iteration)
    });
    format!("after iteration {}{}", report.iteration, planned.unwrap_or_default())
}

/// Columns of the change since the last iteration: its best and worst are `+100.0` and `-100.0`.
const LAST: usize = 7;

/// Widths of the columns; 0 leaves one out.
#[derive(Default)]
struct Columns {
    name: usize,
    interval: usize,
    first: usize,
    bar: usize,
    action: usize,
    produced: usize,
}

impl Columns {
    /// Name, accuracy, change since the last iteration and allocation always; the others as far as they fit, by worth.
    fn of(width: usize, longest: usize) -> Self {
        let longest = longest.clamp(10, 30);
        let mut room = width.saturating_sub(longest.min(17) + 6 + LAST + 6);
        let mut take = |columns: usize| {
            let taken = if room >= columns { columns } else { 0 };
            room -= taken;
            taken
        };
        let mut columns = Self { bar: take(6), action: take(8), interval: take(7), ..Self::default() };
        columns.name = longest.min(17);
        while columns.name < longest && take(1) > 0 {
            columns.name += 1;
        }
        (columns.first, columns.produced) = (take(8), take(6));
        while columns.bar > 0 && columns.bar < 16 && take(1) > 0 {
            columns.bar += 1;
        }
        columns.name += room.min(12);
        columns
    }
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect, focused: bool) {
    let rows = app.skill_rows();
    if rows.is_empty() {
        let text = "The skills appear here once the student was evaluated: how many of a skill's questions it \
            answers, how sure that is, and how much training data the plan asks for.";
        for (row, line) in wrap(text, area.width.saturating_sub(2).into()).iter().enumerate() {
            let inset = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
            canvas.line(inset, row as u16, &Line::of(Scope::Muted, line.as_str()));
        }
        return;
    }
    let longest = rows.iter().map(|r| name(r, canvas.glyphs).chars().count()).max().unwrap_or(0);
    let columns = Columns::of(area.width.into(), longest);
    canvas.line(area, 0, &heading(&columns));
    let visible = usize::from(area.height.saturating_sub(1)).max(1);
    let selected = app.selected_row(&rows);
    let top = window(selected, visible, rows.len());
    for (n, row) in rows.iter().enumerate().skip(top).take(visible) {
        let at = (n - top) as u16 + 1;
        canvas.line(area, at, &line(row, &columns, canvas.glyphs));
        if n == selected {
            canvas.highlight(area, at, focused);
        }
    }
}

fn heading(columns: &Columns) -> Line {
    let text = left("skill", columns.name)
        + &right("acc.%", 6)
        + &right("95 %", columns.interval)
        + &right("from 0", columns.first)
        + &right("last", LAST)
        + &right("asked", 6)
        + &left("", columns.bar)
        + &left(" action", columns.action)
        + &right("made", columns.produced);
    Line::of(Scope::Muted, text)
}

fn name(row: &SkillRow, glyphs: Glyphs) -> String {
    match (&row.skill, &row.subskill) {
        (None, _) => "all skills".into(),
        (Some(_), Some(subskill)) => format!("    {subskill}"),
        (Some(skill), None) => match row.open {
            Some(true) => format!("{} {skill}", glyphs.open),
            Some(false) => format!("{} {skill}", glyphs.folded),
            None => format!("  {skill}"),
        },
    }
}

fn line(row: &SkillRow, columns: &Columns, glyphs: Glyphs) -> Line {
    let main = if row.skill.is_none() { Scope::Strong } else { Scope::Text };
    let quiet = if row.subskill.is_some() { Scope::Muted } else { main };
    let mut line = Line::of(quiet, left(&name(row, glyphs), columns.name));
    let accuracy = row.accuracy.as_ref();
    let dash = || if row.subskill.is_some() { String::new() } else { "-".to_owned() };
    line.push(main, right(&accuracy.map_or_else(dash, |a| format!("{:.1}", a.mean * 100.0)), 6));
    line.push(Scope::Muted, right(&accuracy.map_or_else(String::new, interval), columns.interval));
    change(&mut line, row.since_first, columns.first);
    change(&mut line, row.since_last, LAST);
    line.push(main, right(&row.allocation.map_or_else(dash, |a| a.to_string()), 6));
    if columns.bar > 0 {
        let share = |count: u32| f64::from(count) / f64::from(row.largest.max(1));
        let bar = |count: u32| {
            if row.largest == 0 { String::new() } else { glyphs.bar(share(count), columns.bar - 1).0 }
        };
        // What is made of it already, then what is still asked for, told apart without colour as well.
        let asked = row.allocation.unwrap_or(0);
        let (made, whole) = (bar(row.made.min(asked)), bar(asked));
        let rest = glyphs.empty.repeat(whole.chars().count().saturating_sub(made.chars().count()));
        let room = columns.bar - 1 - whole.chars().count().min(columns.bar - 1);
        line.push(Scope::Made, format!(" {made}"));
        line.push(Scope::Bar, rest + &" ".repeat(room));
    }
    let scope = if row.action == Some("explore") { Scope::Explore } else { Scope::Exploit };
    match row.action {
        // Where there is no column for it, what was made of a subskill takes the place of its action.
        None if columns.produced == 0 && row.subskill.is_some() => {
            line.push(quiet, right(&format!("{} made", row.produced), columns.action));
        }
        action => line.push(scope, left(&format!(" {}", action.unwrap_or("")), columns.action)),
    }
    line.push(quiet, right(&row.produced.to_string(), columns.produced));
    line
}

fn change(line: &mut Line, change: Option<f64>, columns: usize) {
    let text = change.map_or_else(String::new, points);
    let scope = match text.chars().next() {
        Some('+') => Scope::Good,
        Some('-') => Scope::Bad,
        _ => Scope::Muted,
    };
    line.push(scope, right(&text, columns));
}
