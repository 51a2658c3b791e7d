//! Client and runner: commands one way, acknowledgements and live progress the other.

use serde::{Deserialize, Serialize};

use crate::gym::budget::Spending;
use crate::gym::episode::{Command, Work};
use crate::gym::ports::TrainingProgress;

/// Version of these messages; both sides refuse another one.
pub const PROTOCOL: u32 = 2;

/// What a client sends. The first frame is `Hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Who speaks.
    Hello {
        /// [`PROTOCOL`] of the client.
        protocol: u32,
        /// Version of its program.
        version: String,
        /// Name of the run it means, when it knows one.
        #[serde(default)]
        run: Option<String>,
        /// Who it is among all clients of the run. With the id of a command it names a request, which is
        /// carried out once however often it is sent.
        #[serde(default)]
        client: String,
    },
    /// Do something.
    Command {
        /// Chosen by the client; comes back in the acknowledgement.
        id: u64,
        /// What to do.
        command: Command,
    },
}

impl ClientFrame {
    /// The first frame of a client of this program.
    pub fn hello(run: Option<&str>, client: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self::Hello { protocol: PROTOCOL, version, run: run.map(str::to_owned), client: client.to_owned() }
    }
}

/// What a runner sends. The first frame is `Hello` or `Refused`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum RunnerFrame {
    /// Who answers.
    Hello {
        /// [`PROTOCOL`] of the runner.
        protocol: u32,
        /// Version of its program.
        version: String,
        /// Its process id.
        pid: u32,
        /// Name of its run.
        #[serde(default)]
        run: String,
    },
    /// The connection is refused.
    Refused {
        /// Why, and what to do.
        message: String,
    },
    /// The command is journalled.
    Acknowledged {
        /// Id of the command.
        id: u64,
    },
    /// The command cannot be obeyed now; nothing is journalled.
    Rejected {
        /// Id of the command.
        id: u64,
        /// Why, for a person.
        message: String,
    },
    /// Live progress; newest wins, sent at most a few times a second.
    Live {
        /// What is going on.
        live: Live,
    },
}

/// What is going on at this moment. Nothing in it is durable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The running work.
    pub work: Option<Work>,
    /// Items of the work done: answers, data, optimiser steps.
    pub done: u64,
    /// Items that were done before: by an earlier try, which a resume goes on from.
    #[serde(default)]
    pub before: u64,
    /// Items of the work in all; 0 while unknown.
    pub total: u64,
    /// Whether the items are answers of models that are asked on the way, instead of the phase's own.
    #[serde(default)]
    pub asking: bool,
    /// Milliseconds since the work began.
    pub elapsed_ms: u64,
    /// Tokens generated or trained on per second.
    pub tokens_per_second: f64,
    /// Correct answers so far, while evaluating.
    pub correct: u64,
    /// The last optimiser step, while training.
    pub training: Option<TrainingProgress>,
    /// The worker processes.
    pub workers: Vec<WorkerStatus>,
    /// What endpoints were paid in the whole run.
    #[serde(default)]
    pub spending: Spending,
}

/// One worker process as the runner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// `student@cpu#0`.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// One or two words: `loading`, `answering`, `training`, `idle`.
    pub state: String,
    /// Identities of the GPUs it works on, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// What a person should know about how it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The end of what it is writing, as it was a moment ago; empty between answers, and for models that do not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}
