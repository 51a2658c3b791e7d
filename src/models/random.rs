//! Model folders with random weights in the shape of a real family: for tests and measurements of loading,
//! generation, memory and speed. What such a model writes means nothing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use serde_json::map::Entry;
use tokenizers::AddedToken;

use crate::gym::rng::CounterRng;

/// Whose decoder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Qwen2 and Qwen2.5: queries, keys and values with a bias.
    Qwen2,
    /// Qwen3: queries and keys are normalised.
    Qwen3,
}

/// The shape of a decoder with tied embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its family.
    pub family: Family,
    /// Rows of the embedding; at least as many as the tokenizer has.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head: usize,
    /// Context in tokens.
    pub context: usize,
}

impl Shape {
    /// Qwen2.5-0.5B: 494 million parameters.
    pub const QWEN2_5_HALF_BILLION: Self = Self {
        family: Family::Qwen2,
        vocabulary: 151_936,
        hidden: 896,
        intermediate: 4864,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        head: 64,
        context: 32_768,
    };
}

/// Begins a turn, and ends one: the tokens of the ChatML format.
const TURN: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// A chat template in the ChatML format: turns between tokens of their own, a system's turn where the messages have
/// none, and the beginning of the assistant's turn as generation prompt.
const TEMPLATE: &str = "{%- if not messages or messages[0]['role'] != 'system' -%}\
    {{ '<|im_start|>system\nBe brief and right.<|im_end|>\n' }}{%- endif -%}\
    {%- for message in messages -%}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}";

/// Writes the folder: weights drawn from the seed in bf16, the tokenizer of `tokenizer` (a `tokenizer.json` with a
/// vocabulary of texts, whose end token is `end`), with the tokens that begin and end turns, and as many tokens more as
/// the shape has rows: a grammar is as much work as with the real model's vocabulary.
///
/// # Errors
/// When a file cannot be read or written, the tokenizer does not have the end token, has more tokens than the shape
/// has rows, or cannot be filled up to them.
pub fn write(folder: &Path, shape: &Shape, tokenizer: &Path, end: &str, seed: u64) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let refused = |what: String| io::Error::other(format!("{}: {what}", tokenizer.display()));
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(tokenizer)?)?;
    // The turns' tokens come behind those of the model of texts.
    let room = shape.vocabulary.saturating_sub(TURN.len());
    fill(&mut text, room)
        .ok_or_else(|| refused("it has no vocabulary of texts to be filled up".to_owned()))?;
    let mut known = tokenizers::Tokenizer::from_bytes(text.to_string()).map_err(io::Error::other)?;
    let document = known.token_to_id(end).ok_or_else(|| refused(format!("there is no token `{end}`")))?;
    known.add_special_tokens(&TURN.map(|text| AddedToken::from(text, true)));
    if known.get_vocab_size(true) > shape.vocabulary {
        return Err(refused(format!("it has more tokens than the {} rows of the model", shape.vocabulary)));
    }
    known.save(folder.join("tokenizer.json"), false).map_err(io::Error::other)?;
    let id = known.token_to_id(TURN[1]).ok_or_else(|| refused(format!("it takes no token `{}`", TURN[1])))?;
    let json = |name: &str, value: serde_json::Value| fs::write(folder.join(name), value.to_string());
    json(
        "tokenizer_config.json",
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": TEMPLATE,
            "eos_token": TURN[1],
            "pad_token": end,
            "model_max_length": shape.context,
        }),
    )?;
    json("generation_config.json", json!({"eos_token_id": [id, document], "pad_token_id": document}))?;
    let (architecture, kind) = match shape.family {
        Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2"),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3"),
    };
    json(
        "config.json",
        json!({
            "architectures": [architecture],
            "model_type": kind,
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head,
            "max_position_embeddings": shape.context,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "hidden_act": "silu",
            "tie_word_embeddings": true,
            "attention_bias": shape.family == Family::Qwen2,
            "use_sliding_window": false,
            "sliding_window": null,
            "max_window_layers": shape.layers,
            "torch_dtype": "bfloat16",
            "eos_token_id": id,
        }),
    )?;
    weights(&folder.join("model.safetensors"), shape, seed)
}

