//! The report of one run: what was learned, from what, at what price, and how sure one may be.

mod markdown;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{Answered, DataCounts, Leaks, RunFacts};
use super::figure::{Chart, Point, Series};
use crate::gym::budget::{Limit, Spending};
use crate::gym::episode::Iteration;
use crate::gym::instance::Split;
use crate::gym::leakage::Contamination;
use crate::gym::ports::EnvironmentKind;
use crate::gym::statistics::{
    Discordance, Estimate, accuracy, holm, mcnemar, minimum_detectable_effect, paired_gain,
};

/// Most answers shown of those that turned right, and of those that turned wrong.
const SHOWN: usize = 5;

/// The test split before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestScore {
    /// Accuracy of the untrained student.
    pub base: Estimate,
    /// Accuracy of the student of the selected iteration.
    pub selected: Estimate,
    /// Change on the same questions.
    pub paired_gain: Estimate,
    /// Keys that turned right.
    pub gained: u32,
    /// Keys that turned wrong.
    pub lost: u32,
    /// Two-sided p-value of no change (exact `McNemar`).
    pub p: f64,
    /// The smallest change that as many keys show four times out of five, at the observed share of changes;
    /// `None` where none would.
    pub detectable: Option<f64>,
}

/// One iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IterationRow {
    /// Its number; 0 is the untrained student.
    pub iteration: u32,
    /// Validation accuracy.
    pub validation: Option<Estimate>,
    /// Test accuracy, where it was measured.
    pub test: Option<Estimate>,
    /// Data of its rounds.
    pub data: DataCounts,
    /// Data that failed a check, by the check's name.
    pub failed: BTreeMap<String, u32>,
    /// Tokens of all models.
    pub tokens: u64,
    /// Milliseconds of its phases.
    pub elapsed_ms: u64,
}

/// One skill on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillRow {
    /// Name of the skill.
    pub skill: String,
    /// Accuracy of the untrained student.
    pub base: Estimate,
    /// Accuracy of the selected student.
    pub selected: Estimate,
    /// Change on the same questions.
    pub gain: Estimate,
    /// p-value of no change, corrected over all skills (Holm).
    pub p: f64,
    /// Share of wrong answers of the untrained student on *validation*: its difficulty, from questions other
    /// than those the gain is measured on, so that chance does not make the two depend on each other.
    pub difficulty: Option<f64>,
    /// Share of the skill in the validation questions.
    pub frequency: Option<f64>,
    /// Its training data.
    pub data: DataCounts,
}

/// The test questions that share a facet's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceRow {
    /// What divides: `subject`, `level`, `task`.
    pub facet: String,
    /// The value: `Algebra`, `Level 3`.
    pub name: String,
    /// Accuracy of the untrained student.
    pub base: Estimate,
    /// Accuracy of the selected student.
    pub selected: Estimate,
    /// Change on the same questions.
    pub gain: Estimate,
}

/// A question whose answer changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAnswer {
    /// Id of the instance.
    pub instance: String,
    /// Its skill.
    pub skill: String,
    /// The question.
    pub question: String,
    /// The true answer.
    pub truth: String,
    /// The untrained student's text.
    pub before: String,
    /// The selected student's text.
    pub after: String,
    /// Whether it turned right.
    pub gained: bool,
}

/// What stands in files beside a run's database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// What its endpoints were paid.
    pub spending: Spending,
    /// Hash of its configuration file, where it has one.
    pub configuration_sha256: Option<String>,
    /// What its splits share, where they were compared.
    pub contamination: Option<Contamination>,
}

