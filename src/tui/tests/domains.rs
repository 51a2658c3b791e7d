//! Samples of the four domains, teacher calls, and the way from an error to a datum.

use super::*;
use crate::gym::datum::{CheckResult, Review, Verdict, Wording};
use crate::gym::instance::{Content, ImageRef, ProgramTest, TaskInstance, ToolCall, ToolDescription};
use crate::gym::ports::{ChatRequest, Ledger, Sampling};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};
use crate::store::ScoredPrediction;
use crate::tui::canvas::Marks;
use crate::tui::facts::{Answers, Behind, Order, Page, Sample};
use crate::tui::picture::Picture;
use crate::tui::theme::Depth;

fn instance(content: Content) -> TaskInstance {
    TaskInstance {
        id: "validation-0007".into(),
        task: "scripted".into(),
        split: Split::Validation,
        skill: Some("lists".into()),
        subskill: Some("sums".into()),
        key: "k".into(),
        facets: std::collections::BTreeMap::new(),
        content,
    }
}

fn answered(content: Content, response: &str, answer: &str) -> Sample {
    let prediction = Prediction {
        instance_id: "validation-0007".into(),
        response: response.into(),
        answer: Some(answer.into()),
        correct: false,
        tokens: 21,
        finish: FinishReason::Stop,
    };
    Sample::Prediction(Box::new(ScoredPrediction { instance: instance(content), prediction }))
}

fn object(text: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(text).unwrap()
}

fn code() -> Sample {
    let content = Content::Programming {
        instruction: "Add the numbers of a line.".into(),
        starter_code: Some("def total(line):\n    ...".into()),
        solution: Some("def total(line):\n    return sum(map(int, line.split()))".into()),
        tests: vec![
            ProgramTest::StandardInput { input: "1 2 3\n".into(), output: "6\n".into() },
            ProgramTest::Assertion { code: "assert total('') == 0".into() },
        ],
    };
    answered(
        content,
        "I loop.\n```python\ndef total(line):\n\tn = 0\n\tfor x in line:\n\t\tn += x\n\treturn n\n```",
        "n",
    )
}

fn tools() -> Sample {
    let tool = |name: &str, description: &str| ToolDescription {
        name: name.into(),
        description: description.into(),
        parameters: serde_json::Value::Null,
    };
    let content = Content::ToolUse {
        request: "Tell Ada what the weather in Bern is.".into(),
        tools: vec![tool("weather", "the weather of a city"), tool("mail", "writes to somebody")],
        plan: vec![
            ToolCall { tool: "weather".into(), arguments: object("{\"city\": \"Bern\"}") },
            ToolCall { tool: "mail".into(), arguments: object("{\"text\": \"$1\", \"to\": \"Ada\"}") },
        ],
    };
    answered(content, "[{\"tool\": \"mail\", \"arguments\": {\"days\": 3, \"to\": \"Ada\"}}]", "mail")
}

/// A red square with a blue corner.
fn picture() -> Picture {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 12, 12);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixel = |n: usize| if n % 12 < 4 && n / 12 < 4 { [0, 0, 250] } else { [250, 20, 20] };
    let data: Vec<u8> = (0..144).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    Picture::decode(&bytes).unwrap()
}

fn image() -> Sample {
    let content = Content::VisualQuestionAnswering {
        question: "Which colour has the corner?".into(),
        image: ImageRef { sha256: "00".into(), media_type: "image/png".into(), size: (12, 12) },
        choices: vec!["red".into(), "blue".into()],
        answers: vec!["blue".into()],
    };
    answered(content, "red", "red")
}

pub(super) fn call(outcome: CallOutcome) -> TeacherCall {
    TeacherCall {
        id: "call-1".into(),
        model: "teacher-8b".into(),
        request: ChatRequest::text("Write 2 problems about sums.", Sampling::Greedy, 100),
        context: CallContext {
            iteration: 2,
            round: 0,
            phase: Phase::Generate,
            prompt: "problems@1".into(),
            allocation: Some(3),
        },
        reply: "1. What is 3 + 4?\n2. What is 5 + 6?".into(),
        prompt_tokens: 40,
        reply_tokens: 18,
        finish: FinishReason::Stop,
        outcome,
    }
}

/// A screen with one sample in full.
fn reading(name: &str, size: (u16, u16), sample: Sample, behind: Behind) -> (tempfile::TempDir, Desk) {
    let (folder, mut desk) = scene("training", size);
    desk.press("4");
    desk.app.samples.list = match sample {
        Sample::Datum(_) => crate::tui::app::List::Training,
        Sample::Prediction(_) => crate::tui::app::List::Predictions,
        Sample::Call(_) => crate::tui::app::List::Calls,
    };
    let listing = desk.app.listing();
    desk.app.samples.page = Some(Page {
        listing,
        order: Order::Newest,
        offset: 0,
        limit: 1,
        total: 1,
        exact: true,
        samples: vec![sample],
        held: None,
        behind,
    });
    desk.app.samples.selected = 0;
    desk.app.zoom = true;
    assert!(desk.app.selected_sample().is_some(), "{name}");
    (folder, desk)
}

