//! Our sampler inside the engine: the row that comes in is what the model thinks, the row that goes out
//! leaves the engine one choice.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// Why no token could be chosen: the engine hands the error on as one of its own.
    fault: OnceLock<String>,
}

impl Chooser {
    /// For a prompt of so many tokens; `weighed` says whether the probabilities of the answer's tokens are wanted.
    pub(super) fn new(sampling: Sampling, prompt_tokens: usize, known: usize, weighed: bool) -> Self {
        let chosen = Mutex::new(Chosen::new(weighed));
        Self { sampling, prompt_tokens, known, chosen, fault: OnceLock::new() }
    }

    /// Why it could not choose, in words of ours.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    fn failed(&self, fault: &dyn Display) -> Error {
        Error::Msg(self.fault.get_or_init(|| fault.to_string()).clone())
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
            .ok_or_else(|| self.failed(&"the engine cut the prompt"))?;
        let known = &row[..self.known.min(row.len())];
        let token =
            sampler::choose(known, self.sampling, position as u64).map_err(|error| self.failed(&error))?;
        if !self.chosen().put(position, token, known) {
            return Err(self.failed(&"the engine wrote a token of its own"));
        }
        let mut only = vec![f32::NEG_INFINITY; row.len()];
        only[token as usize] = 0.0;
        Tensor::from_vec(only, row.len(), &Device::Cpu)
    }
}
