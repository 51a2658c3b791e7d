//! The made-up run: data, predictions and reports, a pure function of their numbers.

use crate::gym::budget::Budget;
use crate::gym::datum::{CheckResult, JudgedDatum, Provenance, Review, TrainingDatum, Verdict};
use crate::gym::episode::EpisodeRules;
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::plan::{Action, Allocation, Plan, SkillAction};
use crate::gym::ports::Fact;
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::report::Report;
use crate::gym::rng::CounterRng;
use crate::gym::skill_forest::{SkillExperience, SkillForest, Subskill};
use crate::store::RunRecord;

pub(super) const SKILLS: usize = 12;
const SUBSKILLS: usize = 5;
/// Words of the language the texts are written in.
const VOCABULARY: u64 = 20_000;
/// Validation instances; as many test instances.
pub(super) const INSTANCES: usize = 600;

pub(super) fn record(iterations: usize) -> RunRecord {
    RunRecord {
        name: "bench".into(),
        task: "made up".into(),
        policy: "by_error".into(),
        engine: "procedural".into(),
        student: "embedded".into(),
        seed: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        rules: EpisodeRules {
            budget: Budget { iterations: iterations as u32, ..Budget::default() },
            ..EpisodeRules::default()
        },
        created_ms: 0,
    }
}

pub(super) fn all_instances() -> Vec<TaskInstance> {
    [Split::Validation, Split::Test].into_iter().flat_map(instances).collect()
}

pub(super) fn answers(iteration: u32, split: Split) -> (Vec<TaskInstance>, Vec<Prediction>) {
    let instances = instances(split);
    let answer = |instance: &TaskInstance| {
        let mut rng = CounterRng::keyed(u64::from(iteration), &instance.id);
        let response = text(&mut rng, 40);
        Prediction {
            instance_id: instance.id.clone(),
            response,
            answer: Some("7".into()),
            correct: rng.below(100) < 60,
            tokens: 60,
            finish: FinishReason::Stop,
        }
    };
    let answers = instances.iter().map(answer).collect();
    (instances, answers)
}

pub(super) fn report(iteration: u32, split: Split, asked: &[TaskInstance], said: &[Prediction]) -> Fact {
    let scored: Vec<_> = asked.iter().zip(said).collect();
    match Report::new(iteration, split, &scored) {
        Some(report) => Fact::Evaluated { report, teacher_tokens: 0 },
        None => Fact::Trained { outcome: None },
    }
}

pub(super) fn plan(iteration: u32, before: &SkillForest) -> Fact {
    let mut forest = before.clone();
    if forest.trees.is_empty() {
        let names: Vec<String> = (0..SKILLS).map(skill).collect();
        forest = SkillForest::new(names.iter().map(String::as_str));
        for tree in &mut forest.trees {
            let of = |n| Subskill { name: subskill(n), allocation: 10, produced: 0 };
            tree.subskills = (0..SUBSKILLS).map(of).collect();
        }
    }
    let deltas = || (0..SUBSKILLS).map(|n| (subskill(n), 1)).collect();
    let action = |s| SkillAction { skill: skill(s), action: Action::Exploit { deltas: deltas() } };
    for tree in &mut forest.trees {
        tree.history.push(SkillExperience {
            iteration,
            action: Action::Exploit { deltas: deltas() },
            accuracy_before: 0.5,
            accuracy_after: None,
            produced: 100,
        });
    }
    let pairs = (0..SKILLS).flat_map(|s| (0..SUBSKILLS).map(move |n| (s, n)));
    let allocation =
        |(s, n)| Allocation { skill: skill(s), subskill: subskill(n), count: 10, shown: Vec::new() };
    let plan = Plan {
        iteration,
        round: 0,
        policy: "by_error".into(),
        actions: (0..SKILLS).map(action).collect(),
        allocations: pairs.map(allocation).collect(),
        edited: false,
    };
    Fact::Planned { plan, forest: before.change_to(&forest), teacher_tokens: 0 }
}

/// The data of one round, about 1,200 bytes each.
pub(super) fn data(iteration: u32, count: usize) -> Vec<JudgedDatum> {
    (0..count).map(|n| datum(iteration, n)).collect()
}

pub(super) fn skill(n: usize) -> String {
    format!("skill {n}")
}

pub(super) fn subskill(n: usize) -> String {
    format!("subskill {n}")
}

/// The word of a rank; low ranks are common.
pub(super) fn word(rank: u64) -> String {
    format!("w{rank}")
}

/// Words by Zipf's law, roughly: the rank is the exponential of a uniform number.
fn text(rng: &mut CounterRng, words: usize) -> String {
    let ranks = (0..words).map(|_| (VOCABULARY as f64).powf(rng.unit()) as u64);
    ranks.map(word).collect::<Vec<_>>().join(" ")
}

fn instances(split: Split) -> Vec<TaskInstance> {
    let one = |n: usize| TaskInstance {
        id: format!("{}-{n:05}", split.as_str()),
        task: "made up".into(),
        split,
        skill: Some(skill(n % SKILLS)),
        subskill: Some(subskill(n % SUBSKILLS)),
        facets: std::collections::BTreeMap::new(),
        key: n.to_string(),
        content: Content::Mathematics {
            question: format!("What is {n} and {n}?"),
            options: Vec::new(),
            answer: n.to_string(),
            solution: None,
        },
    };
    (0..INSTANCES).map(one).collect()
}

fn datum(iteration: u32, n: usize) -> JudgedDatum {
    let id = format!("i{iteration:03}-r0-{n:05}");
    let mut rng = CounterRng::keyed(7, &id);
    let draw = |rng: &mut CounterRng, below: usize| rng.below(below as u64) as usize;
    let verdict = match rng.below(100) {
        0..80 => Verdict::Accepted,
        80..97 => Verdict::Rejected,
        _ => Verdict::Pending,
    };
    let failed = ["leakage", "duplicate", "answer"][draw(&mut rng, 3)];
    let check = |name: &str| CheckResult {
        check: name.into(),
        passed: verdict == Verdict::Accepted || name != failed,
        filters: true,
        score: None,
        reason: "a sentence that says what was found".into(),
    };
    let checks = if verdict == Verdict::Pending {
        vec![]
    } else {
        ["leakage", "duplicate", "answer"].map(check).to_vec()
    };
    let errors = rng.below(3);
    let provenance = Provenance {
        iteration,
        round: 0,
        engine: ["procedural", "selection", "teacher"][draw(&mut rng, 3)].into(),
        allocation: rng.below(60) as u32,
        draw: n as u64,
        source_errors: (0..errors)
            .map(|_| format!("validation-{:05}", rng.below(INSTANCES as u64)))
            .collect(),
        source_instance: None,
        teacher_call: None,
    };
    let review = (rng.below(100) == 0).then(|| Review { verdict: Some(verdict), ..Review::default() });
    let datum = TrainingDatum {
        instruction: text(&mut rng, 30),
        question: None,
        response: text(&mut rng, 50),
        answer: Some(rng.below(1000).to_string()),
        rejected_response: None,
        images: Vec::new(),
        skill: skill(draw(&mut rng, SKILLS)),
        subskill: subskill(draw(&mut rng, SUBSKILLS)),
        key: n.to_string(),
        id,
        provenance,
    };
    JudgedDatum { datum, verdict, checks, review }
}
