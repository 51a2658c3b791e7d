//! Two or more runs on the instances they have in common: paired differences of accuracy, in all and by skill.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::charts::Exported;
use crate::gym::episode::Episode;
use crate::gym::instance::Split;
use crate::gym::statistics::{Estimate, paired_gain};
use crate::store::{Reader, StoreError};

/// A run to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Where its database lies.
    pub(crate) database: PathBuf,
}

/// What was compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) split: Split,
    /// The runs with the iteration whose student answered; the first is what the others are compared with.
    pub(crate) runs: Vec<(String, u32)>,
    /// All skills together, then one row per skill.
    pub(crate) rows: Vec<Row>,
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// `None` is all skills.
    pub(crate) skill: Option<String>,
    /// Instances that every run answered.
    pub(crate) instances: usize,
    /// Share of right answers of each run on them, in `0..=1`.
    pub(crate) accuracy: Vec<f64>,
    /// Paired difference of each run but the first to the first, in `-1..=1`, with its 95 % interval.
    pub(crate) difference: Vec<Option<Estimate>>,
}

/// What an instance is known by in every run, its cluster and its skill.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    key: String,
    skill: Option<String>,
    /// Whether each run answered rightly, as far as it answered.
    right: Vec<Option<bool>>,
}

/// Reads the runs and compares them.
///
/// # Errors
/// A sentence for a person: which run cannot be read, or why there is nothing to compare.
pub(crate) fn compare(runs: &[Named], split: Split) -> Result<Comparison, String> {
    let mut asked: HashMap<(String, String), Asked> = HashMap::new();
    let mut named = Vec::new();
    for (n, run) in runs.iter().enumerate() {
        let iteration = read(&run.database, split, |id, question, key, skill, right| {
            let blank = || Asked { key, skill, right: vec![None; runs.len()] };
            asked.entry((id, question)).or_insert_with(blank).right[n] = Some(right);
        });
        let iteration = iteration.map_err(|error| format!("run {}: {error}", run.name))?;
        let missing =
            || format!("run {} has no finished evaluation of the {} split", run.name, split.as_str());
        named.push((run.name.clone(), iteration.ok_or_else(missing)?));
    }
    let common: Vec<(&Asked, Vec<bool>)> =
        asked.values().filter_map(|asked| Some((asked, whole(&asked.right)?))).collect();
    if common.is_empty() {
        return Err(format!("these runs have no instance of the {} split in common", split.as_str()));
    }
    let mut by_skill: BTreeMap<&str, Vec<(&Asked, Vec<bool>)>> = BTreeMap::new();
    for (asked, right) in &common {
        if let Some(skill) = &asked.skill {
            by_skill.entry(skill).or_default().push((asked, right.clone()));
        }
    }
    let mut rows = vec![row(None, &common)];
    rows.extend(by_skill.into_iter().map(|(skill, part)| row(Some(skill.to_owned()), &part)));
    Ok(Comparison { split, runs: named, rows })
}

fn whole(right: &[Option<bool>]) -> Option<Vec<bool>> {
    right.iter().copied().collect()
}

fn row(skill: Option<String>, part: &[(&Asked, Vec<bool>)]) -> Row {
    let runs = part.first().map_or(0, |(_, right)| right.len());
    let share =
        |n: usize| part.iter().filter(|(_, right)| right[n]).count() as f64 / part.len().max(1) as f64;
    let difference = |n: usize| {
        // Clusters are summed in the order of their keys: one order, whatever the hash map gives.
        let mut pairs: Vec<_> = part.iter().map(|(a, right)| (a.key.as_str(), right[0], right[n])).collect();
        pairs.sort_unstable();
        paired_gain(pairs)
    };
    Row {
        skill,
        instances: part.len(),
        accuracy: (0..runs).map(share).collect(),
        difference: (1..runs).map(difference).collect(),
    }
}

/// Visits every answered instance: its id, its question, its cluster, its skill, whether the answer is right. Returns
/// the iteration, `None` when no evaluation of the split has ended.
fn read(
    database: &Path,
    split: Split,
    mut visit: impl FnMut(String, String, String, Option<String>, bool),
) -> Result<Option<u32>, StoreError> {
    let reader = Reader::open(database)?;
    let Some(iteration) = iteration(&reader.episode()?, split) else { return Ok(None) };
    let mut right: HashMap<String, bool> = HashMap::new();
    reader.each_prediction(iteration, split, |p| {
        right.insert(p.instance_id, p.correct);
    })?;
    reader.each_instance(split, |instance| {
        if let Some(right) = right.get(&instance.id) {
            let question = instance.content.question().to_owned();
            visit(instance.id, question, instance.key, instance.skill, *right);
        }
    })?;
    Ok(Some(iteration))
}

/// The iteration that speaks for a run: the selected one where it was measured, else the newest that was.
fn iteration(episode: &Episode, split: Split) -> Option<u32> {
    let measured = |n: &u32| {
        let row = episode.iterations.get(*n as usize);
        row.is_some_and(
            |row| if split == Split::Test { row.test.is_some() } else { row.validation.is_some() },
        )
    };
    let newest = (0..episode.iterations.len() as u32).rev().find(measured);
    episode.selected.filter(measured).or(newest)
}

impl Comparison {
    /// The comparison as a file of comma-separated values.
    pub(crate) fn exported(&self) -> Exported {
        let mut text = String::from("skill,instances");
        // Writing into a string cannot fail.
        for (name, iteration) in &self.runs {
            let _ = write!(text, ",{} (iteration {iteration})", field(name));
        }
        for (name, _) in self.runs.iter().skip(1) {
            let name = field(name);
            let _ = write!(text, ",{name} difference,{name} low,{name} high");
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "{},{}", field(row.skill.as_deref().unwrap_or("all skills")), row.instances);
            for share in &row.accuracy {
                let _ = write!(text, ",{share}");
            }
            for difference in &row.difference {
                let _ = match difference {
                    Some(e) => write!(text, ",{},{},{}", e.mean, e.low, e.high),
                    None => write!(text, ",,,"),
                };
            }
            text.push('\n');
        }
        Exported { name: format!("comparison-{}.csv", self.split.as_str()), text }
    }
}

/// A value without what would end it in a file of comma-separated values.
fn field(text: &str) -> String {
    text.replace([',', '"', '\n', '\r'], " ")
}
