//! The store against a real database file.

mod damage;
mod lists;
mod plans;
mod schemas;

use std::collections::BTreeSet;

use super::*;
use crate::gym::budget::Budget;
use crate::gym::datum::{JudgedDatum, Provenance, TrainingDatum, Verdict};
use crate::gym::episode::{Command, Effect, Episode, Event, Phase};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::plan::{Action, Plan};
use crate::gym::ports::{ChatRequest, EnvironmentKind, Fact, Ledger, Sampling, TrainingProgress};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::report::Report;
use crate::gym::skill_forest::{ForestChange, SkillExperience, SkillForest};
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};

fn run_record() -> RunRecord {
    RunRecord {
        name: "test".into(),
        task: "world".into(),
        policy: "by_error".into(),
        engine: "procedural".into(),
        student: "embedded".into(),
        seed: 1,
        version: "0".into(),
        rules: EpisodeRules {
            environment: EnvironmentKind::SkillTree,
            budget: Budget { iterations: 1, ..Budget::default() },
            rounds: 1,
            test_every_iteration: false,
            gates: BTreeSet::new(),
            retries: 0,
        },
        created_ms: 0,
    }
}

fn instance(n: u32) -> TaskInstance {
    TaskInstance {
        id: format!("v{n}"),
        task: "world".into(),
        split: Split::Validation,
        skill: Some(if n.is_multiple_of(2) { "even" } else { "odd" }.into()),
        subskill: None,
        key: n.to_string(),
        facets: std::collections::BTreeMap::new(),
        content: Content::Mathematics {
            question: format!("{n}?"),
            options: Vec::new(),
            answer: n.to_string(),
            solution: None,
        },
    }
}

fn prediction(n: u32, correct: bool) -> Prediction {
    Prediction {
        instance_id: format!("v{n}"),
        response: "#### 1".into(),
        answer: Some("1".into()),
        correct,
        tokens: 3,
        finish: FinishReason::Stop,
    }
}

fn datum(n: u32, verdict: Verdict) -> JudgedDatum {
    let provenance = Provenance {
        iteration: 1,
        round: 0,
        engine: "procedural".into(),
        allocation: 0,
        draw: u64::from(n),
        source_errors: Vec::new(),
        source_instance: None,
        teacher_call: None,
    };
    let datum = TrainingDatum {
        id: format!("i001-r0-{n:05}"),
        instruction: "q".into(),
        question: None,
        response: "a".into(),
        answer: None,
        rejected_response: None,
        images: Vec::new(),
        skill: "odd".into(),
        subskill: "s".into(),
        key: n.to_string(),
        provenance,
    };
    JudgedDatum { verdict, ..JudgedDatum::pending(datum) }
}

fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let instances: Vec<_> = (0..6).map(instance).collect();
    let store = Store::create(folder.path(), &run_record(), &instances).unwrap();
    (folder, store)
}

#[test]
fn a_run_is_created_once_and_read_by_others() {
    let (folder, store) = fresh();
    assert!(matches!(Store::create(folder.path(), &run_record(), &[]), Err(StoreError::Exists(_))));
    let reader = Reader::open(folder.path()).unwrap();
    assert_eq!((reader.record().unwrap(), store.record().unwrap()), (run_record(), run_record()));
    assert_eq!(reader.episode().unwrap(), Episode::new(run_record().rules));
    assert!(matches!(Reader::open(&folder.path().join("no")), Err(StoreError::NoRun(_))));
}

#[test]
fn the_journal_rebuilds_the_snapshot_after_a_reopen() {
    let (folder, mut store) = fresh();
    let mut episode = store.replay().unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    assert!(reader.changed().unwrap() && !reader.changed().unwrap());
    for event in [Event::Opened, Event::Commanded { command: Command::Run }] {
        let effects = episode.handle(event.clone());
        store.append(&event, &episode).unwrap();
        for effect in effects {
            let Effect::Perform { work, .. } = effect else { panic!() };
            store.begin(work).unwrap();
            let (i, p) = (instance(1), prediction(1, true));
            let report = Report::new(0, Split::Validation, &[(&i, &p)]).unwrap();
            let event = Event::completed(Fact::Evaluated { report, teacher_tokens: 0 });
            episode.handle(event.clone());
            store.append(&event, &episode).unwrap();
            store.end(work).unwrap();
        }
    }
    assert!(reader.changed().unwrap());
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.replay().unwrap(), episode);
    assert_eq!(reader.episode().unwrap(), episode);
    assert_eq!(reader.journal(2).unwrap().iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
    let timings = reader.timings().unwrap();
    assert_eq!((timings.len(), timings[0].phase.as_str()), (1, "evaluate"));
    assert!(timings[0].ended_ms >= Some(timings[0].began_ms));
}

