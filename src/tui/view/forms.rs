//! Numbers to be changed: the limits of the run, the plan.

use ratatui::layout::Rect;

use super::overlay::panel;
use crate::gym::plan::Action as SkillMove;
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, window};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::numbers::{Field, Limits};
use crate::tui::plan_edit::{Acting, Choice, PlanEdit};
use crate::tui::text::{duration, left, right};
use crate::tui::theme::Scope;

pub(super) fn limits(app: &App, canvas: &mut Canvas<'_>, limits: &Limits) {
    let title = Line::of(Scope::TitleFocus, " When the run ends ");
    let columns = app.size.0.saturating_sub(6).min(66);
    let Some(inner) = panel(app, canvas, (columns, limits.fields.len() as u16 + 3), &title) else { return };
    let heading = format!(" {}{}{}", left("limit", 28), right("spent", 14), right("limit", 14));
    canvas.line(inner, 0, &Line::of(Scope::Muted, heading));
    let spent = spent(app);
    for (n, field) in limits.fields.iter().enumerate() {
        let at = n as u16 + 1;
        let value = field.value.map_or_else(|| "none".to_owned(), |v| v.to_string());
        let line = Line::of(Scope::Text, format!(" {}", left(&field.label, 28)))
            .with(Scope::Muted, right(spent.get(n).map_or("", String::as_str), 14))
            .with(changed(field), right(&value, 14));
        canvas.line(inner, at, &line);
        if n == limits.selected {
            canvas.highlight(inner, at, true);
        }
    }
    let below = inner.height.saturating_sub(1);
    canvas.line(
        inner,
        below,
        &Line::of(Scope::Muted, " A finished run goes on when its new limits allow it."),
    );
}

/// What each limit counts, so far.
fn spent(app: &App) -> Vec<String> {
    let Some(facts) = &app.facts else { return Vec::new() };
    let rows = &facts.episode.iterations;
    let tokens: u64 = rows.iter().map(|row| row.tokens).sum();
    let elapsed: u64 = rows.iter().map(|row| row.elapsed_ms).sum();
    vec![
        rows.len().saturating_sub(1).to_string(),
        facts.episode.accepted().to_string(),
        tokens.to_string(),
        duration(elapsed),
        String::new(),
        app.live.as_ref().map_or_else(String::new, |live| format!("{:.2}", live.spending.cost)),
    ]
}

fn changed(field: &Field) -> Scope {
    if field.changed() { Scope::Match } else { Scope::Strong }
}

pub(super) fn plan(app: &App, canvas: &mut Canvas<'_>, plan: &PlanEdit) {
    let rows = plan.rows();
    let what = if plan.acts { "You act in place of the policy" } else { "The plan: data to be generated" };
    let title = format!(" {what}, row {} of {} ", (plan.selected + 1).min(rows.len()), rows.len());
    let columns = app.size.0.saturating_sub(6).min(84);
    let height = (rows.len().max(1) as u16 + 3).min(app.size.1.saturating_sub(5));
    let Some(inner) = panel(app, canvas, (columns, height), &Line::of(Scope::TitleFocus, &title)) else {
        return;
    };
    canvas.line(inner, 0, &Line::of(Scope::Muted, heading(plan, inner.width)));
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(3).max(1), ..inner };
    let visible = usize::from(list.height);
    let top = window(plan.selected, visible, rows.len());
    for (n, (skill, number)) in rows.iter().copied().enumerate().skip(top).take(visible) {
        let at = (n - top) as u16;
        let line = if plan.acts {
            action(app, &plan.skills[skill], number, inner.width)
        } else {
            amount(app, plan, skill, inner.width)
        };
        canvas.line(list, at, &line);
        if n == plan.selected {
            canvas.highlight(list, at, true);
        }
    }
    if rows.is_empty() {
        let key = app.keymap.key(Context::Plan, &Action::OtherMode);
        let text = format!(" The plan asks for nothing; {key} changes to actions.");
        canvas.line(list, 0, &Line::of(Scope::Muted, text));
    }
    canvas.line(inner, inner.height.saturating_sub(1), &foot(app, plan));
}

