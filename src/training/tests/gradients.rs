//! Fused against composed, packed against padded, merged against adapted.

use super::support::{adapter, config, examples, gradients, variables, weights, worst};
use crate::training::batch::Batch;
use crate::training::model::{Decoder, Path, Variables};
use crate::training::weights::Weights;

/// Relative to the largest gradient of each tensor. Measured: up to 2.2e-6.
const TOLERANCE: f64 = 3e-6;

fn batches() -> (Batch, Batch) {
    let examples = examples(&[(40, 12), (25, 9), (32, 3), (90, 50), (7, 2), (66, 60)]);
    let members: Vec<_> = examples.iter().collect();
    (Batch::padded(&members), Batch::packed(&members, 128))
}

#[test]
fn full_training_fused_equals_composed_and_packed_equals_padded() {
    for tied in [true, false] {
        let config = config(tied);
        let variables = variables(&weights(&config));
        let decoder = Decoder::new(&config, &Weights::new(), &variables, None, 128).unwrap();
        let (padded, packed) = batches();
        let (oracle_loss, oracle) = gradients(&decoder, Path::Composed, &padded, &variables);
        assert_eq!(oracle.len(), config.tensors().len());
        for (name, route, batch) in [
            ("fused padded", Path::Fused, &padded),
            ("fused packed", Path::Fused, &packed),
            ("composed packed", Path::Composed, &packed),
        ] {
            let (loss, found) = gradients(&decoder, route, batch, &variables);
            let worst = worst(&found, &oracle);
            println!(
                "full, tied {tied}, {name}: loss {:.1e}, gradients {worst:.1e}",
                (loss - oracle_loss).abs()
            );
            assert!((loss - oracle_loss).abs() < 2e-6, "{name}: {loss} against {oracle_loss}");
            assert!(worst < TOLERANCE, "{name}: {worst}");
        }
    }
}

#[test]
fn adapters_fused_equals_composed_and_packed_equals_padded() {
    let config = config(true);
    let base = weights(&config);
    let (adapter, variables) = adapter(&config);
    let decoder = Decoder::new(&config, &base, &variables, Some(&adapter), 128).unwrap();
    let (padded, packed) = batches();
    let (oracle_loss, oracle) = gradients(&decoder, Path::Composed, &padded, &variables);
    assert_eq!(oracle.len(), 2 * 7 * config.layers);
    for (name, batch) in [("padded", &padded), ("packed", &packed)] {
        let (loss, found) = gradients(&decoder, Path::Fused, batch, &variables);
        let worst = worst(&found, &oracle);
        println!("lora, {name}: loss {:.1e}, gradients {worst:.1e}", (loss - oracle_loss).abs());
        assert!((loss - oracle_loss).abs() < 2e-6, "{name}: {loss} against {oracle_loss}");
        assert!(worst < TOLERANCE, "{name}: {worst}");
    }
}

#[test]
fn merged_weights_give_the_adapter_s_logits() {
    let config = config(true);
    let base = weights(&config);
    let (adapter, variables) = adapter(&config);
    let merged = adapter.merge(&config, &base, &variables).unwrap();
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
    let config = config(false);
    let weights = weights(&config);
    let decoder = crate::training::GreedyDecoder::new(&config, &weights).unwrap();
    let trainer = Decoder::new(&config, &weights, &Variables::new(), None, 64).unwrap();
    let prompts: Vec<Vec<u32>> = examples(&[(9, 1), (4, 1), (17, 1)]).into_iter().map(|e| e.tokens).collect();
    let answers = decoder.generate(&prompts, 69, 12);
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
