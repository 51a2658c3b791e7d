//! Selects training data from a task's pool instead of writing them.

use std::sync::Arc;

use crate::gym::datum::{Provenance, TrainingDatum};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::plan::Allocation;
use crate::gym::ports::{Engine, EngineContext, PortError, Task};
use crate::gym::rng::CounterRng;

/// Takes pool instances of the asked skill and subskill in an order drawn from the run's seed, each at most
/// once per run. When the pool is used up it delivers fewer data than asked for.
pub struct Selection {
    task: Arc<dyn Task>,
}

impl Selection {
    /// Selects from the pool of `task`, whose instances must carry solutions.
    pub fn new(task: Arc<dyn Task>) -> Self {
        Self { task }
    }
}

impl Engine for Selection {
    fn name(&self) -> &'static str {
        "selection"
    }

    fn generate(
        &self,
        allocation: &Allocation,
        context: EngineContext,
        used: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let wanted = |i: &&TaskInstance| {
            i.skill.as_deref() == Some(&allocation.skill)
                && i.subskill.as_deref() == Some(&allocation.subskill)
                && !used(&i.id)
        };
        let mut candidates: Vec<&TaskInstance> =
            self.task.instances(Split::Pool).iter().filter(wanted).collect();
        let order = |i: &&TaskInstance| (CounterRng::keyed(context.seed, &i.id).bits(), i.id.clone());
        candidates.sort_by_cached_key(order);
        let chosen = candidates.into_iter().take(allocation.count as usize).enumerate();
        chosen.map(|(draw, instance)| self.datum(instance, allocation, context, draw as u64)).collect()
    }
}

impl Selection {
    fn datum(
        &self,
        instance: &TaskInstance,
        allocation: &Allocation,
        context: EngineContext,
        draw: u64,
    ) -> Result<TrainingDatum, PortError> {
        let Content::Mathematics { answer, solution: Some(solution), .. } = &instance.content else {
            let id = &instance.id;
            return Err(PortError::fatal(format!("pool instance `{id}` has no solution to train on")));
        };
        Ok(TrainingDatum {
            id: String::new(),
            instruction: self.task.prompt(instance),
            response: solution.clone(),
            answer: Some(answer.clone()),
            rejected_response: None,
            images: Vec::new(),
            skill: allocation.skill.clone(),
            subskill: allocation.subskill.clone(),
            key: instance.key.clone(),
            provenance: Provenance {
                iteration: context.iteration,
                round: context.round,
                engine: self.name().to_owned(),
                allocation: context.allocation,
                draw,
                source_errors: Vec::new(),
                source_instance: Some(instance.id.clone()),
                teacher_call: None,
            },
        })
    }
}
