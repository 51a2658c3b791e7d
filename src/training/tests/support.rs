//! A small model, examples and a model folder for tests.

use crate::gym::ports::{Checkpoint, TrainingMethod, TrainingOrder, TrainingSettings};
use crate::gym::rng::CounterRng;
use crate::training::Resources;
use crate::training::batch::Encoded;
use crate::training::config::{DecoderConfig, Family};
use crate::training::gradients::Gradients;
use crate::training::lora::Adapter;
use crate::training::model::{Decoder, Path as Route, Variables};
use crate::training::pretrain::{Making, PretrainRecipe, pretrain};
use crate::training::weights::Weights;
use crate::worlds::arithmetic::{Skill, Split, sample};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

pub(super) fn config(tied: bool) -> DecoderConfig {
    let llama = DecoderConfig::llama(48, 80, 2, 6, 2);
    DecoderConfig { vocabulary: 70, max_positions: 256, tied, ..llama }
}

/// A model of a family with windows and caps that matter on short rows.
pub(super) fn of_family(family: Family) -> DecoderConfig {
    let gemma = family == Family::Gemma2;
    let windows = match family {
        Family::Llama | Family::Qwen3 => vec![None, None],
        Family::Mistral => vec![Some(9), Some(9)],
        Family::Qwen2 | Family::Gemma2 => vec![Some(9), None],
    };
    let cap = |cap| gemma.then_some(cap);
    DecoderConfig { family, windows, score_cap: cap(2.0), logit_cap: cap(3.0), ..config(gemma) }
}

fn tensor(name: &str, shape: &[usize], deviation: f64, around: f64) -> Tensor {
    let mut rng = CounterRng::keyed(2, name);
    let data: Vec<f32> =
        (0..shape.iter().product()).map(|_| (around + rng.normal() * deviation) as f32).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

pub(super) fn weights(config: &DecoderConfig) -> Weights {
    config
        .tensors()
        .into_iter()
        .map(|(key, shape)| {
            let around = if config.family == Family::Gemma2 || key.ends_with("bias") { 0.0 } else { 1.0 };
            let (deviation, around) = if shape.len() == 1 { (0.1, around) } else { (0.15, 0.0) };
            let tensor = tensor(&key, &shape, deviation, around);
            (key, tensor)
        })
        .collect()
}

pub(super) fn variables(tensors: &Weights) -> Variables {
    tensors.iter().map(|(key, tensor)| (key.clone(), Var::from_tensor(tensor).unwrap())).collect()
}

/// An adapter whose B is not zero, so that everything has a gradient.
pub(super) fn adapter(config: &DecoderConfig) -> (Adapter, Variables) {
    let adapter = Adapter { rank: 4, alpha: 8.0 };
    let mut variables = adapter.init(config, 5).unwrap();
    for (key, variable) in &mut variables {
        variable.set(&tensor(key, variable.dims(), 0.1, 0.0)).unwrap();
    }
    (adapter, variables)
}

pub(super) fn examples(lengths: &[(usize, usize)]) -> Vec<Encoded> {
    let mut rng = CounterRng::keyed(4, "examples");
    lengths
        .iter()
        .map(|&(length, prompt)| Encoded {
            tokens: (0..length).map(|_| rng.below(70) as u32).collect(),
            prompt,
        })
        .collect()
}

/// Loss and every variable's gradient.
pub(super) fn gradients(
    decoder: &Decoder,
    route: Route,
    batch: &crate::training::batch::Batch,
    variables: &Variables,
) -> (f64, BTreeMap<String, Vec<f32>>) {
    worked_out(decoder, route, batch, variables, false)
}

/// The same with layers computed again.
pub(super) fn checkpointed(
    decoder: &Decoder,
    route: Route,
    batch: &crate::training::batch::Batch,
    variables: &Variables,
) -> (f64, BTreeMap<String, Vec<f32>>) {
    worked_out(decoder, route, batch, variables, true)
}

fn worked_out(
    decoder: &Decoder,
    route: Route,
    batch: &crate::training::batch::Batch,
    variables: &Variables,
    checkpointing: bool,
) -> (f64, BTreeMap<String, Vec<f32>>) {
    let mut gradients = Gradients::of(variables);
    let loss = decoder.gradients(route, batch, variables, checkpointing, 1.0, &mut gradients).unwrap();
    let found = gradients.iter().map(|(name, gradient)| {
        let gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
        (name.to_owned(), gradient.to_vec())
    });
    (loss, found.collect())
}

/// The largest difference of any gradient, relative to its tensor's largest gradient.
pub(super) fn worst(a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>) -> f64 {
    assert_eq!(a.len(), b.len(), "as many gradients as variables");
    let mut worst = 0.0_f64;
    for (key, a) in a {
        let b = &b[key];
        assert_eq!(a.len(), b.len(), "{key}");
        let largest = b.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        assert!(largest > 0.0, "{key} has a gradient that is not zero");
        let difference = a.iter().zip(b).fold(0.0_f32, |max, (x, y)| max.max((x - y).abs()));
        worst = worst.max(f64::from(difference) / f64::from(largest));
    }
    worst
}

/// A recipe small enough for a test.
pub(super) fn tiny_recipe() -> PretrainRecipe {
    PretrainRecipe {
        hidden: 32,
        intermediate: 48,
        layers: 2,
        heads: 4,
        tokenizer_examples: 300,
        vocabulary: 300,
        steps: 12,
        batch_size: 16,
        warmup_steps: 2,
        ..PretrainRecipe::default()
    }
}

/// Nothing but a folder.
pub(super) fn making(folder: &Path) -> Making<'_> {
    Making { folder, start: None, threads: None }
}

/// Writes a tiny student folder.
pub(in crate::training) fn student(folder: &Path) {
    pretrain(&tiny_recipe(), making(folder), &mut |_| ControlFlow::Continue(())).unwrap();
}

/// A short training on pool problems.
pub(in crate::training) fn order(base: &Path, output: &Path, method: TrainingMethod) -> TrainingOrder {
    let examples = (0..24)
        .map(|index| {
            let problem = sample(Skill::Div, None, Split::Pool, 1, index).unwrap();
            (problem.question, problem.response)
        })
        .collect();
    TrainingOrder {
        start: Checkpoint::Full { folder: base.to_owned() },
        examples,
        replay: vec![],
        settings: TrainingSettings {
            method,
            learning_rate: 2e-3,
            epochs: 3,
            batch_size: 10,
            warmup: 0.1,
            weight_decay: 0.01,
            clip: 1.0,
            max_length: 128,
            ..TrainingSettings::default()
        },
        seed: 3,
        output: output.to_owned(),
    }
}

/// One thread of the CPU.
pub(in crate::training) fn alone() -> Resources {
    Resources { threads: Some(1), ..Resources::default() }
}
