//! A student and a trainer without a model, for everything above the models.
//!
//! The student knows the right answers and gives them with a probability, its skill; the trainer writes
//! a folder with a higher skill. Whether a prompt is answered right is a pure function of seed and
//! prompt, so what was right stays right as the skill rises.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LocalStudent;
use crate::gym::ports::{
    BatchTest, ChatModel, ChatReply, ChatRequest, Checkpoint, PortError, ReplySink, Sampling, Student,
    Trainer, TrainingOrder, TrainingOutcome, TrainingProgress, TrainingSink,
};
use crate::gym::prediction::FinishReason;
use crate::gym::rng::CounterRng;

/// The file of a scripted checkpoint.
const FILE: &str = "scripted.json";

/// The script. Every field has a default, so `{}` is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Names the draws.
    pub seed: u64,
    /// Share of right answers of a student that was not trained, in `0..=1`.
    pub skill: f64,
    /// Share that training can reach.
    pub ceiling: f64,
    /// Examples after which about two thirds of the way to the ceiling are gone.
    pub examples: f64,
    /// Milliseconds per answer and per optimiser step.
    pub latency_ms: u64,
    /// A JSON object from prompt to right answer; without it every answer is an echo of the prompt.
    pub answers: Option<PathBuf>,
}

impl Default for Script {
    fn default() -> Self {
        Self { seed: 0, skill: 0.4, ceiling: 0.95, examples: 500.0, latency_ms: 0, answers: None }
    }
}

/// What a scripted checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Learned {
    examples: u64,
}

impl Script {
    fn skill_after(&self, learned: Learned) -> f64 {
        let far = (-(learned.examples as f64) / self.examples.max(f64::MIN_POSITIVE)).exp();
        self.ceiling - (self.ceiling - self.skill) * far
    }
}

/// The scripted student.
#[derive(Debug)]
pub struct ScriptedStudent {
    script: Script,
    answers: HashMap<String, String>,
    skill: f64,
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
        Ok(Self { skill: script.skill, script, answers })
    }

    fn reply(&self, request: &ChatRequest) -> ChatReply {
        let salt = match request.sampling {
            Sampling::Greedy => 0,
            Sampling::Sampled { seed, .. } => seed,
        };
        let mut rng = CounterRng::keyed(self.script.seed ^ salt, &request.prompt);
        let knows = rng.unit() < self.skill;
        let right = self.answers.get(&request.prompt).unwrap_or(&request.prompt);
        let text = if knows { right.clone() } else { format!("{right}{}", rng.below(10)) };
        let tokens = text.chars().count() as u32;
        if tokens <= request.max_tokens {
            return ChatReply { text, prompt_tokens: 0, tokens, finish: FinishReason::Stop };
        }
        let cut = text.chars().take(request.max_tokens as usize).collect();
        ChatReply { text: cut, prompt_tokens: 0, tokens: request.max_tokens, finish: FinishReason::Length }
    }
}

impl ChatModel for ScriptedStudent {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate() {
            thread::sleep(Duration::from_millis(self.script.latency_ms));
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
}

/// The scripted trainer: its checkpoint counts the examples seen.
#[derive(Debug)]
pub struct ScriptedTrainer {
    script: Script,
}

impl ScriptedTrainer {
    /// A trainer by the script.
    pub fn new(script: Script) -> Self {
        Self { script }
    }
}

impl Trainer for ScriptedTrainer {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        let before = learned(folder(&order.start))?;
        let settings = &order.settings;
        let per_epoch = (order.examples.len() as u32).div_ceil(settings.batch_size.max(1));
        let steps = per_epoch * settings.epochs;
        let mut loss = 0.0;
        for step in 1..=steps {
            thread::sleep(Duration::from_millis(self.script.latency_ms));
            let seen = order.examples.len() as f64 * f64::from(step) / f64::from(steps);
            let skill = self.script.skill_after(Learned { examples: before.examples + seen as u64 });
            loss = -skill.max(1e-6).ln();
            let progress = TrainingProgress {
                step,
                steps,
                loss,
                learning_rate: settings.learning_rate,
                tokens_per_second: 0.0,
            };
            if sink(progress) == ControlFlow::Break(()) {
                return Err(PortError::cancelled());
            }
        }
        let after = Learned { examples: before.examples + order.examples.len() as u64 };
        write(&order.output, after).map_err(|error| fault(&order.output, &error))?;
        let tokens: usize =
            order.examples.iter().map(|(question, answer)| question.len() + answer.len()).sum();
        Ok(TrainingOutcome {
            checkpoint: Checkpoint::Full { folder: order.output.clone() },
            steps,
            final_loss: loss,
            tokens: tokens as u64 * u64::from(settings.epochs),
        })
    }
}

fn folder(checkpoint: &Checkpoint) -> &Path {
    match checkpoint {
        Checkpoint::Full { folder } => folder,
        Checkpoint::Adapter { adapter, .. } => adapter,
    }
}

/// A folder without the file is a base.
fn learned(folder: &Path) -> Result<Learned, PortError> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Ok(Learned { examples: 0 });
    }
    fs::read_to_string(&file)
        .and_then(|text| serde_json::from_str(&text).map_err(io::Error::other))
        .map_err(|error| fault(&file, &error))
}

fn write(folder: &Path, learned: Learned) -> io::Result<()> {
    let unfinished = folder.with_extension("unfinished");
    fs::create_dir_all(&unfinished)?;
    fs::write(unfinished.join(FILE), serde_json::to_vec(&learned)?)?;
    // A kill between this rename and the journal leaves a folder behind: the repeated training replaces it.
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(unfinished, folder)
}

fn fault(file: &Path, error: &io::Error) -> PortError {
    PortError::fatal(format!("{}: {error}. Check the script", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::ports::{TrainingMethod, TrainingSettings};

    fn order(start: &Path, output: &Path, examples: usize) -> TrainingOrder {
        TrainingOrder {
            start: Checkpoint::Full { folder: start.to_owned() },
            examples: vec![("q".to_owned(), "a".to_owned()); examples],
            settings: TrainingSettings {
                method: TrainingMethod::Full,
                learning_rate: 1e-3,
                epochs: 2,
                batch_size: 16,
                warmup: 0.0,
                weight_decay: 0.0,
                clip: 1.0,
                max_length: 64,
            },
            seed: 1,
            output: output.to_owned(),
        }
    }

    fn right(student: &mut ScriptedStudent) -> Vec<usize> {
        let prompts: Vec<_> =
            (0..400).map(|i| ChatRequest::text(format!("p{i}"), Sampling::Greedy, 9)).collect();
        let mut right = vec![];
        student
            .answer(&prompts, &mut |index, reply| {
                if reply.text == prompts[index].prompt {
                    right.push(index);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        right
    }

    #[test]
    fn training_raises_the_skill_and_forgets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("trained");
        let mut student = ScriptedStudent::new(Script::default()).unwrap();
        let before = right(&mut student);
        let mut steps = 0;
        let outcome = ScriptedTrainer::new(Script::default())
            .train(&order(folder.path(), &output, 500), &mut |progress| {
                steps += 1;
                assert_eq!((progress.step, progress.steps), (steps, 64));
                ControlFlow::Continue(())
            })
            .unwrap();
        student.refresh(&outcome.checkpoint).unwrap();
        let after = right(&mut student);
        assert!((130..190).contains(&before.len()), "{}", before.len());
        assert!((270..330).contains(&after.len()), "{}", after.len());
        assert!(before.iter().all(|index| after.contains(index)));
    }
}
