//! The form of a new run, and what the machine lacks.

use super::overlay::{line_of, panel};
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line, paragraph};
use crate::tui::new_run::NewRun;
use crate::tui::runs::{Finding, Level};
use crate::tui::text::{cut, left};
use crate::tui::theme::Scope;

/// Columns of the names of the values.
const NAMES: usize = 22;

pub(super) fn form(app: &App, canvas: &mut Canvas<'_>, form: &NewRun) {
    let columns = app.size.0.saturating_sub(6).min(96);
    let rows = (form.settings.len() as u16 + 5).min(app.size.1.saturating_sub(4));
    let title = Line::of(Scope::TitleFocus, format!(" A new run of {} ", form.configuration));
    let Some(inner) = panel(app, canvas, (columns, rows), &title) else { return };
    let below = inner.height.saturating_sub(4);
    let top = crate::tui::app::window(form.selected, below.into(), form.settings.len());
    let changes = form.changes();
    for (n, setting) in form.settings.iter().enumerate().skip(top).take(below.into()) {
        let at = (n - top) as u16;
        let label = left(setting.key, NAMES);
        if n == form.selected {
            line_of(canvas, inner, at, &label, &form.lines[n]);
            continue;
        }
        let changed = changes.iter().any(|(key, _)| key == setting.key);
        let value = if changed { Scope::Match } else { Scope::Text };
        let text = cut(form.lines[n].text(), usize::from(inner.width).saturating_sub(NAMES + 2));
        canvas.line(inner, at, &Line::of(Scope::Muted, format!(" {label}")).with(value, text));
    }
    let Some(setting) = form.settings.get(form.selected) else { return };
    let room = usize::from(inner.width).saturating_sub(2);
    let about = if setting.choices.is_empty() {
        setting.about.to_owned()
    } else {
        let key = app.keymap.key(Context::Form, &Action::NextPart);
        format!("{}: {key} for the next of {}", setting.about, setting.choices.join(", "))
    };
    let foot = inner.height.saturating_sub(3);
    for (n, line) in paragraph(Scope::Hint, &about, room).iter().take(2).enumerate() {
        canvas.line(ratatui::layout::Rect { x: inner.x + 1, ..inner }, foot + n as u16, line);
    }
    let (scope, said) = match &form.checked {
        None => (Scope::Muted, "checking the configuration".to_owned()),
        Some(Ok(())) => {
            let key = app.keymap.key(Context::Form, &Action::Open);
            (Scope::Good, format!("the configuration is sound; {key} makes the run and starts it"))
        }
        Some(Err(message)) => (Scope::Bad, crate::tui::text::one_line(message)),
    };
    canvas.line(inner, inner.height.saturating_sub(1), &Line::of(scope, format!(" {}", cut(&said, room))));
}

/// What was found on this machine, with remedies.
pub(super) fn doctor(findings: Option<&[Finding]>, columns: usize) -> Vec<Line> {
    let Some(findings) = findings else { return vec![Line::of(Scope::Muted, "Looking at this machine.")] };
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let summary = format!(
        "{} as they should be, {} to know about, {} to mend",
        count(Level::Ok),
        count(Level::Warn),
        count(Level::Fail)
    );
    let mut lines = vec![Line::of(Scope::Strong, summary), Line::default()];
    for finding in findings {
        let (scope, word) = match finding.level {
            Level::Ok => (Scope::Good, "ok"),
            Level::Warn => (Scope::Warn, "warn"),
            Level::Fail => (Scope::Bad, "FAIL"),
        };
        let head = format!("{}{}", left(word, 6), left(&finding.check, 15));
        for (n, line) in
            paragraph(Scope::Text, &finding.found, columns.saturating_sub(21)).into_iter().enumerate()
        {
            let mut whole = Line::of(scope, if n == 0 { head.clone() } else { " ".repeat(21) });
            whole.0.extend(line.0);
            lines.push(whole);
        }
        if !finding.remedy.is_empty() {
            for (n, line) in
                paragraph(Scope::Hint, &finding.remedy, columns.saturating_sub(24)).into_iter().enumerate()
            {
                let mut whole =
                    Line::of(Scope::Hint, if n == 0 { left("", 21) + "-> " } else { left("", 24) });
                whole.0.extend(line.0);
                lines.push(whole);
            }
        }
    }
    lines
}
