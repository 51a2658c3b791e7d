//! The embedded models' tokenizer: byte-level BPE in which every digit stands alone.

use super::error::TrainingError;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};
use tokenizers::{TokenizerBuilder, TokenizerImpl};

/// Special tokens in the order of their ids, from 0.
pub(super) const SPECIALS: [&str; 4] = ["<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"];
/// Id of the padding token.
pub(super) const PAD: u32 = 0;
/// Id of the token that opens a user message; also written as bos.
pub(super) const USER: u32 = 1;
/// Id of the token that ends a message.
pub(super) const END: u32 = 3;

const TEMPLATE: &str = "{% for message in messages %}\
{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}\
{% else %}{{ '<|user|>' + message['content'] }}{% endif %}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

type Parts = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Trains on `texts` and returns `tokenizer.json`. Deterministic.
pub(super) fn train(texts: &[String], vocabulary: usize) -> Result<Vec<u8>, TrainingError> {
    let failed = |error: tokenizers::Error| TrainingError::tokenizer(Path::new("tokenizer.json"), error);
    let bytes = || ByteLevel::new(false, false, true);
    let split = Sequence::new(vec![Digits::new(true).into(), bytes().into()]);
    let mut tokenizer: Parts = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(Some(NFC.into()))
        .with_pre_tokenizer(Some(split.into()))
        .with_post_processor(Some(bytes().into()))
        .with_decoder(Some(bytes().into()))
        .build()
        .map_err(failed)?;
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(vocabulary)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(SPECIALS.iter().map(|text| AddedToken::from(*text, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect::<HashSet<char>>())
        .build();
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str)).map_err(failed)?;
    let text = tokenizer.to_string(true).map_err(failed)?;
    Ok(text.into_bytes())
}

/// `tokenizer_config.json` with the chat template.
pub(super) fn tokenizer_config(max_length: usize) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": null,
        "eos_token": SPECIALS[3],
        "pad_token": SPECIALS[0],
        "unk_token": null,
        "add_bos_token": false,
        "clean_up_tokenization_spaces": false,
        "model_max_length": max_length,
        "chat_template": TEMPLATE,
    })
}

/// `generation_config.json`.
pub(super) fn generation_config() -> Value {
    json!({ "bos_token_id": USER, "eos_token_id": END, "pad_token_id": PAD, "do_sample": false })
}
