//! The world's own generator as data generation engine: always right.

use super::{provenance, target};
use crate::gym::datum::TrainingDatum;
use crate::gym::ports::{Engine, EngineAids, EngineJob, PortError};
use crate::gym::rng::CounterRng;
use crate::worlds::arithmetic::{Skill, Split, sample};

/// Draws problems of the asked subskill from the world's pool split.
#[derive(Debug, Clone, Copy, Default)]
pub struct Procedural;

impl Engine for Procedural {
    fn name(&self) -> &'static str {
        "procedural"
    }

    fn generate(
        &self,
        job: &EngineJob<'_>,
        aids: &mut dyn EngineAids,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let mut data = Vec::new();
        for allocation in 0..job.allocations.len() {
            for draw in 0..u64::from(job.allocations[allocation].count) {
                data.push(self.draw(job, allocation, draw, aids)?);
            }
            aids.wrote(data.len() as u64);
        }
        Ok(data)
    }
}

impl Procedural {
    fn draw(
        self,
        job: &EngineJob<'_>,
        allocation: usize,
        draw: u64,
        aids: &dyn EngineAids,
    ) -> Result<TrainingDatum, PortError> {
        let item = format!("procedural/{}/{}/{allocation}", job.iteration, job.round);
        let seed = CounterRng::keyed(job.seed, &item).bits();
        let (skill, subskill) = target(&job.allocations[allocation], aids, draw);
        let skill = match skill {
            Some(name) => Skill::from_name(&name)
                .ok_or_else(|| PortError::fatal(format!("the arithmetic world has no skill `{name}`")))?,
            None => {
                Skill::ALL
                    [CounterRng::keyed(seed, "skill").child(draw).below(Skill::ALL.len() as u64) as usize]
            }
        };
        let problem = sample(skill, subskill.as_deref(), Split::Pool, seed, draw)
            .map_err(|e| PortError::fatal(e.to_string()))?;
        Ok(TrainingDatum {
            id: String::new(),
            instruction: problem.question,
            question: None,
            response: problem.response,
            answer: Some(problem.answer),
            rejected_response: None,
            images: Vec::new(),
            skill: problem.skill.name().to_owned(),
            subskill: problem.subskill.to_owned(),
            key: problem.key,
            provenance: provenance(self.name(), job, allocation, draw),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::engines::taught::tests::NoAids;
    use crate::gym::instance::Split as GymSplit;
    use crate::gym::plan::Allocation;
    use crate::gym::ports::Task;
    use crate::tasks::arithmetic::ArithmeticTask;

    fn allocation(skill: &str, subskill: &str, count: u32) -> Allocation {
        Allocation { skill: skill.into(), subskill: subskill.into(), count, shown: Vec::new() }
    }

    fn generate(allocations: &[Allocation]) -> Result<Vec<TrainingDatum>, PortError> {
        Procedural.generate(&EngineJob { seed: 3, iteration: 1, round: 0, allocations }, &mut NoAids)
    }

    #[test]
    fn data_never_carry_a_held_out_operand_key() {
        let task = ArithmeticTask::new(40, 150, 64);
        let held_out: std::collections::HashSet<&str> = [GymSplit::Validation, GymSplit::Test]
            .into_iter()
            .flat_map(|s| task.instances(s))
            .map(|i| i.key.as_str())
            .collect();
        let all: Vec<Allocation> = Skill::ALL
            .iter()
            .flat_map(|skill| skill.subskills().iter().map(|s| allocation(skill.name(), s, 20)))
            .collect();
        let data = generate(&all).unwrap();
        assert_eq!(data.len(), 20 * all.len());
        assert!(data.iter().all(|d| !held_out.contains(d.key.as_str())));
        assert_eq!(data, generate(&all).unwrap());
    }

    #[test]
    fn unknown_names_are_errors_and_missing_ones_are_open() {
        for (skill, subskill) in [("music", "x"), ("add", "no such subskill")] {
            assert!(generate(&[allocation(skill, subskill, 1)]).is_err());
        }
        let skills: std::collections::BTreeSet<String> =
            generate(&[allocation("", "", 100)]).unwrap().into_iter().map(|d| d.skill).collect();
        assert!(skills.len() > 6, "{skills:?}");
    }
}
