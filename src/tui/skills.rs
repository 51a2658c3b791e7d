//! Rows of the skill tree pane, from the state of the episode.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Accepted, BySubskill, Facts};
use crate::gym::episode::Episode;
use crate::gym::plan::Plan;
use crate::gym::report::Report;
use crate::gym::skill_forest::{SkillExperience, SkillTree};
use crate::gym::statistics::Estimate;

/// One row: all skills together, a skill, or a subskill.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SkillRow {
    /// The skill; `None` is all skills.
    pub(crate) skill: Option<String>,
    /// The subskill, on the rows of an open tree.
    pub(crate) subskill: Option<String>,
    pub(crate) accuracy: Option<Estimate>,
    /// Change of accuracy since iteration 0.
    pub(crate) since_first: Option<f64>,
    /// Change of accuracy since the iteration before.
    pub(crate) since_last: Option<f64>,
    /// Data the newest plan asks for.
    pub(crate) allocation: Option<u32>,
    /// Accepted data of the newest plan's iteration.
    pub(crate) made: u32,
    /// The largest allocation of a skill, for the length of bars.
    pub(crate) largest: u32,
    /// Word of the plan's action.
    pub(crate) action: Option<&'static str>,
    /// Accepted data over the whole run.
    pub(crate) produced: u32,
    /// Whether its tree is open; `None` where there is nothing to open.
    pub(crate) open: Option<bool>,
}

/// Reports and plan that the rows are made of.
struct Sources<'a> {
    episode: &'a Episode,
    /// Accepted data where the forest counts none.
    accepted: Option<&'a Accepted>,
    /// Accepted data of the plan, by skill and subskill.
    planned: Option<&'a BySubskill>,
    now: Option<&'a Report>,
    first: Option<&'a Report>,
    last: Option<&'a Report>,
    plan: Option<&'a Plan>,
}

/// The rows as of an iteration: accuracy from the newest validation report up to it, allocation from the newest
/// plan up to it.
pub(crate) fn rows(facts: &Facts, iteration: u32, open: &BTreeSet<String>) -> Vec<SkillRow> {
    let episode = &facts.episode;
    let upto = || episode.iterations.iter().take(iteration as usize + 1);
    let mut reports = upto().rev().filter_map(|i| i.validation.as_ref());
    let now = reports.next();
    let first = upto()
        .next()
        .and_then(|i| i.validation.as_ref())
        .filter(|f| now.is_some_and(|n| n.iteration > f.iteration));
    let plan = upto().rev().find_map(|i| i.plans.last());
    let counted = episode.forest.trees.iter().all(|tree| tree.history.is_empty());
    let accepted = counted.then_some(&facts.accepted);
    let planned = facts.planned.as_ref().filter(|(n, _)| plan.is_some_and(|plan| plan.iteration == *n));
    let planned = planned.map(|(_, counts)| counts);
    let sources = Sources { episode, accepted, planned, now, first, last: reports.next(), plan };
    let skills = names(episode, now);
    if skills.is_empty() {
        return Vec::new();
    }
    let largest = skills.iter().map(|s| plan.map_or(0, |p| p.allocated_to(s))).max().unwrap_or(0);
    let mut rows = vec![sources.total()];
    for skill in skills {
        let tree = episode.forest.tree(&skill);
        let is_open = open.contains(&skill);
        rows.push(sources.skill(&skill, tree, is_open, largest));
        if let Some(tree) = tree.filter(|_| is_open) {
            rows.extend(sources.subskills(tree, largest));
        }
    }
    rows
}

/// The skills of the forest, then those that are only in the report.
fn names(episode: &Episode, report: Option<&Report>) -> Vec<String> {
    let mut names: Vec<String> = episode.forest.trees.iter().map(|t| t.skill.clone()).collect();
    for skill in report.iter().flat_map(|r| &r.skills) {
        if !names.contains(&skill.skill) {
            names.push(skill.skill.clone());
        }
    }
    names
}

