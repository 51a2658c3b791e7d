//! Lists in the order a person wants, and how often a field has each value. A list sorted by a field is its parts,
//! one per value, one behind the other, so that only rows in sight are ever read.

use std::time::Duration;

use crate::gym::instance::Split;
use crate::store::{At, Count, Kind, Patience, Reader, ScoredPrediction, StoreError};
use crate::tui::app::List;
use crate::tui::facets::Facet;
use crate::tui::facts::{Behind, Listing, Order, Page, Query, Sample};
use crate::tui::filter::Field;

/// How long the values of a field are counted.
const COUNTING: Duration = Duration::from_millis(700);
/// Values of a field that are counted; the rest are too many to look at.
const MOST_VALUES: usize = 500;
/// Data that one review may name one by one.
const MOST_PICKED: usize = 10_000;

/// The page for a query.
pub(super) fn load(reader: &Reader, query: &Query) -> Result<Page, StoreError> {
    let (listing, offset, limit) = (&query.listing, query.offset, query.limit);
    let whole = count(reader, listing, Patience::default())?;
    let mut total = whole.rows as usize;
    // What is counted in part only cannot be sorted.
    let order = if whole.exact { query.order } else { Order::Newest };
    let mut samples = Vec::new();
    match order {
        Order::Newest => samples = rows(reader, listing, offset, limit)?,
        Order::Oldest => {
            let end = total.saturating_sub(offset);
            let start = end.saturating_sub(limit);
            samples = rows(reader, listing, start, end - start)?;
            samples.reverse();
        }
        Order::By(field) => {
            total = 0;
            for (part, size) in parts(reader, listing, field)? {
                // What of the window lies in this part of the list.
                let (from, to) = (offset.max(total), (offset + limit).min(total + size));
                if from < to {
                    samples.extend(rows(reader, &part, from - total, to - from)?);
                }
                total += size;
            }
        }
    }
    let (listing, order, exact) = (listing.clone(), query.order, whole.exact);
    Ok(Page { listing, order, offset, limit, total, exact, samples, behind: Behind::default() })
}

/// The list by the values of a field. Samples without the field are left out.
fn parts(reader: &Reader, listing: &Listing, field: Field) -> Result<Vec<(Listing, usize)>, StoreError> {
    let mut found = Vec::new();
    for value in values(reader, listing, field)? {
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
        Listing::Predictions(filter) => exact(reader.count_predictions(filter)?),
        Listing::Calls(filter) => exact(reader.count_teacher_calls(filter)?),
        Listing::Picked { .. } => exact(rows(reader, listing, 0, usize::MAX)?.len()),
    })
}

fn rows(reader: &Reader, listing: &Listing, offset: usize, limit: usize) -> Result<Vec<Sample>, StoreError> {
    let at = At::Position(offset);
    Ok(match listing {
        Listing::Training(filter) => {
            let data = reader.data(filter, at, limit, Patience::default())?;
            data.rows.into_iter().map(|(_, d)| Sample::Datum(Box::new(d))).collect()
        }
        Listing::Predictions(filter) => {
            let scored = reader.predictions(filter, at, limit)?;
            scored.rows.into_iter().map(|(_, p)| Sample::Prediction(Box::new(p))).collect()
        }
        Listing::Calls(filter) => {
            let calls = reader.teacher_calls(filter, at, limit)?;
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

/// The values of a field in the run, in their own order.
fn values(reader: &Reader, listing: &Listing, field: Field) -> Result<Vec<String>, StoreError> {
    if let Some(fixed) = Listing::fixed(field) {
        return Ok(fixed);
    }
    let kind = match field {
        Field::Skill => Kind::Skill,
        Field::Subskill => Kind::Subskill,
        Field::Engine => Kind::Engine,
        Field::Failed => Kind::Failed,
        Field::Error => Kind::Error,
        Field::Prompt => Kind::Prompt,
        Field::Iteration => {
            let iterations = reader.episode()?.iterations.len();
            return Ok((0..iterations).map(|n| n.to_string()).collect());
        }
        _ => return Ok(Vec::new()),
    };
    let found = match listing.list() {
        List::Training => reader.data_values(kind)?,
        List::Predictions => reader.prediction_values(kind)?,
        List::Calls => reader.call_values(kind)?,
    };
    let mut named: Vec<String> = found.into_iter().map(|(value, _)| value).collect();
    named.sort();
    Ok(named)
}

/// How many of the listed samples have each value of a field.
pub(super) fn facet(reader: &Reader, listing: &Listing, field: Field) -> Result<Facet, StoreError> {
    let patience = Patience::of(COUNTING);
    let values = values(reader, listing, field)?;
    let (mut found, mut exact) = (Vec::new(), values.len() <= MOST_VALUES);
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
    match listing {
        Listing::Training(filter) => reader.each_datum(filter, |judged| found.push(judged.datum.id))?,
        _ => found.extend(rows(reader, listing, 0, MOST_PICKED)?.iter().map(|s| s.id().to_owned())),
    }
    Ok(Ok(found))
}
