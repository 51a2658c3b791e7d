//! A small model, examples and a model folder for tests.

use crate::gym::rng::CounterRng;
use crate::training::batch::Encoded;
use crate::training::config::LlamaConfig;
use crate::training::job::{Mode, TrainingExample, TrainingJob};
use crate::training::lora::Adapter;
use crate::training::model::{Decoder, Path as Route, Variables};
use crate::training::pretrain::{PretrainRecipe, pretrain};
use crate::training::weights::Weights;
use crate::worlds::arithmetic::{Skill, Split, sample};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

pub(super) fn config(tied: bool) -> LlamaConfig {
    LlamaConfig {
        hidden: 48,
        intermediate: 80,
        layers: 2,
        heads: 6,
        kv_heads: 2,
        head_dim: 8,
        vocabulary: 70,
        max_positions: 256,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        tied,
    }
}

fn tensor(name: &str, shape: &[usize], deviation: f64, around: f64) -> Tensor {
    let mut rng = CounterRng::keyed(2, name);
    let data: Vec<f32> =
        (0..shape.iter().product()).map(|_| (around + rng.normal() * deviation) as f32).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

pub(super) fn weights(config: &LlamaConfig) -> Weights {
    config
        .tensors()
        .into_iter()
        .map(|(key, shape)| {
            let (deviation, around) = if shape.len() == 1 { (0.1, 1.0) } else { (0.15, 0.0) };
            let tensor = tensor(&key, &shape, deviation, around);
            (key, tensor)
        })
        .collect()
}

pub(super) fn variables(tensors: &Weights) -> Variables {
    tensors.iter().map(|(key, tensor)| (key.clone(), Var::from_tensor(tensor).unwrap())).collect()
}

/// An adapter whose B is not zero, so that everything has a gradient.
pub(super) fn adapter(config: &LlamaConfig) -> (Adapter, Variables) {
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
    let loss = decoder.loss(route, batch).unwrap();
    let store = loss.backward().unwrap();
    let gradients: BTreeMap<String, Vec<f32>> = variables
        .iter()
        .map(|(key, variable)| {
            let gradient = store.get(variable).unwrap_or_else(|| panic!("no gradient for {key}"));
            (key.clone(), gradient.flatten_all().unwrap().to_vec1().unwrap())
        })
        .collect();
    (f64::from(loss.to_scalar::<f32>().unwrap()), gradients)
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

/// Writes a tiny student folder.
pub(super) fn student(folder: &Path) {
    pretrain(&tiny_recipe(), folder, &mut |_| ControlFlow::Continue(())).unwrap();
}

/// A short job on pool problems.
pub(super) fn job(base: &Path, output: &Path, mode: Mode) -> TrainingJob {
    let examples = (0..24)
        .map(|index| {
            let problem = sample(Skill::Div, None, Split::Pool, 1, index).unwrap();
            TrainingExample { prompt: problem.question, response: problem.response }
        })
        .collect();
    TrainingJob {
        base: base.to_owned(),
        continue_from: None,
        examples,
        mode,
        learning_rate: 2e-3,
        epochs: 3,
        batch_size: 10,
        warmup: 0.1,
        weight_decay: 0.01,
        clip: 1.0,
        max_length: 128,
        seed: 3,
        threads: Some(1),
        output: output.to_owned(),
    }
}
