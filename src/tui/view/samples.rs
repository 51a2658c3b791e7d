//! The fourth pane: training data or predictions, and the selected one in full.

use ratatui::layout::Rect;

use super::sheet;
use crate::gym::datum::Verdict;
use crate::gym::instance::Split;
use crate::gym::teacher_call::CallOutcome;
use crate::store::{CallFilter, DataFilter};
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, List};
use crate::tui::canvas::{Canvas, Glyphs, Line};
use crate::tui::facts::{Listing, Order, Sample};
use crate::tui::filter::{EVER, Filter};
use crate::tui::layout;
use crate::tui::text::{left, one_line, width, wrap};
use crate::tui::theme::Scope;

/// What the title says beside the name.
pub(super) fn about(app: &App) -> String {
    let samples = &app.samples;
    let what = match samples.list {
        List::Predictions if app.split() == Split::Test => "test predictions",
        list => list.words(),
    };
    let mut said = vec![what.to_owned()];
    let page = samples.page.as_ref().filter(|p| p.listing == app.listing());
    let place = match page {
        Some(page) if page.total > 0 => {
            Some(format!("{} of {}{}", samples.selected + 1, page.total, if page.exact { "" } else { "+" }))
        }
        _ => None,
    };
    said.extend(place);
    match app.listing() {
        Listing::Training(DataFilter { iteration: Some(n), .. })
        | Listing::Calls(CallFilter { iteration: Some(n), .. }) => said.push(format!("iteration {n}")),
        Listing::Predictions(filter) if filter.iteration != EVER => {
            said.push(format!("iteration {}", filter.iteration));
        }
        _ => {}
    }
    let (skill, subskill) = app.followed();
    if let Some(skill) = skill.filter(|_| samples.list != List::Calls && samples.filter.skill.is_none()) {
        let sub = subskill.filter(|_| samples.list == List::Training);
        said.push(sub.map_or_else(|| skill.clone(), |sub| format!("{skill} / {sub}")));
    }
    if samples.filter == Filter::default() {
        said.push("all".into());
    }
    if let Some(page) = page
        && page.order != Order::Newest
    {
        said.push(match (&page.listing, page.order) {
            (Listing::Picked { .. }, Order::By(_)) => "not sorted".into(),
            (_, order) if page.exact => order.words(),
            _ if page.growing() => "sorted when the search is done".into(),
            _ => "too many to sort".into(),
        });
    }
    said.join(", ")
}

/// What stands on the lower border: the filter, where there is one.
pub(super) fn below(app: &App) -> Option<Line> {
    let written = app.samples.filter.written(Some(app.samples.list));
    let key = app.keymap.key(Context::Samples, &Action::Search);
    (!written.is_empty())
        .then(|| Line::of(Scope::Key, format!(" {key} ")).with(Scope::Match, written).with(Scope::Text, " "))
}

/// The place of the text within the place of the sample.
pub(super) fn text_area(detail: Rect) -> Rect {
    Rect {
        x: detail.x + 1,
        y: detail.y + 1,
        width: detail.width.saturating_sub(2),
        height: detail.height.saturating_sub(1),
    }
}

pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>, area: Rect, focused: bool) {
    let page = app.samples.page.as_ref().filter(|p| p.listing == app.listing());
    if page.is_none_or(|p| p.total == 0) {
        let inset = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let text = match page {
            Some(page) if page.growing() => "Searching; nothing found so far.".into(),
            Some(_) => nothing(app),
            None => "Loading.".into(),
        };
        let lines: Vec<Line> =
            wrap(&text, inset.width.into()).into_iter().map(|l| Line::of(Scope::Muted, l)).collect();
        canvas.lines(inset, &lines, 0);
        return;
    }
    let (list, detail) = layout::samples(area, app.samples.reading);
    if let Some(list) = list {
        rows(app, canvas, list, focused && !app.samples.reading);
    }
    if let Some(detail) = detail {
        if list.is_some_and(|l| l.y == detail.y) {
            canvas.fence(Rect { x: detail.x - 1, width: 1, ..detail });
        }
        self::detail(app, canvas, detail);
    }
}

/// Why the list is empty, and what to do.
fn nothing(app: &App) -> String {
    let filtered = app.samples.filter.touches(app.samples.list);
    let key = |action: &Action| app.keymap.key(Context::Samples, action);
    let (list, skills) = (key(&Action::OtherList), key(&Action::FollowSkill));
    let follows = app.samples.follow && app.skill.0.is_some() && app.samples.list != List::Calls;
    if filtered || follows {
        let filter = key(&Action::Search);
        return format!(
            "Nothing matches. {filter} changes the filter, {skills} shows all skills, {list} goes to the next list: \
             training data, predictions, teacher calls."
        );
    }
    match app.samples.list {
        List::Training if app.iteration == Some(0) => format!(
            "Iteration 0 is the student before any training, so it has no training data. {list} shows its predictions."
        ),
        List::Training => format!(
            "No training data yet: the first plan comes after the first evaluation. {list} shows the student's \
             predictions."
        ),
        List::Predictions => {
            let split = key(&Action::OtherSplit);
            format!("No predictions here yet. {split} switches between the validation and the test split.")
        }
        List::Calls => {
            "No teacher was asked here. Engines that work without a teacher, and the world's own generator, \
            ask none."
                .into()
        }
    }
}

