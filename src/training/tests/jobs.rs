//! Whole trainings: the same bits on any number of threads, progress, stopping, continuing.

use super::support::{job, student, tiny_recipe};
use crate::training::{ChatFormat, PretrainRecipe};
use crate::training::{GreedyDecoder, Mode, TrainingError, pretrain, train};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

const LORA: Mode = Mode::Lora { rank: 4, alpha: 8.0 };

fn carry_on<P>(_: P) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn threads_do_not_change_a_bit() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    student(&base);
    for (mode, file) in [(Mode::Full, "model.safetensors"), (LORA, "adapter_model.safetensors")] {
        let mut results = Vec::new();
        for threads in [1, 2, 3] {
            let output = folder.path().join(format!("out-{threads}"));
            let mut job = job(&base, &output, mode);
            job.threads = Some(threads);
            let outcome = train(&job, &mut carry_on).unwrap();
            assert_eq!((outcome.steps, outcome.cut_examples, outcome.skipped_examples), (9, 0, 0));
            assert!(outcome.last_loss < outcome.first_loss, "{outcome:?}");
            results.push(bytes(&output, file));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{file} differs between threads");
    }
}

#[test]
fn a_recipe_gives_the_same_student_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    student(&one);
    student(&two);
    for name in ["model.safetensors", "tokenizer.json", "recipe.json", "config.json"] {
        assert_eq!(bytes(&one, name), bytes(&two, name), "{name}");
    }
    let other = PretrainRecipe { seed: 2, ..tiny_recipe() };
    assert_ne!(other.sha256(), tiny_recipe().sha256());
    pretrain(&other, &two, &mut carry_on).unwrap();
    assert_ne!(bytes(&one, "model.safetensors"), bytes(&two, "model.safetensors"));
}

#[test]
fn progress_counts_every_step_and_can_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut seen = Vec::new();
    let stopped = train(&job(&base, &output, LORA), &mut |progress| {
        seen.push(progress);
        if progress.step == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(TrainingError::Stopped { step: 4 })), "{stopped:?}");
    assert_eq!(seen.iter().map(|p| (p.step, p.of)).collect::<Vec<_>>(), [(1, 9), (2, 9), (3, 9), (4, 9)]);
    assert!(seen.iter().all(|p| p.loss > 0.0 && p.learning_rate > 0.0 && p.tokens_per_second > 0.0));
    assert!(!output.exists(), "a stopped training writes nothing");
}

#[test]
fn a_training_continues_from_either_kind_of_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    student(&path("base"));
    train(&job(&path("base"), &path("adapter"), LORA), &mut carry_on).unwrap();
    train(&job(&path("base"), &path("full"), Mode::Full), &mut carry_on).unwrap();
    for (from, mode) in [("adapter", LORA), ("full", Mode::Full), ("adapter", Mode::Full)] {
        let first = train(&job(&path("base"), &path("scratch"), mode), &mut carry_on).unwrap();
        let mut again = job(&path("base"), &path("scratch"), mode);
        again.continue_from = Some(path(from));
        let second = train(&again, &mut carry_on).unwrap();
        assert!(second.first_loss < first.first_loss - 2e-3, "{from}: {second:?} after {first:?}");
    }
    let mut wrong = job(&path("base"), &path("scratch"), Mode::Lora { rank: 8, alpha: 8.0 });
    wrong.continue_from = Some(path("adapter"));
    assert!(matches!(train(&wrong, &mut carry_on), Err(TrainingError::Job(_))));
    wrong.continue_from = Some(path("full"));
    assert!(matches!(train(&wrong, &mut carry_on), Err(TrainingError::Job(_))));
}

#[test]
fn an_adapter_folder_and_a_full_folder_load_and_decode() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    student(&path("base"));
    train(&job(&path("base"), &path("adapter"), LORA), &mut carry_on).unwrap();
    train(&job(&path("base"), &path("full"), Mode::Full), &mut carry_on).unwrap();
    let format = ChatFormat::load(&path("full")).unwrap();
    let prompt = format.encode_prompt("What is 17 + 5?").unwrap();
    let adapted = GreedyDecoder::load(&path("base"), Some(&path("adapter"))).unwrap();
    let full = GreedyDecoder::load(&path("full"), None).unwrap();
    for decoder in [adapted, full] {
        let out = decoder.generate(&[prompt.clone(), Vec::new()], format.end(), 8);
        assert!(!out[0].is_empty() && out[1].is_empty());
        format.decode(&out[0]).unwrap();
    }
}

#[test]
fn long_examples_are_cut_and_counted_and_bad_jobs_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut short = job(&base, &output, LORA);
    short.max_length = 40;
    short.examples[0].prompt = "word ".repeat(40);
    let outcome = train(&short, &mut carry_on).unwrap();
    assert_eq!(outcome.skipped_examples, 1);
    assert!(outcome.cut_examples > 5, "{outcome:?}");
    let text = serde_json::to_string(&short).unwrap();
    assert_eq!(serde_json::from_str::<crate::training::TrainingJob>(&text).unwrap(), short);
    let spoil: [fn(&mut crate::training::TrainingJob); 4] = [
        |job| job.examples.clear(),
        |job| job.epochs = 0,
        |job| job.learning_rate = f64::NAN,
        |job| job.max_length = 3,
    ];
    for spoil in spoil {
        let mut bad = short.clone();
        spoil(&mut bad);
        assert!(matches!(train(&bad, &mut carry_on), Err(TrainingError::Job(_))));
    }
    let mut wild = short.clone();
    (wild.mode, wild.learning_rate, wild.clip, wild.epochs) = (Mode::Full, 1e30, 0.0, 4);
    let diverged = train(&wild, &mut carry_on);
    assert!(matches!(diverged, Err(TrainingError::Diverged { .. })), "{diverged:?}");
}
