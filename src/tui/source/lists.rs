//! Lists in the order a person wants, and how often a field has each value. A list sorted by a field is its parts,
//! one per value, one behind the other: beside the rows in sight only what no index holds is read, the texts of
//! predictions and calls that are searched, and the subskills of questions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::gym::datum::Verdict;
use crate::gym::instance::Split;
use crate::gym::plan::Plan;
use crate::gym::report::UNSORTED;
use crate::store::{At, Count, DataFilter, Kind, Patience, Reader, ScoredPrediction, StoreError};
use crate::tui::app::List;
use crate::tui::facets::Facet;
use crate::tui::facts::{Behind, BySubskill, Listing, Order, Page, Query, Sample};
use crate::tui::filter::Field;

/// How long the values of a field are counted.
const COUNTING: Duration = Duration::from_millis(700);
/// How long records are searched before other news has its turn.
const SEARCHING: Duration = Duration::from_millis(300);
/// Values of a field that are counted; the rest are too many to look at.
const MOST_VALUES: usize = 500;
/// Data that one review may name one by one.
const MOST_PICKED: usize = 10_000;

/// The page for a query; once it is stale, a part of it.
pub(super) fn load(reader: &Reader, query: &Query, stale: &AtomicBool) -> Result<Page, StoreError> {
    let (listing, offset, limit) = (&query.listing, query.offset, query.limit);
    // What has to be read in the records is read bit by bit, so that other news is not kept waiting.
    let until = listing.read().then(|| Instant::now() + SEARCHING);
    let patience = Patience { until, cancelled: Some(stale) };
    let whole = count(reader, listing, patience)?;
    let mut total = whole.rows as usize;
    let order = match query.order {
        // Samples that were picked one by one have no parts, and no list has those of another list's field.
        Order::By(_) if matches!(listing, Listing::Picked { .. }) => Order::Newest,
        order if !Order::of(listing.list()).contains(&order) => Order::Newest,
        // What is counted in part only cannot be sorted.
        _ if !whole.exact => Order::Newest,
        order => order,
    };
    let mut samples = Vec::new();
    match order {
        Order::Newest => samples = rows(reader, listing, offset, limit, patience)?,
        Order::Oldest => {
            let end = total.saturating_sub(offset);
            let start = end.saturating_sub(limit);
            samples = rows(reader, listing, start, end - start, patience)?;
            samples.reverse();
        }
        Order::By(field) => {
            total = 0;
            for (part, size) in parts(reader, listing, field, stale)? {
                // What of the window lies in this part of the list.
                let (from, to) = (offset.max(total), (offset + limit).min(total + size));
                if from < to {
                    samples.extend(rows(reader, &part, from - total, to - from, patience)?);
                }
                total += size;
            }
        }
    }
    let (listing, order, exact) = (listing.clone(), query.order, whole.exact);
    let behind = Behind::default();
    Ok(Page { listing, order, offset, limit, total, exact, samples, held: None, behind })
}

/// The sample of an id as it is now, whether or not the list has it. Of a prediction there is none without its list.
pub(super) fn held(reader: &Reader, listing: &Listing, id: &str) -> Result<Option<Sample>, StoreError> {
    Ok(match listing {
        Listing::Training(_) | Listing::Calls(_) => {
            picked(reader, listing.list(), Split::Validation, id)?.into_iter().next()
        }
        Listing::Predictions(_) | Listing::Picked { .. } => None,
    })
}

/// Accepted data of an iteration by skill. Reads sets alone, no datum.
pub(super) fn accepted(reader: &Reader, iteration: u32) -> Result<BTreeMap<String, u32>, StoreError> {
    let mut found = BTreeMap::new();
    for (skill, _) in reader.data_values(Kind::Skill)? {
        let filter = DataFilter {
            iteration: Some(iteration),
            skill: Some(skill.clone()),
            verdict: Some(Verdict::Accepted),
            ..DataFilter::default()
        };
        let count = reader.count_data(&filter, Patience::default())?.rows as u32;
        if count > 0 {
            found.insert(skill, count);
        }
    }
    Ok(found)
}

/// The list by the values of a field. Samples without a value come last.
fn parts(
    reader: &Reader,
    listing: &Listing,
    field: Field,
    stale: &AtomicBool,
) -> Result<Vec<(Listing, usize)>, StoreError> {
    let mut found = Vec::new();
    let (named, nameless): (Vec<_>, Vec<_>) = values(reader, listing, field, Patience::default())?
        .0
        .into_iter()
        .partition(|value| !value.is_empty() && value != UNSORTED);
    for value in named.into_iter().chain(nameless) {
        if stale.load(Ordering::Relaxed) {
            break;
        }
        if let Some(part) = listing.narrowed(field, &value) {
            let size = count(reader, &part, Patience::default())?.rows as usize;
            if size > 0 {
                found.push((part, size));
            }
        }
    }
    Ok(found)
}

fn count(reader: &Reader, listing: &Listing, patience: Patience<'_>) -> Result<Count, StoreError> {
    let exact = |rows: usize| Count { rows: rows as u64, exact: true };
    Ok(match listing {
        Listing::Training(filter) => reader.count_data(filter, patience)?,
        Listing::Predictions(filter) => reader.count_predictions(filter, patience)?,
        Listing::Calls(filter) => reader.count_teacher_calls(filter, patience)?,
        Listing::Picked { .. } => exact(rows(reader, listing, 0, usize::MAX, patience)?.len()),
    })
}

