//! Making an embedded model from nothing: tokenizer, weights and folder from one recipe.

mod lessons;

use super::batch::Batch;
use super::chat::ChatFormat;
use super::config::DecoderConfig;
use super::control::Control;
use super::decode::GreedyDecoder;
use super::error::TrainingError;
use super::export::{Archive, Content, Precision, pretty, write_folder};
use super::model::{Decoder, Path as Route, Variables};
use super::schedule::Schedule;
use super::session::{Discipline, Replica, Session};
use super::state::{Saved, Standing};
use super::weights::{self, Weights};
use super::{thread, tokenizer};
use crate::gym::ports::TrainingProgress;
use crate::gym::rng::CounterRng;
use crate::worlds::arithmetic::{Problem, extract_answer};
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

#[cfg(test)]
pub(super) use lessons::answered;
pub use lessons::{Lesson, Lessons, PromptShares};

/// Everything that decides an embedded model. The same recipe gives the same files on one machine type,
/// on any number of threads (other instruction sets round differently).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PretrainRecipe {
    /// Decides initial weights and every problem.
    pub seed: u64,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward block.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Tokens of the tokenizer, special ones included.
    pub vocabulary: usize,
    /// Problems whose text the tokenizer is trained on.
    pub tokenizer_examples: u64,
    /// Digest of the weights of the model of the same shape that it goes on from, instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_sha256: Option<String>,
    /// What it is taught.
    #[serde(flatten)]
    pub lessons: Lessons,
    /// Optimiser steps.
    pub steps: usize,
    /// At the end, the steps of falling learning rate, which is at its peak until then; without it the rate
    /// falls from the warm-up on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_steps: Option<usize>,
    /// Lessons per step.
    pub batch_size: usize,
    /// Steps of rising learning rate.
    pub warmup_steps: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    pub clip: f64,
}

/// The shipped student: 1.05 million parameters, strong where the mix is rich and weak where it is thin.
///
/// Measured with this room's greedy decoder on the bf16 file, in percent of 40 (validation) and 150 (test)
/// problems per skill with distinct operand keys:
///
/// | split | add | sub | mul | cmp | `wp_add` | `wp_sub` | div | seq | `wp_mul` | unit | `two_step` | avg | mean |
/// |---|---|---|---|---|---|---|---|---|---|---|---|---|---|
/// | validation | 100 | 92 | 92 | 92 | 100 | 98 | 0 | 22 | 62 | 48 | 58 | 18 | 65.2 |
/// | test | 99 | 92 | 90 | 91 | 100 | 97 | 3 | 30 | 61 | 57 | 47 | 27 | 66.2 |
///
/// It took 370 CPU seconds, the tokenizer and both evaluations included.
impl Default for PretrainRecipe {
    fn default() -> Self {
        Self {
            seed: 1,
            hidden: 128,
            intermediate: 384,
            layers: 5,
            heads: 4,
            kv_heads: 2,
            vocabulary: 512,
            tokenizer_examples: 20_000,
            start_sha256: None,
            lessons: Lessons::Answering { weak_shares: [0.006, 0.006, 0.004, 0.004, 0.006, 0.006] },
            steps: 1300,
            decay_steps: None,
            batch_size: 64,
            warmup_steps: 50,
            learning_rate: 3e-3,
            weight_decay: 0.05,
            clip: 1.0,
        }
    }
}

/// Names of the recipes ([`PretrainRecipe::named`]).
pub const RECIPES: [&str; 3] = ["student", "teacher", "weak-teacher"];

/// Digest of the weights of the embedded student.
const STUDENT_SHA256: &str = "e96af60199b427079ad3eb48135e054182baa2d96a4d4b88059858a37ea33cd7";

