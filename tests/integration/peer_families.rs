//! What we train and export of every family, in transformers, PEFT and mistral.rs.
//!
//! Needs a Python with `tests/peers/requirements.txt` in `DATAENVGYM_PEER_PYTHON`; answers of mistral.rs are
//! compared where the program has it.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use dataenvgym::gym::ports::{Checkpoint, TrainingMethod, TrainingOrder, TrainingSettings};
use dataenvgym::training::{ChatFormat, GreedyDecoder, MergedAs, Resources, merge_adapter, train};

use crate::peer_greedy::{PROMPTS, ours, pool, program, python, run, theirs};

const FAMILIES: [&str; 5] = ["llama", "mistral", "qwen2", "qwen3", "gemma2"];

fn order(start: &Path, output: &Path, method: TrainingMethod) -> TrainingOrder {
    let answer = |n: usize| format!("The answer to number {n} is {}.", n * n);
    TrainingOrder {
        start: Checkpoint::Full { folder: start.to_owned() },
        examples: (0..16).map(|n| (PROMPTS[n].to_owned(), answer(n))).collect(),
        replay: vec![],
        settings: TrainingSettings {
            method,
            learning_rate: 5e-3,
            epochs: 4,
            batch_size: 8,
            ..TrainingSettings::default()
        },
        seed: 3,
        output: output.to_owned(),
    }
}

/// The largest difference of logits at the ends of the prompts, relative to the largest logit.
fn far(
    python: &Path,
    decoder: &GreedyDecoder,
    ids: &[Vec<u32>],
    model: &Path,
    adapter: Option<&Path>,
) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("ids.json");
    fs::write(&list, serde_json::to_string(ids).unwrap()).unwrap();
    let mut arguments = vec!["logits.py", model.to_str().unwrap(), "--ids", list.to_str().unwrap()];
    arguments.extend(adapter.into_iter().flat_map(|adapter| ["--adapter", adapter.to_str().unwrap()]));
    let said = run(python, &arguments);
    let worst = said.lines().zip(ids).map(|(line, ids)| {
        let theirs: Vec<f64> = serde_json::from_str(line).unwrap();
        let ours = decoder.logits(ids);
        assert_eq!(ours.len(), theirs.len());
        let largest = theirs.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let far = ours.iter().zip(&theirs).fold(0.0_f64, |max, (x, y)| max.max((f64::from(*x) - y).abs()));
        far / largest
    });
    worst.fold(0.0, f64::max)
}

#[test]
fn every_family_s_exports_load_and_answer_alike() {
    let Some(python) = python("every_family_s_exports_load_and_answer_alike") else { return };
    for family in FAMILIES {
        let temporary = tempfile::tempdir().unwrap();
        let path = |name: &str| temporary.path().join(name);
        run(&python, &["lively.py", temporary.path().to_str().unwrap(), family]);
        let (base, adapter, merged, full) = (path("model"), path("trained"), path("merged"), path("full"));
        let go_on = &mut |_| ControlFlow::Continue(());
        let lora = TrainingMethod::Lora { rank: 8, alpha: 16.0 };
        train(&order(&base, &adapter, lora), &Resources::default(), go_on).unwrap();
        train(&order(&base, &full, TrainingMethod::Full), &Resources::default(), go_on).unwrap();
        merge_adapter(&base, &adapter, &merged, MergedAs::Single).unwrap();

        let format = ChatFormat::load(&base).unwrap();
        let ids: Vec<Vec<u32>> = PROMPTS.iter().map(|prompt| format.encode_prompt(prompt).unwrap()).collect();
        let cases = [
            ("base", Checkpoint::Full { folder: base.clone() }, &base, None),
            (
                "adapter",
                Checkpoint::Adapter { base: base.clone(), adapter: adapter.clone() },
                &base,
                Some(adapter.as_path()),
            ),
            ("merged", Checkpoint::Full { folder: merged.clone() }, &merged, None),
            ("full", Checkpoint::Full { folder: full.clone() }, &full, None),
        ];
        let mut seen = Vec::new();
        for (name, checkpoint, model, adapter) in cases {
            let decoder = GreedyDecoder::load(model, adapter).unwrap();
            let worst = far(&python, &decoder, &ids, model, adapter);
            println!("{family} {name}: logits {worst:.1e}");
            assert!(worst <= 5e-6, "{family} {name}: {worst}");
            let theirs = theirs(&python, model, &PROMPTS, adapter);
            let own = decoder.generate(&ids, format.ends(), 64);
            let own: Vec<String> = own.iter().map(|tokens| format.decode(tokens).unwrap()).collect();
            let texts: Vec<String> = theirs.iter().map(|(text, _)| text.clone()).collect();
            assert_eq!(own, texts, "{family} {name}: our own decoder");
            if program().is_some() {
                let (mut pool, _, _) = pool(temporary.path(), 1, 1);
                let answers = ours(&mut pool, &checkpoint, &PROMPTS);
                let same = answers.iter().zip(&theirs).filter(|(a, b)| a == b).count();
                println!("{family} {name}: {same} of {} answers of mistral.rs equal", theirs.len());
                assert_eq!(answers, theirs, "{family} {name}: mistral.rs");
            }
            seen.push(texts);
        }
        assert!(seen[0] != seen[1] && seen[0] != seen[3], "{family}: training changed nothing");
        assert_eq!(seen[1], seen[2], "{family}: merged and not");
    }
}
