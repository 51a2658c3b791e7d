//! One sample in full: question, response, answers, verdict, checks, where it comes from.

use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::instance::Content;
use crate::gym::prediction::{FinishReason, Prediction};
use crate::store::ScoredPrediction;
use crate::tui::app::App;
use crate::tui::canvas::{Glyphs, Line, paragraph};
use crate::tui::facts::{Answers, Sample};
use crate::tui::text::{cut, one_line};
use crate::tui::theme::Scope;

/// The selected sample as lines of at most `columns`.
pub(super) fn of_selected(app: &App, columns: usize) -> Vec<Line> {
    let answers = app.samples.page.as_ref().map_or(&[][..], |p| &p.answers);
    let sheet = Sheet { lines: Vec::new(), columns: columns.max(1), glyphs: app.glyphs, answers };
    match app.selected_sample() {
        Some(Sample::Datum(judged)) => sheet.datum(judged),
        Some(Sample::Prediction(scored)) => sheet.prediction(scored, app.shown_iteration()),
        None => vec![Line::of(Scope::Muted, "...")],
    }
}

struct Sheet<'a> {
    lines: Vec<Line>,
    columns: usize,
    glyphs: Glyphs,
    answers: &'a [Answers],
}

impl Sheet<'_> {
    fn heading(&mut self, name: &str) {
        self.lines.push(Line::of(Scope::Hint, name));
    }

    fn section(&mut self, name: &str, text: &str) {
        self.heading(name);
        self.lines.extend(indented(Scope::Text, text, self.columns));
    }

    fn datum(mut self, judged: &JudgedDatum) -> Vec<Line> {
        let datum = &judged.datum;
        let (scope, mark) = match judged.verdict {
            Verdict::Accepted => (Scope::Good, self.glyphs.right),
            Verdict::Rejected => (Scope::Bad, self.glyphs.wrong),
            Verdict::Pending => (Scope::Muted, self.glyphs.pending),
        };
        let place = format!(" · {} / {}", datum.skill, datum.subskill);
        self.lines
            .push(Line::of(scope, format!("{mark} {}", judged.verdict.as_str())).with(Scope::Muted, place));
        self.section("question", &datum.instruction);
        self.section("response to learn", &datum.response);
        if let Some(answer) = &datum.answer {
            self.section("answer", answer);
        }
        if let Some(worse) = &datum.rejected_response {
            self.section("worse response", worse);
        }
        if !datum.images.is_empty() {
            self.section("images", &format!("{} in the artifacts of the run", datum.images.len()));
        }
        self.checks(judged);
        self.provenance(judged);
        self.lines
    }

    fn checks(&mut self, judged: &JudgedDatum) {
        self.heading("checks");
        if judged.checks.is_empty() {
            let text = if judged.verdict == Verdict::Pending { "not checked yet" } else { "none" };
            self.lines.push(Line::of(Scope::Muted, format!("  {text}")));
        }
        for check in &judged.checks {
            let (scope, mark) =
                if check.passed { (Scope::Good, self.glyphs.right) } else { (Scope::Bad, self.glyphs.wrong) };
            let text = format!("{mark} {}: {}", check.check, check.reason);
            self.lines.extend(indented(scope, &text, self.columns));
        }
    }

    fn provenance(&mut self, judged: &JudgedDatum) {
        let p = &judged.datum.provenance;
        let round = if p.round > 0 { format!(", round {}", p.round + 1) } else { String::new() };
        let mut text = format!(
            "engine {} in iteration {}{round}; allocation {} of the plan, draw {}",
            p.engine,
            p.iteration,
            p.allocation + 1,
            p.draw
        );
        for (name, value) in [("pool instance", &p.source_instance), ("teacher call", &p.teacher_call)] {
            if let Some(value) = value {
                text = format!("{text}; {name} {value}");
            }
        }
        self.section("where it comes from", &text);
        for id in p.source_errors.iter().take(3) {
            self.lines.extend(indented(
                Scope::Text,
                &format!("after the student's error on {id}"),
                self.columns,
            ));
            self.history(id, u32::MAX);
        }
        if p.source_errors.len() > 3 {
            let more = format!("  and {} more errors", p.source_errors.len() - 3);
            self.lines.push(Line::of(Scope::Muted, more));
        }
    }

    fn prediction(mut self, scored: &ScoredPrediction, shown: u32) -> Vec<Line> {
        let (instance, prediction) = (&scored.instance, &scored.prediction);
        let (scope, mark, word) = if prediction.correct {
            (Scope::Good, self.glyphs.right, "right")
        } else {
            (Scope::Bad, self.glyphs.wrong, "wrong")
        };
        let names = [&instance.skill, &instance.subskill];
        let place: Vec<&str> = names.iter().filter_map(|name| name.as_deref()).collect();
        let place = if place.is_empty() { String::new() } else { format!(" · {}", place.join(" / ")) };
        self.lines.push(Line::of(scope, format!("{mark} {word}")).with(Scope::Muted, place));
        let (given, truth) = (given(prediction), instance.content.truth());
        self.lines.push(Line::of(Scope::Muted, "truth   ").with(Scope::Strong, one_line(&truth)));
        self.lines.push(Line::of(Scope::Muted, "answer  ").with(scope, given));
        self.section("question", instance.content.question());
        for option in options(&instance.content) {
            self.lines.extend(indented(Scope::Text, option, self.columns));
        }
        let cut_off =
            if prediction.finish == FinishReason::Length { ", cut off at the token limit" } else { "" };
        let caption = format!("the student's response ({} tokens{cut_off})", prediction.tokens);
        self.section(&caption, &prediction.response);
        if truth.contains('\n') || truth.chars().count() + 8 > self.columns {
            self.section("truth", &truth);
        }
        self.heading("its answer in every iteration");
        self.history(&instance.id, shown);
        self.lines
    }

    /// The student's answers to an instance before and after training.
    fn history(&mut self, instance_id: &str, shown: u32) {
        let Some(answers) = self.answers.iter().find(|a| a.instance_id == instance_id) else {
            self.lines.push(Line::of(Scope::Muted, "  ..."));
            return;
        };
        for (iteration, prediction) in &answers.by_iteration {
            let (scope, mark) = if prediction.correct {
                (Scope::Good, self.glyphs.right)
            } else {
                (Scope::Bad, self.glyphs.wrong)
            };
            let here = if *iteration == shown { Scope::Strong } else { Scope::Text };
            let line = Line::of(scope, format!("  {mark} "))
                .with(here, format!("iteration {iteration}: "))
                .with(Scope::Text, cut(&given(prediction), self.columns.saturating_sub(18)));
            self.lines.push(line);
        }
    }
}

/// The answer found in a response.
fn given(prediction: &Prediction) -> String {
    prediction.answer.as_deref().map_or_else(|| "no answer found in the response".into(), one_line)
}

fn options(content: &Content) -> &[String] {
    match content {
        Content::Mathematics { options, .. } => options,
        Content::VisualQuestionAnswering { choices, .. } => choices,
        Content::Programming { .. } | Content::ToolUse { .. } => &[],
    }
}

fn indented(scope: Scope, text: &str, columns: usize) -> Vec<Line> {
    let lines = paragraph(scope, text, columns.saturating_sub(2));
    lines
        .into_iter()
        .map(|mut line| {
            line.0.insert(0, crate::tui::canvas::Piece { text: "  ".into(), scope: Scope::Text });
            line
        })
        .collect()
}
