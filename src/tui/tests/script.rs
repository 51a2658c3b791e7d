//! A scripted run: the real store and the real episode, with made-up answers and data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::gym::budget::Budget;
use crate::gym::datum::{CheckResult, JudgedDatum, Provenance, TrainingDatum, Verdict};
use crate::gym::episode::{Command, Effect, Episode, EpisodeRules, Event, Phase, Work};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::plan::{Action, Plan, SkillAction};
use crate::gym::ports::{
    Checkpoint, EnvironmentKind, Fact, Ledger, TrainingAccount, TrainingOutcome, TrainingProgress,
};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::report::Report;
use crate::gym::review::{DataSelection, DatumEdit, counts};
use crate::gym::skill_forest::{ForestChange, SkillExperience, SkillForest};
use crate::store::{RunRecord, Store};

/// Name, right answers in per cent before training, gain per iteration, subskills.
pub(crate) const SKILLS: [(&str, u32, u32, &[&str]); 12] = [
    ("addition", 91, 1, &["two digits", "three digits", "with carry"]),
    ("subtraction", 84, 2, &["two digits", "three digits", "with borrow"]),
    ("multiplication", 41, 9, &["one by two digits", "two by two digits"]),
    ("division", 33, 8, &["exact", "with remainder"]),
    ("powers", 28, 11, &["squares", "cubes"]),
    ("fractions", 12, 7, &["same denominator", "unlike denominators", "simplify"]),
    ("decimals", 55, 4, &["add decimals", "compare decimals"]),
    ("percentages", 22, 10, &["of a number", "increase and decrease"]),
    ("modular arithmetic", 47, 3, &["small modulus", "large modulus"]),
    ("equations", 38, 6, &["one step", "two steps"]),
    ("order of operations", 61, 3, &["with brackets", "without brackets"]),
    ("word problems", 8, 5, &["one step", "two steps", "with units"]),
];
const PER_SKILL: usize = 50;

pub(crate) fn record(name: &str) -> RunRecord {
    RunRecord {
        name: name.into(),
        task: "arithmetic".into(),
        policy: "by_error".into(),
        engine: "procedural".into(),
        student: "embedded".into(),
        seed: 7,
        version: "0.1.0".into(),
        rules: EpisodeRules {
            environment: EnvironmentKind::SkillTree,
            budget: Budget { iterations: 3, ..Budget::default() },
            rounds: 1,
            test_every_iteration: false,
            gates: BTreeSet::new(),
            retries: 1,
        },
        created_ms: 0,
    }
}

pub(crate) fn instances(split: Split) -> Vec<TaskInstance> {
    let one = |(s, n): (usize, usize)| {
        let (skill, _, _, subskills) = SKILLS[s];
        let (a, b) = (17 + 13 * n + s, 3 + 7 * n);
        TaskInstance {
            id: format!("{}-{:04}", split.as_str(), n * SKILLS.len() + s),
            task: "arithmetic".into(),
            split,
            skill: Some(skill.into()),
            subskill: Some(subskills[n % subskills.len()].into()),
            key: format!("{skill} {a} {b}"),
            facets: std::collections::BTreeMap::new(),
            content: Content::Mathematics {
                question: format!("What is {a} and {b} under {skill}? Give the bare number."),
                options: Vec::new(),
                answer: (a * b % 997).to_string(),
                solution: None,
            },
        }
    };
    (0..PER_SKILL).flat_map(|n| (0..SKILLS.len()).map(move |s| (s, n))).map(one).collect()
}

/// A run that is played event by event.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) store: Store,
    pub(crate) episode: Episode,
    /// Whether the agent sees no skill tree: plans then keep no forest.
    pub(crate) flat: bool,
}

