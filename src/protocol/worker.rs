//! Runner and worker: one request at a time, answered by any number of replies and one final reply.

use serde::{Deserialize, Serialize};

use crate::gym::ports::{
    Allowance, ChatReply, ChatRequest, Checkpoint, PortError, TrainingOrder, TrainingOutcome,
    TrainingProgress,
};
pub use crate::gym::ports::{BatchTest, Device, Served, Serving};

/// What a worker process hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The model that learns.
    Student,
    /// The model that writes data.
    Teacher,
    /// The model that solves data anew in the teacher's place.
    Verifier,
    /// The trainer.
    Trainer,
}

impl Role {
    /// The word used on the command line, in logs and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::Verifier => "verifier",
            Self::Trainer => "trainer",
        }
    }
}

/// What the runner asks of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Load a model; answered by [`Reply::Loaded`].
    Load {
        /// The weights.
        checkpoint: Checkpoint,
        /// Where to put them.
        device: Device,
        /// How to serve it.
        serving: Serving,
    },
    /// Answer prompts; answered by one [`Reply::Answered`] each, then [`Reply::Done`].
    Answer {
        /// The prompts, each with the index it is to be answered under.
        requests: Vec<(usize, ChatRequest)>,
        /// What the answers may cost.
        #[serde(default)]
        allowance: Allowance,
    },
    /// Nobody waits any more for what was asked last: answers end at their next token, a training after its
    /// micro-batch, with its state saved. Not answered itself; the last word about the request comes sooner.
    Stop,
    /// Train; answered by [`Reply::Progress`] per step, then [`Reply::Trained`].
    Train {
        /// The training.
        order: TrainingOrder,
    },
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    /// The worker is up; sent once before any request.
    Ready {
        /// Its process id.
        pid: u32,
        /// Version of the program.
        version: String,
    },
    /// The model answers from now on.
    Loaded {
        /// Requests it keeps in flight: what was asked for, or 1 when the batch self-test failed.
        in_flight: u32,
        /// The self-test, where one was made.
        batch_test: Option<BatchTest>,
        /// What a person should know about how it answers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// What is written so far of an answer; a few times a second, and seldom of all that are in flight.
    Piece {
        /// Index given with the request.
        index: usize,
        /// The text from its beginning.
        text: String,
    },
    /// One prompt's answer.
    Answered {
        /// Index given with the request.
        index: usize,
        /// The answer.
        reply: ChatReply,
    },
    /// Something was paid for that no answer tells; before the last word about a request.
    Paid {
        /// Whom, and how much.
        served: Served,
    },
    /// Every prompt is answered.
    Done,
    /// One optimiser step is done.
    Progress {
        /// How far it is.
        progress: TrainingProgress,
    },
    /// The training is done and its folder is in place.
    Trained {
        /// The outcome.
        outcome: TrainingOutcome,
    },
    /// The request failed; the worker lives on.
    Failed {
        /// What happened.
        error: PortError,
    },
}
