//! What the state of a run means to whoever waits for it: words and exit codes.

use std::process::ExitCode;

use super::RESUME_ME;
use crate::gym::episode::{Episode, Halt};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Every phase is done.
    Finished,
    /// It goes on by itself.
    Running,
    /// It waits for a person at a gate.
    AtGate,
    /// It waits for a person or a later start.
    Paused,
    /// It waits for room on the disk.
    DiskFull,
    /// No process has it; it can be resumed.
    Stopped,
    /// A phase failed for good.
    Failed,
}

impl Standing {
    /// Of an episode, whose runner is alive or not.
    pub(super) fn of(episode: &Episode, held: bool) -> Self {
        match (held, &episode.halt) {
            (_, Some(Halt::Finished)) => Self::Finished,
            (_, Some(Halt::NoRoom { .. })) => Self::DiskFull,
            (_, Some(Halt::Failure { .. })) => Self::Failed,
            (true, Some(Halt::Gate { .. })) => Self::AtGate,
            (true, Some(_)) => Self::Paused,
            (true, None) => Self::Running,
            (false, _) => Self::Stopped,
        }
    }

    /// The word of the list of runs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::AtGate => "at a gate",
            Self::Paused => "paused",
            Self::DiskFull => "disk full",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// The exit code of whoever waited for it: 0 finished, 1 failed, 75 start it again.
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Finished => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            _ => ExitCode::from(RESUME_ME),
        }
    }
}

/// The exit code of the process that owned the run.
pub(super) fn exit_code(episode: &Episode) -> ExitCode {
    Standing::of(episode, false).exit_code()
}
