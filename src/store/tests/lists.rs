//! Lists against the plainest way to make them: all records in a vector.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::super::*;
use super::{datum, fresh};
use crate::gym::datum::{CheckResult, JudgedDatum, Review, Verdict};
use crate::gym::ports::Ledger;
use crate::gym::rng::CounterRng;

const NOW: Patience<'static> = Patience { until: None, cancelled: None };

fn pick<'a>(rng: &mut CounterRng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len() as u64) as usize]
}

/// A datum whose every listed property is drawn.
fn drawn(rng: &mut CounterRng, iteration: u32, round: u32, n: u32) -> JudgedDatum {
    let mut judged = datum(n, Verdict::Pending);
    judged.datum.id = format!("i{iteration:03}-r{round}-{n:05}");
    judged.datum.provenance.iteration = iteration;
    judged.datum.provenance.round = round;
    judged.datum.provenance.engine = pick(rng, &["procedural", "selection"]).into();
    judged.datum.skill = pick(rng, &["even", "odd", "prime"]).into();
    judged.datum.subskill = pick(rng, &["a", "b"]).into();
    let words = ["apple", "pear", "plum", "Ann's", "12"];
    judged.datum.instruction = (0..3).map(|_| pick(rng, &words)).collect::<Vec<_>>().join(" ");
    let errors = rng.below(3) as u32;
    judged.datum.provenance.source_errors = (0..errors).map(|e| format!("v{}", n % 5 + e)).collect();
    judged.verdict = [Verdict::Pending, Verdict::Accepted, Verdict::Rejected][rng.below(3) as usize];
    for check in ["leakage", "answer"] {
        let passed = rng.below(3) > 0;
        judged.checks.push(CheckResult {
            check: check.into(),
            passed,
            filters: true,
            score: None,
            reason: "r".into(),
        });
    }
    judged.review = (rng.below(4) == 0).then(Review::default);
    judged
}

fn some<T>(rng: &mut CounterRng, value: T) -> Option<T> {
    (rng.below(4) == 0).then_some(value)
}

fn filter(rng: &mut CounterRng) -> DataFilter {
    let word = |rng: &mut CounterRng, from: &[&str]| pick(rng, from).to_owned();
    DataFilter {
        iteration: {
            let n = rng.below(4) as u32;
            some(rng, n)
        },
        span: {
            let (a, b) = (rng.below(4) as u32, rng.below(4) as u32);
            some(rng, (a, b))
        },
        round: {
            let n = rng.below(3) as u32;
            some(rng, n)
        },
        skill: {
            let w = word(rng, &["even", "odd", "none"]);
            some(rng, w)
        },
        subskill: {
            let w = word(rng, &["a", "b"]);
            some(rng, w)
        },
        verdict: some(rng, Verdict::Accepted),
        engine: {
            let w = word(rng, &["procedural", "selection"]);
            some(rng, w)
        },
        failed: {
            let w = word(rng, &["leakage", "answer"]);
            some(rng, w)
        },
        source_error: {
            let w = word(rng, &["v1", "v3"]);
            some(rng, w)
        },
        reviewed: {
            let flag = rng.below(2) == 0;
            some(rng, flag)
        },
        text: {
            let w =
                word(rng, &["APPLE", "pear plum", "ann", "12 s", "?!", "appl", "pear Plu", "ap", "appl "]);
            some(rng, w)
        },
    }
}

fn matches(filter: &DataFilter, judged: &JudgedDatum) -> bool {
    let datum = &judged.datum;
    let text = format!("{} {}", datum.instruction, datum.response).to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let sought = filter.text.as_deref().unwrap_or("").to_lowercase();
    let last = sought.split_whitespace().last().filter(|word| sought.ends_with(word) && word.len() > 2);
    let begins = |word: &str| Some(word) == last && words.iter().any(|known| known.starts_with(word));
    filter.iteration.is_none_or(|n| datum.provenance.iteration == n)
        && filter.span.is_none_or(|(a, b)| (a..=b).contains(&datum.provenance.iteration))
        && filter.round.is_none_or(|n| datum.provenance.round == n)
        && filter.skill.as_ref().is_none_or(|s| *s == datum.skill)
        && filter.subskill.as_ref().is_none_or(|s| *s == datum.subskill)
        && filter.verdict.is_none_or(|v| v == judged.verdict)
        && filter.engine.as_ref().is_none_or(|e| *e == datum.provenance.engine)
        && filter.failed.as_ref().is_none_or(|f| judged.checks.iter().any(|c| c.check == *f && !c.passed))
        && filter.source_error.as_ref().is_none_or(|e| datum.provenance.source_errors.contains(e))
        && filter.reviewed.is_none_or(|r| r == judged.review.is_some())
        && sought != "?!"
        && sought.split_whitespace().all(|word| words.contains(&word) || begins(word))
}

fn sorted(mut data: Vec<JudgedDatum>) -> Vec<JudgedDatum> {
    let key = |d: &JudgedDatum| (std::cmp::Reverse(d.datum.provenance.iteration), d.datum.id.clone());
    data.sort_by_key(key);
    data
}

