//! A teacher by heart, and engines without any help.

use super::*;
use crate::agents::policies::tests::Heart;
use crate::gym::instance::ImageRef;
use crate::gym::plan::Allocation;
use crate::gym::ports::{Example, Rendered, Teacher};
use crate::tasks::arithmetic::ArithmeticTask;

/// Aids that nobody should need.
pub(crate) struct NoAids;

impl Teacher for NoAids {
    fn render(&self, _: &str, _: &serde_json::Value) -> Result<Rendered, PortError> {
        Err(PortError::fatal("nobody to ask"))
    }

    fn ask(&mut self, _: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        Err(PortError::fatal("nobody to ask"))
    }

    fn malformed(&mut self, _: &TeacherCall, _: String) -> Result<(), PortError> {
        Ok(())
    }
}

impl EngineAids for NoAids {
    fn used(&self, _: &str) -> bool {
        false
    }

    fn shown(&self, _: &str) -> Option<Example<'_>> {
        None
    }

    fn draw(&mut self, _: &str, _: u64) -> Result<ImageRef, PortError> {
        Err(PortError::fatal("nobody to draw"))
    }

    fn wrote(&mut self, _: u64) {}
}

impl EngineAids for Heart<'_> {
    fn used(&self, _: &str) -> bool {
        false
    }

    fn shown(&self, _: &str) -> Option<Example<'_>> {
        None
    }

    fn draw(&mut self, _: &str, _: u64) -> Result<ImageRef, PortError> {
        Err(PortError::fatal("nobody to draw"))
    }

    fn wrote(&mut self, _: u64) {}
}

fn entries(tag: usize, count: usize) -> String {
    let entry = |n| format!(r#"{{"question": "q{tag}-{n}?", "reasoning": "so", "answer": "{n}"}}"#);
    format!(r#"{{"data": [{}]}}"#, (0..count).map(entry).collect::<Vec<_>>().join(","))
}

fn generate(
    counts: &[u32],
    rule: &dyn Fn(usize, &Question) -> String,
) -> (Vec<TrainingDatum>, Vec<Question>, Vec<String>) {
    generate_as(TaughtSettings { data_per_question: 4, ..TaughtSettings::default() }, counts, rule)
}

fn generate_as(
    settings: TaughtSettings,
    counts: &[u32],
    rule: &dyn Fn(usize, &Question) -> String,
) -> (Vec<TrainingDatum>, Vec<Question>, Vec<String>) {
    let engine = Taught::new(settings, Arc::new(ArithmeticTask::new(1, 1, 64)));
    let allocation =
        |&count: &u32| Allocation { skill: "add".into(), subskill: "small".into(), count, shown: Vec::new() };
    let allocations: Vec<Allocation> = counts.iter().map(allocation).collect();
    let job = EngineJob { seed: 1, iteration: 1, round: 0, allocations: &allocations };
    let mut aids = Heart::new(rule);
    let data = engine.generate(&job, &mut aids).unwrap();
    (data, aids.asked, aids.malformed)
}

#[test]
fn allocations_are_asked_in_portions_and_surplus_is_cut() {
    let (data, asked, malformed) = generate(&[6, 3], &|n, _| entries(n, 9));
    assert_eq!((data.len(), asked.len(), malformed.len()), (9, 3, 0));
    let draws: Vec<(u32, u64)> = data.iter().map(|d| (d.provenance.allocation, d.provenance.draw)).collect();
    assert_eq!(draws, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 0), (1, 1), (1, 2)]);
    assert_eq!(data[4].provenance.teacher_call.as_deref(), Some("call-1"));
    assert_eq!((data[0].response.as_str(), data[0].answer.as_deref()), ("so #### 0", Some("0")));
    assert!(asked[0].request.prompt.contains("Write 4 new exercises"), "{}", asked[0].request.prompt);
}

#[test]
fn what_is_missing_is_asked_for_once_more_with_what_is_there() {
    let (data, asked, _) = generate(&[4], &|n, _| entries(n, 3 - 2 * n));
    assert_eq!((data.len(), asked.len()), (4, 2));
    assert!(asked[1].request.prompt.contains("Write 1 new") && asked[1].request.prompt.contains("- q0-2?"));
    assert_ne!(asked[0].request.sampling, asked[1].request.sampling);
}

#[test]
fn a_malformed_answer_is_noted_and_asked_again_once() {
    let (data, asked, malformed) = generate(&[2], &|_, _| "no".into());
    assert_eq!((data.len(), asked.len()), (0, 2));
    assert_eq!(malformed, ["call-0", "call-1"]);
}

#[test]
fn a_layout_is_asked_for_and_what_is_written_in_it_stays() {
    let steps = "## Step 1: count\n1 + 1 = 2\n## Step 2: answer\n2";
    let reply =
        serde_json::json!({"data": [{"question": "1 + 1?", "reasoning": steps, "answer": "2"}]}).to_string();
    for (layout, asked_for) in [(Layout::Plain, false), (Layout::Headings, true)] {
        let settings = TaughtSettings { layout, ..TaughtSettings::default() };
        let (data, asked, _) = generate_as(settings, &[1], &|_, _| reply.clone());
        assert_eq!(asked[0].request.prompt.contains("\"## Step 1: what is done\""), asked_for);
        assert_eq!(data[0].response, format!("{steps} #### 2"));
    }
}
