//! Damaged folders are refused by file and key; whole ones are read in f32 and bf16.

use super::support::{alone, config, order, student, weights};
use crate::checksums;
use crate::gym::ports::TrainingMethod;
use crate::training::config::DecoderConfig;
use crate::training::data::Data;
use crate::training::export::{Archive, Content, Precision, write_folder};
use crate::training::lora::Adapter;
use crate::training::{ChatFormat, train};
use safetensors::tensor::TensorView;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

fn refusal(base: &Path) -> String {
    let output = base.with_file_name("out");
    let order = order(base, &output, TrainingMethod::Full);
    let error = train(&order, &alone(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(!error.hint().is_empty());
    assert!(!output.exists());
    error.to_string()
}

/// What is done to a folder.
type Damage = &'static dyn Fn(&Path);

/// A copy of the student, as from somewhere else: without checksums, with one damage done to it.
fn damaged(student: &Path, damage: impl Fn(&Path)) -> String {
    let folder = student.with_file_name("damaged");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(student).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == checksums::FILE {
            continue;
        }
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    damage(&folder);
    refusal(&folder)
}

fn edit(folder: &Path, name: &str, edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = folder.join(name);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(json.as_object_mut().unwrap());
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn every_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("student");
    let missing = refusal(&base);
    assert!(missing.contains("student") && missing.contains("config.json"), "{missing}");
    student(&base);
    let table: [(&[&str], Damage); 10] = [
        (&["model.safetensors"], &|f| fs::remove_file(f.join("model.safetensors")).unwrap()),
        (&["model.safetensors", "not a whole safetensors"], &|f| {
            let bytes = fs::read(f.join("model.safetensors")).unwrap();
            fs::write(f.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        (&["config.json", "not valid JSON"], &|f| fs::write(f.join("config.json"), "{").unwrap()),
        (&["config.json", "`hidden_size` is missing"], &|f| {
            edit(f, "config.json", |json| drop(json.remove("hidden_size")));
        }),
        (&["config.json", "FooForCausalLM"], &|f| {
            edit(f, "config.json", |json| {
                json.insert("architectures".to_owned(), ["FooForCausalLM"].as_slice().into());
            });
        }),
        (&["mlp.gate_proj", "has shape [48, 32]", "[64, 32]"], &|f| {
            edit(f, "config.json", |json| drop(json.insert("intermediate_size".to_owned(), 64.into())));
        }),
        (&["model.layers.2.input_layernorm.weight", "is missing"], &|f| {
            edit(f, "config.json", |json| drop(json.insert("num_hidden_layers".to_owned(), 3.into())));
        }),
        (&["`rope_scaling`"], &|f| {
            edit(f, "config.json", |json| drop(json.insert("rope_scaling".to_owned(), "linear".into())));
        }),
        (&["tokenizer.json"], &|f| fs::write(f.join("tokenizer.json"), "{}").unwrap()),
        (&["tokenizer_config.json", "template"], &|f| {
            edit(f, "tokenizer_config.json", |json| {
                json.insert("chat_template".to_owned(), "{% for x in %}".into());
            });
        }),
    ];
    for (expected, damage) in table {
        let message = damaged(&base, damage);
        assert!(expected.iter().all(|part| message.contains(part)), "{expected:?} in {message}");
    }
}

#[test]
fn a_checkpoint_whose_weights_changed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("student");
    student(&base);
    let file = base.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let message = refusal(&base);
    assert!(message.contains("model.safetensors: is not what was written"), "{message}");
}

#[test]
fn bf16_files_are_read_back_rounded_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(false);
    let tensors = weights(&config);
    for (precision, tolerance) in [(Precision::F32, 0.0), (Precision::Bf16, 1.0 / 256.0)] {
        let path = folder.path().join(precision.name());
        let archive = Content::Archive(Archive::of(&tensors, precision));
        write_folder(&path, &[("model.safetensors".to_owned(), archive)]).unwrap();
        crate::checksums::verify(&path).unwrap();
        for (key, tensor) in crate::training::weights::load(&path, &config).unwrap() {
            let read: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            let wrote: Vec<f32> = tensors[&key].flatten_all().unwrap().to_vec1().unwrap();
            assert!(read.iter().zip(&wrote).all(|(r, w)| (r - w).abs() <= tolerance * w.abs()), "{key}");
        }
    }
}

#[test]
fn a_file_written_tensor_by_tensor_is_the_one_that_the_format_s_library_writes() {
    let tensors = weights(&config(false));
    let buffers: Vec<(&String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let numbers: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, tensor.dims().to_vec(), bytes)
        })
        .collect();
    let views = buffers.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let notes = [("format".to_owned(), "pt".to_owned())].into();
    let theirs = safetensors::serialize(views, Some(notes)).unwrap();
    assert!(Archive::of(&tensors, Precision::F32).to_bytes().unwrap() == theirs);
}

#[test]
fn a_folder_is_replaced_whole_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/out");
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), Content::Bytes(bytes.to_vec()));
    write_folder(&path, &[file("a", b"1"), file("b", b"2")]).unwrap();
    write_folder(&path, &[file("a", b"3")]).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), b"3");
    assert!(!path.join("b").exists());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn an_example_of_nothing_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("student");
    student(&base);
    edit(&base, "tokenizer_config.json", |json| {
        json.insert("chat_template".to_owned(), "{{ messages[0].content }}".into());
    });
    let format = ChatFormat::load(&base).unwrap();
    let mut order = order(&base, &folder.path().join("out"), TrainingMethod::Full);
    order.examples[0] = (String::new(), String::new());
    let data = Data::new(&order, &format, 128).unwrap();
    assert_eq!((data.skipped, data.cut), (1, 0));
}

