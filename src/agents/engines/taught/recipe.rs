//! What is special about a domain: the prompt, the schema of the answer, the rendering as training data.

use serde_json::{Value, json};

use super::answer::Specification;
use super::{Layout, TaughtSettings};
use crate::agents::examples::shown;
use crate::gym::datum::{Provenance, TrainingDatum};
use crate::gym::instance::{Content, Domain, ImageRef, Split, TaskInstance, ToolCall};
use crate::gym::plan::Allocation;
use crate::gym::ports::{EngineAids, PortError, Rendered, Task};
use crate::gym::report::told;
use crate::gym::rng::CounterRng;
use crate::tasks::WHOLE_SKILL;

/// Skill and subskill in the words of a prompt: a part of nothing stands for itself, the whole of a skill for it.
fn named(allocation: &Allocation) -> (&str, &str) {
    let part = if allocation.subskill == WHOLE_SKILL { "" } else { &allocation.subskill };
    match told(&allocation.skill) {
        "" => (part, ""),
        skill => (skill, part),
    }
}

/// The prompt and form of a domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    domain: Domain,
    layout: Layout,
    shown_characters: u32,
}

impl Recipe {
    /// The recipe of a domain.
    pub(super) fn of(domain: Domain, settings: &TaughtSettings) -> Self {
        Self { domain, layout: settings.layout, shown_characters: settings.shown_characters }
    }

    /// The question for `count` data of an allocation, `written` of which are there already. The examples begin
    /// with the one whose skill the datum of the draw `first` is given.
    pub(super) fn prompt(
        self,
        allocation: &Allocation,
        first: u32,
        count: u32,
        written: &[&str],
        aids: &dyn EngineAids,
    ) -> Result<Rendered, PortError> {
        let mut ids: Vec<&String> = allocation.shown.iter().collect();
        let turn = first as usize % ids.len().max(1);
        ids.rotate_left(turn);
        let shown = shown(ids.into_iter().filter_map(|id| aids.shown(id)), self.shown_characters);
        let (skill, subskill) = named(allocation);
        let values = json!({"skill": skill, "subskill": subskill, "count": count, "written": written, "shown": shown,
                   "headings": self.layout == Layout::Headings});
        aids.render(self.domain.as_str(), &values)
    }

    /// The JSON schema of an answer with `count` entries.
    pub(super) fn schema(self, count: u32) -> Value {
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
        self,
        specification: Specification,
        (skill, subskill): (String, String),
        provenance: Provenance,
        task: &dyn Task,
        seed: u64,
        aids: &mut dyn EngineAids,
    ) -> Result<TrainingDatum, PortError> {
        // Of several tasks, that of the question shown first: its line of the answer is what the student is to write.
        let origin = provenance.source_errors.first().and_then(|shown| task.member(task.origin(shown)));
        let task = origin.unwrap_or(task);
        let key = task.key(&specification.question);
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
            facets: std::collections::BTreeMap::new(),
            content: self.content(&specification, &images),
        };
        let instruction = task.prompt(&instance);
        Ok(TrainingDatum {
            id: String::new(),
            question: (instruction != specification.question).then(|| specification.question.clone()),
            instruction,
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

    fn content(self, specification: &Specification, images: &[ImageRef]) -> Content {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::report::UNSORTED;

    #[test]
    fn what_stands_for_a_missing_name_is_not_said() {
        let of = |skill: &str, subskill: &str| {
            let allocation =
                Allocation { skill: skill.into(), subskill: subskill.into(), count: 1, shown: Vec::new() };
            let (skill, subskill) = named(&allocation);
            format!("{skill}/{subskill}")
        };
        assert_eq!(of("sums", "small"), "sums/small");
        assert_eq!((of("sums", WHOLE_SKILL), of("sums", "")), ("sums/".into(), "sums/".into()));
        assert_eq!((of(UNSORTED, WHOLE_SKILL), of("", "")), ("/".into(), "/".into()));
        assert_eq!(of(UNSORTED, "fractions"), "fractions/");
    }
}
