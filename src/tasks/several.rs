//! Several tasks as one: their validation questions steer the agent together, their reports stay apart.

use std::sync::Arc;

use super::leakage::{Drawn, cleaned};
use super::{Splits, skills_of};
use crate::gym::instance::{Domain, ImageRef, Split, TaskInstance};
use crate::gym::leakage::Contamination;
use crate::gym::ports::Task;

/// Name of the facet that keeps the tasks apart in reports.
pub const FACET: &str = "task";

/// Tasks of one domain. Data that an engine writes have the form of the task whose question it was shown first, of the
/// first one where it was shown none.
pub struct Several {
    name: String,
    tasks: Vec<Arc<dyn Task>>,
    splits: Splits,
    contamination: Contamination,
}

/// Why tasks do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeveralError {
    /// There is none.
    #[error("`task.tasks` names no task")]
    None,
    /// The domains differ.
    #[error("`task.tasks` holds tasks of different domains: `{0}` and `{1}`")]
    Domains(String, String),
    /// Two have the same name.
    #[error("`task.tasks` holds two tasks of the name `{0}`")]
    Twice(String),
}

impl Several {
    /// The tasks together.
    pub fn new(tasks: Vec<Arc<dyn Task>>) -> Result<Self, SeveralError> {
        let first = tasks.first().ok_or(SeveralError::None)?;
        for (n, task) in tasks.iter().enumerate() {
            if task.domain() != first.domain() {
                return Err(SeveralError::Domains(first.name().to_owned(), task.name().to_owned()));
            }
            if tasks[..n].iter().any(|earlier| earlier.name() == task.name()) {
                return Err(SeveralError::Twice(task.name().to_owned()));
            }
        }
        let marked = |task: &Arc<dyn Task>, instance: &TaskInstance| {
            let mut marked = instance.clone();
            marked.id = format!("{}/{}", task.name(), instance.id);
            task.name().clone_into(&mut marked.task);
            marked.facets.insert(FACET.to_owned(), task.name().to_owned());
            marked
        };
        let all = |split| {
            let of = |task| {
                let task: &Arc<dyn Task> = task;
                task.instances(split).iter().map(move |instance| marked(task, instance))
            };
            tasks.iter().flat_map(of).collect::<Vec<TaskInstance>>()
        };
        let together =
            Splits { pool: all(Split::Pool), validation: all(Split::Validation), test: all(Split::Test) };
        // Each task has done with its own what can be done; between tasks the splits are as named as those.
        let (splits, mut contamination) = cleaned(together, Drawn::Published);
        for own in tasks.iter().filter_map(|task| task.contamination()) {
            contamination.pool += own.pool;
            contamination.left_out += own.left_out;
        }
        let name = tasks.iter().map(|task| task.name()).collect::<Vec<_>>().join("+");
        Ok(Self { name, tasks, splits, contamination })
    }

    /// The task an instance comes from; the first for one that was written.
    fn of(&self, instance: &TaskInstance) -> &dyn Task {
        let found = self.tasks.iter().find(|task| task.name() == instance.task);
        found.unwrap_or(&self.tasks[0]).as_ref()
    }
}

impl Task for Several {
    fn name(&self) -> &str {
        &self.name
    }

