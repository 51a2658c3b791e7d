//! Finding samples: the filter as it is written, the values of a field, order, flags, and jumps from a sample to
//! what belongs to it.

use super::{Effect, menus, movement, restart_list};
use crate::gym::instance::Split;
use crate::gym::review::DataSelection;
use crate::gym::teacher_call::TeacherCall;
use crate::store::PredictionFilter;
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, List, Stop};
use crate::tui::facets::Facet;
use crate::tui::facts::{Listing, Order, Sample};
use crate::tui::filter::{self, Candidate, Field, Filter};
use crate::tui::layout::Pane;
use crate::tui::overlay::{Menu, Overlay, Target};
use crate::tui::text_box::TextBox;

/// Jumps that are remembered.
const TRAIL: usize = 50;

pub(super) fn act(app: &mut App, action: &Action) -> Vec<Effect> {
    match action {
        Action::Search => return write_filter(app),
        Action::Facets => return open_facets(app, 0),
        Action::Sort => {
            let picked = matches!(app.listing(), Listing::Picked { .. });
            loop {
                app.samples.order = app.samples.order.next(app.samples.list);
                // What was picked one by one has no parts to sort by.
                if !(picked && matches!(app.samples.order, Order::By(_))) {
                    break;
                }
            }
            restart_list(app);
            app.notice = Some(format!("the list is sorted: {}", app.samples.order.words()));
        }
        Action::Flag => {
            let Some(id) = app.selected_sample().map(|sample| sample.id().to_owned()) else {
                return Vec::new();
            };
            if !app.samples.flags.remove(&id) {
                app.samples.flags.insert(id);
            }
        }
        Action::Jump => {
            let targets = targets(app);
            app.notice = targets.is_empty().then(|| "nothing else belongs to this sample".into());
            if !targets.is_empty() {
                app.overlay = Some(Overlay::menu(Menu::Jump { targets }));
            }
        }
        Action::Back => back(app),
        _ => {}
    }
    Vec::new()
}

/// The filter of the list as a line, with the values that its fields have in this run on their way.
fn write_filter(app: &mut App) -> Vec<Effect> {
    let before = app.samples.filter.clone();
    let mut text = before.written(None);
    if !text.is_empty() {
        text.push(' ');
    }
    app.samples.reading = false;
    app.overlay = Some(Overlay::Filter { line: TextBox::of(text), before });
    let listing = match app.samples.list {
        List::Training => Listing::Training(crate::store::DataFilter::default()),
        List::Predictions => {
            let Listing::Predictions(all) = bare(app) else { return Vec::new() };
            Listing::Predictions(PredictionFilter::all(all.iteration, all.split))
        }
        List::Calls => Listing::Calls(crate::store::CallFilter::default()),
    };
    let fields = listing.countable().to_vec();
    vec![Effect::Values(listing, fields)]
}

/// The listing without the fields that name samples.
fn bare(app: &mut App) -> Listing {
    let kept = app.samples.filter.clone();
    (app.samples.filter.flagged, app.samples.filter.id) = (false, None);
    let listing = app.listing();
    app.samples.filter = kept;
    listing
}

/// What was written is a filter: the list follows at once. One with a mistake changes nothing yet.
pub(super) fn written(app: &mut App) {
    let Some(Overlay::Filter { line, .. }) = &app.overlay else { return };
    if let Ok(filter) = filter::read(filter::settled(line.text()))
        && filter != app.samples.filter
    {
        app.samples.filter = filter;
        restart_list(app);
    }
}

/// A key while a filter is written. The line was taken out of the state.
pub(super) fn in_filter(app: &mut App, action: &Action, line: TextBox, before: Filter) -> Vec<Effect> {
    match action {
        Action::Close => {
            app.samples.filter = before;
            restart_list(app);
        }
        Action::Open => match filter::read(line.text()) {
            Ok(filter) => finish(app, filter),
            Err(mistake) => {
                app.notice = Some(mistake.message);
                app.overlay = Some(Overlay::Filter { line, before });
            }
        },
        Action::Complete => {
            let first = proposals(app, &line).into_iter().next();
            let line = match first {
                Some(candidate) => {
                    let (text, at) = filter::completed(line.text(), line.at(), &candidate);
                    TextBox::with_cursor(text, at)
                }
                None => line,
            };
            app.overlay = Some(Overlay::Filter { line, before });
            written(app);
        }
        _ => app.overlay = Some(Overlay::Filter { line, before }),
    }
    Vec::new()
}

