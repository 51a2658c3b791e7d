//! The form: a response must state its answer in the way the task's scorer finds it.

use std::collections::BTreeMap;

use super::FORM;
use crate::gym::datum::{CheckResult, TrainingDatum};
use crate::gym::instance::{Content, Domain, Split, TaskInstance};
use crate::gym::ports::{Check, Task};
use crate::tasks::{marked_answer, numbers};

/// Scores every response against the answer it claims.
pub struct Form<'a> {
    task: &'a dyn Task,
}

impl<'a> Form<'a> {
    /// With the scorer of a task.
    pub fn new(task: &'a dyn Task) -> Self {
        Self { task }
    }
}

/// The datum as a question with its claimed answer as truth, where the domain compares answers.
pub fn claimed(datum: &TrainingDatum, task: &dyn Task) -> Option<TaskInstance> {
    let (question, answer) = (datum.question().to_owned(), datum.answer.clone()?);
    // The question it was selected from, or the first that its teacher was shown.
    let from = &datum.provenance;
    let source = from.source_instance.as_deref().or(from.source_errors.first().map(String::as_str));
    let content = match (task.domain(), datum.images.first()) {
        (Domain::Mathematics, _) => {
            Content::Mathematics { question, options: Vec::new(), answer, solution: None }
        }
        (Domain::VisualQuestionAnswering, Some(image)) => Content::VisualQuestionAnswering {
            question,
            image: image.clone(),
            choices: Vec::new(),
            answers: vec![answer],
        },
        _ => return None,
    };
    Some(TaskInstance {
        id: datum.id.clone(),
        task: source.map_or(task.name(), |source| task.origin(source)).to_owned(),
        split: Split::Pool,
        skill: None,
        subskill: None,
        facets: BTreeMap::new(),
        key: datum.key.clone(),
        content,
    })
}

impl Check for Form<'_> {
    fn check(&mut self, datum: &TrainingDatum) -> Option<CheckResult> {
        let answer = datum.answer.as_ref()?;
        let (stated, passed) = if let Some(instance) = claimed(datum, self.task) {
            self.task.score(&instance, &datum.response)
        } else {
            let stated = marked_answer(&datum.response);
            let same = |stated| answer == stated || numbers::equal(answer, stated);
            (stated.map(str::to_owned), stated.is_some_and(same))
        };
        let reason = match stated {
            Some(_) if passed => "the response states the claimed answer".to_owned(),
            Some(stated) => format!("the response states `{stated}`, claimed is `{answer}`"),
            None => format!("the response states no answer, claimed is `{answer}`"),
        };
        Some(CheckResult { check: FORM.to_owned(), passed, filters: true, score: None, reason })
    }
}
