//! The scripted student.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use super::{Attempts, Script, falls, fault, folder, learned};
use crate::gym::ports::{
    BatchTest, ChatModel, ChatReply, ChatRequest, Checkpoint, PortError, ReplySink, Sampling, Student,
};
use crate::gym::prediction::FinishReason;
use crate::gym::rng::CounterRng;
use crate::models::{Aside, LocalStudent};

/// The scripted student.
pub struct ScriptedStudent {
    script: Script,
    answers: HashMap<String, String>,
    skill: f64,
    attempts: Attempts,
    aside: Option<Aside>,
}

impl ScriptedStudent {
    /// A student by the script.
    ///
    /// # Errors
    /// When the table of answers cannot be read.
    pub fn new(script: Script) -> Result<Self, PortError> {
        let answers = match &script.answers {
            Some(file) => fs::read_to_string(file)
                .and_then(|text| serde_json::from_str(&text).map_err(io::Error::other))
                .map_err(|error| fault(file, &error))?,
            None => HashMap::new(),
        };
        Ok(Self::knowing(script, answers))
    }

    /// A student who is told the right answers, by prompt.
    pub fn knowing(script: Script, answers: HashMap<String, String>) -> Self {
        let attempts = Attempts::kept_in(script.attempts.clone());
        Self { skill: script.skill, script, answers, attempts, aside: None }
    }

    fn reply(&self, request: &ChatRequest) -> ChatReply {
        let salt = match request.sampling {
            Sampling::Greedy => 0,
            Sampling::Sampled { seed, .. } => seed,
        };
        let mut rng = CounterRng::keyed(self.script.seed ^ salt, &request.prompt);
        let knows = rng.unit() < self.skill;
        let right = self.answers.get(&request.prompt).unwrap_or(&request.prompt);
        let text = match (falls(self.script.seed, "malformed", &request.prompt, self.script.malformed), knows)
        {
            (true, _) => "I would rather not say".to_owned(),
            (false, true) => right.clone(),
            (false, false) => format!("{right}{}", rng.below(10)),
        };
        let tokens = text.chars().count() as u32;
        if tokens <= request.max_tokens {
            return ChatReply::new(text, 0, tokens, FinishReason::Stop);
        }
        let cut: String = text.chars().take(request.max_tokens as usize).collect();
        ChatReply::new(cut, 0, request.max_tokens, FinishReason::Length)
    }
}

impl ChatModel for ScriptedStudent {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate() {
            if let Some(aside) = &self.aside {
                aside.piece(index, || {
                    let text = self.reply(request).text;
                    text.chars().take(text.chars().count() / 2).collect()
                });
            }
            thread::sleep(Duration::from_millis(self.script.latency_ms));
            let Script { seed, failing, .. } = self.script;
            if falls(seed, "failing", &request.prompt, failing) && self.attempts.is_first(&request.prompt) {
                return Err(PortError::transient("the scripted student fails, as its script says"));
            }
            if sink(index, self.reply(request)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Student for ScriptedStudent {
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        let folder = folder(checkpoint);
        if !folder.is_dir() {
            return Err(PortError::fatal(format!("{}: there is no such checkpoint", folder.display())));
        }
        self.skill = self.script.skill_after(learned(folder)?);
        Ok(())
    }
}

impl LocalStudent for ScriptedStudent {
    fn in_flight(&self) -> u32 {
        1
    }

    fn batch_test(&self) -> Option<BatchTest> {
        None
    }

    fn attend(&mut self, aside: Aside) {
        self.aside = Some(aside);
    }
}
