//! The scripted teacher: fills in whatever JSON schema it is asked to obey.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attempts, falls};
use crate::faults;
use crate::gym::ports::{
    BatchTest, ChatModel, ChatReply, ChatRequest, Checkpoint, PortError, ReplySink, Sampling, Student,
};
use crate::gym::prediction::FinishReason;
use crate::gym::rng::CounterRng;
use crate::models::LocalStudent;

/// What a scripted teacher does. Shares are of its answers, drawn from the run's seed and the question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherScript {
    /// Names the draws.
    pub seed: u64,
    /// Milliseconds per answer.
    pub latency_ms: u64,
    /// Share of answers that break off.
    pub truncated: f64,
    /// Share of answers that are no JSON.
    pub malformed: f64,
    /// Share of list entries that repeat the first.
    pub repeated: f64,
    /// Share of first attempts at a question that fail; the second succeeds.
    pub failing: f64,
    /// Folder that tells a first attempt from a second one also after the process that made it ended.
    pub attempts: Option<PathBuf>,
}

/// The scripted teacher.
#[derive(Debug, Default)]
pub struct ScriptedTeacher {
    script: TeacherScript,
    attempts: Attempts,
}

impl ScriptedTeacher {
    /// A teacher by the script.
    pub fn new(script: TeacherScript) -> Self {
        let attempts = Attempts::kept_in(script.attempts.clone());
        Self { script, attempts }
    }

    fn reply(&self, request: &ChatRequest) -> ChatReply {
        let TeacherScript { seed, truncated, malformed, .. } = self.script;
        let salt = match request.sampling {
            Sampling::Greedy => 0,
            Sampling::Sampled { seed, .. } => seed,
        };
        // The question with its draw, so that a question asked again is answered anew.
        let question = format!("{salt}/{}", request.prompt);
        let mut rng = CounterRng::keyed(seed, &question);
        let whole = match &request.schema {
            Some(schema) => self.filled(schema, "", &mut rng).to_string(),
            None => words(&mut rng),
        };
        let text = if falls(seed, "malformed", &question, malformed) {
            "I am sorry, I cannot write that.".to_owned()
        } else if falls(seed, "truncated", &question, truncated) {
            whole.chars().take(whole.chars().count() * 2 / 3).collect()
        } else {
            whole
        };
        let tokens = |text: &str| text.split_whitespace().count() as u32;
        let (prompt_tokens, tokens) = (tokens(&request.prompt), tokens(&text));
        ChatReply::new(text, prompt_tokens, tokens, FinishReason::Stop)
    }

    /// A value that obeys the schema, as far as this project's schemas go.
    fn filled(&self, schema: &Value, name: &str, rng: &mut CounterRng) -> Value {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return rng.pick(choices).cloned().unwrap_or(Value::Null);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => {
                let empty = Map::new();
                let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                let filled = fields.iter().map(|(name, field)| (name.clone(), self.filled(field, name, rng)));
                Value::Object(filled.collect())
            }
            Some("array") => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
                let count = bound("maxItems").or(bound("minItems")).unwrap_or(1);
                let item = schema.get("items").unwrap_or(&Value::Null);
                let mut items: Vec<Value> = Vec::new();
                for _ in 0..count {
                    let repeats = rng.unit() < self.script.repeated;
                    let fresh = self.filled(item, name, rng);
                    items.push(items.first().filter(|_| repeats).cloned().unwrap_or(fresh));
                }
                Value::Array(items)
            }
            Some("integer" | "number") => Value::from(rng.below(1000)),
            Some("boolean") => Value::from(rng.below(2) == 1),
            _ if name == "answer" => Value::from(rng.below(1000).to_string()),
            _ => Value::from(words(rng)),
        }
    }
}

/// Three words that mean nothing.
fn words(rng: &mut CounterRng) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "ve"];
    let word = |rng: &mut CounterRng| -> String {
        (0..4).map(|_| SYLLABLES[rng.below(SYLLABLES.len() as u64) as usize]).collect()
    };
    (0..3).map(|_| word(rng)).collect::<Vec<_>>().join(" ")
}

impl ChatModel for ScriptedTeacher {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate() {
            thread::sleep(Duration::from_millis(self.script.latency_ms));
            let TeacherScript { seed, failing, .. } = self.script;
            let fails = falls(seed, "failing", &request.prompt, failing);
            if fails && self.attempts.is_first(&request.prompt) {
                return Err(PortError::transient("the scripted teacher fails, as its script says"));
            }
            faults::point("teacher.answered");
            if sink(index, self.reply(request)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Student for ScriptedTeacher {
    fn refresh(&mut self, _checkpoint: &Checkpoint) -> Result<(), PortError> {
        Ok(())
    }
}

impl LocalStudent for ScriptedTeacher {
    fn in_flight(&self) -> u32 {
        1
    }

    fn batch_test(&self) -> Option<BatchTest> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn reply(script: TeacherScript, request: &ChatRequest) -> String {
        let mut text = String::new();
        let mut teacher = ScriptedTeacher::new(script);
        teacher
            .answer(std::slice::from_ref(request), &mut |_, reply| {
                text = reply.text;
                ControlFlow::Continue(())
            })
            .unwrap();
        text
    }

    fn request() -> ChatRequest {
        let schema = serde_json::json!({"type": "object", "properties": {"data": {
            "type": "array", "minItems": 3, "maxItems": 3,
            "items": {"type": "object", "properties": {"question": {"type": "string"}, "answer": {"type": "string"}}},
        }}});
        let sampling = Sampling::drawn(1.0, 1.0, 7);
        ChatRequest { schema: Some(schema), ..ChatRequest::text("Write three.", sampling, 100) }
    }

    #[test]
    fn the_schema_is_filled_the_same_way_every_time() {
        let text = reply(TeacherScript::default(), &request());
        let value: Value = serde_json::from_str(&text).unwrap();
        let data = value["data"].as_array().unwrap();
        assert_eq!(data.len(), 3);
        assert!(data.iter().all(|d| d["answer"].as_str().unwrap().parse::<u32>().is_ok()));
        assert_ne!(data[0], data[1]);
        assert_eq!(text, reply(TeacherScript::default(), &request()));
        assert_ne!(text, reply(TeacherScript { seed: 1, ..TeacherScript::default() }, &request()));
    }

    #[test]
    fn faults_come_by_the_script() {
        let all = |change: fn(&mut TeacherScript)| {
            let mut script = TeacherScript::default();
            change(&mut script);
            reply(script, &request())
        };
        assert!(serde_json::from_str::<Value>(&all(|s| s.truncated = 1.0)).is_err());
        assert!(all(|s| s.malformed = 1.0).contains("sorry"));
        let repeated: Value = serde_json::from_str(&all(|s| s.repeated = 1.0)).unwrap();
        assert_eq!(repeated["data"][0], repeated["data"][2]);
        let mut teacher = ScriptedTeacher::new(TeacherScript { failing: 1.0, ..TeacherScript::default() });
        let mut attempt = || teacher.answer(&[request()], &mut |_, _| ControlFlow::Continue(()));
        assert!(attempt().unwrap_err().transient);
        attempt().unwrap();
    }
}