/// The ways to go on with a line.
pub(crate) fn proposals(app: &App, line: &TextBox) -> Vec<Candidate> {
    filter::candidates(line.text(), line.at(), app.samples.list, &|field| app.known(field))
}

/// Takes a filter over; a list that has none of its fields makes way for one that has.
fn finish(app: &mut App, filter: Filter) {
    if filter != Filter::default() && !filter.touches(app.samples.list) {
        let lists = [List::Training, List::Predictions, List::Calls];
        let had = app.samples.list;
        app.samples.list = lists.into_iter().find(|list| filter.touches(*list)).unwrap_or(had);
        let fields: Vec<&str> = filter.idle(had).into_iter().map(Field::name).collect();
        let (fields, list) = (fields.join(" or "), app.samples.list.words());
        app.notice = Some(format!("{} have no {fields}: these are the {list}", had.words()));
    }
    // A skill that does not occur is a slip rather than a wish.
    if let Some(skill) = &filter.skill {
        let known = app.known(Field::Skill);
        if !known.is_empty() && !known.contains(skill) {
            let meant = crate::config::nearest(skill, known.iter().map(String::as_str));
            let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
            app.notice = Some(format!("this run has no skill `{skill}`{meant}"));
        }
    }
    app.samples.filter = filter;
    app.focus = Pane::Samples;
    restart_list(app);
}

fn open_facets(app: &mut App, field: usize) -> Vec<Effect> {
    let listing = app.listing();
    if matches!(listing, Listing::Picked { .. }) {
        app.notice = Some("these samples were picked one by one; empty the filter to count values".into());
        return Vec::new();
    }
    let fields = listing.countable();
    let wanted = fields[field % fields.len()];
    app.overlay = Some(Overlay::Facets { field: field % fields.len(), choice: 0, facet: None });
    vec![Effect::Facet(listing, wanted)]
}

/// A key while values are shown. They were taken out of the state.
pub(super) fn in_facets(
    app: &mut App,
    action: &Action,
    field: usize,
    choice: usize,
    facet: Option<Facet>,
) -> Vec<Effect> {
    let fields = app.listing().countable();
    match action {
        Action::Close => return Vec::new(),
        Action::NextPart => return open_facets(app, field + 1),
        Action::PreviousPart => return open_facets(app, field + fields.len() - 1),
        Action::Open => {
            if let Some((facet, (value, _))) = facet.as_ref().and_then(|f| Some((f, f.values.get(choice)?))) {
                // What was counted reads back.
                let _ = app.samples.filter.set(facet.field, value);
                restart_list(app);
            }
            return Vec::new();
        }
        _ => {}
    }
    let rows = facet.as_ref().map_or(0, |facet| facet.values.len());
    let choice = movement::moved(choice, action, usize::from(app.size.1).saturating_sub(8).max(1), rows);
    app.overlay = Some(Overlay::Facets { field, choice, facet });
    Vec::new()
}

/// Values were counted. Of a list that is another one meanwhile they are counted again.
pub(super) fn counted(app: &mut App, counted: Facet) -> Vec<Effect> {
    let listing = app.listing();
    if let Some(Overlay::Facets { field, facet, .. }) = &mut app.overlay
        && listing.countable().get(*field) == Some(&counted.field)
    {
        if counted.listing != listing {
            return vec![Effect::Facet(listing, counted.field)];
        }
        *facet = Some(counted);
    }
    Vec::new()
}

/// Has the values counted anew where the list became another one since.
pub(super) fn recount(app: &mut App) -> Option<Effect> {
    let listing = app.listing();
    let Some(Overlay::Facets { facet, .. }) = &mut app.overlay else { return None };
    let old = facet.take_if(|facet| facet.listing != listing)?;
    Some(Effect::Facet(listing, old.field))
}

/// What belongs to the selected sample.
fn targets(app: &App) -> Vec<Target> {
    match app.selected_sample() {
        None => Vec::new(),
        Some(Sample::Call(call)) => called_for(app, call),
        Some(Sample::Datum(judged)) => {
            let datum = &judged.datum;
            let mut found = vec![Target::Skill(datum.skill.clone(), Some(datum.subskill.clone()))];
            let errors = datum.provenance.source_errors.iter().take(9);
            found.extend(errors.map(|id| Target::Instance(Split::Validation, id.clone())));
            found.extend(datum.provenance.teacher_call.clone().map(Target::Call));
            found
        }
        Some(Sample::Prediction(scored)) => {
            let instance = &scored.instance;
            let skill = instance.skill.clone().map(|skill| Target::Skill(skill, instance.subskill.clone()));
            let mut found: Vec<Target> = skill.into_iter().collect();
            found.push(Target::Instance(instance.split, instance.id.clone()));
            if instance.split == Split::Validation {
                found.push(Target::DataOf(instance.id.clone()));
            }
            found
        }
    }
}

