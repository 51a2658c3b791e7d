//! The check of a GGUF file before anything loads it.
//!
//! mistral.rs 0.8.1 splits the text of every byte-level GGUF tokenizer as Qwen2 does, and treats a
//! `SentencePiece` one as a unigram model: with other models that gives other tokens without a word. A tokenizer
//! inside the file is therefore taken only where it is Qwen2's; for everything else the original
//! `tokenizer.json` and `tokenizer_config.json` have to lie beside the file.

mod reader;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::folder::{self, FolderError, ModelSize, Tokens};
use reader::{Header, Value};

/// Architectures that mistral.rs 0.8.1 reads from GGUF, as the format names them.
const ARCHITECTURES: [&str; 8] =
    ["llama", "mistral3", "qwen2", "qwen3", "qwen3moe", "phi2", "phi3", "starcoder2"];
/// Splitting rules (`tokenizer.ggml.pre`) that are Qwen2's.
const SPLIT_LIKE_QWEN2: [&str; 2] = ["qwen2", "deepseek-r1-qwen"];
/// What ends the remedy of a tokenizer that cannot be taken.
const BESIDE: &str = "Put the original model's tokenizer.json and tokenizer_config.json beside the file";

/// A GGUF file that passed every check.
#[derive(Debug, Clone)]
pub struct GgufFile {
    /// Where it is.
    pub path: PathBuf,
    /// The tokenizer and the tokens that end an answer.
    pub tokens: Tokens,
    /// The folder whose tokenizer and chat template are used, where they are not the file's own.
    pub tokenizer_folder: Option<PathBuf>,
    /// How large it is.
    pub size: ModelSize,
}

/// Checks a file: format, length, what mistral.rs needs of the metadata, tensors, tokenizer and chat template.
///
/// # Errors
/// The first fault found, in that order.
pub fn check(path: &Path) -> Result<GgufFile, FolderError> {
    let header = reader::header(path)?;
    let keys = Keys { path, header: &header };
    let architecture = keys.text("general.architecture")?;
    if !ARCHITECTURES.contains(&architecture) {
        let remedy = format!("GGUF files that load here: {}", ARCHITECTURES.join(", "));
        let problem = format!("is `{architecture}`, which is not supported");
        return Err(FolderError::key(path, "general.architecture", problem, remedy));
    }
    let size = keys.size(architecture)?;
    let beside = path.parent().unwrap_or(Path::new("."));
    let (tokens, tokenizer_folder) = if beside.join("tokenizer.json").is_file() {
        (folder::check_tokens(beside, size.vocabulary)?, Some(beside.to_owned()))
    } else {
        (keys.tokens()?, None)
    };
    Ok(GgufFile { path: path.to_owned(), tokens, tokenizer_folder, size })
}

struct Keys<'a> {
    path: &'a Path,
    header: &'a Header,
}

