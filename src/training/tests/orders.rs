//! Whole trainings: the same bits on any number of threads, progress, stopping, resuming, continuing.

use super::support::{alone, making, order, student, tiny_recipe};
use crate::checksums;
use crate::gym::ports::{Checkpoint, Device, TrainingMethod, TrainingOrder, TrainingOutcome};
use crate::training::lora::Adapter;
use crate::training::pretrain::hex;
use crate::training::{
    ChatFormat, Control, DecoderConfig, GreedyDecoder, Making, MergedAs, PretrainRecipe, Resources,
    TrainingError, merge_adapter, pretrain, publish, train, weights,
};
use candle_core::Tensor;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

const FULL: TrainingMethod = TrainingMethod::Full;
const LORA: TrainingMethod = TrainingMethod::Lora { rank: 4, alpha: 8.0 };

fn carry_on<P>(_: P) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

fn run(order: &TrainingOrder) -> TrainingOutcome {
    train(order, &alone(), &mut carry_on).unwrap()
}

/// The file beside an output that holds the state of an unfinished training.
fn unfinished(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap().to_str().unwrap();
    output.with_file_name(format!(".{name}.unfinished.safetensors"))
}

#[test]
fn threads_do_not_change_a_bit() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    student(&base);
    for (method, file) in [(FULL, "model.safetensors"), (LORA, "adapter_model.safetensors")] {
        let mut results = Vec::new();
        for threads in [1, 2, 3] {
            let output = folder.path().join(format!("out-{threads}"));
            // Small enough for several micro-batches per step.
            let mut order = order(&base, &output, method);
            order.settings.micro_tokens = 300;
            let resources = Resources { threads: Some(threads), ..Resources::default() };
            let outcome = train(&order, &resources, &mut carry_on).unwrap();
            assert_eq!((outcome.steps, outcome.account.cut_examples), (9, 0));
            assert!(outcome.final_loss < outcome.account.first_loss, "{outcome:?}");
            results.push(bytes(&output, file));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{file} differs between threads");
    }
}

#[test]
fn micro_batches_checkpointing_and_devices_change_nothing_but_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    student(&base);
    let output = folder.path().join("out");
    let losses = |edit: &dyn Fn(&mut TrainingOrder), devices: &[Device]| {
        let mut order = order(&base, &output, LORA);
        edit(&mut order);
        order.settings.devices = devices.to_vec();
        let mut losses = Vec::new();
        train(&order, &alone(), &mut |progress| {
            losses.push(progress.loss);
            ControlFlow::Continue(())
        })
        .unwrap();
        losses
    };
    let plain = losses(&|_| {}, &[]);
    for (name, other) in [
        ("micro-batches", losses(&|order| order.settings.micro_tokens = 100, &[])),
        ("checkpointing", losses(&|order| order.settings.checkpointing = true, &[])),
        ("two devices", losses(&|order| order.settings.micro_tokens = 100, &[Device::Cpu, Device::Cpu])),
    ] {
        let far = plain.iter().zip(&other).fold(0.0_f64, |max, (x, y)| max.max((x - y).abs()));
        println!("{name}: losses differ by {far:.1e} at most");
        assert!(plain.len() == 9 && other.len() == 9 && far < 2e-4, "{name}: {plain:?} {other:?}");
    }
    let mut elsewhere = order(&base, &output, LORA);
    elsewhere.settings.devices = vec![Device::Cuda(0)];
    let refused = train(&elsewhere, &alone(), &mut carry_on).unwrap_err();
    assert!(refused.to_string().contains("cuda:0") && !refused.hint().is_empty(), "{refused}");
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
    pretrain(&other, making(&two), &mut carry_on).unwrap();
    assert_ne!(bytes(&one, "model.safetensors"), bytes(&two, "model.safetensors"));
}

