//! From examples to batches: encoding, cutting, holding out, replay, and the order of every epoch.

use super::batch::{Batch, Encoded};
use super::chat::ChatFormat;
use super::error::TrainingError;
use crate::gym::ports::{TrainingOrder, TrainingSettings};
use crate::gym::rng::CounterRng;

/// Rows of a packed batch hold this many tokens, or the longest example if that is longer.
pub(super) const ROW: usize = 128;

/// The encoded examples of a training, in their parts.
pub(super) struct Data {
    learned: Vec<Encoded>,
    replayed: Vec<Encoded>,
    held_out: Vec<Encoded>,
    /// Replayed examples of every epoch.
    replays: usize,
    settings: TrainingSettings,
    order: CounterRng,
    /// Examples that were cut at the longest length.
    pub(super) cut: u32,
    /// Examples left out because nothing of their response was left.
    pub(super) skipped: u32,
}

/// How many of a prompt's and a response's tokens are kept within `longest`: the longer side is cut, both in
/// proportion where both are long.
fn kept(prompt: usize, response: usize, longest: usize) -> (usize, usize) {
    let most = if response * 2 < longest {
        longest
    } else if prompt * 2 < longest {
        longest - prompt
    } else {
        longest * response / (prompt + response)
    };
    let response = most.min(response);
    (prompt.min(longest - response), response)
}

/// Cuts an example to `longest` tokens. A prompt loses tokens before its last `tail`, with which the
/// template opens the answer; a response loses its end.
fn cut(example: &mut Encoded, tail: usize, longest: usize) {
    let (prompt, response) = kept(example.prompt, example.tokens.len() - example.prompt, longest);
    example.tokens.truncate(example.prompt + response);
    let tail = tail.min(prompt);
    example.tokens.drain(prompt - tail..example.prompt - tail);
    example.prompt = prompt;
}

impl Data {
    /// Encodes an order's examples as the model will see them, at most `longest` tokens each.
    pub(super) fn new(
        order: &TrainingOrder,
        format: &ChatFormat,
        longest: usize,
    ) -> Result<Self, TrainingError> {
        let settings = order.settings.clone();
        let stream = CounterRng::keyed(order.seed, "training/order");
        let mut data = Self {
            learned: Vec::new(),
            replayed: Vec::new(),
            held_out: Vec::new(),
            replays: 0,
            settings,
            order: stream,
            cut: 0,
            skipped: 0,
        };
        data.learned = data.encode(&order.examples, format, longest)?;
        if data.settings.replay > 0.0 {
            data.replayed = data.encode(&order.replay, format, longest)?;
        }
        if data.learned.is_empty() {
            return Err(TrainingError::Job(format!("no example leaves a response within {longest} tokens")));
        }
        data.hold_out(order.seed);
        if !data.replayed.is_empty() {
            let share = data.settings.replay;
            data.replays = (data.learned.len() as f64 * share / (1.0 - share)).ceil() as usize;
        }
        Ok(data)
    }

    fn encode(
        &mut self,
        examples: &[(String, String)],
        format: &ChatFormat,
        longest: usize,
    ) -> Result<Vec<Encoded>, TrainingError> {
        let mut out = Vec::with_capacity(examples.len());
        for (prompt, response) in examples {
            let mut example = format.encode(prompt, response)?;
            let too_long = example.tokens.len() > longest;
            if too_long {
                cut(&mut example, format.tail(), longest);
            }
            if example.tokens.len() > example.prompt && example.tokens.len() > 1 {
                self.cut += u32::from(too_long);
                out.push(example);
            } else {
                self.skipped += 1;
            }
        }
        Ok(out)
    }

    /// Sets a share of the examples aside; one at least stays to learn from.
    fn hold_out(&mut self, seed: u64) {
        let share = self.settings.held_out;
        let count = (self.learned.len() as f64 * share).ceil() as usize;
        let count = count.min(self.learned.len() - 1);
        if share <= 0.0 || count == 0 {
            return;
        }
        let mut chosen: Vec<usize> = (0..self.learned.len()).collect();
        CounterRng::keyed(seed, "training/held-out").shuffle(&mut chosen);
        chosen.truncate(count);
        chosen.sort_unstable();
        for index in chosen.into_iter().rev() {
            self.held_out.push(self.learned.remove(index));
        }
    }

    /// Longest example in tokens.
    pub(super) fn longest(&self) -> usize {
        let all = self.learned.iter().chain(&self.replayed).chain(&self.held_out);
        all.map(|example| example.tokens.len()).max().unwrap_or(0)
    }

    /// Optimiser steps of an epoch.
    pub(super) fn steps_per_epoch(&self) -> usize {
        (self.learned.len() + self.replays).div_ceil(self.settings.batch_size as usize)
    }

    /// The examples of an epoch's steps, in their order.
    pub(super) fn epoch(&self, epoch: usize) -> Vec<Vec<&Encoded>> {
        let mut order: Vec<&Encoded> = self.learned.iter().collect();
        let stream = self.order.child(epoch as u64);
        if self.replays > 0 {
            let mut pool: Vec<&Encoded> = self.replayed.iter().collect();
            stream.child(0).shuffle(&mut pool);
            order.extend(pool.into_iter().cycle().take(self.replays));
        }
        let mut stream = stream;
        stream.shuffle(&mut order);
        order.chunks(self.settings.batch_size as usize).map(<[_]>::to_vec).collect()
    }

    /// The micro-batches of a step's examples.
    pub(super) fn batches(&self, members: &[&Encoded]) -> Vec<Batch> {
        Batch::micro(members, ROW, self.settings.micro_tokens as usize)
    }

    /// The held-out examples as batches; none where nothing is held out.
    pub(super) fn held_out(&self) -> Vec<Batch> {
        self.batches(&self.held_out.iter().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longer_side_is_cut() {
        assert_eq!(kept(100, 10, 50), (40, 10), "a short response stays");
        assert_eq!(kept(10, 100, 50), (10, 40), "a short prompt stays");
        assert_eq!(kept(100, 300, 100), (25, 75), "both in proportion");
    }

    #[test]
    fn a_cut_prompt_keeps_how_the_template_opens_the_answer() {
        let mut example = Encoded { tokens: vec![1, 10, 11, 12, 13, 14, 15, 2, 3, 20, 21], prompt: 9 };
        cut(&mut example, 2, 7);
        assert_eq!((example.tokens, example.prompt), (vec![1, 10, 11, 2, 3, 20, 21], 5));
    }

    proptest! {
        #[test]
        fn what_is_kept_fits_and_uses_the_room(prompt in 1..300_usize, response in 1..300_usize, longest in 2..300_usize) {
            let (p, r) = kept(prompt, response, longest);
            prop_assert!(p <= prompt && r <= response && p + r <= longest);
            prop_assert!(prompt + response < longest || p + r == longest);
        }
    }
}