impl Player {
    pub(crate) fn create(folder: &Path, record: &RunRecord) -> Self {
        let all = [instances(Split::Validation), instances(Split::Test)].concat();
        let store = Store::create(folder, record, &all).unwrap();
        let flat = record.rules.environment != EnvironmentKind::SkillTree;
        let mut player = Self { store, episode: Episode::new(record.rules.clone()), flat };
        player.tell(&Event::Opened);
        player
    }

    /// Takes charge of a run that is there.
    pub(crate) fn open(folder: &Path) -> Self {
        let store = Store::open(folder).unwrap();
        let episode = store.replay().unwrap();
        let mut player = Self { store, episode, flat: false };
        player.tell(&Event::Opened);
        player
    }

    /// Goes on with the run that a screen shows, without a new process taking charge.
    pub(crate) fn open_as(folder: &Path, desk: &super::Desk) -> Self {
        let episode = desk.app.facts.clone().unwrap().episode;
        Self { store: Store::open(folder).unwrap(), episode, flat: false }
    }

    pub(crate) fn tell(&mut self, event: &Event) -> Vec<Effect> {
        let effects = self.episode.handle(event.clone());
        self.store.append(event, &self.episode).unwrap();
        for effect in &effects {
            if let Effect::Perform { work, .. } = effect {
                self.store.begin(*work).unwrap();
            }
        }
        effects
    }

    pub(crate) fn command(&mut self, command: Command) -> Vec<Effect> {
        self.tell(&Event::Commanded { command })
    }

    /// Changes data as a person asks for it.
    pub(crate) fn review(&mut self, selection: DataSelection, edit: DatumEdit) {
        let before = self.store.selected(&selection).unwrap();
        let after: Vec<JudgedDatum> = before.iter().cloned().map(|datum| edit.apply(datum)).collect();
        let (counts, data) = (counts(&before, &after), after.len() as u32);
        let event = Event::Reviewed { selection, edit, data, counts };
        self.episode.handle(event.clone());
        self.store.append_review(&event, &self.episode, &after, None).unwrap();
    }

    /// Finishes the work in hand.
    pub(crate) fn finish(&mut self, work: Work) -> Vec<Effect> {
        self.part(work, 1.0);
        let fact = self.fact(work);
        self.store.end(work).unwrap();
        self.tell(&Event::completed(fact))
    }

    /// Runs until `until` holds of the work that begins, or to the end.
    pub(crate) fn run(&mut self, until: impl Fn(Work) -> bool) {
        let mut effects = self.command(Command::Run);
        while let Some(Effect::Perform { work, .. }) = effects.first().copied() {
            if until(work) {
                return;
            }
            effects = self.finish(work);
        }
    }

    /// Writes the first `share` of what a work leaves in the database.
    pub(crate) fn part(&mut self, work: Work, share: f64) {
        let n = work.iteration;
        match (work.phase, work.split) {
            (Phase::Evaluate, Some(split)) => {
                let all = instances(split);
                let count = (all.len() as f64 * share) as usize;
                let new: Vec<_> = all[..count].iter().enumerate().map(|(i, t)| prediction(i, t, n)).collect();
                self.store.put_predictions(n, split, &new).unwrap();
            }
            (Phase::Generate | Phase::Check, _) => {
                let data = self.data(work);
                let count = (data.len() as f64 * share) as usize;
                self.store.put_data(n, work.round, &data[..count]).unwrap();
            }
            (Phase::Train, _) => {
                let steps = (80.0 * share) as u32;
                for step in 1..=steps {
                    self.store.put_training_progress(n, progress(step)).unwrap();
                }
            }
            _ => {}
        }
    }

