//! Pages, counts and searches of a full store.

use std::time::Duration;

use super::rows::{INSTANCES, SKILLS, skill, subskill, word};
use crate::bench::{BenchError, Times};
use crate::gym::datum::Verdict;
use crate::gym::instance::Split;
use crate::gym::rng::CounterRng;
use crate::store::{At, DataFilter, Patience, PredictionFilter, Reader};

/// Rows of a page, as many as a large terminal shows.
const PAGE: usize = 60;
/// Pages measured per filter.
const SAMPLES: usize = 300;
/// How long a list may look before it shows what it has.
const GLANCE: Duration = Duration::from_millis(40);

/// Takes name, value, unit and conditions of a figure.
pub(super) type Take<'a> = dyn FnMut(&str, f64, &'static str, &str) + 'a;

type Draw = fn(&mut CounterRng, &mut DataFilter);

/// Draws a filter of some fields.
type Make = dyn Fn(&mut CounterRng, &[(&str, Draw)]) -> DataFilter;

/// Every field a list can be filtered by, with a drawn value.
const FIELDS: [(&str, Draw); 9] = [
    ("none", |_, _| {}),
    ("iteration", |rng, filter| {
        filter.iteration = filter.iteration.map(|last| 1 + rng.below(last.into()) as u32);
    }),
    ("round", |_, filter| filter.round = Some(0)),
    ("skill", |rng, filter| filter.skill = Some(skill(rng.below(SKILLS as u64) as usize))),
    ("subskill", |rng, filter| filter.subskill = Some(subskill(rng.below(5) as usize))),
    ("verdict", |rng, filter| {
        filter.verdict =
            Some([Verdict::Pending, Verdict::Accepted, Verdict::Rejected][rng.below(3) as usize]);
    }),
    ("engine", |rng, filter| {
        filter.engine = Some(["procedural", "selection", "teacher"][rng.below(3) as usize].into());
    }),
    ("failed", |rng, filter| {
        filter.failed = Some(["leakage", "duplicate", "answer"][rng.below(3) as usize].into());
    }),
    ("source_error", |rng, filter| {
        filter.source_error = Some(format!("validation-{:05}", rng.below(INSTANCES as u64)));
    }),
];

/// Reviewed data are rare; the field is drawn on its own.
const REVIEWED: (&str, Draw) = ("reviewed", |_, filter| filter.reviewed = Some(true));

pub(super) fn measure(reader: &Reader, count: usize, take: &mut Take<'_>) -> Result<(), BenchError> {
    let last = count.div_ceil(super::ROUND) as u32;
    let fields: Vec<(&str, Draw)> = FIELDS.into_iter().chain([REVIEWED]).collect();
    let make = move |rng: &mut CounterRng, wanted: &[(&str, Draw)]| {
        let mut filter = DataFilter::default();
        for (name, draw) in wanted {
            filter.iteration = filter.iteration.or((*name == "iteration").then_some(last));
            draw(rng, &mut filter);
        }
        filter
    };
    let (mut first_worst, mut next_worst) = (0.0_f64, 0.0_f64);
    let mut measured = |name: &str, wanted: &[(&str, Draw)], take: &mut Take<'_>| {
        let mut rng = CounterRng::keyed(3, name);
        let (mut first, mut next, mut counted) = (Times::default(), Times::default(), Times::default());
        for _ in 0..SAMPLES {
            let filter = make(&mut rng, wanted);
            let now = Patience::default();
            first.take(|| reader.data(&filter, At::Position(0), PAGE, now))?;
            let total = counted.take(|| reader.count_data(&filter, now))?.rows;
            let depth = rng.below(total.max(1)) as usize;
            if let Some((place, _)) = reader.data(&filter, At::Position(depth), 1, now)?.rows.first() {
                let at = if rng.below(2) == 0 { At::After(*place) } else { At::Before(*place) };
                next.take(|| reader.data(&filter, at, PAGE, now))?;
            }
        }
        take(&format!("first_page_p99_ms.{name}"), first.quantile(0.99), "ms", "60 rows");
        take(
            &format!("next_page_p99_ms.{name}"),
            next.quantile(0.99),
            "ms",
            "60 rows, random depth, both ways",
        );
        take(&format!("count_p99_ms.{name}"), counted.quantile(0.99), "ms", "exact");
        first_worst = first_worst.max(first.quantile(0.99));
        next_worst = next_worst.max(next.quantile(0.99));
        Ok::<_, BenchError>(())
    };
    for field in &fields {
        measured(field.0, &[*field], take)?;
    }
    for (n, one) in fields.iter().enumerate().skip(1) {
        for other in &fields[n + 1..] {
            measured(&format!("{}+{}", one.0, other.0), &[*one, *other], take)?;
        }
    }
    let all = "the worst of every single field and every pair of fields";
    take("first_page_ms", first_worst, "ms", all);
    take("next_page_p99_ms", next_worst, "ms", all);
    combinations(reader, &fields, &make, take)?;
    searches(reader, &fields, &make, take)?;
    predictions(reader, last, take)
}

