//! Models that answer: folders on disk, mistral.rs, endpoints, and a scripted stand-in.
//!
//! Owns the check of model folders, the choice of tokens and the back ends. Knows no process, store or
//! screen; a back end runs wherever it is constructed.

pub mod chosen;
pub mod embedded;
pub mod failure;
pub mod folder;
pub mod gguf;
pub mod hub;
#[cfg(feature = "mistralrs")]
pub mod mistral;
pub mod openai;
pub mod pages;
pub mod random;
pub mod sampler;
pub mod scripted;
pub mod source;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gym::ports::{Allowance, BatchTest, ChatRequest, PortError, Served, Student};

/// The line to whoever waits for answers, beside the answers: what is being written, and the wish that it end.
#[derive(Clone)]
pub struct Aside {
    over: Arc<AtomicBool>,
    say: Arc<dyn Fn(usize, String) + Send + Sync>,
    said: Arc<Mutex<Option<Instant>>>,
}

/// Between two pieces, of whichever answer.
const PIECES: Duration = Duration::from_millis(150);

impl Aside {
    /// Ends answers when `over` is set; `say` takes what is written so far under an index of the requests.
    pub fn new(over: Arc<AtomicBool>, say: impl Fn(usize, String) + Send + Sync + 'static) -> Self {
        Self { over, say: Arc::new(say), said: Arc::default() }
    }

    /// Whether nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Tells what is written so far of an answer, if it is time again; `text` is not called otherwise.
    pub fn piece(&self, index: usize, text: impl FnOnce() -> String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= PIECES) {
            *said = Some(Instant::now());
            (self.say)(index, text());
        }
    }
}

/// The tokens of an answer, the end token included, with their ln-probabilities where the request asked for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Natural logarithm of the probability that the model gave each.
    pub log_probabilities: Vec<f32>,
}

/// A student that is asked from within this process.
pub trait LocalStudent: Student {
    /// Requests kept in flight since the last refresh: what was asked for, or 1 when the batch
    /// self-test failed.
    fn in_flight(&self) -> u32;

    /// The batch self-test of the last refresh, where one was made.
    fn batch_test(&self) -> Option<BatchTest>;

    /// What is written with so many requests in flight, whatever the self-test said: to measure what it keeps away. Not
    /// more than the student was made for.
    ///
    /// # Errors
    /// As for answers, and of models that do not tell their tokens.
    fn write(&mut self, _requests: &[ChatRequest], _in_flight: u32) -> Result<Vec<Written>, PortError> {
        Err(PortError::fatal("this model does not tell its tokens"))
    }

    /// What the next answers may cost. Models of this machine cost nothing.
    fn allow(&mut self, _allowance: Allowance) {}

    /// The line beside the next answers. Models that can neither tell pieces nor end sooner do not listen.
    fn attend(&mut self, _aside: Aside) {}

    /// Whether an adapter can be put onto a base that is loaded so; otherwise it is given the merged model.
    fn takes_adapters(&self) -> bool {
        true
    }

    /// What was paid for that no answer tells, since this was asked last: trials, answers of no use.
    fn unbilled(&mut self) -> Vec<Served> {
        Vec::new()
    }

    /// What a person should know about how it answers, in sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
