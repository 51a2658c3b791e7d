//! How a question is put to the student: what is around it.
//!
//! Shared by benchmarks and JSON-lines files; the texts are prompts like any other.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::gym::instance::{Content, TaskInstance};
use crate::prompts::Prompts;

/// How `student_few_shot` begins a problem. A base model that has answered writes the next one.
const NEXT_PROBLEM: &str = "\nProblem:";

/// What is around the question when the student is asked. It is the same for the base and the trained student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing.
    Bare,
    /// The form of the answer.
    ZeroShot,
    /// Worked examples of the pool, and the form of the answer.
    FewShot(u32),
}

impl Style {
    /// Worked examples it needs of the pool.
    pub(super) fn shots(self) -> usize {
        match self {
            Self::FewShot(shots) => shots as usize,
            Self::Bare | Self::ZeroShot => 0,
        }
    }

    /// The question as it is put. `answer` names the form of the answer: `number`, `option` or `expression`.
    pub(super) fn prompt(
        self,
        prompts: &Arc<Prompts>,
        answer: &str,
        instance: &TaskInstance,
        pool: &[TaskInstance],
    ) -> String {
        let parts = |instance: &TaskInstance| match &instance.content {
            Content::Mathematics { question, options, solution, .. } => {
                json!({"question": question, "options": options, "response": solution})
            }
            content => json!({"question": content.question(), "options": [], "response": null}),
        };
        let (prompt, shots): (&str, Vec<Value>) = match self {
            Self::Bare => return instance.content.question().to_owned(),
            Self::ZeroShot => ("student_zero_shot", Vec::new()),
            Self::FewShot(shots) => {
                // A question is no example of itself.
                let others = pool.iter().filter(|other| other.key != instance.key);
                ("student_few_shot", others.take(shots as usize).map(parts).collect())
            }
        };
        let mut values = parts(instance);
        values["shots"] = Value::from(shots);
        values["answer"] = Value::from(answer);
        let rendered = prompts.render(prompt, &values);
        // Prompts are tried with every variable when they are read.
        rendered.map_or_else(|_| instance.content.question().to_owned(), |r| r.text.trim_end().to_owned())
    }

    /// Texts that end the student's answer.
    pub(super) fn stop(self) -> Vec<String> {
        match self {
            Self::FewShot(_) => vec![NEXT_PROBLEM.to_owned()],
            Self::Bare | Self::ZeroShot => Vec::new(),
        }
    }
}