/// Compares every page of a filter, both ways and by position, with the plain list.
fn compare(reader: &Reader, data: &[JudgedDatum], filter: &DataFilter, limit: usize) {
    let expected: Vec<&JudgedDatum> = data.iter().filter(|d| matches(filter, d)).collect();
    let count = reader.count_data(filter, NOW).unwrap();
    assert_eq!(count, Count { rows: expected.len() as u64, exact: true }, "{filter:?}");
    let (mut forward, mut back) = (Vec::new(), Vec::new());
    let (mut after, mut before) = (At::After(Place::START), At::Before(Place::END));
    loop {
        let page = reader.data(filter, after, limit, NOW).unwrap();
        let Some((last, _)) = page.rows.last() else { break };
        after = At::After(*last);
        forward.extend(page.rows.into_iter().map(|(_, d)| d));
    }
    loop {
        let page = reader.data(filter, before, limit, NOW).unwrap();
        let Some((first, _)) = page.rows.first() else { break };
        before = At::Before(*first);
        back.splice(0..0, page.rows.into_iter().map(|(_, d)| d));
    }
    assert!(forward.iter().eq(expected.iter().copied()), "{filter:?}");
    assert_eq!(back, forward, "{filter:?}");
    for position in [0, expected.len() / 2, expected.len().saturating_sub(1), expected.len() + 3] {
        let page = reader.data(filter, At::Position(position), limit, NOW).unwrap();
        let wanted = expected.iter().skip(position).take(limit).copied();
        assert!(page.rows.iter().map(|(_, d)| d).eq(wanted), "{filter:?} at {position}");
    }
    let mut every = Vec::new();
    reader.each_datum(filter, |judged| every.push(judged.datum.id)).unwrap();
    let mut ids: Vec<String> = expected.iter().map(|d| d.datum.id.clone()).collect();
    ids.sort();
    assert_eq!(every, ids, "{filter:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_filter_lists_what_matches_in_order(seed in any::<u64>()) {
        let (folder, mut store) = fresh();
        let mut rng = CounterRng::keyed(seed, "lists");
        let mut rounds = std::collections::BTreeMap::new();
        // Rounds come, change in part, shrink and grow.
        for _ in 0..7 {
            let (iteration, round) = (1 + rng.below(3) as u32, rng.below(2) as u32);
            let old: Vec<JudgedDatum> = rounds.remove(&(iteration, round)).unwrap_or_default();
            let size = rng.below(40) as u32;
            let data: Vec<JudgedDatum> = (0..size)
                .map(|n| match old.get(n as usize) {
                    Some(kept) if rng.below(2) == 0 => kept.clone(),
                    _ => drawn(&mut rng, iteration, round, n + u32::from(size.is_multiple_of(3))),
                })
                .collect();
            let mut seen = std::collections::BTreeSet::new();
            let data: Vec<_> = data.into_iter().filter(|d| seen.insert(d.datum.id.clone())).collect();
            let data = { let mut d = data; d.sort_by(|a, b| a.datum.id.cmp(&b.datum.id)); d };
            store.put_data(iteration, round, &data).unwrap();
            prop_assert_eq!(&store.round(iteration, round).unwrap(), &data);
            rounds.insert((iteration, round), data);
        }
        let data = sorted(rounds.into_values().flatten().collect());
        let reader = Reader::open(folder.path()).unwrap();
        compare(&reader, &data, &DataFilter::default(), 7);
        for _ in 0..30 {
            compare(&reader, &data, &filter(&mut rng), 5);
        }
        let values: u64 = reader.data_values(Kind::Skill).unwrap().iter().map(|(_, n)| n).sum();
        prop_assert_eq!(values, data.len() as u64);
    }

    #[test]
    fn any_text_is_a_legal_search(text in any::<String>()) {
        let (folder, mut store) = fresh();
        let mut judged = datum(0, Verdict::Pending);
        judged.datum.instruction.clone_from(&text);
        store.put_data(1, 0, &[judged]).unwrap();
        let reader = Reader::open(folder.path()).unwrap();
        let filter = DataFilter { text: Some(text.clone()), ..DataFilter::default() };
        let found = reader.data(&filter, At::Position(0), 5, NOW).unwrap().rows.len();
        let findable = text.chars().any(char::is_alphanumeric) || text.trim().is_empty();
        prop_assert_eq!(found, usize::from(findable), "{:?}", text);
    }
}

#[test]
fn a_spent_patience_yields_what_there_is_and_where_to_go_on() {
    let (folder, mut store) = fresh();
    let mut all = Vec::new();
    // Two blocks per round; the rare skill is in the last one only.
    let mut data: Vec<JudgedDatum> = (0..5000).map(|n| datum(n, Verdict::Accepted)).collect();
    data[4999].datum.skill = "rare".into();
    data[4999].datum.instruction = "common".into();
    data.iter_mut().take(200).for_each(|d| d.datum.instruction = "common".into());
    store.put_data(1, 0, &data).unwrap();
    all.extend(data);
    let reader = Reader::open(folder.path()).unwrap();
    let cancelled = AtomicBool::new(true);
    let spent = Patience { until: None, cancelled: Some(&cancelled) };
    let by_word =
        DataFilter { text: Some("common".into()), skill: Some("rare".into()), ..DataFilter::default() };
    let page = reader.data(&by_word, At::Position(0), 3, spent).unwrap();
    assert_eq!((page.rows.len(), page.reached.is_some()), (0, true));
    let mut at = At::After(page.reached.unwrap());
    let mut steps = 0;
    let found = loop {
        let page = reader.data(&by_word, at, 3, spent).unwrap();
        steps += 1;
        if let Some((_, found)) = page.rows.first() {
            break found.clone();
        }
        at = At::After(page.reached.expect("it goes on until it is found"));
    };
    assert_eq!((found, steps > 1), (all[4999].clone(), true));
    let both = DataFilter { round: Some(0), verdict: Some(Verdict::Accepted), ..DataFilter::default() };
    let some = reader.count_data(&both, spent).unwrap();
    assert_eq!(some, Count { rows: 4096, exact: false });
    cancelled.store(false, Ordering::Relaxed);
    assert_eq!(reader.count_data(&both, spent).unwrap(), Count { rows: 5000, exact: true });
}