#[test]
fn an_adapter_that_changes_its_base_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, adapter) = (folder.path().join("student"), folder.path().join("adapter"));
    student(&base);
    let lora = order(&base, &adapter, TrainingMethod::Lora { rank: 2, alpha: 4.0 });
    train(&lora, &alone(), &mut |_| ControlFlow::Continue(())).unwrap();
    fs::remove_file(adapter.join(checksums::FILE)).unwrap();
    edit(&adapter, "adapter_config.json", |json| {
        json.insert("init_lora_weights".to_owned(), "pissa_niter_4".into());
    });
    let config = DecoderConfig::load(&base).unwrap();
    let said = Adapter::load(&adapter, &config).unwrap_err().to_string();
    assert!(said.contains("init_lora_weights") && said.contains("pissa"), "{said}");
}

#[test]
fn prompts_are_the_template_s_and_digits_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("student");
    student(&base);
    let format = ChatFormat::load(&base).unwrap();
    assert_eq!(format.render("What is 12 + 345?").unwrap(), "<|user|>What is 12 + 345?<|assistant|>");
    let encoded = format.encode("Add 12 and 345.", "2+5=7. #### 357").unwrap();
    assert_eq!((encoded.tokens[0], encoded.tokens[encoded.prompt - 1]), (1, 2));
    assert_eq!((encoded.tokens.last(), format.end()), (Some(&3), 3));
    assert_eq!(format.decode(&encoded.tokens[encoded.prompt..]).unwrap(), "2+5=7. #### 357");
    let digits = format.encode_prompt("98765").unwrap();
    assert_eq!(digits.len(), 7, "five digits between two special tokens: {digits:?}");
    assert_eq!(DecoderConfig::load(&base).unwrap().head_dim, 8);
}

#[test]
fn a_chatml_folder_is_rendered_by_its_own_template() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("student");
    student(&base);
    edit(&base, "tokenizer_config.json", |json| {
        let template = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'].strip() \
            + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
        json.insert("chat_template".to_owned(), template.into());
    });
    let format = ChatFormat::load(&base).unwrap();
    assert_eq!(format.render(" hi ").unwrap(), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}
