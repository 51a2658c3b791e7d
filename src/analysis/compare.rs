//! Runs side by side, on the questions of a split that they have in common.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::figure::{Chart, Point, Series};
use super::table::{Table, p_value, percent, points};
use crate::gym::datum::Verdict;
use crate::gym::episode::Episode;
use crate::gym::instance::{Content, Split};
use crate::gym::report::UNSORTED;
use crate::gym::statistics::{
    Discordance, Estimate, accuracy, bootstrap_gain, holm, mcnemar, minimum_detectable_effect, paired_gain,
};
use crate::store::{DataFilter, Patience, Reader, StoreError};

/// What the bootstrap of a comparison draws from: the same for everybody who repeats it.
const DRAW: u64 = 1;

/// A question with what two students of a run made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its id in the split.
    pub id: String,
    /// What was asked.
    pub content: Content,
    /// What stays together when chance is judged.
    pub key: String,
    /// Its skill.
    pub skill: String,
    /// Whether the untrained student was right.
    pub before: bool,
    /// Whether the run's student was right.
    pub after: bool,
}

/// A run that is to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Entrant {
    /// Its name.
    pub run: String,
    /// The iteration whose student speaks for it: the selected one, as long as there is none the newest that was
    /// measured.
    pub iteration: Option<u32>,
    /// The questions that this student and the untrained one answered; none before the first evaluation.
    pub outcomes: Vec<Outcome>,
    /// Accepted data.
    pub accepted: u64,
    /// Tokens of all models.
    pub tokens: u64,
}

impl Entrant {
    /// Reads what a comparison needs of a run: a pass over the questions of the split and two over answers.
    ///
    /// # Errors
    /// What the store says of a database that cannot be read.
    pub fn read(reader: &Reader, split: Split) -> Result<Self, StoreError> {
        let (record, episode) = (reader.record()?, reader.episode()?);
        let accepted = DataFilter { verdict: Some(Verdict::Accepted), ..DataFilter::default() };
        let iteration = speaker(&episode, split);
        let mut outcomes = Vec::new();
        if let Some(iteration) = iteration {
            let answers = |iteration| {
                let mut right: HashMap<String, bool> = HashMap::new();
                let found = reader.each_prediction(iteration, split, |p| {
                    right.insert(p.instance_id, p.correct);
                });
                found.map(|()| right)
            };
            let (before, after) = (answers(0)?, answers(iteration)?);
            reader.each_instance(split, |instance| {
                if let (Some(&before), Some(&after)) = (before.get(&instance.id), after.get(&instance.id)) {
                    let skill = instance.skill.unwrap_or_else(|| UNSORTED.to_owned());
                    let (id, content, key) = (instance.id, instance.content, instance.key);
                    outcomes.push(Outcome { id, content, key, skill, before, after });
                }
            })?;
        }
        Ok(Self {
            run: record.name,
            iteration,
            outcomes,
            accepted: reader.count_data(&accepted, Patience::default())?.rows,
            tokens: episode.iterations.iter().map(|i| i.tokens).sum(),
        })
    }
}

/// The iteration that speaks for a run: the selected one where it was measured, else the newest that was.
fn speaker(episode: &Episode, split: Split) -> Option<u32> {
    let measured = |n: &u32| {
        let row = episode.iterations.get(*n as usize);
        row.is_some_and(
            |row| if split == Split::Test { row.test.is_some() } else { row.validation.is_some() },
        )
    };
    let newest = (0..episode.iterations.len() as u32).rev().find(measured);
    episode.selected.filter(measured).or(newest)
}

/// One run of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the run.
    pub run: String,
    /// The iteration whose student speaks for it.
    pub iteration: u32,
    /// Accuracy of the untrained student on the common questions.
    pub base: Estimate,
    /// Accuracy of the run's student on the common questions.
    pub accuracy: Estimate,
    /// The same by skill of the first run.
    pub skills: BTreeMap<String, Estimate>,
    /// Accepted data.
    pub accepted: u64,
    /// Tokens of all models.
    pub tokens: u64,
    /// Against the first run; `None` of the first itself.
    pub against_first: Option<Difference>,
}