/// Everything the report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the run.
    pub run: String,
    /// Version of the program that made it.
    pub version: String,
    /// SHA-256 of its resolved configuration; `None` of an imported run.
    pub configuration_sha256: Option<String>,
    /// Name of the task.
    pub task: String,
    /// What the student is.
    pub student: String,
    /// What the agent sees.
    pub environment: EnvironmentKind,
    /// Name of the policy.
    pub policy: String,
    /// Name of the engine.
    pub engine: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether every phase is done.
    pub finished: bool,
    /// The limit that ended it, where one did before the iterations were over.
    pub ended_by: Option<Limit>,
    /// Best iteration by validation.
    pub selected: Option<u32>,
    /// The test split; `None` until it was measured.
    pub test: Option<TestScore>,
    /// By iteration.
    pub iterations: Vec<IterationRow>,
    /// By skill, in the order of the names.
    pub skills: Vec<SkillRow>,
    /// By subject, level and task, where the questions have some.
    #[serde(default)]
    pub slices: Vec<SliceRow>,
    /// Training data in all.
    pub data: DataCounts,
    /// The same by skill; what is asked for without naming a skill stands under the empty name.
    #[serde(default)]
    pub data_by_skill: BTreeMap<String, DataCounts>,
    /// Accepted data against held-out questions.
    pub leaks: Leaks,
    /// What the splits shared when the run was made, where they were compared.
    #[serde(default)]
    pub contamination: Option<Contamination>,
    /// Tokens of all models.
    pub tokens: u64,
    /// What endpoints were paid, work that was repeated or failed included.
    pub spending: Spending,
    /// Milliseconds by phase.
    pub phases_ms: BTreeMap<String, u64>,
    /// Some answers that changed.
    pub answers: Vec<ChangedAnswer>,
}

impl Report {
    /// Of a run, with what stands in files beside its database.
    pub fn new(facts: &RunFacts, beside: Beside) -> Self {
        let RunFacts { record, episode, .. } = facts;
        let Beside { spending, configuration_sha256, contamination } = beside;
        Self {
            run: record.name.clone(),
            version: record.version.clone(),
            configuration_sha256,
            task: record.task.clone(),
            student: record.student.clone(),
            environment: record.rules.environment,
            policy: record.policy.clone(),
            engine: record.engine.clone(),
            seed: record.seed,
            finished: episode.finished(),
            ended_by: episode.limit,
            selected: facts.selected(),
            test: test_score(&facts.test),
            iterations: (0..).zip(&episode.iterations).map(row).collect(),
            skills: skills(facts),
            slices: slices(&facts.test),
            data: facts.data_in_all(),
            data_by_skill: facts.data.clone(),
            leaks: facts.leaks,
            contamination,
            tokens: episode.iterations.iter().map(|i| i.tokens).sum(),
            spending,
            phases_ms: facts.phases.clone(),
            answers: changed(&facts.test),
        }
    }

    /// The learning curve.
    pub fn learning_curve(&self) -> Chart {
        let points = |of: fn(&IterationRow) -> Option<Estimate>| {
            let point = |row: &IterationRow| Some(Point::percent(f64::from(row.iteration), of(row)?));
            self.iterations.iter().filter_map(point).collect()
        };
        Chart::lines("Accuracy by iteration", "iteration", "accuracy in %")
            .with(Series::new("validation", points(|row| row.validation)))
            .with(Series::new("test", points(|row| row.test)))
    }

    /// Gain per skill against its difficulty, the size of a point by its frequency.
    pub fn gain_by_difficulty(&self) -> Chart {
        let point = |row: &SkillRow| {
            let mut point = Point::percent(100.0 * row.difficulty?, row.gain);
            point.weight = row.frequency.unwrap_or(0.0);
            point.label = Some(row.skill.clone());
            Some(point)
        };
        Chart::scatter(
            "Gain by difficulty of the skill",
            "wrong answers of the untrained student on validation in %",
            "gain on test in points",
        )
        .with(Series::new("skill", self.skills.iter().filter_map(point).collect()))
    }
}

/// The scores of the test split; `None` without answers.
pub fn test_score(test: &[Answered]) -> Option<TestScore> {
    let pairs = || test.iter().map(Answered::pair);
    let discordance = Discordance::count(pairs());
    Some(TestScore {
        base: accuracy(pairs().map(|(key, before, _)| (key, before)))?,
        selected: accuracy(pairs().map(|(key, _, after)| (key, after)))?,
        paired_gain: paired_gain(pairs())?,
        gained: discordance.gained,
        lost: discordance.lost,
        p: mcnemar(discordance.gained, discordance.lost).p,
        detectable: minimum_detectable_effect(discordance.keys, discordance.share(), 0.05, 0.8),
    })
}