#[test]
fn a_long_reply_of_the_teacher_says_where_the_rest_is() {
    let (_folder, mut desk) = scene("checked", (120, 40));
    desk.press("4");
    let mut judged = desk.app.selected_datum().unwrap().clone();
    judged.datum.provenance.teacher_call = Some("call-1".into());
    let lines = |n: usize| (1..=n).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    let shown = |rows| {
        let reply = TeacherCall { reply: lines(rows), ..call(CallOutcome::Used) };
        let behind = Behind { call: Some(reply), ..Behind::default() };
        let sample = Sample::Datum(Box::new(judged.clone()));
        let (_folder, desk) = reading("reply", (120, 200), sample, behind);
        desk.text()
    };
    let long = shown(40);
    assert!(long.contains("line 12") && !long.contains("line 13"), "{long}");
    assert!(long.contains("28 more lines; J goes to the call"), "{long}");
    assert!(!shown(12).contains("goes to the call"));
}

#[test]
fn each_domain_has_its_own_view() {
    for (name, sample) in [("code", code()), ("tools", tools()), ("image", image())] {
        let pictures = if name == "image" { vec![Ok(picture())] } else { Vec::new() };
        for (width, height) in [(80, 24), (120, 40), (200, 55)] {
            let behind = Behind { pictures: pictures.clone(), ..Behind::default() };
            let (_folder, mut desk) = reading(name, (width, height), sample.clone(), behind);
            desk.app.samples.reading = true;
            insta::assert_snapshot!(format!("domain_{name}_{width}x{height}"), desk.frame());
        }
    }
}

#[test]
fn an_image_is_half_blocks_in_colour_and_shades_without() {
    let behind = || Behind { pictures: vec![Ok(picture())], ..Behind::default() };
    let (_folder, mut desk) = reading("image", (120, 40), image(), behind());
    let buffer = desk.draw();
    let blocks: Vec<_> = buffer.content().iter().filter(|cell| cell.symbol() == "▀").collect();
    assert_eq!(blocks.len() % 12, 0);
    let red = ratatui::style::Color::Rgb(250, 20, 20);
    assert!(
        blocks.iter().any(|cell| cell.fg == red) && blocks[0].fg == ratatui::style::Color::Rgb(0, 0, 250)
    );
    (desk.app.depth, desk.app.glyphs) = (Depth::None, &Marks::ASCII);
    let shown = desk.text().replace(['·', '…', '°'], "");
    assert!(shown.is_ascii() && shown.contains("##"), "{shown}");
    let unreadable =
        Behind { pictures: vec![Err("only PNG images are shown here".into())], ..Behind::default() };
    let (_folder, desk) = reading("image", (120, 40), image(), unreadable);
    assert!(desk.text().contains("image 1: only PNG images are shown here"));
}

#[test]
fn a_datum_shows_the_way_from_the_error_to_the_review() {
    let (_folder, desk) = scene("training", (120, 40));
    let Some(Sample::Datum(mut judged)) = desk.app.samples.page.as_ref().and_then(|p| p.sample(0).cloned())
    else {
        panic!()
    };
    judged.datum.provenance.teacher_call = Some("call-1".into());
    judged.datum.provenance.source_errors = vec!["validation-0007".into()];
    judged.checks.push(CheckResult {
        check: "known".into(),
        passed: false,
        filters: false,
        score: Some(0.75),
        reason: "the student answers it already".into(),
    });
    let original =
        Wording { instruction: "What were 11 and 3?".into(), response: "#### 33".into(), answer: None };
    judged.review = Some(Review {
        verdict: Some(Verdict::Accepted),
        original: Some(original),
        note: Some("reworded".into()),
    });
    let given = |iteration, answer: &str, correct| {
        let prediction = Prediction {
            instance_id: "validation-0007".into(),
            response: String::new(),
            answer: Some(answer.into()),
            correct,
            tokens: 3,
            finish: FinishReason::Stop,
        };
        (iteration, prediction)
    };
    let question = Content::Mathematics {
        question: "What is 11 x 3?".into(),
        options: Vec::new(),
        answer: "33".into(),
        solution: None,
    };
    let answers = vec![Answers {
        instance_id: "validation-0007".into(),
        instance: Some(instance(question)),
        by_iteration: vec![given(0, "14", false), given(1, "33", true)],
    }];
    let behind = Behind { answers, call: Some(call(CallOutcome::Used)), pictures: Vec::new() };
    for (width, height) in [(80, 24), (120, 60), (200, 55)] {
        let sample = Sample::Datum(judged.clone());
        let (_folder, desk) = reading("provenance", (width, height), sample, behind.clone());
        insta::assert_snapshot!(format!("provenance_{width}x{height}"), desk.frame());
    }
}

#[test]
fn teacher_calls_are_a_list_of_their_own() {
    let (folder, mut desk) = scene("checked", (120, 40));
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    let malformed = TeacherCall {
        id: "call-2".into(),
        ..call(CallOutcome::Malformed { reason: "no answer in it".into() })
    };
    player.store.put_teacher_calls(&[call(CallOutcome::Used), malformed]).unwrap();
    desk.settle();
    desk.press("4tt");
    assert_eq!(desk.app.listed(), 2);
    insta::assert_snapshot!("teacher_calls_120x40", desk.frame());
    desk.press("aa");
    assert_eq!(desk.app.listed(), 1);
    assert!(desk.text().contains("malformed: no answer in it"));
    for (width, height) in [(80, 24), (200, 55)] {
        desk.tell(Message::Resize(width, height));
        insta::assert_snapshot!(format!("teacher_calls_{width}x{height}"), desk.frame());
    }
}