fn rows(app: &App, canvas: &mut Canvas<'_>, area: Rect, focused: bool) {
    let Some(page) = &app.samples.page else { return };
    let top = app.list_top();
    let visible = usize::from(area.height).min(page.total - top.min(page.total));
    let one_skill = app.skill.0.is_some() && app.samples.follow;
    let skills = (top..top + visible).filter_map(|n| page.sample(n)).map(|s| width(skill(s)));
    let widest = skills.max().unwrap_or(0).min(usize::from(area.width) / 3);
    let column = if one_skill || area.width < 40 { 0 } else { widest };
    for (at, index) in (top..top + visible).enumerate() {
        let line = match page.sample(index) {
            Some(sample) => row(app, sample, canvas.glyphs, column),
            None => Line::of(Scope::Muted, " ..."),
        };
        canvas.line(area, at as u16, &line);
        if index == app.samples.selected {
            canvas.highlight(area, at as u16, focused);
        }
    }
}

fn skill(sample: &Sample) -> &str {
    match sample {
        Sample::Datum(judged) => &judged.datum.skill,
        Sample::Prediction(scored) => scored.instance.skill.as_deref().unwrap_or(""),
        Sample::Call(call) => &call.context.prompt,
    }
}

/// The mark of a sample.
pub(super) fn mark(sample: &Sample, glyphs: Glyphs) -> (Scope, &'static str) {
    match sample {
        Sample::Datum(judged) => match judged.verdict {
            Verdict::Accepted => (Scope::Good, glyphs.right),
            Verdict::Rejected => (Scope::Bad, glyphs.wrong),
            Verdict::Pending => (Scope::Muted, glyphs.pending),
        },
        Sample::Prediction(scored) if scored.prediction.correct => (Scope::Good, glyphs.right),
        Sample::Call(call) if call.outcome == CallOutcome::Used => (Scope::Good, glyphs.right),
        Sample::Prediction(_) | Sample::Call(_) => (Scope::Bad, glyphs.wrong),
    }
}

fn row(app: &App, sample: &Sample, glyphs: Glyphs, column: usize) -> Line {
    let (scope, sign) = mark(sample, glyphs);
    let question = match sample {
        Sample::Datum(judged) => judged.datum.instruction.as_str(),
        // One instance in every iteration: the answers differ, the question does not.
        Sample::Prediction(scored) if app.samples.filter.id.is_some() => scored.prediction.response.as_str(),
        Sample::Prediction(scored) => scored.instance.content.question(),
        Sample::Call(call) => call.reply.as_str(),
    };
    // A person's hand is seen in the list.
    let reviewed = matches!(sample, Sample::Datum(judged) if judged.review.is_some());
    let flagged = app.samples.flags.contains(sample.id());
    // What is not there is plain: a theme may underline marks.
    let mark = |there: bool, glyph| if there { (Scope::Match, glyph) } else { (Scope::Text, " ") };
    let ((flag, flagged), (hand, reviewed)) = (mark(flagged, glyphs.flag), mark(reviewed, glyphs.here));
    let mut line = Line::of(flag, flagged).with(scope, sign).with(hand, reviewed).with(Scope::Text, " ");
    if column > 0 {
        line.push(Scope::Muted, format!("{}  ", left(skill(sample), column)));
    }
    line.push(Scope::Text, one_line(question));
    line
}

fn detail(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let scope = if app.samples.reading { Scope::TitleFocus } else { Scope::Title };
    let left = if app.samples.reading && app.samples.kept.is_some() { "(not in the list now) " } else { "" };
    let caption = app.selected_sample().map_or_else(String::new, |s| format!(" {} {left}", s.id()));
    let inner = text_area(area);
    let sheet = sheet::of_selected(app, inner.width.into());
    let stops = sheet.lines.len().saturating_sub(inner.height.into());
    let skip = if app.samples.reading { app.samples.scroll.min(stops) } else { 0 };
    let more = stops.saturating_sub(skip);
    let mut title = Line::of(scope, caption);
    if more > 0 {
        let (context, action, what) = if app.samples.reading {
            (Context::Reading, Action::Down, "scrolls")
        } else {
            (Context::Samples, Action::Open, "reads")
        };
        let lines = if more == 1 { "line" } else { "lines" };
        title.push(Scope::Hint, format!("{more} more {lines}, {} {what} ", app.keymap.key(context, &action)));
    }
    canvas.rule(area, 0, &title);
    canvas.lines(inner, &sheet.lines, skip);
    let pictures = app.samples.page.as_ref().map_or(&[][..], |page| &page.behind.pictures);
    for (line, rows, n) in sheet.pictures {
        let Some(Ok(picture)) = pictures.get(n) else { continue };
        let (top, hidden) = (line.saturating_sub(skip) as u16, skip.saturating_sub(line) as u16);
        if hidden < rows && top < inner.height {
            let height = (rows - hidden).min(inner.height - top);
            let place =
                Rect { x: inner.x + 2, y: inner.y + top, width: inner.width.saturating_sub(2), height };
            canvas.picture(place, picture, app.depth, (hidden, rows));
        }
    }
}
