//! A task whose questions get their skills from somewhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Discovery, Found, SkillsError};
use crate::gym::instance::{Domain, ImageRef, Split, TaskInstance};
use crate::gym::leakage::Contamination;
use crate::gym::ports::{PortError, SkillDiscovery, Task, Teacher};
use crate::gym::report::UNSORTED;
use crate::gym::rng::CounterRng;
use crate::tasks::{Splits, WHOLE_SKILL};

/// A task with other skills. Everything but the skills is the task's own.
pub struct Labelled {
    task: Arc<dyn Task>,
    splits: OnceLock<Splits>,
    discovery: Option<Discovery>,
    record: Option<PathBuf>,
}

impl Labelled {
    /// With the skills of a file, by instance id. `path` is named when validation questions have none; a
    /// question of another split without a skill is unsorted.
    pub fn given(
        task: Arc<dyn Task>,
        skills: &BTreeMap<String, String>,
        path: &Path,
    ) -> Result<Self, SkillsError> {
        let validation = task.instances(Split::Validation);
        let mut missing = validation.iter().filter(|instance| !skills.contains_key(&instance.id));
        if let Some(first) = missing.next() {
            let (missing, all, first) = (1 + missing.count(), validation.len(), first.id.clone());
            return Err(SkillsError::Missing { path: path.to_owned(), missing, all, first });
        }
        let splits = OnceLock::from(relabelled(task.as_ref(), skills));
        Ok(Self { task, splits, discovery: None, record: None })
    }

    /// With the skills of the source, but `share` of the questions of each split get skill and subskill of a random
    /// question of another skill of that split. What is drawn depends on the seed and the question alone.
    pub fn mislabelled(task: Arc<dyn Task>, share: f64, seed: u64) -> Self {
        let split = |split| {
            let instances = task.instances(split);
            let label = |instance| mislabelled(instance, instances, share, seed);
            instances.iter().map(label).collect()
        };
        let splits = Splits {
            pool: split(Split::Pool),
            validation: split(Split::Validation),
            test: split(Split::Test),
        };
        Self { task, splits: OnceLock::from(splits), discovery: None, record: None }
    }

    /// With skills that are found once a teacher can be asked; until then every question is unsorted. What
    /// was found is written to `record`.
    pub fn discovered(task: Arc<dyn Task>, discovery: Discovery, record: PathBuf) -> Self {
        Self { task, splits: OnceLock::new(), discovery: Some(discovery), record: Some(record) }
    }
}

fn relabelled(task: &dyn Task, skills: &BTreeMap<String, String>) -> Splits {
    let relabel = |instance: &TaskInstance| {
        let skill = skills.get(&instance.id).cloned().unwrap_or_else(|| UNSORTED.to_owned());
        TaskInstance { skill: Some(skill), subskill: Some(WHOLE_SKILL.to_owned()), ..instance.clone() }
    };
    let split = |split| task.instances(split).iter().map(relabel).collect();
    Splits { pool: split(Split::Pool), validation: split(Split::Validation), test: split(Split::Test) }
}

fn mislabelled(instance: &TaskInstance, all: &[TaskInstance], share: f64, seed: u64) -> TaskInstance {
    /// A split of almost one skill alone must not be drawn from for ever.
    const DRAWS: usize = 1000;
    let mut rng = CounterRng::keyed(seed, &format!("mislabelled/{}", instance.id));
    if rng.unit() >= share {
        return instance.clone();
    }
    let mut drawn = (0..DRAWS).map(|_| &all[rng.below(all.len() as u64) as usize]);
    let other = drawn.find(|other| other.skill != instance.skill).unwrap_or(instance);
    TaskInstance { skill: other.skill.clone(), subskill: other.subskill.clone(), ..instance.clone() }
}

impl SkillDiscovery for Labelled {
    fn found(&self) -> bool {
        self.splits.get().is_some()
    }

    fn discover(&self, teacher: &mut dyn Teacher) -> Result<(), PortError> {
        let Some(discovery) = self.discovery.as_ref().filter(|_| !self.found()) else { return Ok(()) };
        let Found { skills, record } = discovery.run(self.task.as_ref(), teacher)?;
        if let Some(path) = &self.record {
            record.write(path).map_err(|e| PortError::fatal(e.to_string()))?;
        }
        // Whoever was first found the same.
        let _ = self.splits.set(relabelled(self.task.as_ref(), &skills));
        Ok(())
    }
}

impl Task for Labelled {
    fn name(&self) -> &str {
        self.task.name()
    }

    fn domain(&self) -> Domain {
        self.task.domain()
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get().map_or_else(|| self.task.instances(split), |splits| splits.get(split))
    }

    fn contamination(&self) -> Option<Contamination> {
        self.task.contamination()
    }

    fn skills(&self) -> Vec<String> {
        let mut skills: Vec<String> = Vec::new();
        for skill in self.instances(Split::Validation).iter().filter_map(|instance| instance.skill.as_ref()) {
            if !skills.contains(skill) {
                skills.push(skill.clone());
            }
        }
        skills
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        self.task.prompt(instance)
    }

    fn key(&self, question: &str) -> String {
        self.task.key(question)
    }

    fn response(&self, reasoning: &str, answer: &str) -> String {
        self.task.response(reasoning, answer)
    }

    fn origin(&self, instance: &str) -> &str {
        self.task.origin(instance)
    }

    fn member(&self, origin: &str) -> Option<&dyn Task> {
        self.task.member(origin)
    }

    fn solution(&self, instance: &TaskInstance) -> String {
        self.task.solution(instance)
    }

    fn image(&self, image: &ImageRef) -> Option<Vec<u8>> {
        self.task.image(image)
    }

    fn max_tokens(&self) -> u32 {
        self.task.max_tokens()
    }

    fn stop(&self, instance: &TaskInstance) -> Vec<String> {
        self.task.stop(instance)
    }

    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        self.task.score(instance, response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::arithmetic::ArithmeticTask;

    #[test]
    fn a_share_of_the_labels_is_wrong_and_nothing_else_changes() {
        let task: Arc<dyn Task> = Arc::new(ArithmeticTask::new(100, 100, 96));
        for share in [0.0, 0.3, 1.0] {
            let labelled = Labelled::mislabelled(Arc::clone(&task), share, 7);
            let again = Labelled::mislabelled(Arc::clone(&task), share, 7);
            for split in [Split::Validation, Split::Test] {
                let (plain, given) = (task.instances(split), labelled.instances(split));
                assert_eq!(given, again.instances(split));
                let wrong =
                    plain.iter().zip(given).filter(|(plain, given)| plain.skill != given.skill).count();
                assert!(
                    (wrong as f64 / plain.len() as f64 - share).abs() < 0.05,
                    "{wrong} of {}",
                    plain.len()
                );
                for (plain, given) in plain.iter().zip(given) {
                    let (skill, subskill) = (plain.skill.clone(), plain.subskill.clone());
                    assert_eq!(*plain, TaskInstance { skill, subskill, ..given.clone() });
                    assert!(plain.skill != given.skill || plain.subskill == given.subskill);
                }
            }
        }
    }
}
