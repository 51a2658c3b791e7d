//! The list of samples when it changes by itself: a person stays with the sample that is in sight.

use crate::tui::action::{Action, Context};
use crate::tui::app::App;
use crate::tui::facts::{Listing, Page, Sample};

/// Takes a page in.
pub(super) fn take(app: &mut App, mut page: Page) {
    if page.listing != app.listing() {
        return;
    }
    let held = page.held.take();
    stay(app, &page, held);
    app.samples.selected = app.samples.selected.min(page.total.saturating_sub(1));
    app.samples.page = Some(page);
}

/// Selects the row of a new page where the selected sample is now.
fn stay(app: &mut App, page: &Page, held: Option<Sample>) {
    let sought = app.samples.sought.take();
    let same = |old: &&Page| (&old.listing, old.order) == (&page.listing, page.order);
    let Some(before) = app.samples.page.as_ref().filter(same) else { return };
    // The answers to one picked instance have one id: their rows are all there is to tell them apart.
    if matches!(page.listing, Listing::Picked { .. }) {
        return;
    }
    let grown = page.total as isize - before.total as isize;
    let here = app.selected_sample().cloned();
    let asked = sought.as_ref().map(|(id, _)| id.clone());
    let Some(id) = asked.or_else(|| Some(here.as_ref()?.id().to_owned())) else { return };
    let moved = app.samples.selected.saturating_add_signed(grown);
    let beyond = grown != 0 && moved < page.total && page.sample(moved).is_none();
    // Whoever looks at the top of the list sees what is newest, unless they read.
    let (reading, follows) = (app.samples.reading, app.samples.selected == 0 && !app.samples.reading);
    match page.row_of(&id) {
        Some(_) if follows => {}
        Some(row) => (app.samples.selected, app.samples.kept) = (row, None),
        // It may be beyond the rows that were loaded: those around its new place come next.
        None if beyond && !follows && sought.is_none() && app.samples.kept.is_none() => {
            app.samples.sought = Some((id, app.samples.selected));
            app.samples.selected = moved;
            app.samples.kept = here.filter(|_| reading);
        }
        None if reading => {
            let now = held.or(here);
            app.samples.selected = sought.as_ref().map_or(app.samples.selected, |(_, before)| *before);
            if sought.is_some() || app.samples.kept != now {
                app.notice = now.as_ref().map(|sample| left(app, sample));
            }
            app.samples.kept = now;
        }
        None if follows && grown > 0 => {}
        None => {
            app.samples.selected = sought.map_or(app.samples.selected, |(_, before)| before);
            let other = if page.total > 0 { "; another sample is selected" } else { "" };
            app.notice = Some(format!("{id} left this list{other}"));
        }
    }
}

/// What became of the sample that is read.
fn left(app: &App, sample: &Sample) -> String {
    let now = match sample {
        Sample::Datum(judged) => format!("is {} now and ", judged.verdict.as_str()),
        Sample::Prediction(_) | Sample::Call(_) => String::new(),
    };
    let key = app.keymap.key(Context::Reading, &Action::Close);
    format!("{} {now}left its place in this list; {key} goes on", sample.id())
}

/// The run went on, and the list may be another one than before.
pub(super) fn relisted(app: &mut App, before: &Listing) {
    if let (Listing::Predictions(old), Listing::Predictions(new)) = (before, app.listing())
        && old.iteration != new.iteration
        && app.samples.selected > 0
    {
        app.notice = Some(format!("the list shows the answers of iteration {} now", new.iteration));
    }
}
