//! The checks together.

use super::*;
use crate::gym::datum::{CheckResult, Provenance, Review, Verdict};
use crate::gym::instance::{Domain, Split};
use crate::tasks::arithmetic::ArithmeticTask;
use crate::worlds::arithmetic::{self, Skill};

fn datum(instruction: &str, response: &str, answer: Option<&str>, key: &str) -> TrainingDatum {
    TrainingDatum {
        id: instruction.into(),
        instruction: instruction.into(),
        question: None,
        response: response.into(),
        answer: answer.map(str::to_owned),
        rejected_response: None,
        images: Vec::new(),
        skill: "s".into(),
        subskill: "t".into(),
        key: key.into(),
        provenance: Provenance {
            iteration: 1,
            round: 0,
            engine: "e".into(),
            allocation: 0,
            draw: 0,
            source_errors: Vec::new(),
            source_instance: None,
            teacher_call: None,
        },
    }
}

fn judged(settings: &CheckSettings, earlier: &[TrainingDatum], datum: TrainingDatum) -> JudgedDatum {
    let task = ArithmeticTask::new(20, 20, 64);
    judge(JudgedDatum::pending(datum), &mut pure(settings, &task, earlier), &settings.filter)
}

fn failed(judged: &JudgedDatum) -> String {
    let failed = judged.checks.iter().filter(|c| !c.passed);
    failed.map(|c| c.check.as_str()).collect::<Vec<_>>().join(",")
}

#[test]
fn each_check_rejects_what_it_is_for() {
    let task = ArithmeticTask::new(20, 20, 64);
    let held = &task.instances(Split::Validation)[0];
    let again = held.content.question().to_uppercase();
    let long = task.instances(Split::Test).iter().find(|i| i.skill.as_deref() == Some("wp_add")).unwrap();
    let extended = format!("{} Tell me", long.content.question());
    let earlier = [datum("Old  question", "", None, "")];
    let cases = [
        (datum("2+4?", "2+4=6. #### 6", Some("6"), "2 4"), Verdict::Accepted, ""),
        (datum(&again, "#### 5", Some("5"), "new"), Verdict::Rejected, "arithmetic,leakage"),
        (datum("key of it", "#### 5", Some("5"), &held.key), Verdict::Rejected, "leakage"),
        (datum(&extended, "#### 5", Some("5"), "new"), Verdict::Rejected, "overlap"),
        (datum("old question.", "#### 5", Some("5"), "5"), Verdict::Rejected, "duplicate,near_duplicate"),
        (datum("some question", "#### 8", Some("7"), "2 5"), Verdict::Rejected, "form"),
        (datum("some question", "seven", Some("7"), "2 5"), Verdict::Rejected, "form"),
        (datum("What is 2 + 5?", "#### 8", Some("8"), "2 5"), Verdict::Rejected, "arithmetic"),
        (datum("Say hello", "hello", None, "say hello"), Verdict::Accepted, ""),
    ];
    for (datum, verdict, expected) in cases {
        let judged = judged(&CheckSettings::default(), &earlier, datum);
        assert_eq!((judged.verdict, failed(&judged)), (verdict, expected.to_owned()), "{judged:?}");
    }
}

#[test]
fn what_filters_is_configuration_and_the_oracle_can_be_left_out() {
    let wrong = || datum("What is 2 + 5?", "#### 8", Some("8"), "2 5");
    let graded = CheckSettings { filter: BTreeSet::new(), ..CheckSettings::default() };
    let result = judged(&graded, &[], wrong());
    assert_eq!((result.verdict, failed(&result)), (Verdict::Accepted, "arithmetic".to_owned()));
    let off = CheckSettings { arithmetic: false, ..CheckSettings::default() };
    assert_eq!(failed(&judged(&off, &[], wrong())), "");
}

/// The reference's pattern: of every four data the odd ones are corrupted, and of the others the student
/// knows every second one.
#[test]
fn the_reference_pattern_of_known_and_corrupted_data() {
    let task = ArithmeticTask::new(2, 2, 64);
    let settings = CheckSettings::default();
    let mut checks = pure(&settings, &task, &[]);
    let result = |index: u32| {
        let answer = format!("{index}");
        let stated = if index % 2 == 1 { "corrupted".to_owned() } else { answer.clone() };
        let datum = datum(&format!("question {index}"), &format!("#### {stated}"), Some(&answer), &answer);
        let judged = judge(JudgedDatum::pending(datum), &mut checks, &settings.filter);
        if judged.verdict != Verdict::Accepted {
            return (false, None);
        }
        let instance = claimed(&judged.datum, &task).unwrap();
        let said = if index.is_multiple_of(4) { "#### wrong".to_owned() } else { format!("#### {answer}") };
        (true, Some(known(&[said], &instance, &task).passed))
    };
    let results: Vec<(bool, Option<bool>)> = (0..8).map(result).collect();
    let expected = [(true, Some(true)), (false, None), (true, Some(false)), (false, None)];
    assert_eq!(results, [expected, expected].concat());
}

