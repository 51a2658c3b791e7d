//! What the tests of this room share.

use crate::gym::episode::Phase;
use crate::gym::ports::{PortError, Question, Rendered, Teacher};
use crate::gym::prediction::FinishReason;
use crate::gym::teacher_call::{CallContext, CallOutcome, TeacherCall};
use crate::prompts::Prompts;

/// A teacher that answers by a rule and notes what happened.
pub(crate) struct Heart<'a> {
    rule: &'a dyn Fn(usize, &Question) -> String,
    pub(crate) asked: Vec<Question>,
    pub(crate) malformed: Vec<String>,
    pub(crate) prompts: Prompts,
}

impl<'a> Heart<'a> {
    pub(crate) fn new(rule: &'a dyn Fn(usize, &Question) -> String) -> Self {
        Self { rule, asked: Vec::new(), malformed: Vec::new(), prompts: Prompts::default() }
    }
}

impl Teacher for Heart<'_> {
    fn render(&self, prompt: &str, values: &serde_json::Value) -> Result<Rendered, PortError> {
        self.prompts.render(prompt, values)
    }

    fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        let answer = |question: &Question| {
            let n = self.asked.len();
            self.asked.push(question.clone());
            TeacherCall {
                id: format!("call-{n}"),
                model: "heart".into(),
                request: question.request.clone(),
                context: CallContext {
                    iteration: 1,
                    round: 0,
                    phase: Phase::Generate,
                    prompt: question.prompt.clone(),
                    allocation: question.allocation,
                },
                reply: (self.rule)(n, question),
                prompt_tokens: 1,
                reply_tokens: 1,
                finish: FinishReason::Stop,
                outcome: CallOutcome::Used,
            }
        };
        Ok(questions.iter().map(answer).collect())
    }

    fn malformed(&mut self, call: &TeacherCall, _: String) -> Result<(), PortError> {
        self.malformed.push(call.id.clone());
        Ok(())
    }
}