/// Three to six fields at once.
fn combinations(
    reader: &Reader,
    fields: &[(&'static str, Draw)],
    make: &Make,
    take: &mut Take<'_>,
) -> Result<(), BenchError> {
    let mut rng = CounterRng::keyed(3, "combinations");
    let (mut page, mut counted) = (Times::default(), Times::default());
    for _ in 0..SAMPLES {
        let count = 3 + rng.below(4);
        let wanted: Vec<_> = (0..count).map(|_| fields[rng.below(fields.len() as u64) as usize]).collect();
        let filter = make(&mut rng, &wanted);
        page.take(|| reader.data(&filter, At::Position(0), PAGE, Patience::of(GLANCE)))?;
        counted.take(|| reader.count_data(&filter, Patience::of(GLANCE)))?;
    }
    take("combination_first_page_max_ms", page.quantile(1.0), "ms", "3 to 6 random fields");
    take("combination_count_max_ms", counted.quantile(1.0), "ms", "3 to 6 random fields");
    Ok(())
}

fn searches(
    reader: &Reader,
    fields: &[(&'static str, Draw)],
    make: &Make,
    take: &mut Take<'_>,
) -> Result<(), BenchError> {
    let mut every = Times::default();
    let kinds: [(&str, [(u64, u64); 3]); 6] = [
        ("common", [(1, 20), (0, 0), (0, 0)]),
        ("middling", [(200, 2000), (0, 0), (0, 0)]),
        ("rare", [(10_000, 20_000), (0, 0), (0, 0)]),
        ("two_common", [(1, 20), (1, 20), (0, 0)]),
        ("three_words", [(1, 20), (100, 1000), (100, 1000)]),
        ("two_rare", [(10_000, 20_000), (10_000, 20_000), (0, 0)]),
    ];
    let mut rng = CounterRng::keyed(3, "searches");
    for (name, ranks) in kinds {
        let mut times = Times::default();
        let mut counted = Times::default();
        for _ in 0..SAMPLES {
            let words =
                ranks.iter().filter(|(low, _)| *low > 0).map(|(low, high)| word(rng.between(*low, *high)));
            let text = Some(words.collect::<Vec<_>>().join(" "));
            let filter = DataFilter { text, ..DataFilter::default() };
            times.take(|| reader.data(&filter, At::Position(0), PAGE, Patience::of(GLANCE)))?;
            counted.take(|| reader.count_data(&filter, Patience::of(GLANCE)))?;
        }
        take(&format!("search_first_page_p99_ms.{name}"), times.quantile(0.99), "ms", "60 rows");
        take(&format!("search_count_p99_ms.{name}"), counted.quantile(0.99), "ms", "up to 10,000, or 40 ms");
        every.extend(&times);
    }
    take("search_first_page_p99_ms", every.quantile(0.99), "ms", "all of the kinds above");
    let (mut filtered, mut unfinished) = (Times::default(), 0_u32);
    for _ in 0..SAMPLES {
        let wanted: Vec<_> = (0..2).map(|_| fields[rng.below(fields.len() as u64) as usize]).collect();
        let text = Some(word(rng.between(1, 2000)));
        let filter = DataFilter { text, ..make(&mut rng, &wanted) };
        let page = filtered.take(|| reader.data(&filter, At::Position(0), PAGE, Patience::of(GLANCE)))?;
        unfinished += u32::from(page.reached.is_some());
    }
    take("search_filtered_first_answer_max_ms", filtered.quantile(1.0), "ms", "a word and up to two fields");
    take("search_filtered_unfinished", f64::from(unfinished), "searches", "of 300, that went on after 40 ms");
    Ok(())
}

fn predictions(reader: &Reader, last: u32, take: &mut Take<'_>) -> Result<(), BenchError> {
    let mut rng = CounterRng::keyed(3, "predictions");
    let (mut page, mut changed, mut answers) = (Times::default(), Times::default(), Times::default());
    for _ in 0..SAMPLES {
        let iteration = rng.below(u64::from(last) + 1) as u32;
        let skill = (rng.below(2) == 0).then(|| skill(rng.below(SKILLS as u64) as usize));
        let correct = (rng.below(2) == 0).then_some(true);
        let filter =
            PredictionFilter { correct, skill, ..PredictionFilter::all(iteration, Split::Validation) };
        let at = At::Position(rng.below(100) as usize);
        page.take(|| reader.predictions(&filter, at, PAGE, Patience::default()))?;
        let changed_since = Some(rng.below(u64::from(last) + 1) as u32);
        let filter = PredictionFilter { changed_since, ..filter };
        changed.take(|| reader.predictions(&filter, At::Position(0), PAGE, Patience::default()))?;
        let id = format!("validation-{:05}", rng.below(INSTANCES as u64));
        answers.take(|| reader.answers(Split::Validation, &id))?;
    }
    take("predictions_page_p99_ms", page.quantile(0.99), "ms", "60 rows by iteration, split, skill, correct");
    take(
        "predictions_changed_page_p99_ms",
        changed.quantile(0.99),
        "ms",
        "60 rows changed between two iterations",
    );
    take("answers_p99_ms", answers.quantile(0.99), "ms", "every iteration's answer to one instance");
    Ok(())
}
