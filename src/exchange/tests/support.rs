//! Runs made of generated records.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::exchange::source::Source;
use crate::exchange::{
    Container, ExportOrder, ExportSummary, Filter, Format, Images, ImportOrder, ImportSummary, Kind, Record,
    Target, export, import,
};
use crate::gym::budget::Budget;
use crate::gym::datum::{CheckResult, JudgedDatum, Provenance, Review, TrainingDatum, Verdict, Wording};
use crate::gym::episode::{Command, Episode, EpisodeRules, Event, Phase};
use crate::gym::instance::{Content, ImageRef, ProgramTest, Split, TaskInstance, ToolCall, ToolDescription};
use crate::gym::ports::{ChatRequest, EnvironmentKind, Fact, Ledger, Sampling, TrainingProgress};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::report::Report;
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};
use crate::store::{RunRecord, Store};

/// What a generated run holds.
#[derive(Debug, Clone)]
pub(super) struct Generated {
    pub(super) seed: u64,
    pub(super) instances: Vec<TaskInstance>,
    pub(super) predictions: Vec<Prediction>,
    pub(super) data: Vec<JudgedDatum>,
    pub(super) calls: Vec<TeacherCall>,
    pub(super) curve: Vec<TrainingProgress>,
    pub(super) pictures: Vec<Vec<u8>>,
}

/// The first bytes of a PNG file of this size, and something behind them.
pub(super) fn picture(width: u32, height: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(rest);
    bytes
}

fn reference(bytes: &[u8]) -> ImageRef {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    ImageRef::of(bytes, "image/png", (number(16), number(20)))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9 ]{0,20}",
        any::<String>(),
        Just("\u{feff}<image>\r\n\0\u{2028}\u{1f600} \"\\ NaN".to_owned()),
        Just(String::new()),
    ]
}

/// A fraction that the run database gives back. The reader of JSON rounds twice, so that of 17 digits the last
/// may change when a record is read from the database, before an export sees it.
fn fraction() -> impl Strategy<Value = f64> {
    let fractions = prop_oneof![any::<f64>(), 0.0..1.0_f64];
    fractions.prop_filter("as read", |x| x.is_finite() && reads_back(x))
}

fn reads_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq>(value: &T) -> bool {
    serde_json::from_str::<T>(&serde_json::to_string(value).unwrap()).is_ok_and(|read| read == *value)
}

fn image(pictures: Vec<Vec<u8>>) -> impl Strategy<Value = ImageRef> {
    proptest::sample::select(pictures).prop_map(|bytes| reference(&bytes))
}

fn content(pictures: Vec<Vec<u8>>) -> impl Strategy<Value = Content> {
    let words = || vec(text(), 0..3);
    prop_oneof![
        (text(), words(), text(), option::of(text())).prop_map(|(question, options, answer, solution)| {
            Content::Mathematics { question, options, answer, solution }
        }),
        (text(), option::of(text()), option::of(text()), vec((text(), text(), any::<bool>()), 0..3))
            .prop_map(|(instruction, starter_code, solution, tests)| {
                let test = |(input, output, whole)| {
                    if whole {
                        ProgramTest::StandardInput { input, output }
                    } else {
                        ProgramTest::Assertion { code: input }
                    }
                };
                let tests = tests.into_iter().map(test).collect();
                Content::Programming { instruction, starter_code, solution, tests }
            }),
        (text(), image(pictures), words(), words()).prop_map(|(question, image, choices, answers)| {
            Content::VisualQuestionAnswering { question, image, choices, answers }
        }),
        (text(), vec((text(), text(), fraction()), 0..3)).prop_map(|(request, calls)| {
            let tools = calls.iter().map(|(name, description, number)| ToolDescription {
                name: name.clone(),
                description: description.clone(),
                parameters: json!({"type": "object", "maximum": number, name.as_str(): [null, true, -1]}),
            });
            let plan = calls.iter().map(|(tool, value, number)| ToolCall {
                tool: tool.clone(),
                arguments: [("b".to_owned(), json!(value)), ("a".to_owned(), json!([number]))]
                    .into_iter()
                    .collect(),
            });
            Content::ToolUse { request, tools: tools.collect(), plan: plan.collect() }
        }),
    ]
}

