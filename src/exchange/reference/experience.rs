//! The experiences of its skill-tree agent: `past_experiences.jsonl` and `current_experiences.jsonl`, which
//! hold one JSON array each, whatever their names say.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exchange::error::{ExchangeError, Spot};
use crate::exchange::import::{Item, Visit};
use crate::exchange::record::Record;
use crate::gym::decimal::decimal;
use crate::gym::plan::{Action, Allocation, Plan, SkillAction};
use crate::gym::shared::Shared;
use crate::gym::skill_forest::{SkillExperience, SkillForest, SkillTree, Subskill};

/// Largest file of experiences; it is read whole.
const LARGEST: u64 = 512 << 20;

#[derive(Debug, Deserialize)]
struct Experience {
    state: State,
    #[serde(default)]
    reward: Option<f64>,
    action: TheirAction,
}

#[derive(Debug, Deserialize)]
struct State {
    skill_tree: Tree,
    past_performance: f64,
}

#[derive(Debug, Deserialize)]
struct Tree {
    subskills: Vec<String>,
    data_allocation: BTreeMap<String, i64>,
    #[serde(default)]
    training_data: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "action_type", rename_all = "snake_case")]
enum TheirAction {
    Exploit { data_allocation_delta: BTreeMap<String, i64> },
    Explore { num_new_skills: u32, data_allocation_for_new_skills: u32 },
}

impl TheirAction {
    fn ours(&self) -> Action {
        match self {
            Self::Exploit { data_allocation_delta } => {
                Action::Exploit { deltas: data_allocation_delta.clone() }
            }
            Self::Explore { num_new_skills, data_allocation_for_new_skills } => Action::Explore {
                new_subskills: *num_new_skills,
                data_per_subskill: *data_allocation_for_new_skills,
            },
        }
    }
}

/// The experiences of all generations, oldest first.
#[derive(Debug, Default)]
pub(super) struct Experiences {
    path: PathBuf,
    generations: Vec<BTreeMap<String, Experience>>,
    /// Skill and subskill of every datum that a tree names.
    places: HashMap<String, (String, String)>,
}

