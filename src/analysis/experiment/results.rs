//! What an experiment shows: every run, every arm, every comparison of its file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::blank::{Blank, blank};
use super::design::{Arm, Design};
use crate::analysis::facts::{Answered, DataCounts, Labels, RunFacts};
use crate::analysis::report::test_score;
use crate::gym::statistics::{Estimate, SeedEffect, holm, over_seeds, over_seeds_and_questions, paired_gain};

/// What the bootstrap draws from: the same for everybody who repeats the analysis.
const DRAW: u64 = 1;

/// One finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its seed.
    pub seed: u32,
    /// SHA-256 of its resolved configuration.
    pub configuration_sha256: String,
    /// Its selected iteration.
    pub selected: u32,
    /// Test accuracy of the untrained student.
    pub base: Estimate,
    /// Test accuracy of the selected student.
    pub accuracy: Estimate,
    /// Paired gain.
    pub gain: Estimate,
    /// Its training data.
    pub data: DataCounts,
    /// Validation accuracy by iteration.
    pub validation: Vec<f64>,
    /// Gain by skill on the test split.
    pub skills: BTreeMap<String, f64>,
    /// Accepted data up to each iteration.
    #[serde(default)]
    pub accepted: Vec<u64>,
    /// Data that failed a check, by its name, whether it rejects or not.
    #[serde(default)]
    pub failed: BTreeMap<String, u64>,
    /// Optimiser steps of all trainings.
    #[serde(default)]
    pub steps: u64,
    /// What the embedded world says of the labels that were accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// Tokens of all models.
    pub tokens: u64,
    /// Milliseconds of its phases.
    pub elapsed_ms: u64,
}

/// One arm over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmRow {
    /// Its name.
    pub name: String,
    /// Mean paired gain over the seeds; `None` of fewer than two runs.
    pub gain: Option<SeedEffect>,
    /// Mean accepted data per run.
    pub accepted: f64,
    /// The runs, in the order of the seeds.
    pub runs: Vec<RunRow>,
}

impl ArmRow {
    /// The mean of something over its runs; 0 without any.
    pub fn mean(&self, of: impl Fn(&RunRow) -> f64) -> f64 {
        self.runs.iter().map(of).sum::<f64>() / self.runs.len().max(1) as f64
    }

    /// The labels of all its runs; `None` when no world says which are right.
    pub fn labels(&self) -> Option<Labels> {
        self.runs.iter().filter_map(|run| run.labels).reduce(|a, b| a + b)
    }
}

/// Two arms, seed by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContrastRow {
    /// The `[[compare]]` of the file that it comes from, counted from 0.
    pub family: usize,
    /// The arm.
    pub arm: String,
    /// The arm it is compared with.
    pub against: String,
    /// Difference of test accuracies over the seeds that both finished, on the same questions.
    pub over_seeds: SeedEffect,
    /// p-value corrected over all comparisons of the file (Holm).
    pub p_corrected: f64,
    /// The interval when other questions could have been drawn as well.
    pub over_questions: Estimate,
    /// Accepted data of the arm over those of the other: 1 when both spent the same.
    pub data_ratio: f64,
}

/// A skill over all runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillPoint {
    /// The skill.
    pub skill: String,
    /// Wrong answers of the untrained student on validation, in `0..=1`.
    pub difficulty: f64,
    /// Share of the validation questions.
    pub frequency: f64,
    /// Mean gain on the test split by arm, over the runs whose questions have the same skills as those of the first.
    pub gain: BTreeMap<String, f64>,
}

/// Everything an experiment shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Name of the experiment.
    pub experiment: String,
    /// What it asks.
    pub question: String,
    /// SHA-256 of its file.
    pub file_sha256: String,
    /// Versions of the programs that made its runs.
    pub version: String,
    /// The processor.
    pub machine: String,
    /// The seeds asked for.
    pub seeds: Vec<u32>,
    /// Runs asked for, and those finished.
    pub runs: (u32, u32),
    /// Minutes of all phases of all runs.
    pub minutes: f64,
    /// Every arm of the file.
    pub arms: Vec<ArmRow>,
    /// Every comparison of the file of which two seeds are finished.
    pub contrasts: Vec<ContrastRow>,
    /// Skills by difficulty and frequency.
    pub skills: Vec<SkillPoint>,
    /// How often an arm differs from itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<Blank>,
}

