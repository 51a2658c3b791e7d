//! Loss and gradients against `PyTorch` and PEFT (see the fixture's attribution).

use super::support::{checkpointed, gradients, variables, worst};
use crate::training::GreedyDecoder;
use crate::training::batch::{Batch, Encoded};
use crate::training::config::DecoderConfig;
use crate::training::lora::Adapter;
use crate::training::model::{Decoder, Path, Variables};
use crate::training::weights::Weights;
use candle_core::{Device, Tensor, Var};
use safetensors::SafeTensors;
use std::collections::BTreeMap;

const FAMILIES: [&str; 6] = ["llama", "llama3", "mistral", "qwen2", "qwen3", "gemma2"];

/// Relative to the largest gradient of each tensor, and to the largest logit.
const TOLERANCE: f64 = 5e-6;

struct Golden {
    family: &'static str,
    config: DecoderConfig,
    adapter: Adapter,
    floats: BTreeMap<String, Tensor>,
    batch: Vec<Encoded>,
    prompts: Vec<Vec<u32>>,
    greedy: BTreeMap<&'static str, Vec<Vec<u32>>>,
}

fn golden(family: &'static str) -> Golden {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gradients");
    let bytes = std::fs::read(folder.join(format!("{family}.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let config: serde_json::Value = serde_json::from_str(&metadata["config"]).unwrap();
    let lora: serde_json::Value = serde_json::from_str(&metadata["lora"]).unwrap();
    let mut floats = BTreeMap::new();
    let mut integers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, view) in file.iter() {
        if view.dtype() == safetensors::Dtype::I64 {
            let data = view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
            integers.insert(key.to_owned(), data);
        } else {
            let data: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            floats.insert(key.to_owned(), Tensor::from_vec(data, view.shape(), &Device::Cpu).unwrap());
        }
    }
    let lengths = integers.remove("lengths").unwrap();
    let width = integers["batch/input_ids"].len() / lengths.len();
    let ids = integers["batch/input_ids"].chunks(width);
    let labels = integers["batch/labels"].chunks(width);
    let batch = ids
        .zip(labels)
        .zip(&lengths)
        .map(|((ids, labels), &length)| Encoded {
            tokens: ids[..length as usize].iter().map(|&id| id as u32).collect(),
            prompt: labels.iter().position(|&label| label != -100).unwrap(),
        })
        .collect();
    let rows = |key: &str, rows: usize| -> Vec<Vec<u32>> {
        let data = &integers[key];
        data.chunks(data.len() / rows).map(|row| row.iter().map(|&id| id as u32).collect()).collect()
    };
    let (prompts, plain, adapted) =
        (rows("greedy/prompts", 4), rows("greedy/full", 4), rows("greedy/lora", 4));
    Golden {
        family,
        prompts,
        greedy: [("full", plain), ("lora", adapted)].into(),
        config: DecoderConfig::parse(&config, std::path::Path::new("config.json")).unwrap(),
        adapter: Adapter {
            rank: lora["r"].as_u64().unwrap() as usize,
            alpha: lora["alpha"].as_f64().unwrap(),
        },
        floats,
        batch,
    }
}

fn under(golden: &Golden, prefix: &str) -> Weights {
    let strip =
        |(key, tensor): (&String, &Tensor)| Some((key.strip_prefix(prefix)?.to_owned(), tensor.clone()));
    golden.floats.iter().filter_map(strip).collect()
}

fn expected(golden: &Golden, prefix: &str, rename: impl Fn(&str) -> String) -> BTreeMap<String, Vec<f32>> {
    under(golden, prefix)
        .into_iter()
        .map(|(key, tensor)| (rename(&key), tensor.flatten_all().unwrap().to_vec1().unwrap()))
        .collect()
}

fn compare(
    name: &str,
    golden: &Golden,
    decoder: &Decoder,
    variables: &Variables,
    oracle: &BTreeMap<String, Vec<f32>>,
) {
    let members: Vec<&Encoded> = golden.batch.iter().collect();
    let loss = golden.floats[&format!("loss/{name}")].to_vec1::<f32>().unwrap()[0];
    for (kind, batch) in [("padded", Batch::padded(&members)), ("packed", Batch::packed(&members, 48))] {
        for route in [Path::Fused, Path::Composed] {
            let (ours, found) = gradients(decoder, route, &batch, variables);
            let worst = worst(&found, oracle);
            let difference = (ours - f64::from(loss)).abs();
            let family = golden.family;
            println!("{family} {name} {kind} {route:?}: loss {difference:.1e}, gradients {worst:.1e}");
            assert!(difference < 3e-6, "{family}: {ours} against {loss}");
            assert!(worst < TOLERANCE, "{family}: {worst}");
        }
        let (_, found) = checkpointed(decoder, Path::Fused, &batch, variables);
        assert!(worst(&found, oracle) < TOLERANCE, "{} checkpointed", golden.family);
    }
    let first = Encoded { tokens: [golden.batch[0].tokens.as_slice(), &[0]].concat(), prompt: 1 };
    let first = Batch::padded(&[&first]);
    let theirs: Vec<f32> = golden.floats[&format!("logits/{name}")].flatten_all().unwrap().to_vec1().unwrap();
    for route in [Path::Fused, Path::Composed] {
        let ours: Vec<f32> = decoder.logits(route, &first).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let far = relative(&ours, &theirs);
        println!("{} {name} {route:?}: logits {far:.1e}", golden.family);
        assert!(far < TOLERANCE, "{}: {far}", golden.family);
    }
}

/// The largest difference, relative to the largest value.
fn relative(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let far = ours.iter().zip(theirs).fold(0.0_f32, |max, (x, y)| max.max((x - y).abs()));
    f64::from(far) / f64::from(largest)
}

fn low_rank(golden: &Golden) -> Variables {
    let variable = |(key, tensor): (String, Tensor)| {
        (format!("base_model.model.{key}"), Var::from_tensor(&tensor).unwrap())
    };
    under(golden, "lora/").into_iter().map(variable).collect()
}

#[test]
fn full_gradients_are_pytorch_s() {
    for golden in FAMILIES.map(golden) {
        let variables = variables(&under(&golden, "weights/"));
        let decoder = Decoder::new(&golden.config, &Weights::new(), &variables, None, 64).unwrap();
        compare("full", &golden, &decoder, &variables, &expected(&golden, "grad_full/", str::to_owned));
    }
}

#[test]
fn adapter_gradients_are_peft_s() {
    for golden in FAMILIES.map(golden) {
        let variables = low_rank(&golden);
        let base = under(&golden, "weights/");
        let decoder = Decoder::new(&golden.config, &base, &variables, Some(&golden.adapter), 64).unwrap();
        let rename = |key: &str| format!("base_model.model.{key}");
        compare("lora", &golden, &decoder, &variables, &expected(&golden, "grad_lora/", rename));
    }
}

#[test]
fn greedy_tokens_are_transformers() {
    for golden in FAMILIES.map(golden) {
        let base = under(&golden, "weights/");
        let merged = golden.adapter.merge(base.clone(), &low_rank(&golden)).unwrap();
        for (name, weights) in [("full", &base), ("lora", &merged)] {
            let decoder = GreedyDecoder::new(&golden.config, weights).unwrap();
            let theirs = &golden.greedy[name];
            let ours = decoder.generate(&golden.prompts, &[], theirs[0].len());
            assert_eq!(&ours, theirs, "{} {name}", golden.family);
        }
        assert_ne!(golden.greedy["full"], golden.greedy["lora"]);
    }
}
