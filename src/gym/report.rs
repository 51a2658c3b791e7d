//! Performance reports: accuracy overall, per skill and per subskill.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::instance::{Split, TaskInstance};
use super::prediction::Prediction;
use super::statistics::{Estimate, accuracy};

/// Skill of an instance that has none.
pub const UNSORTED: &str = "unsorted";

/// A skill in the words of a prompt: what only stands for a missing name says nothing to a model.
pub fn told(skill: &str) -> &str {
    if skill == UNSORTED { "" } else { skill }
}

/// Accuracy of one skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillReport {
    /// Name of the skill.
    pub skill: String,
    /// Accuracy over its instances.
    pub accuracy: Estimate,
    /// Accuracy per gold subskill, where the instances have one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subskills: BTreeMap<String, Estimate>,
}

/// Accuracy of the instances that share a facet's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What divides: `subject`, `level`, `task`.
    pub facet: String,
    /// The value: `Algebra`, `Level 3`.
    pub name: String,
    /// Accuracy over its instances.
    pub accuracy: Estimate,
}

/// Accuracy of one student on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Iteration whose student was evaluated.
    pub iteration: u32,
    /// Split it was evaluated on.
    pub split: Split,
    /// Accuracy over all instances.
    pub overall: Estimate,
    /// Per skill, in the order in which skills first appear.
    pub skills: Vec<SkillReport>,
    /// Per value of every facet, by facet and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
    /// Tokens the student generated.
    pub tokens: u64,
}

impl Report {
    /// Scores joined with their instances. `None` when no prediction belongs to an instance.
    pub fn new(iteration: u32, split: Split, scored: &[(&TaskInstance, &Prediction)]) -> Option<Self> {
        let overall = accuracy(scored.iter().map(|(i, p)| (i.key.as_str(), p.correct)))?;
        let mut names: Vec<&str> = Vec::new();
        let mut by_skill: BTreeMap<&str, Vec<(&TaskInstance, &Prediction)>> = BTreeMap::new();
        for &(instance, prediction) in scored {
            let skill = instance.skill.as_deref().unwrap_or(UNSORTED);
            if !by_skill.contains_key(skill) {
                names.push(skill);
            }
            by_skill.entry(skill).or_default().push((instance, prediction));
        }
        let skills = names.iter().filter_map(|name| skill_report(name, &by_skill[name])).collect();
        let tokens = scored.iter().map(|(_, p)| u64::from(p.tokens)).sum();
        Some(Self { iteration, split, overall, skills, slices: slices(scored), tokens })
    }

    /// Accuracy of a skill, if it was evaluated.
    pub fn skill(&self, name: &str) -> Option<&SkillReport> {
        self.skills.iter().find(|s| s.skill == name)
    }
}

fn slices(scored: &[(&TaskInstance, &Prediction)]) -> Vec<Slice> {
    let mut outcomes: BTreeMap<(&str, &str), Vec<(&str, bool)>> = BTreeMap::new();
    for (instance, prediction) in scored {
        for (facet, name) in &instance.facets {
            outcomes.entry((facet, name)).or_default().push((&instance.key, prediction.correct));
        }
    }
    let slice = |((facet, name), outcomes): ((&str, &str), Vec<(&str, bool)>)| {
        Some(Slice { facet: facet.to_owned(), name: name.to_owned(), accuracy: accuracy(outcomes)? })
    };
    outcomes.into_iter().filter_map(slice).collect()
}

fn skill_report(name: &str, scored: &[(&TaskInstance, &Prediction)]) -> Option<SkillReport> {
    let mut outcomes: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
    for (instance, prediction) in scored {
        if let Some(subskill) = instance.subskill.as_deref() {
            outcomes.entry(subskill).or_default().push((&instance.key, prediction.correct));
        }
    }
    Some(SkillReport {
        skill: name.to_owned(),
        accuracy: accuracy(scored.iter().map(|(i, p)| (i.key.as_str(), p.correct)))?,
        subskills: outcomes.into_iter().filter_map(|(s, o)| Some((s.to_owned(), accuracy(o)?))).collect(),
    })
}
