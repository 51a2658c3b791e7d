//! Fused against composed, packed against padded, merged against adapted.

use super::support::{
    adapter, checkpointed, config, examples, gradients, of_family, variables, weights, worst,
};
use crate::gym::rng::CounterRng;
use crate::training::batch::Batch;
use crate::training::composed::{head_loss, head_value};
use crate::training::config::{DecoderConfig, Family};
use crate::training::model::{Decoder, Path, Variables};
use crate::training::weights::Weights;
use candle_core::{DType, Device, Tensor, Var};

/// Relative to the largest gradient of each tensor.
const TOLERANCE: f64 = 5e-6;

fn batches() -> (Batch, Batch) {
    let examples = examples(&[(40, 12), (25, 9), (32, 3), (90, 50), (7, 2), (66, 60)]);
    let members: Vec<_> = examples.iter().collect();
    (Batch::padded(&members), Batch::packed(&members, 128))
}

#[test]
fn full_training_fused_equals_composed_and_packed_equals_padded() {
    let families = Family::ALL.map(|(family, _)| of_family(family));
    for config in families.into_iter().chain([config(true)]) {
        let variables = variables(&weights(&config));
        let decoder = || Decoder::new(&config, &Weights::new(), &variables, None, 128).unwrap();
        // Seven rows of logits.
        let (decoder, narrow) = (decoder(), decoder().at_a_time(7 * config.vocabulary));
        let (padded, packed) = batches();
        let (oracle_loss, oracle) = gradients(&decoder, Path::Composed, &padded, &variables);
        assert_eq!(oracle.len(), config.tensors().len());
        for (name, (loss, found)) in [
            ("fused padded", gradients(&decoder, Path::Fused, &padded, &variables)),
            ("fused packed", gradients(&decoder, Path::Fused, &packed, &variables)),
            ("composed packed", gradients(&decoder, Path::Composed, &packed, &variables)),
            ("checkpointed", checkpointed(&decoder, Path::Fused, &packed, &variables)),
            ("composed checkpointed", checkpointed(&decoder, Path::Composed, &padded, &variables)),
            ("composed in chunks", gradients(&narrow, Path::Composed, &padded, &variables)),
            ("checkpointed in chunks", checkpointed(&narrow, Path::Composed, &padded, &variables)),
        ] {
            let (worst, family) = (worst(&found, &oracle), config.family);
            println!(
                "full {family:?}, {name}: loss {:.1e}, gradients {worst:.1e}",
                (loss - oracle_loss).abs()
            );
            assert!((loss - oracle_loss).abs() < 2e-6, "{family:?}, {name}: {loss} against {oracle_loss}");
            assert!(worst < TOLERANCE, "{family:?}, {name}: {worst}");
        }
        for (decoder, path) in
            [(&decoder, Path::Fused), (&decoder, Path::Composed), (&narrow, Path::Composed)]
        {
            assert!((decoder.loss(path, &packed).unwrap() - oracle_loss).abs() < 2e-6);
        }
    }
}

#[test]
fn adapters_fused_equals_composed_and_packed_equals_padded() {
    for config in Family::ALL.map(|(family, _)| of_family(family)) {
        let base = weights(&config);
        let (adapter, variables) = adapter(&config);
        let decoder = Decoder::new(&config, &base, &variables, Some(&adapter), 128).unwrap();
        let (padded, packed) = batches();
        let (oracle_loss, oracle) = gradients(&decoder, Path::Composed, &padded, &variables);
        assert_eq!(oracle.len(), 2 * 7 * config.layers);
        for (name, (loss, found)) in [
            ("padded", gradients(&decoder, Path::Fused, &padded, &variables)),
            ("packed", gradients(&decoder, Path::Fused, &packed, &variables)),
            ("checkpointed", checkpointed(&decoder, Path::Fused, &packed, &variables)),
            ("composed checkpointed", checkpointed(&decoder, Path::Composed, &padded, &variables)),
        ] {
            let (worst, family) = (worst(&found, &oracle), config.family);
            println!(
                "lora {family:?}, {name}: loss {:.1e}, gradients {worst:.1e}",
                (loss - oracle_loss).abs()
            );
            assert!((loss - oracle_loss).abs() < 2e-6, "{family:?}, {name}: {loss} against {oracle_loss}");
            assert!(worst < TOLERANCE, "{family:?}, {name}: {worst}");
        }
    }
}

