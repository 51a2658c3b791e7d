//! A scripted world as a task.

use std::collections::HashMap;
use std::io;

use super::{Splits, marked_answer};
use crate::gym::instance::{Content, Domain, ImageRef, Split, TaskInstance};
use crate::gym::ports::Task;
use crate::worlds::scripted;

/// A task of one domain for scripted models.
#[derive(Debug)]
pub struct ScriptedTask {
    name: String,
    domain: Domain,
    skills: Vec<String>,
    splits: Splits,
    max_tokens: u32,
    images: HashMap<String, String>,
}

impl ScriptedTask {
    /// So many skills, each with so many instances per split.
    ///
    /// # Errors
    /// When a picture cannot be drawn.
    pub fn new(domain: Domain, skills: u32, per_skill: u32, max_tokens: u32) -> io::Result<Self> {
        let skills: Vec<String> = (0..skills).map(scripted::skill).collect();
        let set = |split| -> io::Result<Vec<TaskInstance>> {
            let numbers = |skill| (0..per_skill).map(move |n| (skill, n));
            let drawn = skills.iter().flat_map(numbers);
            drawn.map(|(skill, n)| scripted::instance(domain, split, skill, n)).collect()
        };
        let splits =
            Splits { pool: set(Split::Pool)?, validation: set(Split::Validation)?, test: set(Split::Test)? };
        let all = [&splits.pool, &splits.validation, &splits.test].into_iter().flatten();
        let images = all
            .flat_map(|i| i.content.images().iter().map(|image| (image.sha256.clone(), i.content.question())))
            .map(|(hash, question)| (hash, question.to_owned()))
            .collect();
        let name = format!("scripted-{}", domain.as_str());
        Ok(Self { name, domain, skills, splits, max_tokens, images })
    }
}

impl Task for ScriptedTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn domain(&self) -> Domain {
        self.domain
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    fn skills(&self) -> Vec<String> {
        self.skills.clone()
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        instance.content.question().to_owned()
    }

    fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    fn image(&self, image: &ImageRef) -> Option<Vec<u8>> {
        let question = self.images.get(&image.sha256)?;
        scripted::picture(question, 0).ok().map(|drawing| drawing.bytes)
    }

    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        let answer = marked_answer(response);
        let correct = answer.is_some_and(|given| match &instance.content {
            Content::VisualQuestionAnswering { answers, .. } => answers.iter().any(|right| right == given),
            content => content.truth() == given,
        });
        (answer.map(str::to_owned), correct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_domain_scores_its_own_solutions_and_finds_its_images() {
        for domain in Domain::ALL {
            let task = ScriptedTask::new(domain, 3, 4, 64).unwrap();
            for split in [Split::Pool, Split::Validation, Split::Test] {
                assert_eq!(task.instances(split).len(), 12);
                for instance in task.instances(split) {
                    assert!(task.score(instance, &task.solution(instance)).1, "{instance:?}");
                    assert!(!task.score(instance, "#### nothing").1);
                    for image in instance.content.images() {
                        let bytes = task.image(image).unwrap();
                        assert_eq!(ImageRef::of(&bytes, &image.media_type, image.size), *image);
                    }
                }
            }
        }
    }
}
