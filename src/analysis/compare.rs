//! Runs side by side, on the test questions they have in common.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::facts::{Answered, RunFacts};
use super::figure::{Chart, Point, Series};
use super::table::{Table, p_value, percent, points};
use crate::gym::statistics::{
    Discordance, Estimate, accuracy, bootstrap_gain, holm, mcnemar, minimum_detectable_effect, paired_gain,
};

/// What the bootstrap of a comparison draws from: the same for everybody who repeats it.
const DRAW: u64 = 1;

/// One run of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the run.
    pub run: String,
    /// Its selected iteration.
    pub selected: u32,
    /// Accuracy of the untrained student on the common questions.
    pub base: Estimate,
    /// Accuracy of the selected student on the common questions.
    pub accuracy: Estimate,
    /// Accepted data.
    pub accepted: u64,
    /// Tokens of all models.
    pub tokens: u64,
    /// Against the first run; `None` of the first itself.
    pub against_first: Option<Difference>,
}

/// How the selected student of one run differs from that of another, on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Paired difference of accuracies with its interval.
    pub difference: Estimate,
    /// The same interval by the bootstrap over keys.
    pub bootstrap: Estimate,
    /// Keys that only this run has right.
    pub wins: u32,
    /// Keys that only the first run has right.
    pub losses: u32,
    /// Two-sided p-value of no difference (exact `McNemar`), corrected over the runs compared (Holm).
    pub p: f64,
    /// The smallest difference that as many keys show four times out of five.
    pub detectable: Option<f64>,
    /// By skill: paired difference and p-value corrected over the skills (Holm).
    pub skills: BTreeMap<String, (Estimate, f64)>,
}

/// Several runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Questions that every run answered.
    pub common: u32,
    /// Test questions of the run that has the fewest and of the one that has the most.
    pub questions: (u32, u32),
    /// The runs, in the order asked for.
    pub runs: Vec<Side>,
}

/// Why runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// One run has no test answers.
    #[error(
        "run `{0}` has no test scores yet: they are measured when a run finishes. `dataenvgym run --name {0}` goes on with it"
    )]
    Untested(String),
    /// Nothing in common.
    #[error("the runs have no test question in common: their tasks or their splits differ")]
    NothingInCommon,
}

/// Compares the first run with every other one.
///
/// # Errors
/// A run without test answers, or runs without a common question, by name.
pub fn compare(runs: &[RunFacts]) -> Result<Comparison, CompareError> {
    if let Some(run) = runs.iter().find(|run| run.test.is_empty()) {
        return Err(CompareError::Untested(run.record.name.clone()));
    }
    let tables: Vec<HashMap<&str, &Answered>> = runs
        .iter()
        .map(|run| run.test.iter().map(|answered| (answered.instance.id.as_str(), answered)).collect())
        .collect();
    let first = runs.first().ok_or(CompareError::NothingInCommon)?;
    // The same id and the same question: files of the same name may hold others.
    let same = |id: &str, one: &Answered| {
        let same = |table: &HashMap<&str, &Answered>| {
            table.get(id).is_some_and(|other| other.instance.content == one.instance.content)
        };
        tables.iter().all(same)
    };
    let common: Vec<&str> =
        first.test.iter().filter(|a| same(&a.instance.id, a)).map(|a| a.instance.id.as_str()).collect();
    if common.is_empty() {
        return Err(CompareError::NothingInCommon);
    }
    let answered: Vec<Vec<&Answered>> =
        tables.iter().map(|table| common.iter().filter_map(|id| table.get(id).copied()).collect()).collect();
    let sides: Option<Vec<Side>> = (0..)
        .zip(runs.iter().zip(&answered))
        .map(|(n, (run, own))| side(run, own, (n > 0).then_some(&answered[0])))
        .collect();
    let mut sides = sides.ok_or(CompareError::NothingInCommon)?;
    let p: Vec<f64> = sides.iter().filter_map(|side| Some(side.against_first.as_ref()?.p)).collect();
    for (difference, p) in sides.iter_mut().filter_map(|side| side.against_first.as_mut()).zip(holm(&p)) {
        difference.p = p;
    }
    let sizes = || runs.iter().map(|run| run.test.len() as u32);
    Ok(Comparison {
        common: common.len() as u32,
        questions: (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0)),
        runs: sides,
    })
}