/// Adds words of letters to a tokenizer's vocabulary until it has so many tokens, each with a number of its own. No merge
/// leads to them: texts are split as before, and a model may write them. Nothing where there is no vocabulary of texts.
fn fill(tokenizer: &mut serde_json::Value, count: usize) -> Option<()> {
    let added: Vec<(String, u64)> = tokenizer["added_tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|token| Some((token["content"].as_str()?.to_owned(), token["id"].as_u64()?)))
        .collect();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut()?;
    for (content, id) in added {
        // One that stands behind the vocabulary would be numbered anew when this grows.
        vocabulary.entry(content).or_insert_with(|| id.into());
    }
    let mut next = vocabulary.values().filter_map(serde_json::Value::as_u64).max()? + 1;
    for word in words() {
        if next >= count as u64 {
            return Some(());
        }
        if let Entry::Vacant(place) = vocabulary.entry(word) {
            place.insert(next.into());
            next += 1;
        }
    }
    Some(())
}

/// All words of at least four letters.
fn words() -> impl Iterator<Item = String> {
    let first = 26_u64.pow(3);
    (first..).map(|mut n| {
        let mut letters = Vec::new();
        while n > 0 {
            letters.push(b'a' + (n % 26) as u8);
            n /= 26;
        }
        letters.reverse();
        letters.into_iter().map(char::from).collect()
    })
}

fn weights(file: &Path, shape: &Shape, seed: u64) -> io::Result<()> {
    let mut shapes: Vec<(String, Vec<usize>)> =
        vec![("model.embed_tokens.weight".to_owned(), vec![shape.vocabulary, shape.hidden])];
    let (queries, keys) = (shape.heads * shape.head, shape.kv_heads * shape.head);
    for layer in 0..shape.layers {
        let mut add = |name: &str, size: &[usize]| {
            shapes.push((format!("model.layers.{layer}.{name}.weight"), size.to_vec()));
        };
        add("input_layernorm", &[shape.hidden]);
        add("self_attn.q_proj", &[queries, shape.hidden]);
        add("self_attn.k_proj", &[keys, shape.hidden]);
        add("self_attn.v_proj", &[keys, shape.hidden]);
        add("self_attn.o_proj", &[shape.hidden, queries]);
        if shape.family == Family::Qwen3 {
            add("self_attn.q_norm", &[shape.head]);
            add("self_attn.k_norm", &[shape.head]);
        }
        add("post_attention_layernorm", &[shape.hidden]);
        add("mlp.gate_proj", &[shape.intermediate, shape.hidden]);
        add("mlp.up_proj", &[shape.intermediate, shape.hidden]);
        add("mlp.down_proj", &[shape.hidden, shape.intermediate]);
        if shape.family == Family::Qwen2 {
            for (name, size) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
                shapes.push((format!("model.layers.{layer}.self_attn.{name}.bias"), vec![size]));
            }
        }
    }
    shapes.push(("model.norm.weight".to_owned(), vec![shape.hidden]));
    let drawn: Vec<(String, Vec<usize>, Vec<u8>)> =
        shapes.into_iter().map(|(name, size)| drawn(name, size, seed)).collect();
    let views: io::Result<HashMap<&str, TensorView<'_>>> = drawn
        .iter()
        .map(|(name, size, bytes)| {
            let view = TensorView::new(Dtype::BF16, size.clone(), bytes).map_err(io::Error::other)?;
            Ok((name.as_str(), view))
        })
        .collect();
    safetensors::serialize_to_file(views?, None, file).map_err(io::Error::other)
}

/// Norms are one; the rest, biases too, is uniform with the deviation 0.02.
fn drawn(name: String, size: Vec<usize>, seed: u64) -> (String, Vec<usize>, Vec<u8>) {
    let count: usize = size.iter().product();
    let mut rng = CounterRng::keyed(seed, &name);
    let spread = 0.02 * 12_f32.sqrt();
    let norm = name.ends_with("norm.weight");
    let value = |rng: &mut CounterRng| if norm { 1.0 } else { (rng.unit() as f32 - 0.5) * spread };
    let bytes = (0..count).flat_map(|_| bf16::from_f32(value(&mut rng)).to_le_bytes()).collect();
    (name, size, bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tokenizers::Tokenizer;

    use super::*;
    use crate::chat_template::ChatTemplate;
    use crate::models::embedded::Embedded;
    use crate::models::folder;

    #[test]
    fn a_folder_is_sound_and_its_turns_are_made_of_special_tokens() {
        let place = tempfile::tempdir().unwrap();
        let file = Embedded::Student.folder(place.path()).unwrap().join("tokenizer.json");
        let tokens = Tokenizer::from_file(&file).unwrap().get_vocab_size(true);
        let shape = Shape {
            family: Family::Qwen2,
            vocabulary: tokens + 5000,
            hidden: 8,
            intermediate: 8,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head: 4,
            context: 64,
        };
        let folder = place.path().join("model");
        write(&folder, &shape, &file, "<|pad|>", 1).unwrap();
        folder::check(&folder).unwrap();
        let known = Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        // As many tokens as rows, each with a text; texts are split as without those that fill it up.
        assert_eq!(known.get_vocab_size(true), shape.vocabulary);
        assert!((0..shape.vocabulary as u32).all(|id| known.id_to_token(id).is_some()));
        let split = |tokenizer: &Tokenizer| {
            let encoded = tokenizer.encode("Ann has 12 pens, baaa and moreover 3.", false).unwrap();
            encoded.get_ids().to_vec()
        };
        assert_eq!(split(&known), split(&Tokenizer::from_file(&file).unwrap()));
        let config = fs::read(folder.join("tokenizer_config.json")).unwrap();
        let config = serde_json::from_slice(&config).unwrap();
        let template = ChatTemplate::new(TEMPLATE.to_owned(), &config).unwrap();
        let text = template.question("2 + 3?").unwrap();
        let system = "<|im_start|>system\nBe brief and right.<|im_end|>\n";
        assert_eq!(text, format!("{system}<|im_start|>user\n2 + 3?<|im_end|>\n<|im_start|>assistant\n"));
        let ids = known.encode(text, false).unwrap();
        let turns: HashSet<u32> = TURN.iter().map(|token| known.token_to_id(token).unwrap()).collect();
        assert_eq!(ids.get_ids().iter().filter(|id| turns.contains(id)).count(), 5);
        let small = Shape { vocabulary: tokens + 1, ..shape };
        let refused = write(&folder, &small, &file, "<|pad|>", 1).unwrap_err().to_string();
        assert!(refused.contains("more tokens than the"), "{refused}");
    }
}