/// A finished run of the grid.
#[derive(Debug)]
pub struct Finished {
    /// Place of its arm.
    pub arm: usize,
    /// Its seed.
    pub seed: u32,
    /// Hash of its configuration.
    pub configuration_sha256: String,
    /// The run.
    pub facts: RunFacts,
}

/// What is not read off the runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// SHA-256 of the experiment file.
    pub file_sha256: String,
    /// Versions of the programs that made the runs.
    pub version: String,
    /// The processor.
    pub machine: String,
}

impl Results {
    /// Of the finished runs of a design; those that are missing are counted, not guessed.
    pub fn new(design: &Design, origin: Origin, finished: &[Finished]) -> Self {
        let arms = design.arms();
        let seeds = design.seeds().unwrap_or_default();
        let rows: Vec<ArmRow> =
            arms.iter().enumerate().map(|(n, arm)| arm_row(n, arm, &seeds, finished)).collect();
        let minutes =
            rows.iter().flat_map(|row| &row.runs).map(|run| run.elapsed_ms).sum::<u64>() as f64 / 60_000.0;
        Self {
            experiment: design.name.clone(),
            question: design.question.clone(),
            file_sha256: origin.file_sha256,
            version: origin.version,
            machine: origin.machine,
            runs: ((arms.len() * seeds.len()) as u32, finished.len() as u32),
            minutes,
            contrasts: contrasts(design, &rows, &seeds, finished),
            skills: skills(&arms, finished),
            blank: design.blank.then(|| blank(&seeds, finished)).flatten(),
            arms: rows,
            seeds,
        }
    }
}

fn of(finished: &[Finished], arm: usize, seed: u32) -> Option<&Finished> {
    finished.iter().find(|run| run.arm == arm && run.seed == seed)
}

fn arm_row(n: usize, arm: &Arm, seeds: &[u32], finished: &[Finished]) -> ArmRow {
    let runs: Vec<RunRow> = seeds.iter().filter_map(|seed| run_row(of(finished, n, *seed)?)).collect();
    let gain = over_seeds(&runs.iter().map(|run| run.gain.mean).collect::<Vec<_>>());
    let row = ArmRow { name: arm.name.clone(), gain, accepted: 0.0, runs };
    ArmRow { accepted: row.mean(|run| run.data.accepted as f64), ..row }
}

fn run_row(run: &Finished) -> Option<RunRow> {
    let facts = &run.facts;
    let score = test_score(&facts.test)?;
    let mut by_skill: BTreeMap<&str, Vec<(&str, bool, bool)>> = BTreeMap::new();
    for answered in &facts.test {
        by_skill.entry(answered.skill()).or_default().push(answered.pair());
    }
    let gain = |(skill, pairs): (&str, Vec<_>)| Some((skill.to_owned(), paired_gain(pairs)?.mean));
    let iterations = &facts.episode.iterations;
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in iterations.iter().flat_map(|iteration| &iteration.failed) {
        *failed.entry(name.clone()).or_default() += u64::from(*count);
    }
    let mut so_far = 0;
    let accepted = iterations.iter().map(|iteration| {
        so_far += u64::from(iteration.accepted);
        so_far
    });
    let trainings = iterations.iter().filter_map(|iteration| iteration.training.as_ref()?.as_ref());
    Some(RunRow {
        seed: run.seed,
        configuration_sha256: run.configuration_sha256.clone(),
        selected: facts.selected()?,
        base: score.base,
        accuracy: score.selected,
        gain: score.paired_gain,
        data: facts.data_in_all(),
        validation: iterations.iter().filter_map(|i| Some(i.validation.as_ref()?.overall.mean)).collect(),
        skills: by_skill.into_iter().filter_map(gain).collect(),
        accepted: accepted.collect(),
        failed,
        steps: trainings.map(|training| u64::from(training.steps)).sum(),
        labels: facts.labels,
        tokens: iterations.iter().map(|i| i.tokens).sum(),
        elapsed_ms: iterations.iter().map(|i| i.elapsed_ms).sum(),
    })
}