fn rows(
    reader: &Reader,
    listing: &Listing,
    offset: usize,
    limit: usize,
    patience: Patience<'_>,
) -> Result<Vec<Sample>, StoreError> {
    let at = At::Position(offset);
    Ok(match listing {
        Listing::Training(filter) => {
            let data = reader.data(filter, at, limit, patience)?;
            data.rows.into_iter().map(|(_, d)| Sample::Datum(Box::new(d))).collect()
        }
        Listing::Predictions(filter) => {
            let scored = reader.predictions(filter, at, limit, patience)?;
            scored.rows.into_iter().map(|(_, p)| Sample::Prediction(Box::new(p))).collect()
        }
        Listing::Calls(filter) => {
            let calls = reader.teacher_calls(filter, at, limit, patience)?;
            calls.rows.into_iter().map(|(_, c)| Sample::Call(Box::new(c))).collect()
        }
        Listing::Picked { list, split, ids } => {
            let mut found = Vec::new();
            for id in ids {
                found.extend(picked(reader, *list, *split, id)?);
            }
            found.into_iter().skip(offset).take(limit).collect()
        }
    })
}

/// What a list has of an id: a datum, a call, or every iteration's answer to an instance.
fn picked(reader: &Reader, list: List, split: Split, id: &str) -> Result<Vec<Sample>, StoreError> {
    Ok(match list {
        List::Training => reader.datum(id)?.map(|d| Sample::Datum(Box::new(d))).into_iter().collect(),
        List::Calls => reader.teacher_call(id)?.map(|c| Sample::Call(Box::new(c))).into_iter().collect(),
        List::Predictions => {
            let other = if split == Split::Test { Split::Validation } else { Split::Test };
            for split in [split, other] {
                let Some(instance) = reader.instance(split, id)? else { continue };
                let scored = |(_, prediction)| ScoredPrediction { instance: instance.clone(), prediction };
                let answers = reader.answers(split, id)?.into_iter().rev().map(scored);
                return Ok(answers.map(|scored| Sample::Prediction(Box::new(scored))).collect());
            }
            Vec::new()
        }
    })
}

/// Accepted data of a plan's iteration, by the skills and subskills that the plan asks for.
pub(super) fn planned(reader: &Reader, plan: &Plan) -> Result<BySubskill, StoreError> {
    let mut found = BySubskill::new();
    for asked in &plan.allocations {
        let filter = DataFilter {
            iteration: Some(plan.iteration),
            skill: Some(asked.skill.clone()),
            subskill: Some(asked.subskill.clone()),
            verdict: Some(Verdict::Accepted),
            ..DataFilter::default()
        };
        let count = reader.count_data(&filter, Patience::default())?.rows as u32;
        found.insert((asked.skill.clone(), asked.subskill.clone()), count);
    }
    Ok(found)
}

/// The values of a field in the run, in their own order, and whether these are all.
fn values(
    reader: &Reader,
    listing: &Listing,
    field: Field,
    patience: Patience<'_>,
) -> Result<(Vec<String>, bool), StoreError> {
    if let Some(fixed) = Listing::fixed(field) {
        return Ok((fixed, true));
    }
    let kind = match field {
        Field::Skill => Kind::Skill,
        // Only the questions say it.
        Field::Subskill if listing.list() == List::Predictions => {
            let Listing::Predictions(filter) = listing else { return Ok((Vec::new(), true)) };
            let (found, whole) = reader.subskills(filter.split, patience)?;
            return Ok((found.into_iter().collect(), whole));
        }
        Field::Subskill => Kind::Subskill,
        Field::Engine => Kind::Engine,
        Field::Failed => Kind::Failed,
        Field::Error => Kind::Error,
        Field::Prompt => Kind::Prompt,
        Field::Iteration => {
            let iterations = reader.episode()?.iterations.len();
            return Ok(((0..iterations).map(|n| n.to_string()).collect(), true));
        }
        _ => return Ok((Vec::new(), true)),
    };
    let found = match listing.list() {
        List::Training => reader.data_values(kind)?,
        List::Predictions => reader.prediction_values(kind)?,
        List::Calls => reader.call_values(kind)?,
    };
    let mut named: Vec<String> = found.into_iter().map(|(value, _)| value).collect();
    named.sort();
    Ok((named, true))
}

/// How many of the listed samples have each value of a field.
pub(super) fn facet(reader: &Reader, listing: &Listing, field: Field) -> Result<Facet, StoreError> {
    let patience = Patience::of(COUNTING);
    let (mut values, whole) = values(reader, listing, field, patience)?;
    // What cannot be written cannot be chosen either.
    values.retain(|value| !value.is_empty());
    let (mut found, mut exact) = (Vec::new(), whole && values.len() <= MOST_VALUES);
    for value in values.into_iter().take(MOST_VALUES) {
        let Some(part) = listing.narrowed(field, &value) else { continue };
        let counted = count(reader, &part, patience)?;
        exact &= counted.exact;
        if counted.rows > 0 {
            found.push((value, counted.rows));
        }
    }
    if field != Field::Iteration {
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    Ok(Facet { listing: listing.clone(), field, values: found, exact })
}

/// The ids of every listed datum, for a review that no selection can name; or why there are too many.
pub(super) fn ids(reader: &Reader, listing: &Listing) -> Result<Result<Vec<String>, String>, StoreError> {
    let counted = count(reader, listing, Patience::default())?;
    if !counted.exact || counted.rows as usize > MOST_PICKED {
        return Ok(Err(format!(
            "more than {MOST_PICKED} data are listed; narrow the list before you judge it"
        )));
    }
    let mut found = Vec::new();
    if let Listing::Training(filter) = listing {
        reader.each_datum(filter, |judged| found.push(judged.datum.id))?;
    } else {
        let listed = rows(reader, listing, 0, MOST_PICKED, Patience::default())?;
        found.extend(listed.iter().map(|sample| sample.id().to_owned()));
    }
    Ok(Ok(found))
}