#[test]
fn a_request_is_journalled_with_its_event_or_not_at_all() {
    let (folder, mut store) = fresh();
    let mut episode = store.replay().unwrap();
    let request = Request { id: "a/1".into(), origin: "user 1 process 2".into() };
    let event = Event::Commanded { command: Command::Pause };
    assert!(!store.is_journalled("a/1").unwrap());
    episode.handle(event.clone());
    store.append_asked(&event, &episode, Some(&request)).unwrap();
    // Asked twice is journalled once, also by another process later.
    assert!(store.append_asked(&event, &episode, Some(&request)).is_err());
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert!(store.is_journalled("a/1").unwrap() && !store.is_journalled("a/2").unwrap());
    store.append(&event, &episode).unwrap();
    let journal = Reader::open(folder.path()).unwrap().journal(9).unwrap();
    assert_eq!(journal.iter().map(|e| e.request.clone()).collect::<Vec<_>>(), [Some(request), None]);
}

/// One iteration after another with a forest, and what every event adds to the file.
#[test]
fn a_long_run_is_replayed_exactly_and_its_events_stay_small() {
    let (folder, mut store) = fresh();
    let mut episode = store.replay().unwrap();
    let mut lengths = Vec::new();
    let mut take = |store: &mut Store, episode: &mut Episode, event: Event| {
        episode.handle(event.clone());
        store.append(&event, episode).unwrap();
        lengths.push(serde_json::to_string(&event).unwrap().len());
    };
    let rules = Budget { iterations: 60, ..Budget::default() };
    take(&mut store, &mut episode, Event::Commanded { command: Command::Extend { budget: rules } });
    take(&mut store, &mut episode, Event::Commanded { command: Command::Run });
    while let Some(work) = episode.work {
        let fact = match work.phase {
            Phase::Evaluate => {
                let (i, p): (Vec<_>, Vec<_>) =
                    (0..6).map(|n| (instance(n), prediction(n, (work.iteration + n) % 3 == 0))).unzip();
                let scored: Vec<_> = i.iter().zip(&p).collect();
                let report = Report::new(work.iteration, work.split.unwrap(), &scored).unwrap();
                Fact::Evaluated { report, teacher_tokens: 0 }
            }
            Phase::Plan => {
                let mut after = episode.forest.clone();
                if after.trees.is_empty() {
                    after = SkillForest::new(["even", "odd"]);
                }
                for tree in &mut after.trees {
                    tree.history.push(SkillExperience {
                        iteration: work.iteration,
                        action: Action::Explore { new_subskills: 1, data_per_subskill: 1 },
                        accuracy_before: crate::gym::decimal::decimal(1.0 / f64::from(work.iteration + 2)),
                        accuracy_after: None,
                        produced: 0,
                    });
                }
                let (actions, allocations, policy) = (Vec::new(), Vec::new(), "test".into());
                let (iteration, round) = (work.iteration, 0);
                let plan = Plan { iteration, round, policy, actions, allocations, edited: false };
                Fact::Planned { plan, forest: episode.forest.change_to(&after), teacher_tokens: 0 }
            }
            Phase::Generate => Fact::Generated { count: 1, teacher_tokens: 0 },
            Phase::Check => Fact::Checked {
                accepted: 1,
                rejected: 0,
                forest: ForestChange::default(),
                failed: std::collections::BTreeMap::new(),
                teacher_tokens: 0,
            },
            Phase::Train => Fact::Trained { outcome: None },
        };
        take(&mut store, &mut episode, Event::completed(fact));
    }
    assert_eq!((episode.iterations.len(), episode.forest.trees[1].history.len()), (61, 60));
    let (early, late) = lengths.split_at(lengths.len() / 2);
    assert!(late.iter().max() <= early.iter().max().map(|n| n + 8).as_ref(), "{lengths:?}");
    let reader = Reader::open(folder.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(reader.episode().unwrap(), episode);
    }
    // A person's changes to what is long past, and one that shortens the history.
    let counts = vec![crate::gym::review::ReviewCount {
        iteration: 3,
        round: 0,
        skill: "odd".into(),
        subskill: String::new(),
        accepted: -1,
        rejected: 1,
    }];
    let selection = crate::gym::review::DataSelection::default();
    let edit = crate::gym::review::DatumEdit::Reject;
    let event = Event::Reviewed { selection, edit, data: 1, counts };
    episode.handle(event.clone());
    store.append_review(&event, &episode, &[], None).unwrap();
    assert_eq!(reader.episode().unwrap(), episode);
    assert_eq!((store.replay().unwrap(), store.refold().unwrap()), (episode.clone(), episode.clone()));
    let mut short = episode.clone();
    short.forest.trees.truncate(1);
    short.forest.trees[0].history.truncate(18);
    store.append(&Event::Opened, &short).unwrap();
    assert_eq!((reader.episode().unwrap(), store.replay().unwrap()), (short.clone(), short));
}