    fn domain(&self) -> Domain {
        self.tasks[0].domain()
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    /// Of the tasks, and between them.
    fn contamination(&self) -> Option<Contamination> {
        Some(self.contamination)
    }

    fn skills(&self) -> Vec<String> {
        skills_of(&self.splits)
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        self.of(instance).prompt(instance)
    }

    fn key(&self, question: &str) -> String {
        self.tasks[0].key(question)
    }

    fn response(&self, reasoning: &str, answer: &str) -> String {
        self.tasks[0].response(reasoning, answer)
    }

    fn origin(&self, instance: &str) -> &str {
        let own = |task: &&Arc<dyn Task>| {
            instance.strip_prefix(task.name()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.tasks
            .iter()
            .filter(own)
            .map(|task| task.name())
            .max_by_key(|name| name.len())
            .unwrap_or(&self.name)
    }

    fn member(&self, origin: &str) -> Option<&dyn Task> {
        Some(self.tasks.iter().find(|task| task.name() == origin)?.as_ref())
    }

    fn solution(&self, instance: &TaskInstance) -> String {
        self.of(instance).solution(instance)
    }

    fn image(&self, image: &ImageRef) -> Option<Vec<u8>> {
        self.tasks.iter().find_map(|task| task.image(image))
    }

    fn max_tokens(&self) -> u32 {
        self.tasks.iter().map(|task| task.max_tokens()).max().unwrap_or(0)
    }

    fn stop(&self, instance: &TaskInstance) -> Vec<String> {
        self.of(instance).stop(instance)
    }

    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        self.of(instance).score(instance, response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::prediction::{FinishReason, Prediction};
    use crate::gym::report::Report;
    use crate::tasks::arithmetic::ArithmeticTask;
    use crate::tasks::scripted::ScriptedTask;

    fn scripted(domain: Domain) -> Arc<dyn Task> {
        Arc::new(ScriptedTask::new(domain, 2, 3, 64).unwrap())
    }

    #[test]
    fn each_question_keeps_its_scorer_and_its_row_in_the_report() {
        let tasks: Vec<Arc<dyn Task>> =
            vec![Arc::new(ArithmeticTask::new(1, 1, 64)), scripted(Domain::Mathematics)];
        let several = Several::new(tasks).unwrap();
        assert_eq!(several.name(), "arithmetic+scripted-mathematics");
        let instances = several.instances(Split::Validation);
        assert_eq!(instances.len(), 12 + 6);
        let answered = |(n, instance): (usize, &TaskInstance)| {
            let response = if n < 12 { several.solution(instance) } else { "#### no".to_owned() };
            let (answer, correct) = several.score(instance, &response);
            let finish = FinishReason::Stop;
            let instance_id = instance.id.clone();
            Prediction { instance_id, response, answer, correct, tokens: 1, finish }
        };
        let predictions: Vec<Prediction> = instances.iter().enumerate().map(answered).collect();
        let pairs: Vec<_> = instances.iter().zip(&predictions).collect();
        let report = Report::new(0, Split::Validation, &pairs).unwrap();
        let rows: Vec<(&str, f64, u32)> =
            report.slices.iter().map(|s| (s.name.as_str(), s.accuracy.mean, s.accuracy.n)).collect();
        assert_eq!(rows, [("arithmetic", 1.0, 12), ("scripted-mathematics", 0.0, 6)]);
        assert!(report.slices[0].accuracy.low > 0.7);
    }

    #[test]
    fn what_is_written_for_an_error_has_the_form_of_its_task() {
        let tasks: Vec<Arc<dyn Task>> =
            vec![scripted(Domain::Mathematics), Arc::new(ArithmeticTask::new(1, 1, 64))];
        let several = Several::new(tasks).unwrap();
        let shown = several.instances(Split::Validation).last().unwrap();
        let member = several.member(several.origin(&shown.id)).unwrap();
        assert_eq!(
            (member.name(), member.response("2+3=5.", "5")),
            ("arithmetic", "2+3=5. #### 5".to_owned())
        );
        assert_eq!(member.key("What is 2 + 3?"), ArithmeticTask::new(1, 1, 64).key("What is 2 + 3?"));
        assert!(several.member("nobody").is_none() && member.member("arithmetic").is_none());
    }

    #[test]
    fn tasks_that_do_not_go_together_are_refused() {
        let said = |tasks| Several::new(tasks).err().unwrap();
        assert_eq!(said(Vec::new()), SeveralError::None);
        let twice = vec![scripted(Domain::ToolUse), scripted(Domain::ToolUse)];
        assert!(matches!(said(twice), SeveralError::Twice(_)));
        let mixed = vec![scripted(Domain::ToolUse), scripted(Domain::Mathematics)];
        assert!(matches!(said(mixed), SeveralError::Domains(..)));
    }
}
