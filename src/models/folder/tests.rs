//! Damaged folders: each fault is found, named and placed.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const TARGETS: [&str; 2] = ["q_proj", "v_proj"];

fn tensors(entries: &[(&str, &[usize])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut position = 0;
    for (name, shape) in entries {
        let end = position + 4 * shape.iter().product::<usize>();
        header.insert(
            (*name).to_owned(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [position, end]}),
        );
        position = end;
    }
    let text = Value::Object(header).to_string();
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + position, 0);
    bytes
}

/// A Llama folder with one block of width 8 and 4 tokens.
fn model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
    write(
        "config.json",
        json!({"architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 4,
            "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "torch_dtype": "float32"}),
    );
    write(
        "tokenizer.json",
        json!({"version": "1.0", "added_tokens": [{"id": 0, "content": "<e>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
            "model": {"type": "WordLevel", "vocab": {"<e>": 0, "a": 1, "b": 2, "c": 3}, "unk_token": "a"}}),
    );
    write("tokenizer_config.json", json!({"eos_token": "<e>", "chat_template": "{{ messages[0].content }}"}));
    let weights = tensors(&[
        ("model.embed_tokens.weight", &[4, 8]),
        ("model.layers.0.input_layernorm.weight", &[8]),
        ("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
        ("model.layers.0.self_attn.v_proj.weight", &[4, 8]),
    ]);
    fs::write(folder.path().join("model.safetensors"), weights).unwrap();
    folder
}

fn adapter() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": TARGETS,
        "bias": "none", "use_rslora": false, "alpha_pattern": {}, "modules_to_save": null});
    fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let prefix = "base_model.model.model.layers.0.self_attn";
    let weights = tensors(&[
        (&format!("{prefix}.q_proj.lora_A.weight"), &[2, 8]),
        (&format!("{prefix}.q_proj.lora_B.weight"), &[8, 2]),
        (&format!("{prefix}.v_proj.lora_A.weight"), &[2, 8]),
        (&format!("{prefix}.v_proj.lora_B.weight"), &[4, 2]),
    ]);
    fs::write(folder.path().join("adapter_model.safetensors"), weights).unwrap();
    folder
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// The message for a damage, which must name the file.
fn fault(file: &str, damage: impl FnOnce(&Path)) -> String {
    let folder = model();
    damage(folder.path());
    let message = check(folder.path()).unwrap_err().to_string();
    assert!(message.contains(file), "{message}");
    message
}

fn adapter_fault(file: &str, damage: impl FnOnce(&Path)) -> String {
    let (base, folder) = (model(), adapter());
    damage(folder.path());
    let message = check_adapter(folder.path(), &check(base.path()).unwrap()).unwrap_err().to_string();
    assert!(message.contains(file), "{message}");
    message
}

#[test]
fn a_sound_folder_and_adapter_pass() {
    let (base, adapter) = (model(), adapter());
    let checked = check(base.path()).unwrap();
    assert_eq!((checked.config.context, checked.config.vocabulary), (32, 4));
    assert_eq!(checked.weights.len(), 4);
    assert!(checked.tokens.is_special(0) && !checked.tokens.is_special(1));
    assert_eq!(checked.tokens.decode(&[1, 0]).unwrap(), "a");
    assert_eq!(checked.tokens.render("Why?"), Some(Ok("Why?".to_owned())));
    let adapter = check_adapter(adapter.path(), &checked).unwrap();
    assert_eq!((adapter.rank, adapter.targets), (2, TARGETS.map(str::to_owned).to_vec()));
}

#[test]
fn missing_files_are_named() {
    assert!(matches!(check(Path::new("no/such/folder")), Err(FolderError::Missing { .. })));
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fault(file, |folder| fs::remove_file(folder.join(file)).unwrap());
        let message = fault(file, |folder| fs::write(folder.join(file), "{").unwrap());
        assert!(message.contains("not valid JSON"), "{message}");
    }
    fault("no *.safetensors", |folder| fs::remove_file(folder.join("model.safetensors")).unwrap());
    fault("tokenizer.json", |folder| fs::write(folder.join("tokenizer.json"), "{}").unwrap());
}

#[test]
fn a_cut_file_is_told_with_both_lengths() {
    let folder = model();
    let path = folder.path().join("model.safetensors");
    let whole = fs::metadata(&path).unwrap().len();
    for kept in [whole - 1, whole / 2, 20, 3] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(kept).unwrap();
        match check(folder.path()).unwrap_err() {
            FolderError::Length { expected, found, .. } => assert!(found == kept && expected > kept),
            other => panic!("{other}"),
        }
    }
    let message = fault("model.safetensors", |folder| {
        let mut file = OpenOptions::new().append(true).open(folder.join("model.safetensors")).unwrap();
        file.write_all(b"tail").unwrap();
    });
    assert!(message.contains(&whole.to_string()) && message.contains(&(whole + 4).to_string()), "{message}");
}