impl Experiences {
    /// Reads the files in the folder or in a folder below it.
    pub(super) fn find(folder: &Path) -> Result<Self, ExchangeError> {
        let mut found = Self { path: folder.to_owned(), ..Self::default() };
        let mut folders = vec![folder.to_owned()];
        for entry in fs::read_dir(folder).map_err(ExchangeError::io(folder))? {
            folders.push(entry.map_err(ExchangeError::io(folder))?.path());
        }
        folders.sort();
        let has = |folder: &&PathBuf| folder.join("past_experiences.jsonl").exists();
        let Some(place) = folders.iter().find(has) else { return Ok(found) };
        found.path = place.join("past_experiences.jsonl");
        found.generations = read(&found.path)?;
        let current = place.join("current_experiences.jsonl");
        if current.exists() {
            found.generations.extend(read(&current)?);
        }
        for (skill, experience) in found.generations.iter().flatten() {
            for (subskill, ulids) in experience.state.skill_tree.training_data.iter().flatten() {
                for ulid in ulids {
                    found.places.insert(ulid.clone(), (skill.clone(), subskill.clone()));
                }
            }
        }
        Ok(found)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// Skill and subskill of the datum with this ULID.
    pub(super) fn place_of(&self, ulid: &str) -> Option<(String, String)> {
        self.places.get(ulid).cloned()
    }

    /// Says when there are not as many experiences as rounds of data.
    pub(super) fn note(&self, places: &[(u32, u32)]) -> Option<String> {
        let (found, rounds) = (self.generations.len(), places.len());
        (found != 0 && found != rounds).then(|| {
            format!(
                "{found} generations of experiences for {rounds} rounds of data; they are matched in order"
            )
        })
    }

    /// A plan per round.
    pub(super) fn plans(&self, places: &[(u32, u32)], visit: Visit<'_>) -> Result<(), ExchangeError> {
        for (n, (generation, &(iteration, round))) in self.generations.iter().zip(places).enumerate() {
            let mut plan = Plan {
                iteration,
                round,
                policy: "import".to_owned(),
                actions: Vec::new(),
                allocations: Vec::new(),
                edited: false,
            };
            for (skill, experience) in generation {
                plan.actions.push(SkillAction { skill: skill.clone(), action: experience.action.ours() });
                for subskill in &experience.state.skill_tree.subskills {
                    let count = allocated(&experience.state.skill_tree, subskill);
                    if count > 0 {
                        let (skill, subskill) = (skill.clone(), subskill.clone());
                        plan.allocations.push(Allocation { skill, subskill, count, shown: Vec::new() });
                    }
                }
            }
            let spot = Spot { path: &self.path, unit: "experience", number: n as u64 + 1 };
            visit(spot, Item::Record(Box::new(Record::Plan(plan))))?;
        }
        Ok(())
    }

    /// The forest after each round.
    pub(super) fn forests(&self, places: &[(u32, u32)]) -> BTreeMap<(u32, u32), SkillForest> {
        let mut forest = SkillForest::default();
        let mut forests = BTreeMap::new();
        for (n, (generation, &(iteration, round))) in self.generations.iter().zip(places).enumerate() {
            for (skill, experience) in generation {
                let next = self.generations.get(n + 1).and_then(|next| next.get(skill));
                let next = next.map(|next| next.state.past_performance);
                if forest.tree(skill).is_none() {
                    let (skill, subskills, history) = (skill.clone(), Vec::new(), Shared::default());
                    forest.trees.push(SkillTree { skill, subskills, history });
                }
                for tree in forest.trees.iter_mut().filter(|tree| tree.skill == *skill) {
                    grow(tree, experience, iteration, next);
                }
            }
            forests.insert((iteration, round), forest.clone());
        }
        forests
    }
}

fn grow(tree: &mut SkillTree, experience: &Experience, iteration: u32, next: Option<f64>) {
    let state = &experience.state;
    let after = experience.reward.map(|reward| state.past_performance + reward);
    // The next state says the same without the rounding of a sum.
    let after = after.map(|after| next.filter(|next| (next - after).abs() < 1e-9).unwrap_or(after));
    let made = |name: &String| {
        let of = state.skill_tree.training_data.as_ref().and_then(|data| data.get(name));
        of.map_or(0, |ulids| ulids.len() as u32)
    };
    for name in &state.skill_tree.subskills {
        let allocation = allocated(&state.skill_tree, name);
        match tree.subskills.iter_mut().find(|subskill| subskill.name == *name) {
            Some(subskill) => {
                subskill.allocation = allocation;
                subskill.produced += made(name);
            }
            None => tree.subskills.push(Subskill { name: name.clone(), allocation, produced: made(name) }),
        }
    }
    tree.history.push(SkillExperience {
        iteration,
        action: experience.action.ours(),
        accuracy_before: decimal(state.past_performance),
        accuracy_after: after.map(decimal),
        produced: state.skill_tree.subskills.iter().map(made).sum(),
    });
}

/// The allocation of a subskill; a negative one, which the reference allows, asks for nothing.
fn allocated(tree: &Tree, subskill: &str) -> u32 {
    let allocation = tree.data_allocation.get(subskill).copied().unwrap_or(0);
    u32::try_from(allocation.max(0)).unwrap_or(u32::MAX)
}

/// An array of generations, or one generation alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    Generations(Vec<BTreeMap<String, Experience>>),
    One(BTreeMap<String, Experience>),
    Flat(Vec<Named>),
}

/// An experience that names its skill.
#[derive(Deserialize)]
struct Named {
    skill: String,
    #[serde(flatten)]
    experience: Experience,
}

fn read(path: &Path) -> Result<Vec<BTreeMap<String, Experience>>, ExchangeError> {
    let length = fs::metadata(path).map_err(ExchangeError::io(path))?.len();
    if length > LARGEST {
        return Err(ExchangeError::file(path, "it is larger than 512 MiB; is it a file of experiences?"));
    }
    let text = fs::read_to_string(path).map_err(ExchangeError::io(path))?;
    let broken = |e: serde_json::Error| {
        let message =
            format!("no experiences that the reference system writes: {e}; restore it, or move it away");
        ExchangeError::file(path, message)
    };
    let whole: Whole = serde_json::from_str(&numbers(&text)).map_err(broken)?;
    Ok(match whole {
        Whole::Generations(generations) => generations,
        Whole::One(generation) => vec![generation],
        Whole::Flat(named) => vec![named.into_iter().map(|n| (n.skill, n.experience)).collect()],
    })
}

/// The text with `null` for Python's `NaN`, which is no JSON and stands for the mean of no data.
fn numbers(text: &str) -> String {
    let mut fixed = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !quoted && rest.starts_with("NaN") {
            fixed.push_str("null");
            rest = &rest[3..];
            continue;
        }
        (quoted, escaped) = match c {
            '"' if !escaped => (!quoted, false),
            '\\' => (quoted, !escaped),
            _ => (quoted, false),
        };
        fixed.push(c);
        rest = &rest[c.len_utf8()..];
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_nan_is_replaced() {
        assert_eq!(numbers(r#"{"NaN \" NaN": NaN, "a": [NaN]}"#), r#"{"NaN \" NaN": null, "a": [null]}"#);
    }
}
