//! Our sampler inside the engine: the row that comes in is what the model thinks, the row that goes out
//! leaves the engine one choice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Error, Result, Tensor};
use mistralrs::CustomLogitsProcessor;

use crate::gym::ports::Sampling;
use crate::models::sampler;

/// Chooses and keeps the tokens of one answer.
///
/// A choice depends on the row, the settings and the position alone, and is kept under its position: the
/// engine may ask twice for one token.
pub(super) struct Chooser {
    sampling: Sampling,
    prompt_tokens: usize,
    /// Tokens of the tokenizer; further rows of the model are padding.
    known: usize,
    chosen: Mutex<Chosen>,
}

/// What was chosen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    /// The tokens, the end token included.
    pub(super) tokens: Vec<u32>,
    /// Natural logarithm of the probability that the model gave each of them.
    pub(super) log_probabilities: Vec<f32>,
    /// Position that was asked for last, with [`sampler::log_sum`] of the model's own row for it: a second row
    /// for the same position is that row behind a grammar's mask.
    row: Option<(usize, f64)>,
}

impl Chooser {
    pub(super) fn new(sampling: Sampling, prompt_tokens: usize, known: usize) -> Self {
        Self { sampling, prompt_tokens, known, chosen: Mutex::default() }
    }

    /// The tokens that stand: all but the last, which a grammar may still refuse, to be drawn once more.
    pub(super) fn standing(&self) -> Vec<u32> {
        let chosen = self.chosen();
        chosen.tokens[..chosen.tokens.len().saturating_sub(1)].to_vec()
    }

    /// The tokens chosen so far.
    pub(super) fn chosen(&self) -> MutexGuard<'_, Chosen> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CustomLogitsProcessor for Chooser {
    /// `logits`: one row `[vocabulary]`; `context`: prompt and answer so far.
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        let row = logits.to_vec1::<f32>()?;
        let position = context
            .len()
            .checked_sub(self.prompt_tokens)
            .ok_or_else(|| Error::Msg("the engine cut the prompt".to_owned()))?;
        let known = &row[..self.known.min(row.len())];
        let token = sampler::choose(known, self.sampling, position as u64)
            .map_err(|error| Error::Msg(error.to_string()))?;
        {
            let mut chosen = self.chosen();
            if chosen.tokens.len() < position {
                return Err(Error::Msg("the engine wrote a token of its own".to_owned()));
            }
            let whole = match chosen.row {
                Some((of, whole)) if of == position => whole,
                _ => sampler::log_sum(known),
            };
            chosen.row = Some((position, whole));
            chosen.tokens.truncate(position);
            chosen.log_probabilities.truncate(position);
            chosen.tokens.push(token);
            chosen.log_probabilities.push((f64::from(known[token as usize]) - whole) as f32);
        }
        let mut only = vec![f32::NEG_INFINITY; row.len()];
        only[token as usize] = 0.0;
        Tensor::from_vec(only, row.len(), &Device::Cpu)
    }
}
