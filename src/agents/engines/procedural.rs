//! The world's own generator as data generation engine: always right.

use crate::gym::datum::{Provenance, TrainingDatum};
use crate::gym::plan::Allocation;
use crate::gym::ports::{Engine, EngineContext, PortError};
use crate::gym::rng::CounterRng;
use crate::worlds::arithmetic::{Problem, Skill, Split, sample};

/// Draws problems of the asked subskill from the world's pool split.
#[derive(Debug, Clone, Copy, Default)]
pub struct Procedural;

impl Engine for Procedural {
    fn name(&self) -> &'static str {
        "procedural"
    }

    fn generate(
        &self,
        allocation: &Allocation,
        context: EngineContext,
        _used: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let Allocation { skill, subskill, count, .. } = allocation;
        let unknown = || PortError::fatal(format!("the arithmetic world has no skill `{skill}`"));
        let world_skill = Skill::from_name(skill).ok_or_else(unknown)?;
        let item = format!("procedural/{}/{}/{}", context.iteration, context.round, context.allocation);
        let seed = CounterRng::keyed(context.seed, &item).bits();
        let draw = |index: u64| {
            let problem = sample(world_skill, Some(subskill), Split::Pool, seed, index);
            let problem = problem.map_err(|e| PortError::fatal(e.to_string()))?;
            Ok(datum(problem, allocation, context, index))
        };
        (0..u64::from(*count)).map(draw).collect()
    }
}

fn datum(problem: Problem, allocation: &Allocation, context: EngineContext, draw: u64) -> TrainingDatum {
    TrainingDatum {
        id: String::new(),
        instruction: problem.question,
        response: problem.response,
        answer: Some(problem.answer),
        rejected_response: None,
        images: Vec::new(),
        skill: allocation.skill.clone(),
        subskill: allocation.subskill.clone(),
        key: problem.key,
        provenance: Provenance {
            iteration: context.iteration,
            round: context.round,
            engine: "procedural".to_owned(),
            allocation: context.allocation,
            draw,
            source_errors: Vec::new(),
            source_instance: None,
            teacher_call: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::instance::Split as GymSplit;
    use crate::gym::ports::Task;
    use crate::tasks::arithmetic::ArithmeticTask;

    #[test]
    fn data_never_carry_a_held_out_operand_key() {
        let task = ArithmeticTask::new(40, 150, 64);
        let held_out: std::collections::HashSet<&str> = [GymSplit::Validation, GymSplit::Test]
            .into_iter()
            .flat_map(|s| task.instances(s))
            .map(|i| i.key.as_str())
            .collect();
        let context = EngineContext { seed: 3, iteration: 1, round: 0, allocation: 0 };
        for skill in Skill::ALL {
            for subskill in skill.subskills() {
                let (skill, subskill) = (skill.name().to_owned(), (*subskill).to_owned());
                let allocation = Allocation { skill, subskill, count: 20, shown: Vec::new() };
                let data = Procedural.generate(&allocation, context, &|_| false).unwrap();
                assert_eq!(data.len(), 20);
                assert!(data.iter().all(|d| !held_out.contains(d.key.as_str())));
                assert_eq!(data, Procedural.generate(&allocation, context, &|_| false).unwrap());
            }
        }
    }

    #[test]
    fn unknown_names_are_errors() {
        let context = EngineContext { seed: 3, iteration: 1, round: 0, allocation: 0 };
        for (skill, subskill) in [("music", "x"), ("add", "no such subskill")] {
            let allocation =
                Allocation { skill: skill.into(), subskill: subskill.into(), count: 1, shown: Vec::new() };
            assert!(Procedural.generate(&allocation, context, &|_| false).is_err());
        }
    }
}