impl Sources<'_> {
    fn change(now: Option<f64>, then: Option<f64>) -> Option<f64> {
        Some(now? - then?)
    }

    fn total(&self) -> SkillRow {
        let mean = |report: Option<&Report>| report.map(|r| r.overall.mean);
        SkillRow {
            skill: None,
            subskill: None,
            accuracy: self.now.map(|r| r.overall),
            since_first: Self::change(mean(self.now), mean(self.first)),
            since_last: Self::change(mean(self.now), mean(self.last)),
            allocation: self.plan.map(Plan::total),
            made: 0,
            largest: 0,
            action: None,
            produced: match self.accepted {
                Some(accepted) => accepted.values().flat_map(BTreeMap::values).sum(),
                None => self.episode.forest.trees.iter().map(SkillTree::produced).sum(),
            },
            open: None,
        }
    }

    /// What became of the newest plan's data for a skill.
    fn made(&self, name: &str, tree: Option<&SkillTree>) -> u32 {
        if let Some(accepted) = self.accepted {
            let of_plan = self.plan.and_then(|plan| accepted.get(&plan.iteration)?.get(name));
            return of_plan.copied().unwrap_or(0);
        }
        let of_plan = |e: &&SkillExperience| self.plan.is_some_and(|plan| plan.iteration == e.iteration);
        tree.map_or(0, |tree| tree.history.iter().filter(of_plan).map(|e| e.produced).sum())
    }

    fn skill(&self, name: &str, tree: Option<&SkillTree>, open: bool, largest: u32) -> SkillRow {
        let accuracy = |report: Option<&Report>| report?.skill(name).map(|s| s.accuracy);
        let mean = |report: Option<&Report>| accuracy(report).map(|a| a.mean);
        let action = self.plan.and_then(|p| p.actions.iter().find(|a| a.skill == name));
        SkillRow {
            skill: Some(name.to_owned()),
            subskill: None,
            accuracy: accuracy(self.now),
            since_first: Self::change(mean(self.now), mean(self.first)),
            since_last: Self::change(mean(self.now), mean(self.last)),
            allocation: self.plan.map(|p| p.allocated_to(name)),
            made: self.made(name, tree),
            largest,
            action: action.map(|a| a.action.kind()),
            produced: match self.accepted {
                Some(accepted) => accepted.values().filter_map(|skills| skills.get(name)).sum(),
                None => tree.map_or(0, SkillTree::produced),
            },
            open: tree.filter(|t| !t.subskills.is_empty()).map(|_| open),
        }
    }

    fn subskills<'a>(&'a self, tree: &'a SkillTree, largest: u32) -> impl Iterator<Item = SkillRow> + 'a {
        let asked = |name: &str| {
            let of_plan = |plan: &Plan| {
                let wanted = plan.allocations.iter().filter(|a| a.skill == tree.skill && a.subskill == name);
                wanted.map(|a| a.count).sum::<u32>()
            };
            self.plan.map(of_plan)
        };
        tree.subskills.iter().map(move |subskill| {
            let accuracy =
                |report: Option<&Report>| report?.skill(&tree.skill)?.subskills.get(&subskill.name).copied();
            let mean = |report: Option<&Report>| accuracy(report).map(|a| a.mean);
            SkillRow {
                skill: Some(tree.skill.clone()),
                subskill: Some(subskill.name.clone()),
                accuracy: accuracy(self.now),
                since_first: Self::change(mean(self.now), mean(self.first)),
                since_last: Self::change(mean(self.now), mean(self.last)),
                allocation: asked(&subskill.name),
                made: self
                    .planned
                    .and_then(|p| p.get(&(tree.skill.clone(), subskill.name.clone())))
                    .copied()
                    .unwrap_or(0),
                largest,
                action: None,
                produced: subskill.produced,
                open: None,
            }
        })
    }
}
