//! Words of a text as they are compared: two wordings of one question have the same ones.

use crate::gym::rng::{hash_text, mix};

/// The words in lower case, without the punctuation at their ends. Signs between numbers stay: `5 - 3` and
/// `5 + 3` are not the same.
pub fn words(text: &str) -> Vec<String> {
    const ENDS: &[char] = &['.', ',', ';', ':', '?', '!', '"', '\'', '“', '”', '’', '‘'];
    let lower = text.to_lowercase();
    let trimmed = lower.split_whitespace().map(|word| word.trim_matches(ENDS));
    trimmed.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A text in the form in which two wordings of one question are the same.
pub fn normalised(text: &str) -> String {
    words(text).join(" ")
}

/// Hashes of every run of `length` words, each once, sorted; of the whole text where it is shorter.
pub fn passages(words: &[String], length: usize) -> Vec<u64> {
    let hash =
        |run: &[String]| run.iter().fold(0, |hash: u64, word| mix(hash.rotate_left(5) ^ hash_text(word)));
    let mut hashes: Vec<u64> = match words.len() {
        0 => Vec::new(),
        n if n < length => vec![hash(words)],
        _ => words.windows(length).map(hash).collect(),
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