fn row((number, iteration): (u32, &Iteration)) -> IterationRow {
    let specified = iteration.plans.iter().map(|plan| u64::from(plan.total())).sum();
    let (produced, accepted) = (u64::from(iteration.generated), u64::from(iteration.accepted));
    IterationRow {
        iteration: number,
        validation: iteration.validation.as_ref().map(|report| report.overall),
        test: iteration.test.as_ref().map(|report| report.overall),
        data: DataCounts { specified, produced, accepted },
        failed: iteration.failed.clone(),
        tokens: iteration.tokens,
        elapsed_ms: iteration.elapsed_ms,
    }
}

fn skills(facts: &RunFacts) -> Vec<SkillRow> {
    let mut by_skill: BTreeMap<&str, Vec<&Answered>> = BTreeMap::new();
    for answered in &facts.test {
        by_skill.entry(answered.skill()).or_default().push(answered);
    }
    let first = facts.episode.iterations.first().and_then(|i| i.validation.as_ref());
    debug_assert!(first.is_none_or(|report| report.split == Split::Validation));
    let row = |(skill, answered): (&str, Vec<&Answered>)| {
        let pairs = || answered.iter().map(|a| a.pair());
        let discordance = Discordance::count(pairs());
        let before = first.and_then(|report| report.skill(skill));
        Some(SkillRow {
            skill: skill.to_owned(),
            base: accuracy(pairs().map(|(key, before, _)| (key, before)))?,
            selected: accuracy(pairs().map(|(key, _, after)| (key, after)))?,
            gain: paired_gain(pairs())?,
            p: mcnemar(discordance.gained, discordance.lost).p,
            difficulty: before.map(|report| 1.0 - report.accuracy.mean),
            frequency: before
                .zip(first)
                .map(|(skill, all)| f64::from(skill.accuracy.n) / f64::from(all.overall.n.max(1))),
            data: facts.data.get(skill).copied().unwrap_or_default(),
        })
    };
    let mut rows: Vec<SkillRow> = by_skill.into_iter().filter_map(row).collect();
    let corrected = holm(&rows.iter().map(|row| row.p).collect::<Vec<_>>());
    for (row, p) in rows.iter_mut().zip(corrected) {
        row.p = p;
    }
    rows
}

fn slices(test: &[Answered]) -> Vec<SliceRow> {
    let mut parts: BTreeMap<(&str, &str), Vec<&Answered>> = BTreeMap::new();
    for answered in test {
        for (facet, name) in &answered.instance.facets {
            parts.entry((facet, name)).or_default().push(answered);
        }
    }
    let row = |((facet, name), answered): ((&str, &str), Vec<&Answered>)| {
        let pairs = || answered.iter().map(|a| a.pair());
        Some(SliceRow {
            facet: facet.to_owned(),
            name: name.to_owned(),
            base: accuracy(pairs().map(|(key, before, _)| (key, before)))?,
            selected: accuracy(pairs().map(|(key, _, after)| (key, after)))?,
            gain: paired_gain(pairs())?,
        })
    };
    parts.into_iter().filter_map(row).collect()
}

/// The first answers that turned right and the first that turned wrong, no skill twice before every skill
/// was there once.
fn changed(test: &[Answered]) -> Vec<ChangedAnswer> {
    let of = |gained: bool| {
        let fits = move |a: &&Answered| a.before.correct != gained && a.after.correct == gained;
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found: Vec<(usize, &Answered)> = Vec::new();
        for answered in test.iter().filter(fits) {
            let turn = turns.entry(answered.skill()).or_default();
            found.push((*turn, answered));
            *turn += 1;
        }
        found.sort_by_key(|(turn, _)| *turn);
        found.into_iter().take(SHOWN).map(move |(_, a)| ChangedAnswer {
            instance: a.instance.id.clone(),
            skill: a.skill().to_owned(),
            question: a.instance.content.question().to_owned(),
            truth: a.instance.content.truth(),
            before: a.before.response.clone(),
            after: a.after.response.clone(),
            gained,
        })
    };
    of(true).chain(of(false)).collect()
}