impl Keys<'_> {
    fn fault(&self, key: &str, problem: impl Into<String>) -> FolderError {
        let remedy = "Convert the model again with a current llama.cpp, or choose another file";
        FolderError::key(self.path, key, problem, remedy)
    }

    fn get(&self, key: &str) -> Result<&Value, FolderError> {
        self.header.metadata.get(key).ok_or_else(|| self.fault(key, "is missing from the metadata"))
    }

    fn text(&self, key: &str) -> Result<&str, FolderError> {
        self.get(key)?.as_text().ok_or_else(|| self.fault(key, "is not a text"))
    }

    fn count(&self, key: &str) -> Result<usize, FolderError> {
        let count =
            self.get(key)?.as_count().filter(|count| (1..=folder::LARGEST).contains(&(*count as u64)));
        count.ok_or_else(|| self.fault(key, format!("is not a whole number from 1 to {}", folder::LARGEST)))
    }

    /// What the library reads with `unwrap`, and whether the tensors agree with it.
    fn size(&self, architecture: &str) -> Result<ModelSize, FolderError> {
        let count = |key: &str| self.count(&format!("{architecture}.{key}"));
        let (hidden, layers, context) =
            (count("embedding_length")?, count("block_count")?, count("context_length")?);
        let (heads, kv_heads) = (count("attention.head_count")?, count("attention.head_count_kv")?);
        if heads % kv_heads != 0 {
            let key = format!("{architecture}.attention.head_count_kv");
            return Err(self.fault(&key, format!("is {kv_heads} and does not divide {heads}")));
        }
        if architecture.starts_with("llama") || architecture == "mistral3" {
            count("rope.dimension_count")?;
        }
        let head = match count("attention.key_length") {
            Ok(head) => head,
            Err(_) => hidden / heads,
        };
        let embedding =
            self.tensor("token_embd.weight", &format!("{architecture}.embedding_length"), hidden)?;
        self.tensor("output_norm.weight", &format!("{architecture}.embedding_length"), hidden)?;
        let last = format!("blk.{}.attn_norm.weight", layers - 1);
        self.tensor(&last, &format!("{architecture}.block_count"), hidden)?;
        let elements = |entry: &folder::TensorEntry| entry.shape.iter().product::<usize>() as u64;
        Ok(ModelSize {
            parameters: self.header.tensors.values().map(elements).sum(),
            stored_bytes: self.header.bytes,
            layers,
            hidden,
            intermediate: count("feed_forward_length").unwrap_or(4 * hidden),
            kv_width: kv_heads * head,
            heads,
            // Matters to the trainer alone, which takes no such file.
            capped: false,
            vocabulary: embedding,
            context,
            half: true,
        })
    }

    /// Rows of a tensor whose innermost axis is `width`.
    fn tensor(&self, name: &str, key: &str, width: usize) -> Result<usize, FolderError> {
        let fault = |problem: String| FolderError::Tensor {
            file: self.path.to_owned(),
            tensor: name.to_owned(),
            problem,
        };
        let Some(entry) = self.header.tensors.get(name) else {
            return Err(fault(format!("is not in the file, though `{key}` needs it")));
        };
        if entry.shape.last() != Some(&width) {
            return Err(fault(format!("has shape {:?}, `{key}` is {width}", entry.shape)));
        }
        Ok(entry.shape[0])
    }

    /// The tokenizer inside the file, for reading answers: the library makes its own for writing prompts.
    fn tokens(&self) -> Result<Tokens, FolderError> {
        let refused = |key: &str, problem: String| FolderError::key(self.path, key, problem, BESIDE);
        let kind = self.text("tokenizer.ggml.model")?;
        let split = self.header.metadata.get("tokenizer.ggml.pre").and_then(Value::as_text).unwrap_or("none");
        if kind != "gpt2" || !SPLIT_LIKE_QWEN2.contains(&split) {
            let problem =
                format!("is `{kind}` with the splitting rule `{split}`, which the library gets wrong");
            return Err(refused("tokenizer.ggml.model", problem));
        }
        if self.header.metadata.get("tokenizer.chat_template").and_then(Value::as_text).is_none() {
            return Err(refused("tokenizer.chat_template", "is missing".to_owned()));
        }
        let texts =
            |key: &str| self.get(key)?.as_texts().ok_or_else(|| self.fault(key, "is not a list of texts"));
        let merges = texts("tokenizer.ggml.merges")?;
        if let Some(merge) = merges.iter().find(|merge| !merge.contains(' ')) {
            return Err(self.fault("tokenizer.ggml.merges", format!("holds `{merge}`, which is no pair")));
        }
        let known = texts("tokenizer.ggml.tokens")?;
        let types = match self.get("tokenizer.ggml.token_type")? {
            Value::List(list) if list.len() == known.len() => list,
            _ => return Err(self.fault("tokenizer.ggml.token_type", "does not name a type for every token")),
        };
        let end = self.get("tokenizer.ggml.eos_token_id")?.as_count();
        if end.is_none_or(|end| end >= known.len()) {
            return Err(self.fault("tokenizer.ggml.eos_token_id", "is no token"));
        }
        let vocabulary: Vocab =
            known.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id as u32)).collect();
        // Merges are for writing prompts, which is not done with this one.
        let model = BPE::builder().vocab_and_merges(vocabulary, vec![]);
        let broken = |error: tokenizers::Error| FolderError::Tokenizer {
            file: self.path.to_owned(),
            problem: error.to_string(),
        };
        let mut tokenizer = Tokenizer::new(model.build().map_err(broken)?);
        tokenizer.with_decoder(Some(ByteLevel::new(false, false, false)));
        // Everything but ordinary text is special to the library.
        let special = |(token, of): (&&str, &Value)| {
            (*of != Value::Whole(1)).then(|| AddedToken::from((*token).to_owned(), true))
        };
        let special: Vec<AddedToken> = known.iter().zip(types).filter_map(special).collect();
        tokenizer.add_special_tokens(&special);
        Ok(Tokens::new(tokenizer))
    }
}