#[test]
fn a_damaged_header_is_told() {
    for (at, byte) in [(7, 255), (8, b'!'), (40, b'"')] {
        fault("model.safetensors", |folder| {
            let mut file = OpenOptions::new().write(true).open(folder.join("model.safetensors")).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[byte]).unwrap();
        });
    }
    let index = fault("model-00002-of-00002.safetensors", |folder| {
        let map = json!({"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}});
        fs::write(folder.join("model.safetensors.index.json"), map.to_string()).unwrap();
    });
    assert!(index.contains("cannot be read"), "{index}");
}

#[test]
fn weights_that_are_there_twice_are_counted_once() {
    let folder = model();
    let parameters = check(folder.path()).unwrap().size().parameters;
    let copy = |name: &str| {
        let weights = folder.path().join("model.safetensors");
        fs::copy(weights, folder.path().join(name)).unwrap();
    };
    let renamed = tensors(&[("tok_embeddings.weight", &[4, 8])]);
    fs::write(folder.path().join("consolidated.safetensors"), renamed).unwrap();
    assert_eq!(check(folder.path()).unwrap().size().parameters, parameters);
    // The index has the last word.
    copy("model-00001-of-00001.safetensors");
    fs::write(folder.path().join("model.safetensors"), "of an earlier copy").unwrap();
    assert!(check(folder.path()).is_err());
    let names = check(model().path()).unwrap().weights.into_keys();
    let map: serde_json::Map<String, Value> =
        names.map(|name| (name, json!("model-00001-of-00001.safetensors"))).collect();
    fs::write(folder.path().join("model.safetensors.index.json"), json!({"weight_map": map}).to_string())
        .unwrap();
    assert_eq!(check(folder.path()).unwrap().size().parameters, parameters);
}

#[test]
fn numbers_beyond_every_model_are_damage() {
    for key in
        ["hidden_size", "num_attention_heads", "head_dim", "max_position_embeddings", "intermediate_size"]
    {
        let huge = |folder: &Path| edit(folder, "config.json", |v| v[key] = json!(u64::MAX));
        let message = fault("config.json", huge);
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}

#[test]
fn keys_are_named_with_a_remedy() {
    for key in
        ["architectures", "hidden_size", "vocab_size", "num_key_value_heads", "max_position_embeddings"]
    {
        let message = fault("config.json", |folder| edit(folder, "config.json", |v| v[key] = Value::Null));
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
    let rope = fault("config.json", |folder| {
        edit(folder, "config.json", |v| {
            v["rope_theta"] = Value::Null;
            v["rope_parameters"] = json!({"rope_theta": 5e5});
        });
    });
    assert!(rope.contains("add `\"rope_theta\": 500000.0` at the top level"), "{rope}");
    for (key, value) in [
        ("architectures", json!(["FooForCausalLM"])),
        ("head_dim", json!(16)),
        ("attention_bias", json!(true)),
    ] {
        let message = fault("config.json", |folder| edit(folder, "config.json", |v| v[key] = value));
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
    let message =
        fault("config.json", |folder| edit(folder, "config.json", |v| v["hidden_size"] = json!(12)));
    assert!(message.contains("model.embed_tokens.weight") && message.contains("[4, 12]"), "{message}");
    fault("config.json", |folder| edit(folder, "config.json", |v| v["num_hidden_layers"] = json!(2)));
    let message =
        fault("tokenizer.json", |folder| edit(folder, "config.json", |v| v["vocab_size"] = json!(3)));
    assert!(message.contains("token 3"), "{message}");
}

#[test]
fn templates_are_needed_and_must_not_need_the_network() {
    let file = "tokenizer_config.json";
    let missing = fault(file, |folder| edit(folder, file, |v| v["chat_template"] = Value::Null));
    assert!(missing.contains("chat_template.jinja"), "{missing}");
    let harmony = "<|start|>assistant<|channel|>final<|message|>";
    fault(file, |folder| edit(folder, file, |v| v["chat_template"] = json!(harmony)));
    fault(file, |folder| edit(folder, file, |v| v["eos_token"] = json!(7)));
    let folder = model();
    edit(folder.path(), file, |v| v["chat_template"] = Value::Null);
    fs::write(folder.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    check(folder.path()).unwrap();
}

#[test]
fn adapter_variants_are_refused_by_name() {
    let variants = [
        ("peft_type", json!("IA3")),
        ("use_rslora", json!(true)),
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("alpha_pattern", json!({"q_proj": 8})),
        ("rank_pattern", json!({"q_proj": 8})),
        ("modules_to_save", json!(["lm_head"])),
        ("layers_to_transform", json!([0])),
        ("use_bdlora", json!({"nblocks": 2})),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("r", json!(0)),
        ("lora_alpha", Value::Null),
        ("target_modules", json!("all-linear")),
        ("target_modules", json!([])),
        ("target_modules", json!([".*proj"])),
    ];
    for (key, value) in variants {
        let file = "adapter_config.json";
        let message = adapter_fault(file, |folder| edit(folder, file, |v| v[key] = value));
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}

#[test]
fn adapters_must_fit_their_base() {
    let config = "adapter_config.json";
    let weights = "adapter_model.safetensors";
    adapter_fault(weights, |folder| edit(folder, config, |v| v["r"] = json!(4)));
    adapter_fault(weights, |folder| edit(folder, config, |v| v["target_modules"] = json!(["q_proj"])));
    adapter_fault(weights, |folder| fs::remove_file(folder.join(weights)).unwrap());
    let prefix = "base_model.model.model.layers.0.self_attn";
    let replace = |entries: &[(&str, &[usize])]| {
        let bytes = tensors(entries);
        adapter_fault(weights, |folder| fs::write(folder.join(weights), bytes).unwrap())
    };
    assert!(replace(&[(&format!("{prefix}.q_proj.lora_A.weight"), &[2, 8])]).contains("is missing"));
    assert!(replace(&[(&format!("{prefix}.q_proj.lora_magnitude"), &[8])]).contains("neither"));
    let other = "base_model.model.model.layers.5.self_attn.q_proj.lora_A.weight";
    assert!(replace(&[(other, &[2, 8])]).contains("lacks"));
}