/// Key, correct in the other run, correct in this one, of the questions both answered.
pub(super) fn paired(other: &RunFacts, run: &RunFacts) -> Vec<(String, bool, bool)> {
    let known: BTreeMap<&str, &Answered> = other.test.iter().map(|a| (a.instance.id.as_str(), a)).collect();
    let pair = |a: &Answered| {
        let before = known.get(a.instance.id.as_str())?;
        Some((a.instance.key.clone(), before.after.correct, a.after.correct))
    };
    run.test.iter().filter_map(pair).collect()
}

fn contrasts(design: &Design, rows: &[ArmRow], seeds: &[u32], finished: &[Finished]) -> Vec<ContrastRow> {
    let mut found: Vec<ContrastRow> = Vec::new();
    for pairing in design.pairings() {
        let both = |seed: &u32| {
            let (other, run) = (of(finished, pairing.against, *seed)?, of(finished, pairing.arm, *seed)?);
            Some(paired(&other.facts, &run.facts)).filter(|pairs| !pairs.is_empty())
        };
        let pairs: Vec<Vec<(String, bool, bool)>> = seeds.iter().filter_map(both).collect();
        let borrow = |pairs: &Vec<(String, bool, bool)>| {
            Some(paired_gain(pairs.iter().map(|(key, before, after)| (key.as_str(), *before, *after)))?.mean)
        };
        let differences: Vec<f64> = pairs.iter().filter_map(borrow).collect();
        let (arm, against) = (&rows[pairing.arm], &rows[pairing.against]);
        if let (Some(effect), Some(over_questions)) =
            (over_seeds(&differences), over_seeds_and_questions(&pairs, DRAW))
        {
            found.push(ContrastRow {
                family: pairing.family,
                arm: arm.name.clone(),
                against: against.name.clone(),
                over_seeds: effect,
                p_corrected: effect.p,
                over_questions,
                data_ratio: arm.accepted / against.accepted.max(1.0),
            });
        }
    }
    // Whoever asks more questions of one set of runs finds more by chance, whatever groups they are asked in.
    let p: Vec<f64> = found.iter().map(|contrast| contrast.over_seeds.p).collect();
    for (contrast, p) in found.iter_mut().zip(holm(&p)) {
        contrast.p_corrected = p;
    }
    found
}

/// The questions of the test split with their skills.
fn sorted(run: &Finished) -> BTreeMap<&str, &str> {
    run.facts.test.iter().map(|answered| (answered.instance.id.as_str(), answered.skill())).collect()
}

/// Of the first run and of those that put the same questions into the same skills: what was found or given by chance
/// has other questions under the same name.
fn skills(arms: &[Arm], finished: &[Finished]) -> Vec<SkillPoint> {
    let first = finished.iter().find_map(|run| {
        Some((run, run.facts.episode.iterations.first()?.validation.as_ref()?))
            .filter(|_| !run.facts.test.is_empty())
    });
    let Some((first, report)) = first else {
        return Vec::new();
    };
    let named = sorted(first);
    let rows: Vec<(usize, RunRow)> = finished
        .iter()
        .filter(|run| sorted(run) == named)
        .filter_map(|run| Some((run.arm, run_row(run)?)))
        .collect();
    let mean = |arm: usize, skill: &str| {
        let gains: Vec<f64> = rows
            .iter()
            .filter(|(n, _)| *n == arm)
            .filter_map(|(_, row)| row.skills.get(skill).copied())
            .collect();
        (!gains.is_empty()).then(|| gains.iter().sum::<f64>() / gains.len() as f64)
    };
    let point = |skill: &crate::gym::report::SkillReport| SkillPoint {
        skill: skill.skill.clone(),
        difficulty: 1.0 - skill.accuracy.mean,
        frequency: f64::from(skill.accuracy.n) / f64::from(report.overall.n.max(1)),
        gain: arms
            .iter()
            .enumerate()
            .filter_map(|(n, arm)| Some((arm.name.clone(), mean(n, &skill.skill)?)))
            .collect(),
    };
    report.skills.iter().map(point).collect()
}
