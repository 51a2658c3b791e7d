//! One sample in full: question, response, answers, verdict, checks, review, and where it comes from.

use super::content;
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::teacher_call::{CallOutcome, TeacherCall};
use crate::store::ScoredPrediction;
use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::canvas::{Glyphs, Line, paragraph};
use crate::tui::facts::{Behind, Sample};
use crate::tui::picture::Picture;
use crate::tui::text::{cut, one_line};
use crate::tui::theme::{Depth, Scope};

/// Rows of a teacher's reply below the datum it became.
const REPLY_ROWS: usize = 12;
/// Rows of a picture at most.
const PICTURE_ROWS: usize = 16;

/// The lines of a sample, and the pictures that stand on empty ones.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) lines: Vec<Line>,
    /// First line, rows and number of each picture.
    pub(super) pictures: Vec<(usize, u16, usize)>,
}

/// The selected sample as lines of at most `columns`.
pub(super) fn of_selected(app: &App, columns: usize) -> Sheet {
    let empty = Behind::default();
    let behind = app.samples.page.as_ref().map_or(&empty, |page| &page.behind);
    let writer = Writer { sheet: Sheet::default(), columns: columns.max(1), app, behind, glyphs: app.glyphs };
    match app.selected_sample() {
        Some(Sample::Datum(judged)) => writer.datum(judged),
        Some(Sample::Prediction(scored)) => writer.prediction(scored, app.shown_iteration()),
        Some(Sample::Call(call)) => writer.call(call),
        None => Sheet { lines: vec![Line::of(Scope::Muted, "...")], ..Sheet::default() },
    }
}

struct Writer<'a> {
    sheet: Sheet,
    columns: usize,
    app: &'a App,
    behind: &'a Behind,
    glyphs: Glyphs,
}