#[test]
fn a_recipe_that_was_stopped_goes_on_to_the_same_bits_also_with_more_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (base, straight, other) =
        (folder.path().join("base"), folder.path().join("straight"), folder.path().join("other"));
    student(&base);
    let digest = hex(&bytes(&base, "model.safetensors"));
    let recipe = PretrainRecipe {
        start_sha256: Some(digest),
        vocabulary: 310,
        decay_steps: Some(3),
        ..PretrainRecipe { seed: 3, ..tiny_recipe() }
    };
    let from = |folder| Making { start: Some(&base), ..making(folder) };
    pretrain(&recipe, from(&straight), &mut carry_on).unwrap();
    let mut steps = Vec::new();
    let shorter = PretrainRecipe { steps: 10, ..recipe.clone() };
    let stopped = pretrain(&shorter, from(&other), &mut |progress| {
        if progress.step < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(stopped, Err(TrainingError::Stopped { step: 5 })) && !other.exists());
    pretrain(&recipe, from(&other), &mut |progress| {
        steps.push(progress.step);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(steps, (6..=12).collect::<Vec<_>>());
    assert_eq!(bytes(&straight, "model.safetensors"), bytes(&other, "model.safetensors"));
    assert!(!unfinished(&other).exists());

    let changed = PretrainRecipe { start_sha256: Some("0".repeat(64)), ..recipe.clone() };
    for (recipe, start) in [(&changed, Some(base.as_path())), (&recipe, None)] {
        let refused = pretrain(recipe, Making { start, ..making(&folder.path().join("no")) }, &mut carry_on);
        assert!(matches!(refused, Err(TrainingError::Job(_))), "{refused:?}");
    }
}

#[test]
fn a_training_that_was_stopped_anywhere_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    for (method, file) in [(LORA, "adapter_model.safetensors"), (FULL, "model.safetensors")] {
        let mut order = order(&base, &output, method);
        (order.settings.held_out, order.settings.patience) = (0.2, 2);
        let mut curve = Vec::new();
        let straight = train(&order, &alone(), &mut |progress| {
            curve.push((progress.step, progress.loss.to_bits(), progress.held_out_loss.map(f64::to_bits)));
            ControlFlow::Continue(())
        })
        .unwrap();
        let expected = bytes(&output, file);
        assert!(!unfinished(&output).exists());
        fs::remove_dir_all(&output).unwrap();

        let mut resumed = Vec::new();
        let mut attempts = 0;
        let outcome = loop {
            attempts += 1;
            let done = train(&order, &alone(), &mut |p| {
                assert!(p.loss > 0.0 && p.learning_rate > 0.0 && p.tokens_per_second > 0.0);
                assert_eq!(p.seconds_left > 0.0, p.step < p.steps);
                resumed.push((p.step, p.loss.to_bits(), p.held_out_loss.map(f64::to_bits)));
                if p.step.is_multiple_of(2) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match done {
                Ok(outcome) => break outcome,
                Err(TrainingError::Stopped { .. }) => {
                    assert!(!output.exists() && unfinished(&output).exists());
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert!(attempts > 3);
        assert_eq!(resumed, curve);
        assert_eq!(outcome, straight);
        assert!(bytes(&output, file) == expected, "{file} differs after a resume");
        fs::remove_dir_all(&output).unwrap();
    }
}

#[test]
fn another_order_or_a_damaged_state_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let first = |order: &TrainingOrder| {
        let mut first = None;
        let _ = train(order, &alone(), &mut |progress| {
            first.get_or_insert(progress.step);
            if progress.step == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        first.unwrap()
    };
    let order = order(&base, &output, LORA);
    assert_eq!((first(&order), first(&order)), (1, 5), "the second one went on");
    assert_eq!(first(&order), 1, "it had ended");
    let mut other = order.clone();
    other.seed += 1;
    assert_eq!((first(&order), first(&other)), (5, 1));
    let state = fs::read(unfinished(&output)).unwrap();
    fs::write(unfinished(&output), &state[..state.len() / 2]).unwrap();
    assert_eq!(first(&other), 1);
    // The weights it started from changed.
    pretrain(&PretrainRecipe { seed: 2, ..tiny_recipe() }, making(&base), &mut carry_on).unwrap();
    assert_eq!(first(&other), 1);
}

#[test]
fn a_control_pauses_and_stops_between_micro_batches() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut order = order(&base, &output, LORA);
    order.settings.epochs = 500;
    order.settings.micro_tokens = 100;
    let control = Arc::new(Control::default());
    let resources = Resources { control: Arc::clone(&control), ..alone() };
    let (sender, steps) = mpsc::channel();
    let training = std::thread::spawn(move || {
        train(&order, &resources, &mut |progress| {
            sender.send(progress.step).unwrap();
            ControlFlow::Continue(())
        })
    });
    steps.recv().unwrap();
    control.pause();
    // What is under way may still arrive; then there is silence.
    while steps.recv_timeout(Duration::from_millis(300)).is_ok() {}
    control.resume();
    let after = steps.recv_timeout(Duration::from_secs(20)).expect("it goes on");
    control.stop();
    control.resume();
    let error = training.join().unwrap().unwrap_err();
    assert!(matches!(error, TrainingError::Stopped { step } if step >= after as usize), "{error}");
    assert!(unfinished(&output).exists() && !output.exists());
}

#[test]
fn a_training_continues_from_either_kind_of_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    student(&path("base"));
    let adapter = run(&order(&path("base"), &path("adapter"), LORA)).checkpoint;
    let full = run(&order(&path("base"), &path("full"), FULL)).checkpoint;
    assert_eq!(adapter, Checkpoint::Adapter { base: path("base"), adapter: path("adapter") });
    assert_eq!(full, Checkpoint::Full { folder: path("full") });
    for (start, method) in [(&adapter, LORA), (&full, FULL), (&adapter, FULL), (&full, LORA)] {
        let first = run(&order(&path("base"), &path("scratch"), method));
        let mut again = order(&path("base"), &path("scratch"), method);
        again.start = start.clone();
        let second = run(&again);
        let (before, after) = (first.account.first_loss, second.account.first_loss);
        assert!(after < before - 2e-3, "{start:?}: {after} after {before}");
    }
    let mut wrong = order(&path("base"), &path("scratch"), TrainingMethod::Lora { rank: 8, alpha: 8.0 });
    wrong.start = adapter;
    assert!(matches!(train(&wrong, &alone(), &mut carry_on), Err(TrainingError::Job(_))));
}

#[test]
fn adapter_full_and_merged_folders_load_and_decode() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    student(&path("base"));
    run(&order(&path("base"), &path("adapter"), LORA));
    run(&order(&path("base"), &path("full"), FULL));
    let merge = || merge_adapter(&path("base"), &path("adapter"), &path("merged"), MergedAs::Single);
    merge().unwrap();
    let refused = merge().unwrap_err().to_string();
    assert!(refused.contains("merged exists already"), "{refused}");
    let format = ChatFormat::load(&path("merged")).unwrap();
    let prompt = format.encode_prompt("What is 17 + 5?").unwrap();
    let answer = |decoder: GreedyDecoder| {
        let mut out = decoder.generate(&[prompt.clone(), Vec::new()], format.ends(), 8);
        assert!(!out[0].is_empty() && out[1].is_empty());
        format.decode(&out[0]).unwrap();
        out.swap_remove(0)
    };
    let adapted = answer(GreedyDecoder::load(&path("base"), Some(&path("adapter"))).unwrap());
    assert_eq!(answer(GreedyDecoder::load(&path("merged"), None).unwrap()), adapted);
    answer(GreedyDecoder::load(&path("full"), None).unwrap());
}

#[test]
fn a_published_checkpoint_is_the_student_that_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    student(&path("base"));
    let low_rank = run(&order(&path("base"), &path("adapter"), LORA)).checkpoint;
    let full = run(&order(&path("base"), &path("full"), FULL)).checkpoint;
    publish(&full, &path("copy"), "the card").unwrap();
    let names = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != checksums::FILE)
            .collect();
        names.sort();
        names
    };
    for name in names(&path("full")) {
        assert!(
            fs::read(path("full").join(&name)).unwrap() == fs::read(path("copy").join(&name)).unwrap(),
            "{name}"
        );
    }
    let mut expected = names(&path("full"));
    expected.push("README.md".to_owned());
    expected.sort();
    assert_eq!(names(&path("copy")), expected);

    publish(&low_rank, &path("merged"), "the card").unwrap();
    assert_eq!(names(&path("merged")), expected);
    for folder in ["copy", "merged"] {
        checksums::verify(&path(folder)).unwrap();
        assert_eq!(fs::read_to_string(path(folder).join("README.md")).unwrap(), "the card");
    }
    // Tensor by tensor the same sums as with everything in memory.
    let config = DecoderConfig::load(&path("base")).unwrap();
    let (adapter, variables) = Adapter::load(&path("adapter"), &config).unwrap();
    let base = weights::load(&path("base"), &config).unwrap();
    let merged = weights::load(&path("merged"), &config).unwrap();
    let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mut moved = 0;
    for (key, tensor) in adapter.merge(base.clone(), &variables).unwrap() {
        assert_eq!(numbers(&tensor), numbers(&merged[&key]), "{key}");
        moved += usize::from(numbers(&tensor) != numbers(&base[&key]));
    }
    assert_eq!(moved, 7 * config.layers);

    for (checkpoint, place) in [(&full, "copy"), (&low_rank, "merged")] {
        let refused = publish(checkpoint, &path(place), "").unwrap_err().to_string();
        assert!(refused.contains("exists already"), "{refused}");
    }
    let mut bytes = fs::read(path("adapter/adapter_model.safetensors")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path("adapter/adapter_model.safetensors"), bytes).unwrap();
    let refused = publish(&low_rank, &path("again"), "").unwrap_err().to_string();
    assert!(refused.contains("is not what was written") && !path("again").exists(), "{refused}");
}

#[test]
fn training_ends_early_with_the_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut order = order(&base, &output, FULL);
    // Far too fast on few examples: the held-out loss falls and then rises.
    order.settings.learning_rate = 2e-2;
    order.settings.epochs = 40;
    (order.settings.held_out, order.settings.patience) = (0.25, 2);
    let mut curve = Vec::new();
    let outcome = train(&order, &alone(), &mut |progress| {
        curve.extend(progress.held_out_loss);
        ControlFlow::Continue(())
    })
    .unwrap();
    let best = curve.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(outcome.account.stopped_early && curve.len() < 40, "{curve:?}");
    assert_eq!(outcome.account.held_out_loss, Some(best));
    assert_eq!(curve[curve.len() - 3].to_bits(), best.to_bits(), "two epochs after the best: {curve:?}");
    // The folder holds the weights of the best epoch: measured again before a step, they give its loss.
    order.start = outcome.checkpoint;
    (order.settings.learning_rate, order.settings.epochs, order.settings.warmup) = (1e-12, 1, 0.0);
    order.output = folder.path().join("again");
    let again = run(&order).account.held_out_loss.unwrap();
    assert!((again - best).abs() < 1e-5, "{again} against {best}");
}