#[test]
fn the_loss_in_chunks_is_the_loss_at_once() {
    let rows = 23;
    let numbers = |name: &str, shape: (usize, usize)| {
        let mut rng = CounterRng::keyed(9, name);
        let numbers: Vec<f32> = (0..shape.0 * shape.1).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
    };
    let states = Var::from_tensor(&numbers("states", (rows, 12))).unwrap();
    let head = Var::from_tensor(&numbers("head", (40, 12))).unwrap();
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 40).collect();
    let flat = |gradient: Tensor| gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (cap, trained) in [(None, false), (Some(3.0), false), (None, true), (Some(3.0), true)] {
        // The loss, the gradients of states and of a trained head, and whether the head's came from chunks.
        let worked_out = |most: usize| {
            let loss = head_loss(&states, (&head, trained), &targets, cap, most).unwrap();
            let mut store = loss.root.backward().unwrap();
            let chunked = loss.head.is_some();
            let of_head = loss.head.or_else(|| store.remove(&head));
            assert_eq!(of_head.is_some(), trained);
            let gradients = [store.remove(&states), of_head].into_iter().flatten().map(flat).collect();
            (loss.value, gradients, chunked)
        };
        let (loss, gradients, chunked): (f64, Vec<Vec<f32>>, bool) = worked_out(usize::MAX);
        assert!(!chunked);
        // One row at a time, several with a rest, and all but one.
        for most in [1, 40 * 5, 40 * (rows - 1)] {
            let (other, parts, chunked) = worked_out(most);
            let measured = head_value(&states, &head, &targets, cap, most).unwrap();
            assert_eq!(chunked, trained, "all logits of a trained head at once");
            for value in [other, measured] {
                assert!((loss - value).abs() < 2e-6, "{most}: {value} against {loss}");
            }
            assert_eq!(parts.len(), gradients.len());
            for (whole, part) in gradients.iter().zip(&parts) {
                let largest = whole.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                let far = whole.iter().zip(part).fold(0.0_f32, |most, (x, y)| most.max((x - y).abs()));
                assert!(f64::from(far / largest) < TOLERANCE, "{most}: {far} of {largest}");
            }
        }
    }
}

#[test]
fn a_frozen_base_in_half_precision_trains_its_adapter_in_full_precision() {
    // As on a GPU; candle's CPU products know f16 but not bf16.
    let config = config(true);
    let base = weights(&config);
    let half = crate::training::weights::place(&base, &Device::Cpu, DType::F16).unwrap();
    let rounded: Weights =
        half.iter().map(|(key, tensor)| (key.clone(), tensor.to_dtype(DType::F32).unwrap())).collect();
    let (adapter, variables) = adapter(&config);
    let (_, packed) = batches();
    let decoder =
        |weights: &Weights| Decoder::new(&config, weights, &variables, Some(&adapter), 128).unwrap();
    let (loss, found) = gradients(&decoder(&half), Path::Composed, &packed, &variables);
    let (oracle_loss, oracle) = gradients(&decoder(&rounded), Path::Fused, &packed, &variables);
    let worst = worst(&found, &oracle);
    println!("f16 base: loss {:.1e}, gradients {worst:.1e}", (loss - oracle_loss).abs());
    assert!((loss - oracle_loss).abs() < 2e-3 && worst < 1e-2, "{loss} against {oracle_loss}, {worst}");
}

#[test]
fn merged_weights_give_the_adapter_s_logits() {
    let config = config(true);
    let base = weights(&config);
    let (adapter, variables) = adapter(&config);
    let merged = adapter.merge(base.clone(), &variables).unwrap();
    let adapted = Decoder::new(&config, &base, &variables, Some(&adapter), 128).unwrap();
    let plain = Decoder::new(&config, &merged, &Variables::new(), None, 128).unwrap();
    let bare = Decoder::new(&config, &base, &Variables::new(), None, 128).unwrap();
    let (_, packed) = batches();
    let logits = |decoder: &Decoder| -> Vec<f32> {
        decoder.logits(Path::Fused, &packed).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0_f32, |max, (x, y)| max.max((x - y).abs()));
    let (adapted, plain, bare) = (logits(&adapted), logits(&plain), logits(&bare));
    let scale = adapted.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    println!("merged against adapted: {:.1e} at scale {scale:.1}", far(&adapted, &plain));
    assert!(far(&adapted, &plain) < 2e-6 * scale.max(1.0));
    assert!(far(&adapted, &bare) > 1e-2, "the adapter does something");
}

#[test]
fn greedy_decoding_agrees_with_the_training_decoder() {
    for (family, _) in Family::ALL {
        greedy_agrees(&of_family(family));
    }
}

fn greedy_agrees(config: &DecoderConfig) {
    let weights = weights(config);
    let decoder = crate::training::GreedyDecoder::new(config, &weights).unwrap();
    let trainer = Decoder::new(config, &weights, &Variables::new(), None, 64).unwrap();
    let prompts: Vec<Vec<u32>> = examples(&[(9, 1), (4, 1), (17, 1)]).into_iter().map(|e| e.tokens).collect();
    let answers = decoder.generate(&prompts, &[69], 12);
    for (prompt, answer) in prompts.iter().zip(&answers) {
        assert!(!answer.is_empty());
        let mut tokens = prompt.clone();
        for token in answer {
            let example = crate::training::batch::Encoded {
                tokens: [tokens.clone(), vec![0]].concat(),
                prompt: tokens.len(),
            };
            let logits = trainer.logits(Path::Fused, &Batch::padded(&[&example])).unwrap();
            let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            assert_eq!(best as u32, *token);
            tokens.push(*token);
        }
    }
}