#[test]
fn predictions_are_paged_filtered_and_paired() {
    let (folder, mut store) = fresh();
    let before: Vec<_> = (0..6).map(|n| prediction(n, n < 2)).collect();
    let after: Vec<_> = (0..5).map(|n| prediction(n, n < 4)).collect();
    store.put_predictions(0, Split::Validation, &before).unwrap();
    store.put_predictions(1, Split::Validation, &after).unwrap();
    store.put_predictions(1, Split::Validation, &after[..1]).unwrap();
    assert_eq!(store.predictions(1, Split::Validation).unwrap().len(), 5);
    let reader = Reader::open(folder.path()).unwrap();
    let filter = |correct, skill: Option<&str>| PredictionFilter {
        correct,
        skill: skill.map(str::to_owned),
        ..PredictionFilter::all(0, Split::Validation)
    };
    let count =
        |filter: &PredictionFilter| reader.count_predictions(filter, Patience::default()).unwrap().rows;
    assert_eq!(count(&filter(Some(false), None)), 4);
    assert_eq!(count(&filter(Some(false), Some("odd"))), 2);
    let ids = |filter: &PredictionFilter, at| {
        let page = reader.predictions(filter, at, 10, Patience::default()).unwrap();
        page.rows.into_iter().map(|(_, p)| p.instance.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&filter(None, None), At::Position(4)), ["v4", "v5"]);
    let changed = PredictionFilter { iteration: 1, changed_since: Some(0), ..filter(None, None) };
    assert_eq!(ids(&changed, At::Position(0)), ["v2", "v3"]);
    let lost = PredictionFilter { correct: Some(false), ..changed };
    assert_eq!(count(&lost), 0);
    let pairs = reader.paired(Split::Validation, 0, 1).unwrap();
    assert_eq!(pairs.len(), 5);
    assert_eq!(pairs[2], ("2".to_owned(), false, true));
    assert_eq!(reader.answers(Split::Validation, "v3").unwrap().len(), 2);
}

#[test]
fn a_round_of_data_is_replaced_whole() {
    let (folder, mut store) = fresh();
    let pending: Vec<_> = (0..4).map(|n| datum(n, Verdict::Pending)).collect();
    store.put_data(1, 0, &pending).unwrap();
    let judged: Vec<_> =
        (0..3).map(|n| datum(n, if n == 0 { Verdict::Rejected } else { Verdict::Accepted })).collect();
    store.put_data(1, 0, &judged).unwrap();
    assert_eq!(store.data().unwrap(), judged);
    let reader = Reader::open(folder.path()).unwrap();
    let accepted = DataFilter { verdict: Some(Verdict::Accepted), ..DataFilter::default() };
    let patience = Patience::default();
    assert_eq!(reader.count_data(&accepted, patience).unwrap(), Count { rows: 2, exact: true });
    let page = reader.data(&DataFilter::default(), At::Position(1), 1, patience).unwrap();
    assert_eq!(page.rows[0].1, judged[1]);
}