fn datum(pictures: Vec<Vec<u8>>) -> impl Strategy<Value = JudgedDatum> {
    let words = (text(), text(), option::of(text()), option::of(text()), text(), text(), text());
    let verdict = prop_oneof![Just(Verdict::Accepted), Just(Verdict::Rejected), Just(Verdict::Pending)];
    let origin = (0_u64.., vec(text(), 0..2), option::of(text()), option::of(text()));
    let check = (text(), any::<bool>(), any::<bool>(), option::of(fraction()), text()).prop_map(
        |(check, passed, filters, score, reason)| CheckResult { check, passed, filters, score, reason },
    );
    let review = (option::of(verdict.clone()), option::of((text(), text())), option::of(text())).prop_map(
        |(verdict, original, note)| Review {
            verdict,
            original: original.map(|(instruction, response)| Wording { instruction, response, answer: None }),
            note,
        },
    );
    (
        words,
        vec(image(pictures), 0..3),
        verdict,
        origin,
        vec(check, 0..3),
        option::of(review),
        (1_u32..4, 0_u32..2),
    )
        .prop_map(|(words, images, verdict, origin, checks, review, place)| {
            let (instruction, response, answer, rejected_response, skill, subskill, key) = words;
            let (draw, source_errors, source_instance, teacher_call) = origin;
            let provenance = Provenance {
                iteration: place.0,
                round: place.1,
                engine: "generated".to_owned(),
                allocation: 0,
                draw,
                source_errors,
                source_instance,
                teacher_call,
            };
            let datum = TrainingDatum {
                id: String::new(),
                question: response.len().is_multiple_of(2).then(|| format!("bare {instruction}")),
                instruction,
                response,
                answer,
                rejected_response,
                images,
                skill,
                subskill,
                key,
                provenance,
            };
            JudgedDatum { datum, verdict, checks, review }
        })
}

fn call(pictures: Vec<Vec<u8>>) -> impl Strategy<Value = TeacherCall> {
    (text(), text(), fraction(), any::<u64>(), vec(image(pictures), 0..2), option::of(text())).prop_map(
        |(prompt, reply, number, seed, images, malformed)| TeacherCall {
            id: String::new(),
            model: "teacher".to_owned(),
            request: ChatRequest {
                schema: Some(json!({"maximum": number})),
                images,
                ..ChatRequest::text(prompt, Sampling::drawn(number, 0.5, seed), 9)
            },
            context: CallContext {
                iteration: 1,
                round: 0,
                phase: Phase::Generate,
                prompt: "data@1".to_owned(),
                allocation: Some(0),
            },
            reply,
            prompt_tokens: 1,
            reply_tokens: 2,
            finish: FinishReason::Length,
            outcome: malformed.map_or(CallOutcome::Used, |reason| CallOutcome::Malformed { reason }),
        },
    )
}

/// A run with records of every kind.
pub(super) fn generated() -> impl Strategy<Value = Generated> {
    let pictures = vec((1_u32..500, 1_u32..500, vec(any::<u8>(), 0..40)), 1..4);
    pictures.prop_flat_map(|sizes| {
        let pictures: Vec<Vec<u8>> = sizes.iter().map(|(w, h, rest)| picture(*w, *h, rest)).collect();
        let split = prop_oneof![Just(Split::Pool), Just(Split::Validation), Just(Split::Test)];
        let instance = (content(pictures.clone()), split, option::of(text()), option::of(text()), text());
        let answer = (text(), option::of(text()), any::<bool>(), any::<u32>());
        let point = (fraction(), fraction());
        (
            any::<u64>(),
            vec((instance, answer), 0..8),
            vec(datum(pictures.clone()), 0..12),
            vec(call(pictures.clone()), 0..3),
            vec(point, 0..3),
            Just(pictures),
        )
            .prop_map(|(seed, questions, mut data, mut calls, points, pictures)| {
                let (mut instances, mut predictions) = (Vec::new(), Vec::new());
                for (n, ((content, split, skill, subskill, key), answer)) in questions.into_iter().enumerate()
                {
                    let (id, (response, extracted, correct, tokens)) = (format!("q{n}"), answer);
                    let finish = FinishReason::Stop;
                    if split != Split::Pool {
                        let instance_id = id.clone();
                        let answer = extracted;
                        predictions.push(Prediction {
                            instance_id,
                            response,
                            answer,
                            correct,
                            tokens,
                            finish,
                        });
                    }
                    let task = "generated".to_owned();
                    instances.push(TaskInstance {
                        id,
                        task,
                        split,
                        skill,
                        subskill,
                        facets: std::collections::BTreeMap::new(),
                        key,
                        content,
                    });
                }
                data.sort_by_key(|d| (d.datum.provenance.iteration, d.datum.provenance.round));
                for (n, judged) in data.iter_mut().enumerate() {
                    let from = &judged.datum.provenance;
                    judged.datum.id = format!("i{:03}-r{}-{n:05}", from.iteration, from.round);
                }
                for (n, call) in calls.iter_mut().enumerate() {
                    call.id = format!("call-{n}");
                }
                let curve =
                    points.into_iter().zip(1..).map(|((loss, learning_rate), step)| TrainingProgress {
                        step,
                        steps: 9,
                        loss,
                        learning_rate,
                        tokens_per_second: 17.5,
                        seconds_left: 3.0,
                        held_out_loss: None,
                    });
                let curve = curve.collect();
                Generated { seed, instances, predictions, data, calls, curve, pictures }
            })
    })
}

