//! Our sampler inside the engine: the row that comes in is what the model thinks, the row that goes out
//! leaves the engine one choice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Error, Result, Tensor};
use mistralrs::CustomLogitsProcessor;

use crate::gym::ports::Sampling;
use crate::models::chosen::Chosen;
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

impl Chooser {
    pub(super) fn new(sampling: Sampling, prompt_tokens: usize, known: usize) -> Self {
        Self { sampling, prompt_tokens, known, chosen: Mutex::default() }
    }

    /// What was chosen so far.
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
        if !self.chosen().put(position, token, known) {
            return Err(Error::Msg("the engine wrote a token of its own".to_owned()));
        }
        let mut only = vec![f32::NEG_INFINITY; row.len()];
        only[token as usize] = 0.0;
        Tensor::from_vec(only, row.len(), &Device::Cpu)
    }
}
