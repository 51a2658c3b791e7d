//! Everything about one iteration, for the overlay.

use super::iterations::spent;
use super::now;
use crate::gym::episode::Iteration;
use crate::gym::report::Report;
use crate::store::PhaseTiming;
use crate::tui::app::App;
use crate::tui::canvas::{Line, paragraph};
use crate::tui::facts::Asked;
use crate::tui::status::State;
use crate::tui::text::{duration, left, percent, rate};
use crate::tui::theme::Scope;

/// The lines of the overlay; the state of the run first, with its messages in full.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line> {
    let state = State::of(app);
    let mut lines = now::holding(app, &state, columns);
    let Some(facts) = &app.facts else { return lines };
    let n = app.shown_iteration();
    let Some(row) = facts.episode.iterations.get(n as usize) else { return lines };
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    let name =
        if n == 0 { "Iteration 0: the student before training".into() } else { format!("Iteration {n}") };
    lines.push(Line::of(Scope::Strong, name));
    for (word, report) in [("validation", &row.validation), ("test", &row.test)] {
        lines.push(fact(word, &report.as_ref().map_or_else(|| "not measured".into(), score)));
    }
    if n > 0 {
        lines.extend(round(row));
    }
    if row.tokens > 0 {
        lines.push(fact("tokens", &row.tokens.to_string()));
    }
    let time = spent(&facts.timings, n);
    if time > 0 {
        lines.push(Line::default());
        lines.push(Line::of(Scope::Title, format!("Time: {}", duration(time))));
        let mut calls = app.calls.as_ref().filter(|(of, _)| *of == n).map(|(_, calls)| calls.clone());
        for timing in facts.timings.iter().filter(|t| t.iteration == n) {
            // A phase with several times asked once.
            let key = (timing.round, timing.phase.as_str());
            let asked = calls.as_mut().and_then(|calls| {
                let found = calls.keys().find(|(round, word)| (*round, *word) == key).copied()?;
                calls.remove(&found)
            });
            lines.push(phase(timing, asked));
        }
    }
    lines.push(Line::default());
    let record = &facts.record;
    let run = format!(
        "Run {}: task {}, policy {}, engine {}, student {}, seed {}, program {}",
        record.name, record.task, record.policy, record.engine, record.student, record.seed, record.version
    );
    lines.extend(paragraph(Scope::Muted, &run, columns));
    lines
}

fn fact(name: &str, value: &str) -> Line {
    Line::of(Scope::Muted, format!("  {}", left(name, 20))).with(Scope::Text, value)
}

fn score(report: &Report) -> String {
    let e = &report.overall;
    let (low, high) = (percent(e.low), percent(e.high));
    format!(
        "{} (95 % interval {low} to {high}, {} instances, {} tokens)",
        percent(e.mean),
        e.n,
        report.tokens
    )
}

fn round(row: &Iteration) -> Vec<Line> {
    let mut lines = Vec::new();
    for plan in &row.plans {
        let explored = plan.actions.iter().filter(|a| a.action.kind() == "explore").count();
        let text = format!(
            "policy {} asks for {} data: explore {explored} skills, exploit {}",
            plan.policy,
            plan.total(),
            plan.actions.len() - explored
        );
        lines.push(fact("plan", &text));
    }
    if row.generated > 0 {
        let text =
            format!("{} generated, {} accepted, {} rejected", row.generated, row.accepted, row.rejected);
        lines.push(fact("data", &text));
    }
    match &row.training {
        None => {}
        Some(None) => lines.push(fact("training", "nothing to train on")),
        Some(Some(outcome)) => {
            let text = format!(
                "{} steps, {} tokens, loss of the last step {:.3}",
                outcome.steps, outcome.tokens, outcome.final_loss
            );
            lines.push(fact("training", &text));
        }
    }
    lines
}

fn phase(timing: &PhaseTiming, asked: Option<Asked>) -> Line {
    let name = format!("{} {}", timing.phase, timing.split);
    let time = timing.ended_ms.and_then(|end| u64::try_from(end - timing.began_ms).ok());
    let mut said = time.map_or_else(|| "not ended".into(), duration);
    if let Some(Asked { calls, tokens }) = asked {
        said = format!("{}{calls} calls of models, {} tokens", left(&said, 14), rate(tokens as f64));
    }
    fact(name.trim_end(), &said)
}