#[test]
fn replay_takes_its_share_of_every_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut order = order(&base, &output, LORA);
    (order.settings.replay, order.settings.batch_size) = (0.25, 1);
    order.replay = vec![("What is 1 + 1?".to_owned(), "1+1=2. #### 2".to_owned()); 3];
    let outcome = run(&order);
    // 24 new examples are three quarters of 32, in each of three epochs.
    assert_eq!(outcome.steps, 96);
    order.replay.clear();
    assert_eq!(run(&order).steps, 72, "nothing to replay");
}

#[test]
fn long_examples_are_cut_and_counted_and_bad_orders_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, output) = (folder.path().join("base"), folder.path().join("out"));
    student(&base);
    let mut short = order(&base, &output, LORA);
    short.settings.max_length = 40;
    short.examples[0].0 = "word ".repeat(40);
    let outcome = run(&short);
    assert_eq!(outcome.account.skipped_examples, 0);
    assert!(outcome.account.cut_examples > 5, "{outcome:?}");
    let text = serde_json::to_string(&short).unwrap();
    assert_eq!(serde_json::from_str::<TrainingOrder>(&text).unwrap(), short);
    let spoil: [fn(&mut TrainingOrder); 6] = [
        |order| order.examples.clear(),
        |order| order.settings.epochs = 0,
        |order| order.settings.learning_rate = f64::NAN,
        |order| order.settings.replay = 1.0,
        |order| order.settings.patience = 1,
        |order| order.settings.max_length = 1,
    ];
    for spoil in spoil {
        let mut bad = short.clone();
        spoil(&mut bad);
        assert!(matches!(train(&bad, &alone(), &mut carry_on), Err(TrainingError::Job(_))), "{bad:?}");
    }
    let mut wild = short.clone();
    (wild.settings.method, wild.settings.learning_rate) = (FULL, 1e30);
    (wild.settings.clip, wild.settings.epochs) = (0.0, 4);
    let diverged = train(&wild, &alone(), &mut carry_on);
    assert!(matches!(diverged, Err(TrainingError::Diverged { .. })), "{diverged:?}");
}