fn side(run: &RunFacts, own: &[&Answered], first: Option<&Vec<&Answered>>) -> Option<Side> {
    let pairs = || own.iter().map(|a| a.pair());
    Some(Side {
        run: run.record.name.clone(),
        selected: run.selected()?,
        base: accuracy(pairs().map(|(key, before, _)| (key, before)))?,
        accuracy: accuracy(pairs().map(|(key, _, after)| (key, after)))?,
        accepted: run.data_in_all().accepted,
        tokens: run.episode.iterations.iter().map(|i| i.tokens).sum(),
        against_first: first.and_then(|first| difference(first, own)),
    })
}

fn difference(first: &[&Answered], own: &[&Answered]) -> Option<Difference> {
    let pairs: Vec<(&str, bool, bool)> = first
        .iter()
        .zip(own)
        .map(|(a, b)| (a.instance.key.as_str(), a.after.correct, b.after.correct))
        .collect();
    let mut by_skill: BTreeMap<&str, Vec<(&str, bool, bool)>> = BTreeMap::new();
    for (answered, pair) in own.iter().zip(&pairs) {
        by_skill.entry(answered.skill()).or_default().push(*pair);
    }
    let gains: BTreeMap<&str, Estimate> = by_skill
        .iter()
        .filter_map(|(skill, pairs)| Some((*skill, paired_gain(pairs.iter().copied())?)))
        .collect();
    let test = |pairs: &[(&str, bool, bool)]| {
        let counted = Discordance::count(pairs.iter().copied());
        mcnemar(counted.gained, counted.lost).p
    };
    let p = holm(&by_skill.values().map(|pairs| test(pairs)).collect::<Vec<_>>());
    let counted = Discordance::count(pairs.iter().copied());
    Some(Difference {
        difference: paired_gain(pairs.iter().copied())?,
        bootstrap: bootstrap_gain(pairs.iter().copied(), DRAW)?.gain,
        wins: counted.gained,
        losses: counted.lost,
        p: mcnemar(counted.gained, counted.lost).p,
        detectable: minimum_detectable_effect(counted.keys, counted.share(), 0.05, 0.8),
        skills: gains.into_iter().zip(p).map(|((skill, gain), p)| (skill.to_owned(), (gain, p))).collect(),
    })
}

impl Comparison {
    /// One row per run.
    pub fn table(&self) -> Table {
        let mut table = Table::new([
            "run",
            "selected",
            "before, %",
            "after, %",
            "against the first, points",
            "wins",
            "losses",
            "p (Holm)",
            "accepted data",
            "tokens",
        ]);
        for side in &self.runs {
            let against = side.against_first.as_ref();
            let of = |say: fn(&Difference) -> String| against.map(say).unwrap_or_default();
            table.push(vec![
                side.run.clone(),
                side.selected.to_string(),
                percent(&side.base),
                percent(&side.accuracy),
                of(|d| points(&d.difference)),
                of(|d| d.wins.to_string()),
                of(|d| d.losses.to_string()),
                of(|d| p_value(d.p)),
                side.accepted.to_string(),
                side.tokens.to_string(),
            ]);
        }
        table
    }

    /// Differences by skill, of every run against the first.
    pub fn skill_table(&self) -> Table {
        let mut table = Table::new(["skill", "run", "against the first, points", "p (Holm)"]);
        for (side, difference) in self.runs.iter().filter_map(|s| Some((s, s.against_first.as_ref()?))) {
            for (skill, (gain, p)) in &difference.skills {
                table.push(vec![skill.clone(), side.run.clone(), points(gain), p_value(*p)]);
            }
        }
        table
    }

    /// Differences against the first run.
    pub fn chart(&self) -> Chart {
        let point = |side: &Side| {
            let mut point = Point::percent(0.0, side.against_first.as_ref()?.difference);
            point.label = Some(side.run.clone());
            Some(point)
        };
        let title = format!("Against {}", self.runs.first().map_or("", |side| side.run.as_str()));
        Chart::rows(&title, "difference of test accuracy in points")
            .with(Series::new("difference", self.runs.iter().filter_map(point).collect()))
    }
}
