//! A few questions of the embedded world, and a student that gets them wrong.

use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::Task;
use crate::gym::prediction::{FinishReason, Prediction};
use crate::tasks::Splits;
use crate::tasks::arithmetic::ArithmeticTask;

/// The first questions of the embedded world.
pub(super) struct Sample {
    world: ArithmeticTask,
    splits: Splits,
}

impl Sample {
    /// So many validation and pool questions, at most one per skill.
    pub(super) fn new(questions: u32) -> Self {
        let world = ArithmeticTask::new(1, 1, 64);
        let first =
            |split| world.instances(split).iter().take(questions as usize).cloned().collect::<Vec<_>>();
        let splits =
            Splits { pool: first(Split::Pool), validation: first(Split::Validation), test: Vec::new() };
        Self { world, splits }
    }

    /// Every validation question with an answer that is one off.
    pub(super) fn errors(&self) -> Vec<(TaskInstance, Prediction)> {
        let wrong = |instance: &TaskInstance| {
            let answer = instance.content.truth().parse::<i64>().map_or(0, |truth| truth + 1).to_string();
            let prediction = Prediction {
                instance_id: instance.id.clone(),
                response: self.response("I think it is this.", &answer),
                answer: Some(answer),
                correct: false,
                tokens: 8,
                finish: FinishReason::Stop,
            };
            (instance.clone(), prediction)
        };
        self.splits.validation.iter().map(wrong).collect()
    }
}

impl Task for Sample {
    fn name(&self) -> &str {
        self.world.name()
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    fn skills(&self) -> Vec<String> {
        self.world.skills()
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        self.world.prompt(instance)
    }

    fn max_tokens(&self) -> u32 {
        self.world.max_tokens()
    }

    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        self.world.score(instance, response)
    }
}
