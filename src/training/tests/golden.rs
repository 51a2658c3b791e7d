//! Loss and gradients against `PyTorch` and PEFT (see the fixture's attribution).

use super::support::{gradients, variables, worst};
use crate::training::batch::{Batch, Encoded};
use crate::training::config::LlamaConfig;
use crate::training::lora::Adapter;
use crate::training::model::{Decoder, Path, Variables};
use crate::training::weights::Weights;
use candle_core::{Device, Tensor, Var};
use safetensors::SafeTensors;
use std::collections::BTreeMap;

const BYTES: &[u8] = include_bytes!("../../../tests/fixtures/gradients/llama.safetensors");

struct Golden {
    config: LlamaConfig,
    adapter: Adapter,
    floats: BTreeMap<String, Tensor>,
    batch: Vec<Encoded>,
}

fn golden() -> Golden {
    let file = SafeTensors::deserialize(BYTES).unwrap();
    let (_, header) = SafeTensors::read_metadata(BYTES).unwrap();
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
    let lengths = integers.remove("lengths").or_else(|| integers.remove("batch/lengths")).unwrap();
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
    Golden {
        config: LlamaConfig::parse(&config, std::path::Path::new("config.json")).unwrap(),
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
            println!("{name} {kind} {route:?}: loss {difference:.1e}, gradients {worst:.1e}");
            assert!(difference < 3e-6, "{ours} against {loss}");
            assert!(worst < 3e-6, "{worst}");
        }
    }
}

#[test]
fn full_gradients_are_pytorch_s() {
    let golden = golden();
    let variables = variables(&under(&golden, "weights/"));
    let decoder = Decoder::new(&golden.config, &Weights::new(), &variables, None, 64).unwrap();
    compare("full", &golden, &decoder, &variables, &expected(&golden, "grad_full/", str::to_owned));
}

#[test]
fn adapter_gradients_are_peft_s() {
    let golden = golden();
    let rename = |key: &str| format!("base_model.model.{key}");
    let variables: Variables = under(&golden, "lora/")
        .into_iter()
        .map(|(key, tensor)| (rename(&key), Var::from_tensor(&tensor).unwrap()))
        .collect();
    let base = under(&golden, "weights/");
    let decoder = Decoder::new(&golden.config, &base, &variables, Some(&golden.adapter), 64).unwrap();
    compare("lora", &golden, &decoder, &variables, &expected(&golden, "grad_lora/", rename));
}