impl PretrainRecipe {
    /// The recipe of an embedded model by its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "student" => Some(Self::default()),
            "teacher" => Some(Self::teacher(11_200, 1900)),
            "weak-teacher" => Some(Self::teacher(2843, 100)),
            _ => None,
        }
    }

    /// A teacher of 1.1 million parameters that goes on from the student, after `steps`, in the last
    /// `falling` of which the rate falls: two of them are one training up to where the rate of one begins to fall.
    fn teacher(steps: usize, falling: usize) -> Self {
        let prompt_shares =
            PromptShares { subskill: 0.5, skill: 0.08, example: 0.22, solve: 0.15, proposal: 0.02 };
        Self {
            vocabulary: 768,
            start_sha256: Some(STUDENT_SHA256.to_owned()),
            lessons: Lessons::Teaching { prompt_shares },
            steps,
            decay_steps: Some(falling),
            batch_size: 32,
            learning_rate: 2e-3,
            ..Self::default()
        }
    }

    /// Hex digest of the recipe's JSON, the identity of the model made from it.
    pub fn sha256(&self) -> String {
        hex(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The model description.
    pub fn config(&self) -> DecoderConfig {
        let Self { hidden, intermediate, layers, heads, kv_heads, .. } = *self;
        let config = DecoderConfig::llama(hidden, intermediate, layers, heads, kv_heads);
        DecoderConfig { vocabulary: self.vocabulary, ..config }
    }

    /// The `index`-th lesson.
    pub fn lesson(&self, index: u64) -> Option<Lesson> {
        self.lessons.lesson(self.seed, index)
    }

    /// Normal weights, narrower where a layer writes to the residual stream; norms are one.
    pub(super) fn initial(&self) -> Result<Variables, TrainingError> {
        let wide = (0.4 / (self.hidden as f64).sqrt()).max(0.02);
        let residual = wide / (2.0 * self.layers as f64).sqrt();
        let mut variables = Variables::new();
        for (key, shape) in self.config().tensors() {
            let size = shape.iter().product::<usize>();
            let deviation = if key.contains("embed_tokens") {
                0.02
            } else if key.contains("o_proj") || key.contains("down_proj") {
                residual
            } else {
                wide
            };
            let mut rng = CounterRng::keyed(self.seed, &key);
            let data: Vec<f32> = if shape.len() == 1 {
                vec![1.0; size]
            } else {
                (0..size).map(|_| (rng.normal() * deviation) as f32).collect()
            };
            let tensor = Tensor::from_vec(data, shape, &Device::Cpu)?;
            variables.insert(key, Var::from_tensor(&tensor)?);
        }
        Ok(variables)
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Seconds between two states of an unfinished training on disk.
const SAVE_SECONDS: u64 = 120;

/// Where and how a model is made.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    /// Folder to create.
    pub folder: &'a Path,
    /// The model that the recipe goes on from, if it does.
    pub start: Option<&'a Path>,
    /// Threads; all of the machine where not said.
    pub threads: Option<usize>,
}

/// Makes a model and writes it to `folder` as an ordinary
/// model folder with bf16 weights, plus `recipe.json` with the recipe and the digests of recipe and weights.
/// Blocks; `progress` may stop it. A training that was stopped or killed while its rate was at the peak goes on where
/// its state was saved last, also under a recipe of other steps.
pub fn pretrain(
    recipe: &PretrainRecipe,
    making: Making<'_>,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(), TrainingError> {
    if recipe.steps == 0 || recipe.batch_size == 0 || recipe.heads == 0 || recipe.kv_heads == 0 {
        return Err(TrainingError::Job("steps, batch size and heads must be positive".to_owned()));
    }
    let threads = making.threads.unwrap_or_else(thread::default_threads);
    thread::run(threads, progress, |report| run(recipe, making, report))
}

fn run(
    recipe: &PretrainRecipe,
    Making { folder, start, .. }: Making<'_>,
    report: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(), TrainingError> {
    let config = recipe.config();
    let texts: Vec<String> = (0..recipe.tokenizer_examples)
        .filter_map(|index| recipe.lesson(index))
        .flat_map(|lesson| [lesson.prompt, lesson.response])
        .collect();
    let tokenizer_json = tokenizer::train(&texts, recipe.vocabulary)?;
    let mut files = vec![
        ("tokenizer.json", tokenizer_json),
        ("tokenizer_config.json", pretty(&tokenizer::tokenizer_config(config.max_positions))),
        ("generation_config.json", pretty(&tokenizer::generation_config())),
    ];
    let format = ChatFormat::from_parts(folder, &files)?;
    let variables = recipe.initial()?;
    match (&recipe.start_sha256, start) {
        (Some(digest), Some(start)) => take_over(start, digest, &format, &config, &variables)?,
        (Some(_), None) => return Err(TrainingError::Job("the recipe goes on from a model".to_owned())),
        (None, _) => {}
    }
    let decoder = Decoder::new(&config, &Weights::new(), &variables, None, 512)?;
    let discipline =
        Discipline { clip: recipe.clip, weight_decay: recipe.weight_decay, checkpointing: false };
    let replica = Replica { path: Route::Fused, decoder, variables: variables.clone() };
    let mut session = Session::new(vec![replica], variables, discipline);
    let saved =
        Saved::at(folder, PretrainRecipe { steps: 0, decay_steps: Some(0), ..recipe.clone() }.sha256());
    // The state is the same for every number of steps up to where the rate falls.
    let level = recipe.decay_steps.map_or(0, |falling| recipe.steps.saturating_sub(falling));
    let standing = saved.resume_until(&mut session, level)?;
    let begun = standing.step;
    let control = Control::default();
    let schedule = Schedule {
        peak: recipe.learning_rate,
        warmup: recipe.warmup_steps,
        total: recipe.steps,
        decay: recipe.decay_steps,
    };
    let (began, mut tokens, mut last_saved) = (Instant::now(), 0, Instant::now());
    for step in begun + 1..=recipe.steps {
        let first = (step - 1) * recipe.batch_size;
        let examples = (first..first + recipe.batch_size)
            .filter_map(|index| recipe.lesson(index as u64))
            .map(|lesson| format.encode(&lesson.prompt, &lesson.response))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = Batch::packed(&examples.iter().collect::<Vec<_>>(), recipe.lessons.row());
        let learning_rate = schedule.at(step);
        tokens += batch.real_tokens;
        let loss = session.step(&[batch], learning_rate, &control)?;
        let seconds = began.elapsed().as_secs_f64().max(1e-9);
        let progress = TrainingProgress {
            step: step as u32,
            steps: recipe.steps as u32,
            loss,
            learning_rate,
            tokens_per_second: tokens as f64 / seconds,
            seconds_left: seconds / (step - begun) as f64 * (recipe.steps - step) as f64,
            held_out_loss: None,
        };
        let stopped = report(progress).is_break();
        let due = last_saved.elapsed().as_secs() >= SAVE_SECONDS || step == level || stopped;
        if due && step <= level {
            saved.write(&Standing { step, ..Standing::default() }, &session, None)?;
            last_saved = Instant::now();
        }
        if stopped {
            return Err(TrainingError::Stopped { step });
        }
    }
    let tensors: Weights =
        session.variables().iter().map(|(key, var)| (key.clone(), var.as_tensor().clone())).collect();
    let bytes = Archive::of(&tensors, Precision::Bf16).to_bytes()?;
    let identity = json!({
        "recipe": recipe,
        "recipe_sha256": recipe.sha256(),
        "weights_sha256": hex(&bytes),
    });
    let (bos, eos, pad) = (tokenizer::USER, tokenizer::END, tokenizer::PAD);
    files.push(("config.json", pretty(&config.llama_json(Precision::Bf16.name(), bos, eos, pad))));
    files.push(("recipe.json", pretty(&identity)));
    files.push(("model.safetensors", bytes));
    let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), Content::Bytes(bytes)));
    write_folder(folder, &files.collect::<Vec<_>>())?;
    saved.remove();
    Ok(())
}