/// How the student of one run differs from that of another, on the same questions.
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
    /// By skill of the first run: paired difference and p-value corrected over the skills (Holm).
    pub skills: BTreeMap<String, (Estimate, f64)>,
    /// The questions that only one of the two has right, in the order of the split.
    #[serde(default)]
    pub items: Vec<Item>,
}

/// A question that only one of two runs has right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id in the split.
    pub id: String,
    /// Its skill in the first run.
    pub skill: String,
    /// What was asked.
    pub question: String,
    /// The true answer.
    pub truth: String,
    /// Whether this run has it right, and not the first.
    pub won: bool,
}

/// Several runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The split whose questions were answered.
    pub split: Split,
    /// Questions that every run answered.
    pub common: u32,
    /// Questions answered by the run that has the fewest and by the one that has the most.
    pub questions: (u32, u32),
    /// The runs, in the order asked for.
    pub runs: Vec<Side>,
}

/// Why runs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// One run has no answers on the test split.
    #[error(
        "run `{0}` has no test scores yet: they are measured when a run finishes. `dataenvgym run --name {0}` goes on with it"
    )]
    Untested(String),
    /// One run has no answers on the split.
    #[error("run `{0}` has no finished evaluation of the {split} split", split = .1.as_str())]
    Unmeasured(String, Split),
    /// Nothing in common.
    #[error("the runs have no question of the {} split in common: their tasks or their splits differ", .0.as_str())]
    NothingInCommon(Split),
}

/// Compares the first run with every other one, on what all of them answered of the split.
///
/// # Errors
/// A run without answers, or runs without a common question, by name.
pub fn compare(runs: &[Entrant], split: Split) -> Result<Comparison, CompareError> {
    if let Some(run) = runs.iter().find(|run| run.outcomes.is_empty()) {
        let name = run.run.clone();
        return Err(match split {
            Split::Test => CompareError::Untested(name),
            _ => CompareError::Unmeasured(name, split),
        });
    }
    let nothing = || CompareError::NothingInCommon(split);
    let tables: Vec<HashMap<&str, &Outcome>> =
        runs.iter().map(|run| run.outcomes.iter().map(|o| (o.id.as_str(), o)).collect()).collect();
    let first = runs.first().ok_or_else(nothing)?;
    // The same id and the same question: files of the same name may hold others.
    let same = |one: &&Outcome| {
        tables
            .iter()
            .all(|table| table.get(one.id.as_str()).is_some_and(|other| other.content == one.content))
    };
    let common: Vec<&str> = first.outcomes.iter().filter(same).map(|o| o.id.as_str()).collect();
    if common.is_empty() {
        return Err(nothing());
    }
    let answered: Vec<Vec<&Outcome>> =
        tables.iter().map(|table| common.iter().filter_map(|id| table.get(id).copied()).collect()).collect();
    let sides: Option<Vec<Side>> = (0..)
        .zip(runs.iter().zip(&answered))
        .map(|(n, (run, own))| side(run, own, &answered[0], n == 0))
        .collect();
    let mut sides = sides.ok_or_else(nothing)?;
    let p: Vec<f64> = sides.iter().filter_map(|side| Some(side.against_first.as_ref()?.p)).collect();
    for (difference, p) in sides.iter_mut().filter_map(|side| side.against_first.as_mut()).zip(holm(&p)) {
        difference.p = p;
    }
    let sizes = || runs.iter().map(|run| run.outcomes.len() as u32);
    Ok(Comparison {
        split,
        common: common.len() as u32,
        questions: (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0)),
        runs: sides,
    })
}