    fn fact(&mut self, work: Work) -> Fact {
        let n = work.iteration;
        match work.phase {
            Phase::Evaluate => {
                let split = work.split.unwrap();
                let all = instances(split);
                let answers: Vec<_> = all.iter().enumerate().map(|(i, t)| prediction(i, t, n)).collect();
                let scored: Vec<_> = all.iter().zip(&answers).collect();
                Fact::Evaluated { report: Report::new(n, split, &scored).unwrap(), teacher_tokens: 0 }
            }
            Phase::Plan => self.plan(n),
            Phase::Generate => Fact::Generated { count: self.data(work).len() as u32, teacher_tokens: 0 },
            Phase::Check => {
                let data = self.data(work);
                let good = |d: &&JudgedDatum| d.verdict == Verdict::Accepted;
                let accepted = data.iter().filter(good).count() as u32;
                let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
                for judged in data.iter().filter(good) {
                    let key = (judged.datum.skill.clone(), judged.datum.subskill.clone());
                    *counts.entry(key).or_default() += 1;
                }
                let mut forest = self.episode.forest.clone();
                forest.record_produced(&counts);
                let forest = self.episode.forest.change_to(&forest);
                Fact::Checked {
                    accepted,
                    rejected: data.len() as u32 - accepted,
                    forest,
                    failed: std::collections::BTreeMap::new(),
                    teacher_tokens: 0,
                }
            }
            Phase::Train => {
                let outcome = TrainingOutcome {
                    checkpoint: Checkpoint::Full { folder: format!("checkpoints/iteration-{n:03}").into() },
                    steps: 80,
                    final_loss: 0.41,
                    tokens: 182_400,
                    account: TrainingAccount::default(),
                };
                Fact::Trained { outcome: Some(outcome) }
            }
        }
    }

    fn plan(&self, iteration: u32) -> Fact {
        let mut forest = match iteration {
            1 => SkillForest::new(SKILLS.iter().map(|s| s.0)),
            _ if self.flat => SkillForest::new(SKILLS.iter().map(|s| s.0)),
            _ => self.episode.forest.clone(),
        };
        let mut actions = Vec::new();
        for (s, (skill, base, _, subskills)) in SKILLS.iter().enumerate() {
            let weak = (100 - base) / 10;
            let known = forest.tree(skill).unwrap().subskills.len();
            let (action, proposed) = if known < subskills.len() && (iteration == 1 || self.flat || s % 3 == 0)
            {
                let names: Vec<String> = subskills[known..].iter().take(2).map(|n| (*n).to_owned()).collect();
                let new_subskills = names.len() as u32;
                (Action::Explore { new_subskills, data_per_subskill: 4 + 3 * weak }, names)
            } else {
                let tree = forest.tree(skill).unwrap();
                let delta = if *base > 60 { -3 } else { 4 };
                (
                    Action::Exploit {
                        deltas: tree.subskills.iter().map(|s| (s.name.clone(), delta)).collect(),
                    },
                    vec![],
                )
            };
            forest.apply(skill, &action, &proposed).unwrap();
            let tree = forest.trees.iter_mut().find(|t| t.skill == *skill).unwrap();
            let accuracy_before = f64::from(*base) / 100.0;
            let accuracy_after = None;
            let taken = action.clone();
            tree.history.push(SkillExperience {
                iteration,
                action: taken,
                accuracy_before,
                accuracy_after,
                produced: 0,
            });
            actions.push(SkillAction { skill: (*skill).into(), action });
        }
        let allocations = forest.allocations();
        let forest = if self.flat { ForestChange::default() } else { self.episode.forest.change_to(&forest) };
        let actions = if self.flat { Vec::new() } else { actions };
        Fact::Planned {
            plan: Plan {
                iteration,
                round: 0,
                policy: "by_error".into(),
                actions,
                allocations,
                edited: false,
            },
            forest,
            teacher_tokens: 0,
        }
    }

    fn data(&self, work: Work) -> Vec<JudgedDatum> {
        let plan = self.episode.iterations[work.iteration as usize].plans.last().unwrap().clone();
        let mut all = Vec::new();
        for (allocation, asked) in plan.allocations.iter().enumerate() {
            for draw in 0..asked.count {
                all.push(datum(
                    work,
                    allocation as u32,
                    u64::from(draw),
                    all.len(),
                    &asked.skill,
                    &asked.subskill,
                ));
            }
        }
        all
    }
}

