//! Damaged files: each fault is found, named and placed.

use std::fs;

use super::*;

/// Writes the few forms of the format that a test needs.
struct Writer {
    pairs: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, u32)>,
    version: u32,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Writer {
    fn set(&mut self, key: &str, of: u32, value: Vec<u8>) -> &mut Self {
        self.pairs.retain(|(known, _)| known != key);
        self.pairs.push((key.to_owned(), [of.to_le_bytes().to_vec(), value].concat()));
        self
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.set(key, 8, text(value))
    }

    fn count(&mut self, key: &str, value: u32) -> &mut Self {
        self.set(key, 4, value.to_le_bytes().to_vec())
    }

    fn list(&mut self, key: &str, of: u32, values: &[Vec<u8>]) -> &mut Self {
        let head = [of.to_le_bytes().to_vec(), (values.len() as u64).to_le_bytes().to_vec()].concat();
        self.set(key, 9, [head, values.concat()].concat())
    }

    fn without(&mut self, key: &str) -> &mut Self {
        self.pairs.retain(|(known, _)| known != key);
        self
    }

    /// Header, padding and data of zeros; `F32` takes 4 bytes per number, everything else none.
    fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            out.extend(text(key));
            out.extend(value);
        }
        let mut offset = 0_u64;
        for (name, shape, of) in &self.tensors {
            out.extend(text(name));
            out.extend((shape.len() as u32).to_le_bytes());
            out.extend(shape.iter().flat_map(|axis| axis.to_le_bytes()));
            out.extend(of.to_le_bytes());
            out.extend(offset.to_le_bytes());
            if *of == 0 {
                let numbers = shape.iter().fold(1_u64, |product, axis| product.wrapping_mul(*axis) % 1024);
                offset = (offset + 4 * numbers).next_multiple_of(32);
            }
        }
        out.resize(out.len().next_multiple_of(32) + offset as usize, 0);
        out
    }
}

/// A Qwen2 file with one block of width 8 and 4 tokens.
fn sound() -> Writer {
    let mut writer = Writer { pairs: Vec::new(), tensors: Vec::new(), version: 3 };
    writer.text("general.architecture", "qwen2");
    for (key, value) in [
        ("embedding_length", 8),
        ("block_count", 1),
        ("context_length", 64),
        ("feed_forward_length", 16),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ] {
        writer.count(&format!("qwen2.{key}"), value);
    }
    let texts = |list: &[&str]| list.iter().map(|entry| text(entry)).collect::<Vec<_>>();
    let types: Vec<Vec<u8>> = [3_i32, 1, 1, 1].iter().map(|of| of.to_le_bytes().to_vec()).collect();
    writer
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "qwen2")
        .text("tokenizer.chat_template", "{{ messages[0].content }}")
        .list("tokenizer.ggml.tokens", 8, &texts(&["<e>", "a", "b", "\u{120}c"]))
        .list("tokenizer.ggml.merges", 8, &texts(&["a b"]))
        .list("tokenizer.ggml.token_type", 5, &types)
        .count("tokenizer.ggml.eos_token_id", 0);
    for (name, shape) in [
        ("token_embd.weight", vec![8, 4]),
        ("output_norm.weight", vec![8]),
        ("blk.0.attn_norm.weight", vec![8]),
    ] {
        writer.tensors.push((name.to_owned(), shape, 0));
    }
    writer
}

fn checked(bytes: &[u8]) -> Result<GgufFile, FolderError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    check(&path)
}

/// The fault says the file, and `text`.
fn fault(said: &str, bytes: &[u8]) {
    let error = checked(bytes).unwrap_err().to_string();
    assert!(error.contains(said) && error.contains("model.gguf"), "{error}");
}

/// A change in one expression.
fn done(_: &mut Writer) {}

fn changed(change: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = sound();
    change(&mut writer);
    writer.bytes()
}

#[test]
fn a_sound_file_passes_with_its_sizes_and_its_tokens() {
    let file = checked(&sound().bytes()).unwrap();
    let expected = ModelSize {
        parameters: 48,
        stored_bytes: 192,
        layers: 1,
        hidden: 8,
        intermediate: 16,
        kv_width: 4,
        heads: 2,
        capped: false,
        vocabulary: 4,
        context: 64,
        half: true,
    };
    assert_eq!(file.size, expected);
    assert_eq!(file.tokens.decode(&[1, 2, 3, 0]).unwrap(), "ab c");
    assert!(file.tokens.is_special(0) && !file.tokens.is_special(1) && file.tokens.count() == 4);
    assert_eq!(file.tokenizer_folder, None);
    let two = changed(|writer| writer.version = 2);
    assert!(checked(&two).is_ok());
}

