//! The experiences of a skill-tree run as its checkpointer writes them: the rewarded ones, and the last one
//! while its reward is not known.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Writer, place, whole};
use crate::exchange::error::ExchangeError;
use crate::exchange::json;
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Event;
use crate::gym::plan::{Action, Plan};
use crate::gym::ports::Fact;
use crate::gym::skill_forest::{SkillExperience, SkillForest, SkillTree};
use crate::gym::ulid::Ulid;

/// Iteration, round, skill and subskill.
type Leaf = (u32, u32, String, String);

/// What was made for every leaf of the trees.
#[derive(Debug, Default)]
pub(super) struct Grown {
    data: HashMap<Leaf, Vec<Ulid>>,
    checks: HashMap<Leaf, Vec<Ulid>>,
    /// Share of its questions that the student solved before, of how many data.
    known: HashMap<Leaf, (f64, u32)>,
}

fn leaf(judged: &JudgedDatum) -> Leaf {
    let (datum, from) = (&judged.datum, &judged.datum.provenance);
    (from.iteration, from.round, datum.skill.clone(), datum.subskill.clone())
}

impl Grown {
    pub(super) fn made(&mut self, judged: &JudgedDatum, ulid: Ulid) {
        self.data.entry(leaf(judged)).or_default().push(ulid);
    }

    pub(super) fn checked(&mut self, judged: &JudgedDatum, check: Ulid) {
        self.checks.entry(leaf(judged)).or_default().push(check);
        let known = judged.checks.iter().find(|check| check.check == "known").and_then(|check| check.score);
        if let Some(score) = known {
            let (sum, count) = self.known.entry(leaf(judged)).or_default();
            (*sum, *count) = (*sum + score, *count + 1);
        }
    }
}

#[derive(Debug, Serialize)]
struct Experience {
    state: State,
    reward: Option<f64>,
    action: TheirAction,
    skill: String,
}

#[derive(Debug, Serialize)]
struct State {
    skill_tree: Tree,
    past_performance: f64,
}

#[derive(Debug, Serialize)]
struct Tree {
    skill: String,
    subskills: Vec<String>,
    data_allocation: BTreeMap<String, u32>,
    training_data: BTreeMap<String, Vec<Ulid>>,
    quality_checks: BTreeMap<String, Vec<Ulid>>,
    perf_on_training_data: BTreeMap<String, Option<f64>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "action_type", rename_all = "snake_case")]
enum TheirAction {
    Exploit { data_allocation_delta: BTreeMap<String, i64> },
    Explore { num_new_skills: u32, data_allocation_for_new_skills: u32 },
}

impl TheirAction {
    fn of(action: &Action) -> Self {
        match action {
            Action::Exploit { deltas } => Self::Exploit { data_allocation_delta: deltas.clone() },
            Action::Explore { new_subskills, data_per_subskill } => Self::Explore {
                num_new_skills: *new_subskills,
                data_allocation_for_new_skills: *data_per_subskill,
            },
        }
    }
}

/// The tree of a round: the subskills it had then, and what was allocated to them and made for them.
fn tree(plan: &Plan, tree: &SkillTree, grown: &Grown) -> Tree {
    let leaf = |subskill: &String| (plan.iteration, plan.round, tree.skill.clone(), subskill.clone());
    let allocated = |subskill: &String| {
        let of = |a: &&crate::gym::plan::Allocation| a.skill == tree.skill && a.subskill == *subskill;
        plan.allocations.iter().filter(of).map(|a| a.count).sum()
    };
    let known = |subskill: &String| grown.known.get(&leaf(subskill)).map(|(sum, n)| sum / f64::from(*n));
    let subskills: Vec<String> = tree.subskills.iter().map(|subskill| subskill.name.clone()).collect();
    let ulids = |of: &HashMap<Leaf, Vec<Ulid>>| {
        subskills.iter().map(|s| (s.clone(), of.get(&leaf(s)).cloned().unwrap_or_default())).collect()
    };
    Tree {
        skill: tree.skill.clone(),
        data_allocation: subskills.iter().map(|s| (s.clone(), allocated(s))).collect(),
        training_data: ulids(&grown.data),
        quality_checks: ulids(&grown.checks),
        perf_on_training_data: subskills.iter().map(|s| (s.clone(), known(s))).collect(),
        subskills,
    }
}

impl Writer<'_> {
    /// The forest as it was when each round was planned, from the journal.
    fn forests(&self) -> Result<BTreeMap<(u32, u32), SkillForest>, ExchangeError> {
        let mut forests = BTreeMap::new();
        let mut planned = None;
        self.source.replay(|event, episode| match event {
            Event::Completed { fact: Fact::Planned { plan, .. }, .. } => {
                planned = Some(place(plan));
                forests.insert(place(plan), episode.forest.clone());
            }
            // After a person changed the plan the checked forest has the subskills that were used.
            Event::Completed { fact: Fact::Checked { .. }, .. } => {
                if let Some(planned) = planned {
                    forests.insert(planned, episode.forest.clone());
                }
            }
            _ => {}
        })?;
        Ok(forests)
    }

    /// Writes both files.
    pub(super) fn experiences(&self, grown: &Grown) -> Result<(), ExchangeError> {
        let forests = self.forests()?;
        let mut next: HashMap<&str, usize> = HashMap::new();
        let (mut past, mut current) = (Vec::new(), None);
        for plan in self.episode.iterations.iter().flat_map(|row| &row.plans) {
            let Some(forest) = forests.get(&place(plan)) else { continue };
            let mut generation = BTreeMap::new();
            for known in &self.episode.forest.trees {
                let at = next.entry(&known.skill).or_default();
                let experience: Option<&SkillExperience> = known.history.get(*at);
                let Some(experience) = experience.filter(|e| e.iteration == plan.iteration) else { continue };
                *at += 1;
                let Some(then) = forest.tree(&known.skill) else { continue };
                generation.insert(
                    known.skill.clone(),
                    Experience {
                        state: State {
                            skill_tree: tree(plan, then, grown),
                            past_performance: experience.accuracy_before,
                        },
                        reward: experience.reward(),
                        action: TheirAction::of(&experience.action),
                        skill: known.skill.clone(),
                    },
                );
            }
            if generation.values().all(|experience| experience.reward.is_some()) {
                past.push(generation);
            } else {
                current = Some(generation);
            }
        }
        let folder = self.root.join("checkpoints");
        whole(&folder.join("past_experiences.jsonl"), &json::text(&past)?)?;
        match current {
            Some(current) => whole(&folder.join("current_experiences.jsonl"), &json::text(&current)?),
            None => Ok(()),
        }
    }
}