fn prediction(index: usize, instance: &TaskInstance, iteration: u32) -> Prediction {
    let (_, base, gain, _) = SKILLS[index % SKILLS.len()];
    let salt = if instance.split == Split::Test { 977 } else { 0 };
    let luck = (index as u32 + salt).wrapping_mul(2_654_435_761) >> 16;
    // The third iteration falls back a little, so that the second is selected.
    let rounds = if iteration == 3 { 1 } else { iteration };
    let correct = luck % 100 < base + gain * rounds;
    let truth = instance.content.truth();
    let answer = match (correct, index % 36) {
        (true, _) => Some(truth),
        (false, 35) => None,
        (false, wrong) => Some((luck % 900 + wrong as u32).to_string()),
    };
    let worked =
        "First I write the numbers one below the other.\nThen I work from right to left, digit by digit.\n";
    let response = match &answer {
        Some(answer) => format!("{worked}#### {answer}"),
        None => "I see \u{1b}[31mred\u{1b}[0m and then\u{202e} nothing more".to_owned(),
    };
    let finish = if answer.is_some() { FinishReason::Stop } else { FinishReason::Length };
    Prediction { instance_id: instance.id.clone(), response, answer, correct, tokens: 24 + luck % 30, finish }
}

fn datum(work: Work, allocation: u32, draw: u64, n: usize, skill: &str, subskill: &str) -> JudgedDatum {
    let checked = work.phase != Phase::Generate;
    let (a, b) = (n * 31 % 900 + 11, n * 17 % 80 + 3);
    let wrong = n % 9 == 4;
    let double = n % 13 == 7;
    let pass = |check: &str, passed: bool, good: &str, bad: &str| CheckResult {
        check: check.into(),
        passed,
        filters: true,
        score: None,
        reason: if passed { good } else { bad }.into(),
    };
    let verdict = match (checked, wrong || double) {
        (false, _) => Verdict::Pending,
        (true, true) => Verdict::Rejected,
        (true, false) => Verdict::Accepted,
    };
    let checks = vec![
        pass(
            "answer",
            !wrong,
            "recomputed: the answer is right",
            "recomputed: the right answer is another one",
        ),
        pass("duplicate", !double, "nothing like it in the run", "asks the same as an earlier datum"),
        pass("leakage", true, "no validation or test question has this key", ""),
    ];
    let provenance = Provenance {
        iteration: work.iteration,
        round: work.round,
        engine: "procedural".into(),
        allocation,
        draw,
        source_errors: if n.is_multiple_of(4) {
            vec![format!("validation-{:04}", n % 600)]
        } else {
            Vec::new()
        },
        source_instance: None,
        teacher_call: None,
    };
    let datum = TrainingDatum {
        id: format!("i{:03}-r{}-{n:05}", work.iteration, work.round),
        question: None,
        instruction: format!("What is {a} and {b} under {skill}, {subskill}?"),
        response: format!("We take {a} and {b}.\nStep by step: {a} then {b}.\n#### {}", a * b),
        answer: Some((a * b).to_string()),
        rejected_response: None,
        images: Vec::new(),
        skill: skill.into(),
        subskill: subskill.into(),
        key: format!("{a} {b}"),
        provenance,
    };
    JudgedDatum { datum, verdict, checks: if checked { checks } else { Vec::new() }, review: None }
}

pub(crate) fn progress(step: u32) -> TrainingProgress {
    TrainingProgress {
        step,
        steps: 80,
        loss: 0.4 + 2.4 / (1.0 + f64::from(step) / 8.0),
        learning_rate: 5e-4 * (1.0 - f64::from(step) / 90.0),
        tokens_per_second: 5120.0,
        seconds_left: 0.775 * f64::from(80 - step.min(80)),
        ..TrainingProgress::default()
    }
}