impl Writer<'_> {
    fn push(&mut self, line: Line) {
        self.sheet.lines.push(line);
    }

    fn heading(&mut self, name: &str) {
        self.push(Line::of(Scope::Hint, name));
    }

    fn indented(&mut self, lines: Vec<Line>) {
        for mut line in lines {
            let mut whole = Line::of(Scope::Text, "  ");
            whole.0.append(&mut line.0);
            self.push(whole);
        }
    }

    fn room(&self) -> usize {
        self.columns.saturating_sub(2)
    }

    fn section(&mut self, name: &str, text: &str) {
        self.heading(name);
        let lines = content::text(text, self.room());
        self.indented(lines);
    }

    fn said(&mut self, scope: Scope, text: &str) {
        let lines = paragraph(scope, text, self.room());
        self.indented(lines);
    }

    fn datum(mut self, judged: &JudgedDatum) -> Sheet {
        let datum = &judged.datum;
        let (scope, mark) = match judged.verdict {
            Verdict::Accepted => (Scope::Good, self.glyphs.right),
            Verdict::Rejected => (Scope::Bad, self.glyphs.wrong),
            Verdict::Pending => (Scope::Muted, self.glyphs.pending),
        };
        let by = judged.review.as_ref().and_then(|review| review.verdict).map_or("", |_| " by you");
        let place = format!(" · {} / {}", datum.skill, datum.subskill);
        self.push(
            Line::of(scope, format!("{mark} {}{by}", judged.verdict.as_str())).with(Scope::Muted, place),
        );
        self.section("question", &datum.instruction);
        self.pictures();
        self.section("response to learn", &datum.response);
        if let Some(answer) = &datum.answer {
            self.section("answer", answer);
        }
        if let Some(worse) = &datum.rejected_response {
            self.section("worse response", worse);
        }
        self.review(judged);
        self.checks(judged);
        self.provenance(judged);
        self.sheet
    }

    /// The pictures of the sample, on empty lines.
    fn pictures(&mut self) {
        let fine = self.glyphs.fine && self.app.depth > Depth::Sixteen;
        for (n, picture) in self.behind.pictures.iter().enumerate() {
            match picture {
                Ok(picture) => {
                    let rows = rows(picture, self.room(), fine);
                    self.sheet.pictures.push((self.sheet.lines.len(), rows as u16, n));
                    (0..rows).for_each(|_| self.push(Line::default()));
                }
                Err(reason) => self.said(Scope::Warn, &format!("image {}: {reason}", n + 1)),
            }
        }
    }

    /// What a person decided.
    fn review(&mut self, judged: &JudgedDatum) {
        let Some(review) = &judged.review else { return };
        self.heading("your review");
        if let Some(verdict) = review.verdict {
            self.said(Scope::Text, &format!("{} by you, whatever the checks say", verdict.as_str()));
        }
        if let Some(note) = &review.note {
            self.said(Scope::Strong, note);
        }
        if let Some(original) = &review.original {
            self.said(Scope::Muted, "the engine's words were:");
            let words = format!("{}\n{}", original.instruction, original.response);
            self.said(Scope::Muted, &words);
        }
    }

    fn checks(&mut self, judged: &JudgedDatum) {
        self.heading("checks");
        if judged.checks.is_empty() {
            let text = if judged.verdict == Verdict::Pending { "not checked yet" } else { "none" };
            self.push(Line::of(Scope::Muted, format!("  {text}")));
        }
        for check in &judged.checks {
            let (scope, mark) = match (check.passed, check.filters) {
                (true, _) => (Scope::Good, self.glyphs.right),
                (false, true) => (Scope::Bad, self.glyphs.wrong),
                (false, false) => (Scope::Warn, self.glyphs.pending),
            };
            let score = check.score.map_or_else(String::new, |score| format!(" ({score:.2})"));
            let only = if check.filters { "" } else { ", does not reject" };
            self.said(scope, &format!("{mark} {}{score}{only}: {}", check.check, check.reason));
        }
    }

    /// From the errors over the plan and the teacher's call to the datum.
    fn provenance(&mut self, judged: &JudgedDatum) {
        let p = &judged.datum.provenance;
        self.heading("where it comes from");
        for id in p.source_errors.iter().take(3) {
            self.said(Scope::Text, &format!("the student's error on {id}"));
            self.error(id);
        }
        if p.source_errors.len() > 3 {
            let more = format!("  and {} more errors", p.source_errors.len() - 3);
            self.push(Line::of(Scope::Muted, more));
        }
        let round = if p.round > 0 { format!(", round {}", p.round + 1) } else { String::new() };
        let plan =
            self.plan(judged).unwrap_or_else(|| format!("allocation {} of the plan", p.allocation + 1));
        self.said(Scope::Text, &format!("plan of iteration {}{round}: {plan}", p.iteration));
        if let Some(instance) = &p.source_instance {
            self.said(Scope::Text, &format!("selected from the pool: {instance}"));
        }
        self.said(Scope::Text, &format!("engine {}, draw {}", p.engine, p.draw));
        match (&p.teacher_call, &self.behind.call) {
            (None, _) => {}
            (Some(id), None) => self.said(Scope::Text, &format!("teacher call {id}")),
            (Some(_), Some(call)) => {
                let told = format!(
                    "teacher {}, prompt {}, {} tokens asked, {} answered:",
                    call.model, call.context.prompt, call.prompt_tokens, call.reply_tokens
                );
                self.said(Scope::Text, &told);
                let mut lines = content::text(&call.reply, self.room().saturating_sub(2));
                let more = lines.len().saturating_sub(REPLY_ROWS);
                lines.truncate(REPLY_ROWS);
                self.indented(lines);
                if more > 0 {
                    let key = self.app.keymap.key(Context::Samples, &Action::Jump);
                    let what = if more == 1 { "line" } else { "lines" };
                    self.said(Scope::Hint, &format!("{more} more {what}; {key} goes to the call"));
                }
            }
        }
    }

    /// What the plan asked for, and which action led to it.
    fn plan(&self, judged: &JudgedDatum) -> Option<String> {
        let p = &judged.datum.provenance;
        let row = self.app.facts.as_ref()?.episode.iterations.get(p.iteration as usize)?;
        let plan = row.plans.get(p.round as usize)?;
        let asked = plan.allocations.get(p.allocation as usize)?;
        let action = plan.actions.iter().find(|a| a.skill == asked.skill);
        let action = action.map_or_else(String::new, |a| format!(", action {}", a.action.kind()));
        let by = if plan.edited { "changed by you".to_owned() } else { format!("policy {}", plan.policy) };
        Some(format!("{} data for {} / {}{action}, {by}", asked.count, asked.skill, asked.subskill))
    }

    /// What was asked, what is right, and the student's answers before and after.
    fn error(&mut self, id: &str) {
        let Some(answers) = self.behind.answers.iter().find(|a| a.instance_id == id) else {
            self.push(Line::of(Scope::Muted, "    ..."));
            return;
        };
        if let Some(instance) = answers.instance.clone() {
            let room = self.columns.saturating_sub(12);
            for (name, text) in
                [("asked", instance.content.question().to_owned()), ("right", instance.content.truth())]
            {
                let line = Line::of(Scope::Muted, format!("    {name}  "));
                self.push(line.with(Scope::Text, cut(&one_line(&text), room)));
            }
        }
        self.history(id, u32::MAX);
    }

    fn prediction(mut self, scored: &ScoredPrediction, shown: u32) -> Sheet {
        let (instance, prediction) = (&scored.instance, &scored.prediction);
        let (scope, mark, word) = if prediction.correct {
            (Scope::Good, self.glyphs.right, "right")
        } else {
            (Scope::Bad, self.glyphs.wrong, "wrong")
        };
        let names = [&instance.skill, &instance.subskill];
        let place: Vec<&str> = names.iter().filter_map(|name| name.as_deref()).collect();
        let place = if place.is_empty() { String::new() } else { format!(" · {}", place.join(" / ")) };
        self.push(Line::of(scope, format!("{mark} {word}")).with(Scope::Muted, place));
        let truth = one_line(&instance.content.truth());
        self.push(Line::of(Scope::Muted, "truth   ").with(Scope::Strong, truth));
        self.push(Line::of(Scope::Muted, "answer  ").with(scope, given(prediction)));
        self.section("question", instance.content.question());
        self.pictures();
        for (name, lines) in content::beside(&instance.content, self.room()) {
            self.heading(name);
            self.indented(lines);
        }
        let size = size(prediction.tokens, prediction.finish);
        let caption = format!("the student's response ({size})");
        self.section(&caption, &prediction.response);
        if let Some(lines) = content::truth(&instance.content, self.room()) {
            self.heading("what is right");
            self.indented(lines);
        }
        self.heading("its answer in every iteration");
        self.history(&instance.id, shown);
        self.sheet
    }

    /// The student's answers to an instance before and after training.
    fn history(&mut self, instance_id: &str, shown: u32) {
        let Some(answers) = self.behind.answers.iter().find(|a| a.instance_id == instance_id) else {
            self.push(Line::of(Scope::Muted, "  ..."));
            return;
        };
        let mut lines = Vec::new();
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
            lines.push(line);
        }
        self.sheet.lines.extend(lines);
    }

    fn call(mut self, call: &TeacherCall) -> Sheet {
        let (scope, mark, word) = match &call.outcome {
            CallOutcome::Used => (Scope::Good, self.glyphs.right, "used".to_owned()),
            CallOutcome::Malformed { reason } => {
                (Scope::Bad, self.glyphs.wrong, format!("malformed: {reason}"))
            }
        };
        let lines = paragraph(scope, &format!("{mark} {word}"), self.columns);
        self.sheet.lines.extend(lines);
        let context = &call.context;
        let allocation = context.allocation.map_or_else(String::new, |n| format!(", allocation {}", n + 1));
        let told = format!(
            "{} in {} of iteration {}{allocation}, prompt {}",
            call.model,
            context.phase.as_str(),
            context.iteration,
            context.prompt
        );
        self.said(Scope::Muted, &told);
        let size = size(call.reply_tokens, call.finish);
        self.section(&format!("answer ({size})"), &call.reply);
        self.section(&format!("asked ({} tokens)", call.prompt_tokens), &call.request.prompt);
        self.sheet
    }
}

/// How long an answer is, and why it is no longer.
fn size(tokens: u32, finish: FinishReason) -> String {
    let separator = if finish.remark().is_empty() { "" } else { ", " };
    format!("{tokens} tokens{separator}{}", finish.remark())
}

fn rows(picture: &Picture, columns: usize, fine: bool) -> usize {
    let (columns, tall) = if fine { (columns, 2) } else { (columns / 2, 1) };
    picture.fitted(columns, PICTURE_ROWS * tall).height.div_ceil(tall)
}

/// The answer found in a response.
fn given(prediction: &Prediction) -> String {
    prediction.answer.as_deref().map_or_else(|| "no answer found in the response".into(), one_line)
}