/// What the plan asked a teacher for with a call: a skill, and the data of it.
fn called_for(app: &App, call: &TeacherCall) -> Vec<Target> {
    let context = &call.context;
    let row = app.facts.as_ref().and_then(|f| f.episode.iterations.get(context.iteration as usize));
    let plan = row.and_then(|row| row.plans.get(context.round as usize));
    let asked = plan.zip(context.allocation).and_then(|(plan, n)| plan.allocations.get(n as usize));
    let Some(asked) = asked else { return Vec::new() };
    let (iteration, skill, subskill) = (context.iteration, asked.skill.clone(), asked.subskill.clone());
    vec![Target::Skill(skill.clone(), Some(subskill.clone())), Target::DataFor { iteration, skill, subskill }]
}

/// Goes where a target leads; the way back is remembered.
pub(super) fn jump(app: &mut App, target: Target) {
    let samples = &mut app.samples;
    let stop = Stop {
        pane: app.focus,
        list: samples.list,
        filter: samples.filter.clone(),
        order: samples.order,
        follow: samples.follow,
        skill: app.skill.clone(),
        selected: samples.selected,
        reading: samples.reading,
    };
    samples.trail.push(stop);
    if samples.trail.len() > TRAIL {
        samples.trail.remove(0);
    }
    let mut filter = Filter::default();
    match target {
        Target::Skill(skill, subskill) => {
            app.focus = Pane::Skills;
            let within = app.facts.as_ref().and_then(|facts| facts.episode.forest.tree(&skill));
            let known =
                subskill.filter(|name| within.is_some_and(|t| t.subskills.iter().any(|s| s.name == *name)));
            if known.is_some() {
                app.open.insert(skill.clone());
            }
            app.skill = (Some(skill), known);
            app.samples.reading = false;
            return;
        }
        Target::Instance(split, id) => {
            (filter.id, filter.split) = (Some(id), None);
            app.samples.list = List::Predictions;
            if split == Split::Test {
                app.notice = Some("an instance of the test split".into());
            }
        }
        Target::Call(id) => {
            filter.id = Some(id);
            app.samples.list = List::Calls;
        }
        Target::DataFor { iteration, skill, subskill } => {
            (filter.span, filter.skill, filter.subskill) =
                (Some((iteration, iteration)), Some(skill), Some(subskill));
            (app.samples.list, app.samples.follow) = (List::Training, false);
        }
        Target::DataOf(id) => {
            filter.error = Some(id);
            (app.samples.list, app.samples.follow) = (List::Training, false);
        }
    }
    app.samples.filter = filter;
    app.focus = Pane::Samples;
    restart_list(app);
    let key = app.keymap.key(Context::Samples, &Action::Back);
    app.notice = Some(format!("{key} goes back to where you were"));
}

fn back(app: &mut App) {
    (app.samples.kept, app.samples.pinned) = (None, None);
    let Some(stop) = app.samples.trail.pop() else {
        app.notice = Some("there was no jump to go back from".into());
        return;
    };
    app.focus = stop.pane;
    app.skill = stop.skill;
    let samples = &mut app.samples;
    (samples.list, samples.filter, samples.order) = (stop.list, stop.filter, stop.order);
    samples.follow = stop.follow;
    (samples.selected, samples.reading, samples.scroll) = (stop.selected, stop.reading, 0);
}

/// Asks for the ids of a list that no selection can name, to judge it as a whole.
pub(super) fn pick(app: &mut App, listing: Listing) -> Vec<Effect> {
    app.notice = Some("reading which data are listed".into());
    vec![Effect::Ids(listing)]
}

/// The ids of a list came: what is to be done with them?
pub(super) fn picked(app: &mut App, listing: &Listing, ids: Result<Vec<String>, String>) {
    if app.overlay.is_some() || *listing != app.listing() {
        return;
    }
    app.notice = None;
    match ids {
        Err(reason) => app.notice = Some(reason),
        Ok(ids) if ids.is_empty() => app.notice = Some("the list is empty".into()),
        Ok(ids) => {
            let count = ids.len();
            let selection = DataSelection { ids: ids.into_iter().collect(), ..DataSelection::default() };
            menus::bulk(app, selection, count);
        }
    }
}
