//! The proof that requests in flight together get the tokens they get alone.
//!
//! The CPU attention of mistral.rs 0.8.1 mixes the rows of a batch while decoding; other devices use
//! other kernels. Nothing is assumed: the same prompts are answered alone and together.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::generate::{self, Loaded};
use crate::gym::ports::{BatchTest, ChatRequest, PortError, Sampling};
use crate::models::Written;

/// Tokens per answer: long enough for a fault of decoding to show.
const TOKENS: u32 = 24;
/// Fewest and most prompts compared.
const PROMPTS: (u32, u32) = (8, 32);

pub(super) async fn run(loaded: &Arc<Loaded>, in_flight: u32) -> Result<BatchTest, PortError> {
    let prompts = in_flight.clamp(PROMPTS.0, PROMPTS.1);
    let requests: Vec<ChatRequest> = (0..prompts).map(request).collect();
    let alone = written(loaded, &requests, 1).await?;
    let together = written(loaded, &requests, in_flight).await?;
    let differing = alone.iter().zip(&together).filter(|(a, b)| a.tokens != b.tokens).count() as u32;
    Ok(BatchTest { prompts, differing })
}

/// Mostly prompts of equal length, because only sequences of equal length run as one batch; every
/// fourth is longer.
fn request(index: u32) -> ChatRequest {
    let filler = if index % 4 == 3 { " Take your time." } else { "" };
    let (a, b) = (11 + index * 7 % 83, 97 - index * 5 % 83);
    let prompt = format!("What is {a} + {b}?{filler}");
    ChatRequest::text(prompt, Sampling::Greedy, TOKENS)
}

/// The answers with so many requests in flight.
pub(super) async fn written(
    loaded: &Arc<Loaded>,
    requests: &[ChatRequest],
    in_flight: u32,
) -> Result<Vec<Written>, PortError> {
    let mut answers = vec![Written::default(); requests.len()];
    let mut sink = |index: usize, answer: generate::Answer| {
        let log_probabilities = answer.reply.log_probabilities;
        answers[index] = Written { tokens: answer.tokens, log_probabilities };
        ControlFlow::Continue(())
    };
    generate::all(loaded, requests, (in_flight, None), &mut sink).await?;
    Ok(answers)
}
