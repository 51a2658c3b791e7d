//! The job done by the trainer's own decoder, which advances all questions together: what batches can reach on this
//! processor where the library of inference takes one question after the other. It feeds prompts token by token, so a
//! decoder that takes them whole would reach more.

use std::path::Path;
use std::time::Instant;

use crate::bench::BenchError;
use crate::gym::ports::PortError;
use crate::training::{ChatFormat, GreedyDecoder};

/// Every answer, and the tokens of all per second on so many threads; loading is not counted.
///
/// # Errors
/// When the model cannot be read or a prompt cannot be rendered.
pub(super) fn decoded(
    folder: &Path,
    prompts: &[&str],
    (threads, most): (usize, u32),
) -> Result<(Vec<String>, f64), BenchError> {
    let fatal = |error: String| PortError::fatal(error);
    let format = ChatFormat::load(folder).map_err(|error| fatal(error.to_string()))?;
    let decoder = GreedyDecoder::load(folder, None).map_err(|error| fatal(error.to_string()))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| fatal(error.to_string()))?;
    let began = Instant::now();
    let encoded: Result<Vec<Vec<u32>>, _> =
        prompts.iter().map(|prompt| format.encode_prompt(prompt)).collect();
    let encoded = encoded.map_err(|error| fatal(error.to_string()))?;
    let answers = pool.install(|| decoder.generate(&encoded, format.ends(), most as usize));
    let texts: Result<Vec<String>, _> = answers.iter().map(|tokens| format.decode(tokens)).collect();
    let texts = texts.map_err(|error| fatal(error.to_string()))?;
    let seconds = began.elapsed().as_secs_f64();
    let tokens: usize = answers.iter().map(Vec::len).sum();
    Ok((texts, tokens as f64 / seconds))
}
