//! What a person changes between two phases, and when that is refused.

use super::{Command, Effect, Episode, Phase};
use crate::gym::plan::{Allocation, SkillAction};
use crate::gym::ports::EnvironmentKind;
use crate::gym::review::ReviewCount;
use crate::gym::skill_forest::{ActionError, SkillForest};

/// Why a command cannot be obeyed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The run is over.
    #[error("every phase is done; extend the run's limits to go on")]
    Finished,
    /// Something runs that the command would pull the ground from under.
    #[error("phase {0} is running; pause the run first")]
    Running(&'static str),
    /// There is no plan that could still be changed.
    #[error("a plan can be changed before its data are generated; the next phase is {0}")]
    NoPlan(&'static str),
    /// Actions belong to the skill-tree environment.
    #[error("this environment has no skill forest to act on; change the allocations instead")]
    NoForest,
    /// The action or allocation is wrong.
    #[error("{0}")]
    Action(#[from] ActionError),
    /// The new limits are reached already.
    #[error("the run has reached these limits already: {0}")]
    Spent(&'static str),
}

impl Episode {
    /// Why the command would be refused now. A refused command is not journalled.
    ///
    /// # Errors
    /// The refusal, worded for a person.
    pub fn allows(&self, command: &Command) -> Result<(), Refusal> {
        let phase = self.work.map(|work| work.phase);
        match command {
            Command::Run | Command::AdvancePhase | Command::AdvanceIteration if self.finished() => {
                Err(Refusal::Finished)
            }
            Command::Extend { budget } if self.finished() => {
                let mut extended = self.clone();
                extended.rules.budget = budget.clone();
                extended.reached().map_or(Ok(()), |limit| Err(Refusal::Spent(limit.as_str())))
            }
            Command::Allocate { allocations } => {
                self.at_plan(&[Phase::Generate])?;
                if self.forest.trees.is_empty() {
                    return Ok(());
                }
                Ok(self.forest.clone().set_allocations(allocations)?)
            }
            Command::Act { actions } => {
                self.at_plan(&[Phase::Plan, Phase::Generate])?;
                self.check_actions(actions)
            }
            Command::Review { .. } => match phase.filter(|_| self.running) {
                Some(phase @ (Phase::Generate | Phase::Check | Phase::Train)) => {
                    Err(Refusal::Running(phase.as_str()))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn at_plan(&self, phases: &[Phase]) -> Result<(), Refusal> {
        match self.work {
            None => Err(Refusal::Finished),
            Some(work) if self.running => Err(Refusal::Running(work.phase.as_str())),
            Some(work) if phases.contains(&work.phase) => Ok(()),
            Some(work) => Err(Refusal::NoPlan(work.phase.as_str())),
        }
    }

    fn check_actions(&self, actions: &[SkillAction]) -> Result<(), Refusal> {
        if self.rules.environment != EnvironmentKind::SkillTree {
            return Err(Refusal::NoForest);
        }
        let mut forest = self.before_plan.as_ref().unwrap_or(&self.forest).clone();
        if forest.trees.is_empty() {
            // The first plan makes the forest, from the skills of the report.
            let skills = self.latest_report().map_or(&[][..], |report| &report.skills);
            forest = SkillForest::new(skills.iter().map(|s| s.skill.as_str()));
        }
        for (n, action) in actions.iter().enumerate() {
            if actions[..n].iter().any(|earlier| earlier.skill == action.skill) {
                return Err(ActionError::DuplicateSkill(action.skill.clone()).into());
            }
            forest.apply(&action.skill, &action.action, &[])?;
        }
        Ok(())
    }

    /// The allocations of the last plan are these from now on.
    pub(super) fn allocate(&mut self, mut allocations: Vec<Allocation>) -> Vec<Effect> {
        if self.allows(&Command::Allocate { allocations: allocations.clone() }).is_err() {
            return Vec::new();
        }
        if !self.forest.trees.is_empty() && self.forest.set_allocations(&allocations).is_ok() {
            allocations = self.forest.allocations();
        }
        allocations.retain(|a| a.count > 0);
        if let Some(plan) = self.iterations.last_mut().and_then(|row| row.plans.last_mut()) {
            (plan.allocations, plan.edited) = (allocations, true);
        }
        Vec::new()
    }

    /// The next plan is a person's. A plan that was made already is taken back.
    pub(super) fn act(&mut self, actions: Vec<SkillAction>) -> Vec<Effect> {
        if self.allows(&Command::Act { actions: actions.clone() }).is_err() {
            return Vec::new();
        }
        if let Some(work) = self.work.as_mut().filter(|work| work.phase == Phase::Generate) {
            work.phase = Phase::Plan;
            if let Some(row) = self.iterations.last_mut() {
                row.plans.pop();
            }
            self.forest = self.before_plan.take().unwrap_or_default();
        }
        self.acting = Some(actions);
        Vec::new()
    }

    /// Corrects the counts of rounds that were checked; the others are counted when they are.
    pub(super) fn reviewed(&mut self, counts: &[ReviewCount]) -> Vec<Effect> {
        for count in counts {
            let unchecked = |w: &super::Work| {
                (w.iteration, w.round) == (count.iteration, count.round) && w.phase == Phase::Check
            };
            if self.work.as_ref().is_some_and(unchecked) {
                continue;
            }
            let Some(row) = self.iterations.get_mut(count.iteration as usize) else { continue };
            let shift = |n: u32, by: i64| u32::try_from((i64::from(n) + by).max(0)).unwrap_or(u32::MAX);
            row.accepted = shift(row.accepted, count.accepted);
            row.rejected = shift(row.rejected, count.rejected);
            self.forest.record_review(&count.skill, &count.subskill, count.iteration, count.accepted);
        }
        Vec::new()
    }
}
