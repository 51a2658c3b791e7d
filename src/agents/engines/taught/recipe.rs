//! What is special about a domain: the prompt, the schema of the answer, the rendering as training data.

use minijinja::{Environment, context};
use serde_json::{Value, json};

use super::answer::Specification;
use crate::gym::datum::{Provenance, TrainingDatum};
use crate::gym::instance::{Content, Domain, ImageRef, Split, TaskInstance, ToolCall};
use crate::gym::plan::Allocation;
use crate::gym::ports::{EngineAids, PortError, Task};
use crate::gym::rng::CounterRng;

/// The prompt and form of a domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    domain: Domain,
    version: u32,
    template: &'static str,
}

impl Recipe {
    /// The recipe of a domain.
    pub(super) fn of(domain: Domain) -> Self {
        let template = match domain {
            Domain::Mathematics => include_str!("../../prompts/mathematics.1.txt"),
            Domain::Programming => include_str!("../../prompts/programming.1.txt"),
            Domain::VisualQuestionAnswering => include_str!("../../prompts/visual_question_answering.1.txt"),
            Domain::ToolUse => include_str!("../../prompts/tool_use.1.txt"),
        };
        Self { domain, version: 1, template }
    }

    /// `name@version` of the prompt.
    pub(super) fn name(&self) -> String {
        format!("{}@{}", self.domain.as_str(), self.version)
    }

    /// The question for `count` data of an allocation, `written` of which are there already.
    pub(super) fn prompt(
        &self,
        allocation: &Allocation,
        count: u32,
        written: &[&str],
        aids: &dyn EngineAids,
    ) -> Result<String, PortError> {
        let shown: Vec<Value> = allocation
            .shown
            .iter()
            .filter_map(|id| aids.shown(id))
            .map(|example| {
                let content = &example.instance.content;
                let response = example.prediction.map(|p| p.response.as_str());
                json!({"question": content.question(), "answer": content.truth(), "response": response})
            })
            .collect();
        let (skill, subskill) = (&allocation.skill, &allocation.subskill);
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .render_str(self.template, context! { skill, subskill, count, written, shown })
            .map_err(|error| PortError::fatal(format!("prompt `{}`: {error:#}", self.name())))
    }

    /// The JSON schema of an answer with `count` entries.
    pub(super) fn schema(&self, count: u32) -> Value {
        // Every text is bounded: a weak model would write one for ever.
        let text = |longest: u32| json!({"type": "string", "minLength": 1, "maxLength": longest});
        let reasoning = json!({"type": "string", "maxLength": 2000});
        let mut fields = json!({"question": text(1000), "reasoning": reasoning, "answer": text(1000)});
        let mut required = vec!["question", "reasoning", "answer"];
        if self.domain == Domain::VisualQuestionAnswering {
            fields["image"] = text(500);
            required.push("image");
        }
        json!({
            "type": "object",
            "properties": {"data": {
                "type": "array",
                "minItems": count,
                "maxItems": count,
                "items": {
                    "type": "object",
                    "properties": fields,
                    "required": required,
                    "additionalProperties": false,
                },
            }},
            "required": ["data"],
            "additionalProperties": false,
        })
    }

    /// The datum: its instruction is what the student would be asked, its response what it should answer.
    pub(super) fn render(
        &self,
        specification: Specification,
        (skill, subskill): (String, String),
        provenance: Provenance,
        task: &dyn Task,
        seed: u64,
        aids: &mut dyn EngineAids,
    ) -> Result<TrainingDatum, PortError> {
        let key = key(&specification.question);
        let images: Vec<ImageRef> = match self.domain {
            Domain::VisualQuestionAnswering => {
                let item = format!("image/{}/{}", specification.question, specification.image);
                vec![aids.draw(&specification.image, CounterRng::keyed(seed, &item).bits())?]
            }
            _ => Vec::new(),
        };
        let instance = TaskInstance {
            id: String::new(),
            task: task.name().to_owned(),
            split: Split::Pool,
            skill: None,
            subskill: None,
            key: key.clone(),
            content: self.content(&specification, &images),
        };
        Ok(TrainingDatum {
            id: String::new(),
            instruction: task.prompt(&instance),
            response: task.response(&specification.reasoning, &specification.answer),
            answer: Some(specification.answer),
            rejected_response: None,
            images,
            skill,
            subskill,
            key,
            provenance,
        })
    }

    fn content(&self, specification: &Specification, images: &[ImageRef]) -> Content {
        let (question, answer) = (specification.question.clone(), specification.answer.clone());
        match (self.domain, images) {
            (Domain::Programming, _) => Content::Programming {
                instruction: question,
                starter_code: None,
                solution: Some(answer),
                tests: Vec::new(),
            },
            (Domain::ToolUse, _) => {
                // A plan that is no JSON is kept as text and fails the task's own check.
                let plan: Vec<ToolCall> = serde_json::from_str(&answer).unwrap_or_default();
                Content::ToolUse { request: question, tools: Vec::new(), plan }
            }
            (Domain::VisualQuestionAnswering, [image, ..]) => Content::VisualQuestionAnswering {
                question,
                image: image.clone(),
                choices: Vec::new(),
                answers: vec![answer],
            },
            _ => Content::Mathematics { question, options: Vec::new(), answer, solution: None },
        }
    }
}

/// Leakage key of a question that has no operand key: its words.
fn key(question: &str) -> String {
    question.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
