//! What a person may ask of a run.

use serde::{Deserialize, Serialize};

use super::Phase;
use crate::gym::budget::Budget;
use crate::gym::plan::{Allocation, SkillAction};
use crate::gym::review::{DataSelection, DatumEdit};

/// What a person asks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Go on to the end.
    Run,
    /// Do one phase, then pause.
    AdvancePhase,
    /// Go on to the end of the iteration, then pause.
    AdvanceIteration,
    /// Pause after the running phase.
    Pause,
    /// End the process after the running phase; the run can be resumed.
    Stop,
    /// End the process now; the running phase is repeated on resume.
    StopNow,
    /// Wait before every phase of this kind, or no longer.
    Gate {
        /// The phase.
        phase: Phase,
        /// Whether to wait.
        wait: bool,
    },
    /// Other limits. A finished run goes on when they allow it.
    Extend {
        /// The limits from now on.
        budget: Budget,
    },
    /// Another plan, before its data are generated: these allocations and no others.
    Allocate {
        /// What to ask the engine for.
        allocations: Vec<Allocation>,
    },
    /// Act in place of the policy, in the skill-tree environment, before data are generated.
    Act {
        /// At most one action per skill; a skill without one keeps its allocations.
        actions: Vec<SkillAction>,
    },
    /// Accept, reject, reword or remark data.
    Review {
        /// Which data.
        selection: DataSelection,
        /// What to do with them.
        edit: DatumEdit,
    },
    /// Write a remark into the journal.
    Note {
        /// The remark.
        text: String,
    },
}