#[test]
fn votes_are_counted_by_the_scorer_of_the_task() {
    let task = ArithmeticTask::new(2, 2, 64);
    let instance = claimed(&datum("2+5?", "#### 7", Some("7"), ""), &task).unwrap();
    let mut agreement = Agreement::default();
    for (vote, readable) in [
        (r#"{"reasoning": "", "answer": "7"}"#, true),
        (r#"{"reasoning": "", "answer": 7}"#, true),
        (r#"{"reasoning": "", "answer": "none"}"#, true),
        (r#"{"reasoning": "so"#, false),
        (r#"{"answer": ["7"]}"#, false),
    ] {
        let read = super::vote(vote, Domain::Mathematics);
        assert_eq!(read.is_ok(), readable, "{vote}");
        agreement.count(read.ok().as_deref(), &instance, &task);
    }
    let result = agreement.result();
    assert!(!result.passed && (result.score.unwrap() - 0.4).abs() < 1e-12, "{result:?}");
    assert!(result.reason.contains("1 found no solution, 2 could not be read"), "{}", result.reason);
}

#[test]
fn the_recorded_votes() {
    let task = ArithmeticTask::new(2, 2, 64);
    let instance = claimed(&datum("2+5?", "#### 7", Some("7"), ""), &task).unwrap();
    for answer in crate::prompts::tests::recorded("solve") {
        let mut agreement = Agreement::default();
        let read = vote(&answer.reply, Domain::Mathematics);
        agreement.count(read.as_deref().ok(), &instance, &task);
        let same = agreement.result().score.unwrap_or_default();
        assert_eq!(
            crate::prompts::tests::summary(read.map(|_| format!("{same} of 1"))),
            answer.expected,
            "{}",
            answer.name
        );
    }
}

#[test]
fn the_embedded_world_does_not_contaminate_itself() {
    let task = ArithmeticTask::new(40, 150, 64);
    let settings = CheckSettings::default();
    let mut checks = pure(&settings, &task, &[]);
    let mut most: f64 = 0.0;
    for skill in Skill::ALL {
        for index in 0..150 {
            let p = arithmetic::sample(skill, None, arithmetic::Split::Pool, 9, index).unwrap();
            let judged = judge(
                JudgedDatum::pending(datum(&p.question, &p.response, Some(&p.answer), &p.key)),
                &mut checks,
                &settings.filter,
            );
            let graver = judged.checks.iter().filter(|c| !c.passed && !c.check.ends_with("duplicate"));
            assert_eq!(graver.count(), 0, "{judged:?}");
            let overlap = judged.checks.iter().find(|c| c.check == OVERLAP).and_then(|c| c.score);
            most = most.max(overlap.unwrap_or(0.0));
        }
    }
    assert!(most < settings.overlap, "{most}");
}

fn sound(id: usize) -> JudgedDatum {
    let mut judged = JudgedDatum::pending(datum("What is 1 + 1?", "1 + 1 = 2. #### 2", Some("2"), "1+1"));
    judged.datum.id = format!("d{id:02}");
    judged.verdict = Verdict::Accepted;
    judged.checks = vec![CheckResult {
        check: "form".into(),
        passed: true,
        filters: true,
        score: None,
        reason: String::new(),
    }];
    judged
}

fn taken(judged: &[JudgedDatum]) -> Vec<&str> {
    let accepted = judged.iter().filter(|d| d.verdict == Verdict::Accepted);
    accepted.map(|d| d.datum.id.as_str()).collect()
}

#[test]
fn a_draw_keeps_as_many_as_there_is_room_for() {
    let round: Vec<JudgedDatum> = (0..20).map(sound).collect();
    let ids: Vec<String> = round.iter().map(|d| d.datum.id.clone()).collect();
    let (once, again) = (within_budget(round.clone(), 7, 1), within_budget(round.clone(), 7, 1));
    assert_eq!(taken(&once).len(), 7);
    assert_eq!(once, again);
    assert_ne!(taken(&once), taken(&within_budget(round.clone(), 7, 2)), "the seed decides");
    assert_eq!(once.iter().map(|d| d.datum.id.clone()).collect::<Vec<_>>(), ids, "the order stays");
    let left_out = once.iter().filter(|d| d.verdict == Verdict::Rejected);
    assert!(left_out.into_iter().all(|d| d.checks.last().is_some_and(|c| c.check == BUDGET)));
    assert_eq!(taken(&within_budget(round.clone(), 20, 1)).len(), 20);
    assert_eq!(taken(&within_budget(round, 0, 1)).len(), 0);
}

#[test]
fn a_persons_choice_comes_first() {
    let mut round: Vec<JudgedDatum> = (0..20).map(sound).collect();
    for place in [3, 11, 17] {
        round[place].review = Some(Review { verdict: Some(Verdict::Accepted), ..Review::default() });
    }
    assert_eq!(taken(&within_budget(round.clone(), 3, 1)), ["d03", "d11", "d17"]);
    assert_eq!(taken(&within_budget(round, 1, 1)), ["d03", "d11", "d17"], "and is never taken back");
}
