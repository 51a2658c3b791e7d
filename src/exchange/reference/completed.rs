//! Completed task instances of all its types.

use serde::Deserialize;

use crate::gym::instance::{Content, ImageRef, Split, TaskInstance};
use crate::gym::prediction::{FinishReason, Prediction};
use crate::gym::ulid::Ulid;

/// A completed instance; the three nominal types have the same fields.
#[derive(Debug, Deserialize)]
pub(super) struct Completed {
    #[serde(rename = "ulid")]
    _ulid: Ulid,
    task_instance: Instance,
    predictor_response: String,
    was_correct: bool,
}

/// The instances by what tells them apart: the type of a question about an image, a label, or neither.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Instance {
    Visual {
        task_name: String,
        instance_id: String,
        instruction: String,
        ground_truth_label: Label,
        vqa_task_type: VisualKind,
        #[serde(default)]
        answer_choices: Vec<String>,
    },
    Mathematics {
        task_name: String,
        instance_id: String,
        instruction: String,
        ground_truth_label: String,
    },
    Programming {
        task_name: String,
        instance_id: String,
        instruction: String,
        #[serde(default)]
        solution: Option<String>,
        #[serde(default)]
        starter_code: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VisualKind {
    OpenEnded,
    MultipleChoice,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Label {
    One(String),
    Several(Vec<String>),
}

impl Completed {
    pub(super) fn task_name(&self) -> &str {
        match &self.task_instance {
            Instance::Visual { task_name, .. }
            | Instance::Mathematics { task_name, .. }
            | Instance::Programming { task_name, .. } => task_name,
        }
    }

    /// The id that the reference gives it.
    pub(super) fn own_id(&self) -> &str {
        let (Instance::Visual { instance_id, .. }
        | Instance::Mathematics { instance_id, .. }
        | Instance::Programming { instance_id, .. }) = &self.task_instance;
        instance_id
    }

    /// Unique over the tasks of an experiment, whose answers stand in one file.
    pub(super) fn instance_id(&self) -> String {
        format!("{}/{}", self.task_name(), self.own_id())
    }

    pub(super) fn was_correct(&self) -> bool {
        self.was_correct
    }

    /// Our instance. The reference keeps neither skills nor tests nor the image of a question.
    pub(super) fn instance(&self, split: Split) -> TaskInstance {
        let content = match &self.task_instance {
            Instance::Visual { instruction, ground_truth_label, vqa_task_type, answer_choices, .. } => {
                Content::VisualQuestionAnswering {
                    question: instruction.clone(),
                    image: ImageRef::lost(),
                    choices: match vqa_task_type {
                        VisualKind::OpenEnded => Vec::new(),
                        VisualKind::MultipleChoice => answer_choices.clone(),
                    },
                    answers: match ground_truth_label.clone() {
                        Label::One(answer) => vec![answer],
                        Label::Several(answers) => answers,
                    },
                }
            }
            Instance::Mathematics { instruction, ground_truth_label, .. } => Content::Mathematics {
                question: instruction.clone(),
                options: Vec::new(),
                answer: boxed(ground_truth_label).unwrap_or(ground_truth_label).to_owned(),
                solution: Some(ground_truth_label.clone()),
            },
            Instance::Programming { instruction, solution, starter_code, .. } => Content::Programming {
                instruction: instruction.clone(),
                starter_code: starter_code.clone(),
                solution: solution.clone(),
                tests: Vec::new(),
            },
        };
        let id = self.instance_id();
        let task = self.task_name().to_owned();
        TaskInstance {
            key: id.clone(),
            id,
            task,
            split,
            skill: None,
            subskill: None,
            facets: std::collections::BTreeMap::new(),
            content,
        }
    }

    /// Our prediction. The reference counts no tokens.
    pub(super) fn prediction(self) -> Prediction {
        Prediction {
            instance_id: self.instance_id(),
            response: self.predictor_response,
            answer: None,
            correct: self.was_correct,
            tokens: 0,
            finish: FinishReason::Stop,
        }
    }
}

/// The canonical answer line of the reference's scorer.
pub(super) fn answer_line(answer: &str) -> String {
    format!("Final Answer: The final answer is $\\boxed{{ {answer} }}$.")
}

/// What the last `\boxed{...}` holds: the label is a whole solution and its canonical answer line.
pub(super) fn boxed(label: &str) -> Option<&str> {
    let (_, rest) = label.rsplit_once("\\boxed{")?;
    let mut depth = 1;
    for (at, c) in rest.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(rest[..at].trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_the_last_box_holds() {
        assert_eq!(boxed("\\boxed{1} so $\\boxed{ \\frac{1}{2} }$."), Some("\\frac{1}{2}"));
        assert_eq!(boxed("\\boxed{1"), None);
        assert_eq!(boxed("none"), None);
    }
}