/// Columns of the names, from those of the form.
fn names(columns: u16) -> (usize, usize) {
    let room = usize::from(columns).saturating_sub(34).max(12);
    (room * 2 / 5, room - room * 2 / 5)
}

fn heading(plan: &PlanEdit, columns: u16) -> String {
    let (skill, subskill) = names(columns);
    if plan.acts {
        return format!(
            " {}{}{}",
            left("skill", skill + 1),
            right("acc.%", 6),
            "  what the policy chose / what you choose"
        );
    }
    format!(
        " {} {}{}{}{}",
        left("skill", skill),
        left("subskill", subskill),
        right("acc.%", 7),
        right("planned", 10),
        right("yours", 10)
    )
}

fn accuracy(app: &App, skill: &str, subskill: Option<&str>) -> String {
    let report = app.facts.as_ref().and_then(|f| f.episode.latest_report()).and_then(|r| r.skill(skill));
    let found = report.and_then(|r| match subskill {
        Some(name) => r.subskills.get(name),
        None => Some(&r.accuracy),
    });
    found.map_or_else(|| "-".to_owned(), |e| format!("{:.1}", e.mean * 100.0))
}

fn amount(app: &App, plan: &PlanEdit, n: usize, columns: u16) -> Line {
    let amount = &plan.amounts[n];
    let (skill, subskill) = names(columns);
    let repeated = n > 0 && plan.amounts[n - 1].skill == amount.skill;
    let name = if repeated { "" } else { &amount.skill };
    let shown = if amount.subskill.is_empty() { None } else { Some(amount.subskill.as_str()) };
    let field = &amount.field;
    Line::of(Scope::Strong, format!(" {} ", left(name, skill)))
        .with(Scope::Text, left(&amount.subskill, subskill))
        .with(Scope::Muted, right(&accuracy(app, &amount.skill, shown), 7))
        .with(Scope::Muted, right(&field.before.unwrap_or(0).to_string(), 10))
        .with(changed(field), right(&field.count().to_string(), 10))
}

fn action(app: &App, acting: &Acting, number: Option<usize>, columns: u16) -> Line {
    let (skill, _) = names(columns);
    let Some(n) = number else {
        let proposed = acting.proposed.as_ref().map_or("no plan yet", SkillMove::kind);
        let (scope, chosen) = match &acting.choice {
            Choice::Leave => (Scope::Muted, "leave its allocations"),
            Choice::Explore(_) => (Scope::Explore, "explore"),
            Choice::Exploit(_) => (Scope::Exploit, "exploit"),
        };
        return Line::of(Scope::Strong, format!(" {}", left(&acting.skill, skill + 1)))
            .with(Scope::Muted, right(&accuracy(app, &acting.skill, None), 6))
            .with(Scope::Muted, format!("  {}", left(proposed, 13)))
            .with(scope, chosen);
    };
    let (label, field, before) = match &acting.choice {
        Choice::Explore(fields) => (fields[n].label.as_str(), &fields[n], String::new()),
        Choice::Exploit(fields) => {
            let (name, before) = &acting.subskills[n];
            (name.as_str(), &fields[n], format!("was {before}"))
        }
        Choice::Leave => return Line::default(),
    };
    Line::of(Scope::Text, format!("     {}", left(label, skill + 8)))
        .with(Scope::Muted, left(&before, 12))
        .with(changed(field), right(&field.count().to_string(), 8))
}

fn foot(app: &App, plan: &PlanEdit) -> Line {
    if plan.acts {
        let text = " The run plans again with your actions; skills you leave keep their numbers.";
        return Line::of(Scope::Muted, text);
    }
    let before: i64 = plan.amounts.iter().filter_map(|a| a.field.before).sum();
    let limit = app.facts.as_ref().and_then(|f| {
        let most = f.episode.rules.budget.training_data?;
        Some(format!("; the run may use {} more", most.saturating_sub(f.episode.accepted())))
    });
    let text = format!(" {} data in all, {before} planned{}", plan.total(), limit.unwrap_or_default());
    Line::of(Scope::Strong, text)
}