#[test]
fn every_cut_is_found() {
    let whole = sound().bytes();
    for length in 0..whole.len() - 31 {
        let error = checked(&whole[..length]).unwrap_err();
        assert!(matches!(error, FolderError::Length { .. }), "{length}: {error}");
    }
}

#[test]
fn no_damaged_byte_of_the_header_is_a_panic() {
    let whole = sound().bytes();
    for place in 0..whole.len() - 200 {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            // Some are not noticed: a letter of a key that nobody reads.
            let _ = checked(&bytes);
        }
    }
}

#[test]
fn other_files_and_other_versions_are_named() {
    let mut other = sound().bytes();
    other[..4].copy_from_slice(b"GGML");
    fault("does not begin with `GGUF`", &other);
    fault("version 1", &changed(|writer| writer.version = 1));
    fault("version 16777216", &changed(|writer| writer.version = 1 << 24));
}

#[test]
fn lengths_beyond_the_file_are_not_believed() {
    fault("announces", &changed(|w| done(w.set("general.name", 8, u64::MAX.to_le_bytes().to_vec()))));
    let huge = [8_u32.to_le_bytes().to_vec(), (1_u64 << 60).to_le_bytes().to_vec()].concat();
    let error = checked(&changed(|w| done(w.set("general.tags", 9, huge)))).unwrap_err();
    assert!(matches!(error, FolderError::Length { .. }), "{error}");
}

#[test]
fn tensors_are_held_against_their_types_and_the_metadata() {
    let tensor = |change: fn(&mut (String, Vec<u64>, u32))| changed(|writer| change(&mut writer.tensors[0]));
    fault("IQ type", &tensor(|t| t.2 = 19));
    fault("unknown type 99", &tensor(|t| t.2 = 99));
    // 8 is no multiple of a block of 32.
    fault("cannot have the shape [8, 4]", &tensor(|t| t.2 = 8));
    fault("cannot have the shape", &tensor(|t| t.1 = vec![u64::MAX, 2]));
    fault("`qwen2.embedding_length` is 8", &tensor(|t| t.1 = vec![4, 8]));
    fault("token_embd.weight", &tensor(|t| t.0 = "other".to_owned()));
    fault("blk.1.attn_norm.weight", &changed(|w| done(w.count("qwen2.block_count", 2))));
    fault("is there twice", &changed(|w| w.tensors[1].0 = "token_embd.weight".to_owned()));
    fault("no power of two", &changed(|w| done(w.count("general.alignment", 24))));
}

#[test]
fn what_the_library_needs_of_the_metadata_is_there() {
    for key in [
        "general.architecture",
        "qwen2.context_length",
        "qwen2.attention.head_count_kv",
        "tokenizer.ggml.tokens",
    ] {
        fault(key, &changed(|writer| done(writer.without(key))));
    }
    fault("`gemma2`, which is not supported", &changed(|w| done(w.text("general.architecture", "gemma2"))));
    fault("qwen2.block_count` is not a whole number", &changed(|w| done(w.count("qwen2.block_count", 0))));
    fault("does not divide 2", &changed(|w| done(w.count("qwen2.attention.head_count_kv", 3))));
}

#[test]
fn a_tokenizer_that_the_library_gets_wrong_needs_the_original_beside() {
    let bytes = changed(|writer| done(writer.text("tokenizer.ggml.pre", "llama-bpe")));
    fault("splitting rule `llama-bpe`", &bytes);
    fault(
        "tokenizer.json and tokenizer_config.json beside",
        &changed(|w| done(w.text("tokenizer.ggml.model", "llama"))),
    );
    fault("tokenizer.chat_template", &changed(|w| done(w.without("tokenizer.chat_template"))));
    fault("which is no pair", &changed(|w| done(w.list("tokenizer.ggml.merges", 8, &[text("ab")]))));
    fault("eos_token_id` is no token", &changed(|w| done(w.count("tokenizer.ggml.eos_token_id", 4))));

    let folder = tempfile::tempdir().unwrap();
    let student = crate::models::embedded::Embedded::Student.folder(folder.path()).unwrap();
    let path = student.join("model.gguf");
    fs::write(&path, &bytes).unwrap();
    // The tokenizer beside is larger than this model.
    let error = check(&path).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("the model has 4"), "{error}");
}