/// Makes the run folder of what was generated.
pub(super) fn make(folder: &Path, name: &str, from: &Generated) -> PathBuf {
    let run = folder.join(name);
    let rules = EpisodeRules {
        environment: EnvironmentKind::OpenEnded,
        budget: Budget { iterations: 3, ..Budget::default() },
        rounds: 2,
        test_every_iteration: true,
        gates: std::collections::BTreeSet::default(),
        retries: 1,
    };
    let record = RunRecord {
        name: name.to_owned(),
        task: "generated".to_owned(),
        policy: "by_error".to_owned(),
        engine: "generated".to_owned(),
        student: "none".to_owned(),
        seed: from.seed,
        version: "1".to_owned(),
        rules: rules.clone(),
        created_ms: folder.as_os_str().len() as i64,
    };
    let mut store = Store::create(&run, &record, &from.instances).unwrap();
    for bytes in &from.pictures {
        let kept = reference(bytes);
        assert_eq!(store.put_image(bytes, &kept.media_type, kept.size).unwrap(), kept);
    }
    for split in [Split::Validation, Split::Test] {
        let of = |p: &&Prediction| from.instances.iter().any(|i| i.split == split && i.id == p.instance_id);
        let predictions: Vec<Prediction> = from.predictions.iter().filter(of).cloned().collect();
        store.put_predictions(0, split, &predictions).unwrap();
    }
    for iteration in 1..4 {
        for round in 0..2 {
            let of = |d: &&JudgedDatum| {
                (d.datum.provenance.iteration, d.datum.provenance.round) == (iteration, round)
            };
            let data: Vec<JudgedDatum> = from.data.iter().filter(of).cloned().collect();
            store.put_data(iteration, round, &data).unwrap();
        }
    }
    store.put_teacher_calls(&from.calls).unwrap();
    for point in &from.curve {
        store.put_training_progress(0, *point).unwrap();
    }
    let of = |i: &&TaskInstance| i.split == Split::Validation;
    let scored: Vec<_> = from
        .instances
        .iter()
        .filter(of)
        .filter_map(|i| Some((i, from.predictions.iter().find(|p| p.instance_id == i.id)?)))
        .collect();
    let mut episode = Episode::new(rules);
    let report = Report::new(0, Split::Validation, &scored)
        .filter(reads_back)
        .map(|report| Fact::Evaluated { report, teacher_tokens: 0 });
    let done = report.map(|fact| Event::Completed { fact, elapsed_ms: run.as_os_str().len() as u64 });
    for event in [Event::Opened, Event::Commanded { command: Command::Run }].into_iter().chain(done) {
        episode.handle(event.clone());
        store.append(&event, &episode).unwrap();
    }
    run
}

/// An order for everything.
pub(super) fn order(run: &Path, format: Format, container: Container) -> ExportOrder {
    ExportOrder {
        run: run.to_owned(),
        format,
        container,
        metadata: true,
        images: Images::Files,
        filter: Filter::default(),
        kinds: Kind::ALL.to_vec(),
        shard_bytes: 1 << 20,
    }
}

pub(super) fn exported(order: &ExportOrder, folder: &Path) -> ExportSummary {
    export(order, &Target { folder: folder.to_owned(), replace: false }).unwrap()
}

pub(super) fn importing(path: &Path, place: &Path) -> ImportOrder {
    let name = place.file_name().unwrap().to_string_lossy().into_owned();
    ImportOrder { path: path.to_owned(), format: None, name, place: place.to_owned(), seed: 1, created_ms: 2 }
}

pub(super) fn imported(path: &Path, place: &Path) -> ImportSummary {
    import(&importing(path, place)).unwrap()
}

/// What an import that must fail says.
pub(super) fn refused(path: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("run");
    let said = import(&importing(path, &place)).unwrap_err().to_string();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "a failed import leaves nothing behind: {said}");
    said
}

/// Every record of a run with its ULID.
pub(super) fn everything(run: &Path) -> Vec<(String, Record)> {
    let source = Source::open(run).unwrap();
    let mut found = Vec::new();
    for kind in Kind::ALL {
        source
            .each_record(kind, &mut |ulid, record| {
                found.push((ulid.to_string(), record));
                Ok(())
            })
            .unwrap();
    }
    for judged in data(run) {
        found.push((judged.0, Record::Datum(judged.1)));
    }
    found
}

/// The data of a run with their ULIDs.
pub(super) fn data(run: &Path) -> Vec<(String, JudgedDatum)> {
    let mut found = Vec::new();
    Source::open(run)
        .unwrap()
        .each_datum(&Filter::default(), &mut |ulid, judged| {
            found.push((ulid.to_string(), judged));
            Ok(())
        })
        .unwrap();
    found
}

/// Every file below a folder with its bytes.
pub(super) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(&below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}
