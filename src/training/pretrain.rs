//! Making the embedded student from nothing: tokenizer, weights and folder from one recipe.

use super::batch::Batch;
use super::chat::ChatFormat;
use super::config::DecoderConfig;
use super::control::Control;
use super::decode::GreedyDecoder;
use super::error::TrainingError;
use super::export::{Precision, pretty, serialise, write_folder};
use super::model::{Decoder, Path as Route, Variables};
use super::schedule::Schedule;
use super::session::{Discipline, Replica, Session};
use super::weights::Weights;
use super::{thread, tokenizer};
use crate::gym::ports::TrainingProgress;
use crate::gym::rng::CounterRng;
use crate::worlds::arithmetic::{Problem, Skill, Split, extract_answer, sample};
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// Everything that decides an embedded student. The same recipe gives the same files on one machine type,
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
    /// Share of each weak skill in the mix, in the order of the weak skills of [`Skill::ALL`]; the strong
    /// skills share the rest evenly.
    pub weak_shares: [f64; 6],
    /// Optimiser steps.
    pub steps: usize,
    /// Problems per step.
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
            weak_shares: [0.006, 0.006, 0.004, 0.004, 0.006, 0.006],
            steps: 1300,
            batch_size: 64,
            warmup_steps: 50,
            learning_rate: 3e-3,
            weight_decay: 0.05,
            clip: 1.0,
        }
    }
}

impl PretrainRecipe {
    /// Hex digest of the recipe's JSON, the identity of the student made from it.
    pub fn sha256(&self) -> String {
        hex(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The model description.
    pub fn config(&self) -> DecoderConfig {
        let Self { hidden, intermediate, layers, heads, kv_heads, .. } = *self;
        let config = DecoderConfig::llama(hidden, intermediate, layers, heads, kv_heads);
        DecoderConfig { vocabulary: self.vocabulary, ..config }
    }

    /// The `index`-th problem of the mix, always from the pre-training split.
    pub fn problem(&self, index: u64) -> Option<Problem> {
        let mut rng = CounterRng::keyed(self.seed, "pretrain/mix").child(index);
        let mut draw = rng.unit();
        let weak = Skill::ALL.into_iter().filter(|skill| !skill.is_strong());
        for (skill, share) in weak.zip(self.weak_shares) {
            if draw < share {
                return sample(skill, None, Split::Pretrain, self.seed, index).ok();
            }
            draw -= share;
        }
        let strong: Vec<Skill> = Skill::ALL.into_iter().filter(|skill| skill.is_strong()).collect();
        sample(*rng.pick(&strong)?, None, Split::Pretrain, self.seed, index).ok()
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

/// Makes a student and writes it to `folder` as an ordinary model folder with bf16 weights, plus
/// `recipe.json` with the recipe and the digests of recipe and weights. Blocks; `progress` may stop it,
/// and then nothing is written.
pub fn pretrain(
    recipe: &PretrainRecipe,
    folder: &Path,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(), TrainingError> {
    if recipe.steps == 0 || recipe.batch_size == 0 || recipe.heads == 0 || recipe.kv_heads == 0 {
        return Err(TrainingError::Job("steps, batch size and heads must be positive".to_owned()));
    }
    thread::run(thread::default_threads(), progress, |report| run(recipe, folder, report))
}

fn run(
    recipe: &PretrainRecipe,
    folder: &Path,
    report: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<(), TrainingError> {
    let config = recipe.config();
    let texts: Vec<String> = (0..recipe.tokenizer_examples)
        .filter_map(|index| recipe.problem(index))
        .flat_map(|problem| [problem.question, problem.response])
        .collect();
    let tokenizer_json = tokenizer::train(&texts, recipe.vocabulary)?;
    let mut files = vec![
        ("tokenizer.json", tokenizer_json),
        ("tokenizer_config.json", pretty(&tokenizer::tokenizer_config(config.max_positions))),
        ("generation_config.json", pretty(&tokenizer::generation_config())),
    ];
    let format = ChatFormat::from_parts(folder, &files)?;
    let variables = recipe.initial()?;
    let decoder = Decoder::new(&config, &Weights::new(), &variables, None, 512)?;
    let discipline =
        Discipline { clip: recipe.clip, weight_decay: recipe.weight_decay, checkpointing: false };
    let replica = Replica { path: Route::Fused, decoder, variables: variables.clone() };
    let mut session = Session::new(vec![replica], variables, discipline);
    let control = Control::default();
    let schedule = Schedule { peak: recipe.learning_rate, warmup: recipe.warmup_steps, total: recipe.steps };
    let (began, mut tokens) = (Instant::now(), 0);
    for step in 1..=recipe.steps {
        let first = (step - 1) * recipe.batch_size;
        let examples = (first..first + recipe.batch_size)
            .filter_map(|index| recipe.problem(index as u64))
            .map(|problem| format.encode(&problem.question, &problem.response))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = Batch::packed(&examples.iter().collect::<Vec<_>>(), 128);
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
            seconds_left: seconds / step as f64 * (recipe.steps - step) as f64,
            held_out_loss: None,
        };
        if report(progress).is_break() {
            return Err(TrainingError::Stopped { step });
        }
    }
    let tensors: Weights =
        session.variables().iter().map(|(key, var)| (key.clone(), var.as_tensor().clone())).collect();
    let bytes = serialise(&tensors, Precision::Bf16)?;
    let identity = json!({
        "recipe": recipe,
        "recipe_sha256": recipe.sha256(),
        "weights_sha256": hex(&bytes),
    });
    let (bos, eos, pad) = (tokenizer::USER, tokenizer::END, tokenizer::PAD);
    files.push(("config.json", pretty(&config.llama_json(Precision::Bf16.name(), bos, eos, pad))));
    files.push(("recipe.json", pretty(&identity)));
    files.push(("model.safetensors", bytes));
    write_folder(folder, &files)
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
