//! Generate: the engine turns the plan into training data.

use super::Stage;
use super::aids::Aids;
use crate::gym::datum::JudgedDatum;
use crate::gym::ports::{EngineJob, Fact, PortError};

impl Stage<'_, '_, '_> {
    pub(super) fn generate(&mut self) -> Result<Fact, PortError> {
        let (work, episode, scene) = (self.work, self.episode, self.scene);
        let row = episode.iterations.get(work.iteration as usize);
        let plan = row.and_then(|row| row.plans.iter().find(|p| p.round == work.round));
        let missing = || PortError::fatal(format!("iteration {} has no plan", work.iteration));
        let plan = plan.ok_or_else(missing)?;
        let job = EngineJob {
            seed: scene.seed,
            iteration: work.iteration,
            round: work.round,
            allocations: &plan.allocations,
        };
        let mut aids = Aids::new(self, plan)?;
        let written = scene.engine.generate(&job, &mut aids)?;
        let teacher_tokens = aids.teacher_tokens();
        let mut data: Vec<JudgedDatum> = written.into_iter().map(JudgedDatum::pending).collect();
        for (n, judged) in data.iter_mut().enumerate() {
            judged.datum.id = format!("i{:03}-r{}-{n:05}", work.iteration, work.round);
        }
        self.ledger.put_data(work.iteration, work.round, &data)?;
        Ok(Fact::Generated { count: data.len() as u32, teacher_tokens })
    }
}