/// Takes over the weights of the model in `start`, whose digest must be as given: of the embedding the rows of the
/// tokens that both tokenizers have.
fn take_over(
    start: &Path,
    digest: &str,
    format: &ChatFormat,
    config: &DecoderConfig,
    variables: &Variables,
) -> Result<(), TrainingError> {
    let path = start.join("model.safetensors");
    let bytes = std::fs::read(&path).map_err(|error| TrainingError::read(&path, error))?;
    if hex(&bytes) != digest {
        let problem = format!("{} are not the weights that the recipe goes on from", path.display());
        return Err(TrainingError::Job(problem));
    }
    let from = DecoderConfig { vocabulary: DecoderConfig::load(start)?.vocabulary, ..config.clone() };
    let weights = weights::load(start, &from)?;
    let old = ChatFormat::load(start)?;
    for (name, variable) in variables {
        let Some(tensor) = weights.get(name) else { continue };
        if tensor.dims() == variable.dims() {
            variable.set(tensor)?;
            continue;
        }
        let theirs: Vec<Vec<f32>> = tensor.to_vec2()?;
        let mut ours: Vec<Vec<f32>> = variable.to_vec2()?;
        for (id, row) in ours.iter_mut().enumerate() {
            let same = format.token(id as u32).and_then(|text| old.id(&text));
            if let Some(known) = same.and_then(|id| theirs.get(id as usize)) {
                row.clone_from(known);
            }
        }
        variable.set(&Tensor::new(ours, &Device::Cpu)?)?;
    }
    Ok(())
}

/// Whether a model folder (with an optional adapter folder merged in) answers each problem exactly, by
/// greedy decoding of at most 96 tokens.
pub fn score(
    folder: &Path,
    adapter: Option<&Path>,
    problems: &[Problem],
) -> Result<Vec<bool>, TrainingError> {
    let format = ChatFormat::load(folder)?;
    let decoder = GreedyDecoder::load(folder, adapter)?;
    let prompts = problems
        .iter()
        .map(|problem| format.encode_prompt(&problem.question))
        .collect::<Result<Vec<_>, _>>()?;
    let answers = decoder.generate(&prompts, format.ends(), 96);
    problems
        .iter()
        .zip(answers)
        .map(
            |(problem, tokens)| Ok(extract_answer(&format.decode(&tokens)?) == Some(problem.answer.as_str())),
        )
        .collect()
}
