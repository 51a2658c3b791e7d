//! The embedded world as a task.

use super::{ANSWER_MARK, Splits, marked_answer};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::ports::{Task, words_key};
use crate::worlds::arithmetic::{self, Problem, Skill};

/// Name of the task in records.
pub const NAME: &str = "arithmetic";

/// Pool instances per skill: examples to show where the state is hidden. The procedural engine does not
/// select from them; it draws from the whole pool split.
const POOL_PER_SKILL: u32 = 40;

/// Twelve skills of arithmetic.
#[derive(Debug)]
pub struct ArithmeticTask {
    splits: Splits,
    max_tokens: u32,
}

impl ArithmeticTask {
    /// The world's fixed evaluation sets, with so many instances per skill.
    pub fn new(validation_per_skill: u32, test_per_skill: u32, max_tokens: u32) -> Self {
        let set = |split, world, per_skill: u32| {
            let problems = arithmetic::evaluation_set(world, per_skill as usize);
            problems.into_iter().enumerate().map(|(n, p)| instance(split, n, p)).collect()
        };
        let splits = Splits {
            pool: set(Split::Pool, arithmetic::Split::Pool, POOL_PER_SKILL),
            validation: set(Split::Validation, arithmetic::Split::Validation, validation_per_skill),
            test: set(Split::Test, arithmetic::Split::Test, test_per_skill),
        };
        Self { splits, max_tokens }
    }
}

fn instance(split: Split, n: usize, problem: Problem) -> TaskInstance {
    TaskInstance {
        id: format!("{NAME}-{}-{n:05}", split.as_str()),
        task: NAME.to_owned(),
        split,
        skill: Some(problem.skill.name().to_owned()),
        subskill: Some(problem.subskill.to_owned()),
        key: problem.key,
        facets: std::collections::BTreeMap::new(),
        content: Content::Mathematics {
            question: problem.question,
            options: Vec::new(),
            answer: problem.answer,
            solution: Some(problem.response),
        },
    }
}

impl Task for ArithmeticTask {
    fn name(&self) -> &'static str {
        NAME
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    fn skills(&self) -> Vec<String> {
        Skill::ALL.iter().map(|s| s.name().to_owned()).collect()
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        instance.content.question().to_owned()
    }

    /// The world's own key of a question in its wordings, so that what a teacher wrote is held against the held-out
    /// questions by the same rule as what the world draws; the words of any other question.
    fn key(&self, question: &str) -> String {
        arithmetic::read(question).map_or_else(|| words_key(question), |reading| reading.key)
    }

    /// As the world's own solutions are written, which the embedded student learned.
    fn response(&self, reasoning: &str, answer: &str) -> String {
        format!("{} {ANSWER_MARK} {answer}", reasoning.trim()).trim_start().to_owned()
    }

    fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    /// The text behind the last answer mark must be the answer to the letter.
    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        let answer = marked_answer(response);
        (answer.map(str::to_owned), answer == Some(instance.content.truth().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_question_has_the_key_of_the_world() {
        let task = ArithmeticTask::new(3, 5, 64);
        for instance in task.instances(Split::Test) {
            assert_eq!(task.key(instance.content.question()), instance.key);
        }
        assert_eq!(task.key("  Why  is that? "), "why is that?");
    }

    #[test]
    fn instances_are_scored_by_their_own_solutions() {
        let task = ArithmeticTask::new(3, 5, 64);
        assert_eq!(task.instances(Split::Validation).len(), 36);
        assert_eq!(task.instances(Split::Test).len(), 60);
        for instance in task.instances(Split::Test) {
            let Content::Mathematics { solution: Some(solution), answer, .. } = &instance.content else {
                panic!()
            };
            assert_eq!(task.score(instance, solution), (Some(answer.clone()), true));
            assert!(!task.score(instance, &format!("{solution}0")).1);
            assert_eq!(task.score(instance, "no mark"), (None, false));
        }
    }
}
