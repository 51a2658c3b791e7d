//! Plan: the environment shows its state, the policy asks for data.

use super::Stage;
use crate::environments::{lists, skill_tree};
use crate::gym::instance::Split;
use crate::gym::ports::{EnvironmentKind, Fact, PlanContext, PortError};
use crate::gym::rng::CounterRng;

impl Stage<'_, '_, '_> {
    pub(super) fn plan(&mut self) -> Result<Fact, PortError> {
        let (iteration, round) = (self.work.iteration, self.work.round);
        let seed = CounterRng::keyed(self.scene.seed, &format!("plan/{iteration}/{round}")).bits();
        let context = PlanContext { iteration, round, seed };
        let report = self.episode.latest_report();
        let report = report.ok_or_else(|| PortError::fatal("no validation report to plan from"))?;
        let (scene, policy) = (self.scene, self.scene.policy.as_ref());
        let kind = self.episode.rules.environment;
        if kind == EnvironmentKind::SkillTree {
            let proposal = scene.proposal.as_ref();
            let (plan, forest) = skill_tree::plan(self.episode, report, policy, proposal, context)?;
            return Ok(Fact::Planned { plan, forest });
        }
        let predictions = if scene.hidden {
            Vec::new()
        } else {
            self.ledger.predictions(report.iteration, Split::Validation)?
        };
        let sources = (scene.task.as_ref(), predictions.as_slice());
        let plan = lists::plan(kind, scene.hidden, sources, report, policy, context)?;
        Ok(Fact::Planned { plan, forest: self.episode.forest.clone() })
    }
}
