//! The journal of an imported run: its own, replayed, or one that tells what the records say.

use std::collections::{BTreeMap, HashMap};

use super::{Gathered, IMPORTED};
use crate::exchange::error::ExchangeError;
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Command, Episode, EpisodeRules, Event, Phase, Work};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::plan::{Allocation, Plan};
use crate::gym::ports::Fact;
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::report::Report;
use crate::gym::skill_forest::SkillForest;
use crate::store::Store;

/// What one round holds.
#[derive(Debug, Default)]
pub(super) struct Round {
    accepted: u32,
    rejected: u32,
    allocations: Vec<Allocation>,
}

impl Round {
    pub(super) fn add(&mut self, judged: &JudgedDatum) {
        match judged.verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Rejected => self.rejected += 1,
            Verdict::Pending => {}
        }
        let (skill, subskill) = (&judged.datum.skill, &judged.datum.subskill);
        match self.allocations.iter_mut().find(|a| a.skill == *skill && a.subskill == *subskill) {
            Some(allocation) => allocation.count += 1,
            None => self.allocations.push(Allocation {
                skill: skill.clone(),
                subskill: subskill.clone(),
                count: 1,
                shown: Vec::new(),
            }),
        }
    }
}

/// Everything a journal can be told from.
pub(super) struct History<'a> {
    pub(super) rules: &'a EpisodeRules,
    pub(super) gathered: &'a Gathered,
    pub(super) outcomes: &'a BTreeMap<(u32, Split), HashMap<String, bool>>,
    pub(super) rounds: &'a BTreeMap<(u32, u32), Round>,
    pub(super) forests: &'a BTreeMap<(u32, u32), SkillForest>,
}

/// Writes the journal; what could not be told is returned in words.
pub(super) fn write(store: &mut Store, history: &History<'_>) -> Result<Vec<String>, ExchangeError> {
    let mut episode = Episode::new(history.rules.clone());
    let mut append = |episode: &mut Episode, event: Event| -> Result<(), ExchangeError> {
        episode.handle(event.clone());
        Ok(store.append(&event, episode)?)
    };
    if !history.gathered.events.is_empty() {
        for event in &history.gathered.events {
            append(&mut episode, event.clone())?;
        }
        return Ok(missing(&episode, history));
    }
    append(&mut episode, Event::Opened)?;
    append(&mut episode, Event::Commanded { command: Command::Run })?;
    while let Some(fact) = episode.work.and_then(|work| history.fact(work, &episode.forest)) {
        append(&mut episode, Event::completed(fact))?;
    }
    if !episode.finished() {
        // Nobody works on it.
        append(&mut episode, Event::Commanded { command: Command::StopNow })?;
    }
    Ok(missing(&episode, history))
}

/// Evaluations that the records hold and the table of iterations does not.
fn missing(episode: &Episode, history: &History<'_>) -> Vec<String> {
    let in_table = |(iteration, split): &(u32, Split)| {
        let row = episode.iterations.get(*iteration as usize);
        row.is_some_and(
            |row| if *split == Split::Test { row.test.is_some() } else { row.validation.is_some() },
        )
    };
    let left: Vec<String> = history
        .outcomes
        .keys()
        .filter(|place| !in_table(place))
        .map(|(iteration, split)| format!("{} of iteration {iteration}", split.as_str()))
        .collect();
    if left.is_empty() {
        return Vec::new();
    }
    vec![format!("predictions that the table of iterations has no place for: {}", left.join(", "))]
}

impl History<'_> {
    /// What the records say the work came to; `None` when they do not say.
    fn fact(&self, work: Work, forest: &SkillForest) -> Option<Fact> {
        let place = (work.iteration, work.round);
        let empty = Round::default();
        let round = self.rounds.get(&place).unwrap_or(&empty);
        let forest = || self.forests.get(&place).map(|after| forest.change_to(after)).unwrap_or_default();
        Some(match work.phase {
            Phase::Evaluate => {
                Fact::Evaluated { report: self.report(work.iteration, work.split?)?, teacher_tokens: 0 }
            }
            Phase::Plan => {
                Fact::Planned { plan: self.plan(place, round), forest: forest(), teacher_tokens: 0 }
            }
            Phase::Generate => {
                let count = round.allocations.iter().map(|allocation| allocation.count).sum();
                Fact::Generated { count, teacher_tokens: 0 }
            }
            Phase::Check => Fact::Checked {
                accepted: round.accepted,
                rejected: round.rejected,
                forest: forest(),
                failed: BTreeMap::new(),
                teacher_tokens: 0,
            },
            Phase::Train => Fact::Trained { outcome: None },
        })
    }

    fn plan(&self, (iteration, round): (u32, u32), data: &Round) -> Plan {
        self.gathered.plans.get(&(iteration, round)).cloned().unwrap_or_else(|| Plan {
            iteration,
            round,
            policy: IMPORTED.to_owned(),
            actions: Vec::new(),
            allocations: data.allocations.clone(),
            edited: false,
        })
    }

    fn report(&self, iteration: u32, split: Split) -> Option<Report> {
        if let Some(report) = self.gathered.reports.get(&(iteration, split)) {
            return Some(report.clone());
        }
        let outcomes = self.outcomes.get(&(iteration, split))?;
        let instances = self.gathered.instances.iter().filter(|instance| instance.split == split);
        let scored: Vec<(&TaskInstance, Prediction)> = instances
            .filter_map(|instance| Some((instance, judged(&instance.id, *outcomes.get(&instance.id)?))))
            .collect();
        let scored: Vec<(&TaskInstance, &Prediction)> = scored.iter().map(|(i, p)| (*i, p)).collect();
        Report::new(iteration, split, &scored)
    }
}

/// A prediction of which only the verdict counts.
fn judged(instance_id: &str, correct: bool) -> Prediction {
    Prediction {
        instance_id: instance_id.to_owned(),
        response: String::new(),
        answer: None,
        correct,
        tokens: 0,
        finish: FinishReason::Stop,
    }
}
