//! Models without a model: student, trainer, teacher, painter, for everything above the models.
//!
//! The student knows the right answers and gives them with a probability, its skill; the trainer writes
//! a folder with a higher skill. Whether a prompt is answered right is a pure function of seed and
//! prompt, so what was right stays right as the skill rises. The teacher fills in the schema it is given.
//! Each can be slow, fail, and answer badly, by configuration and the same way every time.

mod painter;
mod student;
mod teacher;
mod trainer;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use painter::ScriptedPainter;
pub use student::ScriptedStudent;
pub use teacher::{ScriptedTeacher, TeacherScript};
pub use trainer::ScriptedTrainer;

use crate::checksums;
use crate::faults::Span;
use crate::gym::hex::hex;
use crate::gym::ports::{Checkpoint, PortError};
use crate::gym::rng::CounterRng;

/// The file of a scripted checkpoint.
const FILE: &str = "scripted.json";
const RENAME: Span = Span::new("checkpoint.rename.before", "checkpoint.rename.after");

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
    /// Share of answers without a mark, which no scorer understands.
    pub malformed: f64,
    /// Share of first attempts at a prompt that fail; the second succeeds.
    pub failing: f64,
    /// Folder that tells a first attempt from a second one also after the process that made it ended.
    pub attempts: Option<PathBuf>,
    /// A JSON object from prompt to right answer; without it every answer is an echo of the prompt.
    pub answers: Option<PathBuf>,
    /// Whether a training leaves an adapter, as an endpoint wants it, instead of a whole checkpoint.
    pub adapters: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            seed: 0,
            skill: 0.4,
            ceiling: 0.95,
            examples: 500.0,
            latency_ms: 0,
            malformed: 0.0,
            failing: 0.0,
            attempts: None,
            answers: None,
            adapters: false,
        }
    }
}

/// The prompts that were attempted, in memory, and in a folder where a script names one: a worker ends when its
/// model fails, and for the worker that takes its place the second attempt is no first.
#[derive(Debug, Default)]
struct Attempts {
    made: HashSet<String>,
    folder: Option<PathBuf>,
}

impl Attempts {
    fn kept_in(folder: Option<PathBuf>) -> Self {
        Self { made: HashSet::new(), folder }
    }

    /// Whether this is the first attempt at a prompt.
    fn is_first(&mut self, prompt: &str) -> bool {
        let Some(folder) = &self.folder else { return self.made.insert(prompt.to_owned()) };
        let mark = folder.join(hex(Sha256::digest(prompt)));
        // Where nothing can be kept nothing fails, so that a run does not fail for ever.
        fs::create_dir_all(folder).and_then(|()| File::create_new(mark)).is_ok()
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

/// Whether a draw named by `what` and the prompt falls into the share.
fn falls(seed: u64, what: &str, prompt: &str, share: f64) -> bool {
    share > 0.0 && CounterRng::keyed(seed, &format!("{what}/{prompt}")).unit() < share
}

fn folder(checkpoint: &Checkpoint) -> &Path {
    match checkpoint {
        Checkpoint::Full { folder } => folder,
        Checkpoint::Adapter { adapter, .. } => adapter,
    }
}

/// A folder without the file is a base, unless it is among the checkpoints of a run.
fn learned(folder: &Path) -> Result<Learned, PortError> {
    let file = folder.join(FILE);
    let trained = folder.parent().is_some_and(|parent| parent.ends_with("checkpoints"));
    if !file.exists() && !trained {
        return Ok(Learned { examples: 0 });
    }
    checksums::verify(folder).map_err(|error| PortError::fatal(error.to_string()))?;
    let text =
        fs::read_to_string(&file).and_then(|text| serde_json::from_str(&text).map_err(io::Error::other));
    text.map_err(|error| {
        let file = file.display();
        PortError::fatal(format!("{file}: {error}. Restore the checkpoint's folder from a copy"))
    })
}

fn write(folder: &Path, learned: Learned, adapter: bool) -> io::Result<()> {
    let unfinished = folder.with_extension("unfinished");
    fs::create_dir_all(&unfinished)?;
    let content = serde_json::to_vec(&learned)?;
    let mut files = vec![(FILE, content.as_slice())];
    if adapter {
        // No weights: enough for servers that do not look.
        files.extend([("adapter_config.json", b"{}".as_slice()), ("adapter_model.safetensors", &content)]);
    }
    let sums = checksums::list(files.iter().copied());
    files.push((checksums::FILE, sums.as_bytes()));
    for (name, bytes) in files {
        fs::write(unfinished.join(name), bytes)?;
    }
    // A kill between this rename and the journal leaves a folder behind: the repeated training replaces it.
    RENAME.around(|| {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::rename(unfinished, folder)
    })
}

fn fault(file: &Path, error: &io::Error) -> PortError {
    PortError::fatal(format!("{}: {error}. Check the script", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    use crate::gym::ports::{
        ChatModel, ChatRequest, Sampling, Student, Trainer, TrainingMethod, TrainingOrder, TrainingSettings,
    };

    fn order(start: &Path, output: &Path, examples: usize) -> TrainingOrder {
        TrainingOrder {
            start: Checkpoint::Full { folder: start.to_owned() },
            examples: vec![("q".to_owned(), "a".to_owned()); examples],
            replay: vec![],
            settings: TrainingSettings {
                method: TrainingMethod::Full,
                learning_rate: 1e-3,
                epochs: 2,
                batch_size: 16,
                warmup: 0.0,
                weight_decay: 0.0,
                clip: 1.0,
                max_length: 64,
                ..TrainingSettings::default()
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
    fn the_second_attempt_succeeds_also_for_the_next_student() {
        let (folder, prompt) = (tempfile::tempdir().unwrap(), ChatRequest::text("p", Sampling::Greedy, 9));
        let mut answered = 0;
        let mut attempt = || {
            let attempts = Some(folder.path().join("attempts"));
            let script = Script { failing: 1.0, attempts, ..Script::default() };
            let mut student = ScriptedStudent::new(script).unwrap();
            let asked = std::slice::from_ref(&prompt);
            student.answer(asked, &mut |_, _| {
                answered += 1;
                ControlFlow::Continue(())
            })
        };
        assert!(attempt().is_err() && attempt().is_ok());
        assert_eq!(answered, 1);
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
