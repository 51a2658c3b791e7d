//! The journal in words.

use crate::gym::episode::{Command, Event};
use crate::gym::ports::Fact;
use crate::gym::review::DatumEdit;
use crate::store::JournalEntry;
use crate::tui::app::App;
use crate::tui::canvas::{Line, paragraph};
use crate::tui::status;
use crate::tui::text::{duration, percent};
use crate::tui::theme::Scope;

/// One paragraph per entry, the oldest first.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line> {
    let Some(entries) = &app.journal else { return vec![Line::of(Scope::Muted, "Reading the journal.")] };
    let began = app.facts.as_ref().map_or(0, |facts| facts.record.created_ms);
    let mut lines = Vec::new();
    for entry in entries {
        let (scope, said) = said(entry);
        let since = duration(u64::try_from(entry.at_ms - began).unwrap_or(0));
        let mut rest = paragraph(scope, &said, columns.saturating_sub(14));
        let mut first = Line::of(Scope::Muted, format!("{since:>12}  "));
        if !rest.is_empty() {
            first.0.append(&mut rest.remove(0).0);
        }
        lines.push(first);
        for mut line in rest {
            let mut indented = Line::of(Scope::Text, " ".repeat(14));
            indented.0.append(&mut line.0);
            lines.push(indented);
        }
    }
    if lines.is_empty() {
        lines.push(Line::of(Scope::Muted, "Nothing has happened yet."));
    }
    lines
}

fn said(entry: &JournalEntry) -> (Scope, String) {
    match &entry.event {
        Event::Opened => (Scope::Muted, "a runner took charge".into()),
        Event::Commanded { command: Command::Note { text } } => (Scope::Strong, format!("note: {text}")),
        Event::Commanded { command } => (Scope::Hint, format!("you: {}", status::wish(command))),
        Event::Reviewed { edit, data, .. } => {
            let what = match edit {
                DatumEdit::Accept => "accepted",
                DatumEdit::Reject => "rejected",
                DatumEdit::Reword { .. } => "reworded",
                DatumEdit::Note { .. } => "remarked on",
                DatumEdit::Restore => "restored",
            };
            (Scope::Hint, format!("you {what} {data} {}", if *data == 1 { "datum" } else { "data" }))
        }
        Event::Completed { fact, elapsed_ms } => {
            (Scope::Text, format!("{} ({})", done(fact), duration(*elapsed_ms)))
        }
        Event::Failed { message, transient, .. } => (
            Scope::Bad,
            format!("{}: {message}", if *transient { "failed, to be tried again" } else { "FAILED" }),
        ),
        Event::NoRoom { message } => (Scope::Bad, format!("DISK FULL: {message}")),
    }
}

fn done(fact: &Fact) -> String {
    match fact {
        Fact::Evaluated { report, .. } => format!(
            "evaluated: {} on {} after iteration {}",
            percent(report.overall.mean),
            report.split.as_str(),
            report.iteration
        ),
        Fact::Planned { plan, .. } => {
            format!("policy {} planned {} data for iteration {}", plan.policy, plan.total(), plan.iteration)
        }
        Fact::Generated { count, .. } => format!("generated {count} data"),
        Fact::Checked { accepted, rejected, .. } => {
            format!("checked: {accepted} accepted, {rejected} rejected")
        }
        Fact::Trained { outcome: Some(outcome) } => {
            format!("trained: {} steps, last loss {:.3}", outcome.steps, outcome.final_loss)
        }
        Fact::Trained { outcome: None } => "trained on nothing: there were no accepted data".into(),
    }
}