/// Skills are those of the first run: another one may have found others in the same questions.
fn side(run: &Entrant, own: &[&Outcome], first: &[&Outcome], is_first: bool) -> Option<Side> {
    let mut by_skill: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
    for (named, outcome) in first.iter().zip(own) {
        by_skill.entry(&named.skill).or_default().push((&outcome.key, outcome.after));
    }
    let skill = |(skill, answers): (&str, Vec<(&str, bool)>)| Some((skill.to_owned(), accuracy(answers)?));
    Some(Side {
        run: run.run.clone(),
        iteration: run.iteration?,
        base: accuracy(own.iter().map(|o| (o.key.as_str(), o.before)))?,
        accuracy: accuracy(own.iter().map(|o| (o.key.as_str(), o.after)))?,
        skills: by_skill.into_iter().filter_map(skill).collect(),
        accepted: run.accepted,
        tokens: run.tokens,
        against_first: if is_first { None } else { difference(first, own) },
    })
}

fn difference(first: &[&Outcome], own: &[&Outcome]) -> Option<Difference> {
    let pairs: Vec<(&str, bool, bool)> =
        first.iter().zip(own).map(|(a, b)| (a.key.as_str(), a.after, b.after)).collect();
    let mut by_skill: BTreeMap<&str, Vec<(&str, bool, bool)>> = BTreeMap::new();
    for (named, pair) in first.iter().zip(&pairs) {
        by_skill.entry(&named.skill).or_default().push(*pair);
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
        items: first.iter().zip(own).filter_map(|(first, own)| item(first, own)).collect(),
    })
}

fn item(first: &Outcome, own: &Outcome) -> Option<Item> {
    (first.after != own.after).then(|| Item {
        id: first.id.clone(),
        skill: first.skill.clone(),
        question: first.content.question().to_owned(),
        truth: first.content.truth(),
        won: own.after,
    })
}

impl Comparison {
    /// One row per run.
    pub fn table(&self) -> Table {
        let mut table = Table::new([
            "run",
            "iteration",
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
                side.iteration.to_string(),
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

    /// Every number for programs: one line per skill and run, the first of each run over all skills.
    pub fn csv(&self) -> String {
        let mut table = Table::new([
            "skill",
            "run",
            "iteration",
            "questions",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "difference",
            "difference_low",
            "difference_high",
            "p_holm",
        ]);
        let mut push = |skill: &str, side: &Side, accuracy: &Estimate, gain: Option<(Estimate, f64)>| {
            let Estimate { mean, low, high, n } = accuracy;
            let mut row = vec![skill.to_owned(), side.run.clone()];
            row.extend([side.iteration, *n].map(|v| v.to_string()));
            row.extend([mean, low, high].map(ToString::to_string));
            row.extend(gain.into_iter().flat_map(|(e, p)| [e.mean, e.low, e.high, p].map(|v| v.to_string())));
            table.push(row);
        };
        for side in &self.runs {
            let against = side.against_first.as_ref();
            push("", side, &side.accuracy, against.map(|d| (d.difference, d.p)));
            for (skill, accuracy) in &side.skills {
                push(skill, side, accuracy, against.and_then(|d| d.skills.get(skill).copied()));
            }
        }
        table.csv()
    }

    /// The questions that only one of two runs has right, for programs.
    pub fn items_csv(&self) -> String {
        let mut table = Table::new(["run", "item", "outcome", "skill", "question", "truth"]);
        for (side, difference) in self.runs.iter().filter_map(|s| Some((s, s.against_first.as_ref()?))) {
            for Item { id, skill, question, truth, won } in &difference.items {
                let outcome = if *won { "won" } else { "lost" };
                table.push([&side.run, id, outcome, skill, question, truth].map(str::to_owned).to_vec());
            }
        }
        table.csv()
    }

    /// Differences against the first run.
    pub fn chart(&self) -> Chart {
        let point = |side: &Side| {
            let mut point = Point::percent(0.0, side.against_first.as_ref()?.difference);
            point.label = Some(side.run.clone());
            Some(point)
        };
        let title = format!("Against {}", self.runs.first().map_or("", |side| side.run.as_str()));
        Chart::rows(&title, &format!("difference of {} accuracy in points", self.split.as_str()))
            .with(Series::new("difference", self.runs.iter().filter_map(point).collect()))
    }
}