#[test]
fn the_training_curve_is_kept_by_step() {
    let (folder, mut store) = fresh();
    let point = |step| TrainingProgress {
        step,
        steps: 2,
        loss: 1.0 / f64::from(step),
        learning_rate: 1e-3,
        tokens_per_second: 1.0,
        ..TrainingProgress::default()
    };
    for step in [2, 1, 2] {
        store.put_training_progress(1, point(step)).unwrap();
    }
    assert_eq!(Reader::open(folder.path()).unwrap().training_curve(1).unwrap(), [point(1), point(2)]);
}

/// What the full-text index holds, as a fingerprint.
fn search_index(store: &Store) -> (i64, i64) {
    let sql = "SELECT count(*), sum(length(block)) FROM search_data";
    let connection = rusqlite::Connection::open(store.folder().join(DATABASE)).unwrap();
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn a_check_phase_leaves_the_words_alone() {
    let (folder, mut store) = fresh();
    let pending: Vec<_> = (0..50).map(|n| datum(n, Verdict::Pending)).collect();
    store.put_data(1, 0, &pending).unwrap();
    let before = search_index(&store);
    let judged: Vec<_> = (0..50).map(|n| datum(n, Verdict::Accepted)).collect();
    store.put_data(1, 0, &judged).unwrap();
    assert_eq!(search_index(&store), before);
    let mut reworded = judged.clone();
    reworded[7].datum.instruction = "Where is the aardvark?".into();
    store.put_data(1, 0, &reworded).unwrap();
    assert_ne!(search_index(&store), before);
    let reader = Reader::open(folder.path()).unwrap();
    let found = |text: &str| {
        let filter = DataFilter { text: Some(text.into()), ..DataFilter::default() };
        reader.count_data(&filter, Patience::default()).unwrap().rows
    };
    assert_eq!((found("aardvark"), found("Q"), found("AARDVARK where")), (1, 49, 1));
}

fn call(n: u32, iteration: u32, malformed: bool) -> TeacherCall {
    let outcome =
        if malformed { CallOutcome::Malformed { reason: "no list".into() } } else { CallOutcome::Used };
    TeacherCall {
        id: format!("{n:04x}"),
        model: "teacher".into(),
        request: ChatRequest::text(format!("question {n}"), Sampling::Greedy, 16),
        context: CallContext {
            iteration,
            round: 0,
            phase: Phase::Generate,
            prompt: format!("write@{}", n % 2),
            allocation: None,
        },
        reply: "answer".into(),
        prompt_tokens: 2,
        reply_tokens: 1,
        finish: FinishReason::Stop,
        outcome,
    }
}

#[test]
fn teacher_calls_are_answered_from_the_store_and_listed() {
    let (folder, mut store) = fresh();
    let first: Vec<_> = (0..4).map(|n| call(n, 1, n == 3)).collect();
    store.put_teacher_calls(&first).unwrap();
    store.put_teacher_calls(&[call(4, 2, false), call(3, 1, false)]).unwrap();
    assert_eq!(store.teacher_call("0003").unwrap(), Some(call(3, 1, false)));
    assert_eq!(store.teacher_call("ffff").unwrap(), None);
    let reader = Reader::open(folder.path()).unwrap();
    let ids = |filter: CallFilter| {
        let patience = Patience::default();
        let page = reader.teacher_calls(&filter, At::Position(0), 9, patience).unwrap();
        assert_eq!(page.rows.len() as u64, reader.count_teacher_calls(&filter, patience).unwrap().rows);
        page.rows.into_iter().map(|(_, call)| call.id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(CallFilter::default()), "0004 0000 0001 0002 0003");
    assert_eq!(ids(CallFilter { iteration: Some(2), ..CallFilter::default() }), "0004");
    assert_eq!(ids(CallFilter { prompt: Some("write@1".into()), ..CallFilter::default() }), "0001 0003");
    assert_eq!(ids(CallFilter { malformed: Some(true), ..CallFilter::default() }), "");
    let text = |text: &str| CallFilter { text: Some(text.into()), ..CallFilter::default() };
    assert_eq!(ids(text("question 3")), "0003");
    assert_eq!(ids(text("ANSW")), "0004 0000 0001 0002 0003", "a reply, by the beginning of its last word");
    assert_eq!(ids(text("answ question")), "");
    assert_eq!(ids(text("?!")), "", "signs are no words");
    assert_eq!(ids(CallFilter { prompt: Some("write@1".into()), ..text("question") }), "0001 0003");
}

#[test]
fn predictions_are_found_by_what_was_asked_and_answered() {
    let (folder, mut store) = fresh();
    let mut answers: Vec<_> = (0..6).map(|n| prediction(n, n < 2)).collect();
    answers[3].response = "Seven remainders are left.".into();
    answers[4].answer = Some("seven".into());
    store.put_predictions(0, Split::Validation, &answers).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    let all = PredictionFilter::all(0, Split::Validation);
    let ids = |filter: &PredictionFilter| {
        let count = reader.count_predictions(filter, Patience::default()).unwrap();
        let page = reader.predictions(filter, At::Position(0), 9, Patience::default()).unwrap();
        assert_eq!(count, Count { rows: page.rows.len() as u64, exact: true });
        let ids: Vec<_> = page.rows.iter().map(|(_, scored)| scored.instance.id.as_str()).collect();
        // Both ways, from a place on.
        if let [(first, _), .., (last, _)] = &page.rows[..] {
            for at in [At::After(*first), At::Before(*last)] {
                let part = reader.predictions(filter, at, 9, Patience::default()).unwrap();
                assert_eq!(part.rows.len() + 1, page.rows.len());
            }
        }
        ids.join(" ")
    };
    let text = |text: &str| PredictionFilter { text: Some(text.into()), ..all.clone() };
    assert_eq!(ids(&text("seven")), "v3 v4");
    assert_eq!(ids(&text("left remai")), "v3");
    assert_eq!(ids(&text("remai ")), "", "a space ends the word");
    assert_eq!(ids(&PredictionFilter { skill: Some("odd".into()), ..text("seven") }), "v3");
    let question = reader.instance(Split::Validation, "v2").unwrap().unwrap();
    assert!(ids(&text(question.content.question())).contains("v2"));
    assert_eq!(ids(&PredictionFilter { subskill: Some("none".into()), ..all.clone() }), "");
    // What an answer says after the next event is not what was read before it.
    answers[5].response = "seven".into();
    store.put_predictions(0, Split::Validation, &answers).unwrap();
    let episode = store.replay().unwrap();
    store.append(&Event::Opened, &episode).unwrap();
    assert_eq!(ids(&text("seven")), "v3 v4 v5");
}

#[test]
fn a_search_that_reads_records_ends_when_nobody_waits_for_it_and_goes_on_where_it_was() {
    let (folder, mut store) = fresh();
    let calls: Vec<_> = (0..300).map(|n| call(n, 1, false)).collect();
    store.put_teacher_calls(&calls).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    let filter = CallFilter { text: Some("question 299 ".into()), ..CallFilter::default() };
    let flag = std::sync::atomic::AtomicBool::new(true);
    let spent = Patience { until: None, cancelled: Some(&flag) };
    let mut looks = 0;
    while reader.count_teacher_calls(&filter, spent).unwrap() != (Count { rows: 1, exact: true }) {
        looks += 1;
        assert!(looks < 10, "it begins anew every time");
    }
    assert!(looks > 2, "it read everything at once");
    let page = reader.teacher_calls(&filter, At::Position(0), 9, spent).unwrap();
    assert_eq!((page.rows.len(), page.reached), (1, None));
}

#[test]
fn what_has_no_place_is_refused_by_name() {
    let (folder, mut store) = fresh();
    let said = store.put_data(20_000, 0, &[datum(0, Verdict::Pending)]).unwrap_err().to_string();
    assert!(said.contains(DATABASE) && said.contains("16384 iterations"), "{said}");
    let twice = [datum(1, Verdict::Pending), datum(1, Verdict::Accepted)];
    let said = store.put_data(1, 0, &twice).unwrap_err().to_string();
    assert!(said.contains(DATABASE) && said.contains("an id is used twice"), "{said}");
    assert_eq!(store.data().unwrap(), []);
    let stranger = Prediction { instance_id: "x".into(), ..prediction(0, true) };
    let said = store.put_predictions(0, Split::Validation, &[stranger]).unwrap_err().to_string();
    assert!(said.contains("no validation instance `x`"), "{said}");
    assert!(matches!(Reader::open(&folder.path().join("none")), Err(StoreError::NoRun(_))));
}

#[test]
fn the_database_engine_is_new_enough() {
    // Versions before lose data when two connections reset the log at once.
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}
