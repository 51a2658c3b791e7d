//! Selects training data from a task's pool instead of writing them.

use std::collections::HashSet;
use std::sync::Arc;

use super::{provenance, target};
use crate::gym::datum::TrainingDatum;
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::ports::{Engine, EngineAids, EngineJob, PortError, Task};
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
        job: &EngineJob<'_>,
        aids: &mut dyn EngineAids,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let pool = self.task.instances(Split::Pool);
        let mut order: Vec<&TaskInstance> = pool.iter().filter(|i| !aids.used(&i.id)).collect();
        order.sort_by_cached_key(|i| (CounterRng::keyed(job.seed, &i.id).bits(), i.id.clone()));
        let mut taken: HashSet<&str> = HashSet::new();
        let mut data = Vec::new();
        for (place, allocation) in job.allocations.iter().enumerate() {
            for draw in 0..u64::from(allocation.count) {
                let (skill, subskill) = target(allocation, aids, draw);
                let fits = |i: &&&TaskInstance| {
                    (skill.is_none() || i.skill == skill)
                        && (subskill.is_none() || i.subskill == subskill)
                        && !taken.contains(i.id.as_str())
                };
                let Some(instance) = order.iter().find(fits) else { continue };
                taken.insert(&instance.id);
                data.push(self.datum(instance, job, place, draw)?);
            }
            aids.wrote(data.len() as u64);
        }
        Ok(data)
    }
}

impl Selection {
    fn datum(
        &self,
        instance: &TaskInstance,
        job: &EngineJob<'_>,
        allocation: usize,
        draw: u64,
    ) -> Result<TrainingDatum, PortError> {
        let Content::Mathematics { answer, solution: Some(solution), .. } = &instance.content else {
            let id = &instance.id;
            return Err(PortError::fatal(format!("pool instance `{id}` has no solution to train on")));
        };
        let wanted = &job.allocations[allocation];
        let named = |wanted: &str, gold: &Option<String>| match wanted {
            "" => gold.clone().unwrap_or_default(),
            name => name.to_owned(),
        };
        let from = provenance(self.name(), job, allocation, draw);
        let (instruction, question) = (self.task.prompt(instance), instance.content.question());
        Ok(TrainingDatum {
            id: String::new(),
            question: (instruction != question).then(|| question.to_owned()),
            instruction,
            response: solution.clone(),
            answer: Some(answer.clone()),
            rejected_response: None,
            images: Vec::new(),
            skill: named(&wanted.skill, &instance.skill),
            subskill: named(&wanted.subskill, &instance.subskill),
            key: instance.key.clone(),
            provenance: crate::gym::datum::Provenance { source_instance: Some(instance.id.clone()), ..from },
        })
    }
}
