//! The episode: the loop as a pure state machine, `handle(event) -> effects`.
//!
//! The runner's durable driver and the library's in-memory environment both feed it; it is the only
//! place that knows which phase follows which. Replaying the journalled events rebuilds the state.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, Limit};
use super::instance::Split;
use super::plan::{Plan, SkillAction};
use super::ports::{EnvironmentKind, Fact, TrainingOutcome};
use super::report::Report;
use super::review::{DataSelection, DatumEdit, ReviewCount};
use super::shared::Shared;
use super::skill_forest::SkillForest;

mod command;
mod ending;
mod person;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use person::Refusal;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The student answers a split.
    Evaluate,
    /// The policy turns the state into a plan.
    Plan,
    /// The engine turns the plan into training data.
    Generate,
    /// Quality checks judge the data.
    Check,
    /// The student is trained.
    Train,
}

impl Phase {
    /// The word used in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Plan => "plan",
            Self::Generate => "generate",
            Self::Check => "check",
            Self::Train => "train",
        }
    }
}

/// One phase of one iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Iteration; 0 is the untrained student.
    pub iteration: u32,
    /// Plan-generate-check round within the iteration, counted from 0.
    pub round: u32,
    /// What to do.
    pub phase: Phase,
    /// Split to evaluate; `None` for the other phases.
    pub split: Option<Split>,
}

/// What does not change during an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRules {
    /// What the agent sees and does.
    #[serde(default)]
    pub environment: EnvironmentKind,
    /// When to end.
    pub budget: Budget,
    /// Plan-generate-check rounds before each training; 1 in the plain episode.
    pub rounds: u32,
    /// Whether every iteration is measured on the test split, not only 0 and the selected one.
    pub test_every_iteration: bool,
    /// Phases before which the run stops for a person.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gates: BTreeSet<Phase>,
    /// How often a phase that failed transiently is tried again.
    pub retries: u32,
}

impl Default for EpisodeRules {
    fn default() -> Self {
        Self {
            environment: EnvironmentKind::default(),
            budget: Budget::default(),
            rounds: 1,
            test_every_iteration: false,
            gates: BTreeSet::new(),
            retries: 3,
        }
    }
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process took charge of the run, for the first time or after an end of any kind.
    Opened,
    /// A person's command.
    Commanded {
        /// The command.
        command: Command,
    },
    /// A person changed data; the data are committed with this event.
    Reviewed {
        /// Which data.
        selection: DataSelection,
        /// What was done with them.
        edit: DatumEdit,
        /// Data changed.
        data: u32,
        /// What that changes in the counts.
        counts: Vec<ReviewCount>,
    },
    /// The work in hand is done and its facts are committed.
    Completed {
        /// The facts.
        fact: Fact,
        /// Milliseconds the work took.
        #[serde(default)]
        elapsed_ms: u64,
    },
    /// The work in hand failed.
    Failed {
        /// What happened and what to do.
        message: String,
        /// Whether trying again may help.
        transient: bool,
        /// Whether this try committed answers that no earlier one had: work that gets on is not given up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        progressed: bool,
    },
    /// The work in hand had no room on a disk. It is not tried again before a person made some.
    NoRoom {
        /// Which disk, and what to do.
        message: String,
    },
}

impl Event {
    /// The work in hand is done.
    pub fn completed(fact: Fact) -> Self {
        Self::Completed { fact, elapsed_ms: 0 }
    }

    /// The word used in logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Commanded { .. } => "commanded",
            Self::Reviewed { .. } => "reviewed",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::NoRoom { .. } => "no_room",
        }
    }
}

/// What the driver must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Do the work after the delay, then report `Completed` or `Failed`.
    Perform {
        /// The work.
        work: Work,
        /// Milliseconds to wait first (back-off after a failure).
        delay_ms: u64,
    },
    /// Abandon the running work; no event is expected for it.
    Cancel,
    /// End the process.
    Exit,
}

/// How far the machine may go without being asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Not at all.
    Hold,
    /// To the end of the running or next phase.
    Phase,
    /// To the end of the running or next iteration.
    Iteration,
    /// To the end of the run.
    Free,
}

/// Why nothing is going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Halt {
    /// Nobody has said go, or a person paused.
    Asked,
    /// The run reached a gate.
    Gate {
        /// Phase that comes next.
        phase: Phase,
    },
    /// A phase failed for good.
    Failure {
        /// What happened and what to do.
        message: String,
    },
    /// A disk is full; only a person can make room.
    NoRoom {
        /// Which disk, and what to do.
        message: String,
    },
    /// The process was told to stop.
    Stopped,
    /// Every phase is done.
    Finished,
}

impl Halt {
    /// Whether something went wrong that a person must look at.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failure { .. } | Self::NoRoom { .. })
    }

    /// What went wrong and what to do, if something did.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Failure { message } | Self::NoRoom { message } => Some(message),
            _ => None,
        }
    }
}

/// One row of the iteration table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Score on the validation split.
    pub validation: Option<Report>,
    /// Score on the test split.
    pub test: Option<Report>,
    /// The plans, one per round.
    pub plans: Vec<Plan>,
    /// Data generated.
    pub generated: u32,
    /// Data accepted.
    pub accepted: u32,
    /// Data rejected.
    pub rejected: u32,
    /// Data that failed a check, by the check's name, whether it rejects or not.
    #[serde(default)]
    pub failed: BTreeMap<String, u32>,
    /// The training, once done. `Some(None)` when there was nothing to train on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub training: Option<Option<TrainingOutcome>>,
    /// Tokens of all models: teacher questions and answers, student answers, tokens trained on.
    #[serde(default)]
    pub tokens: u64,
    /// Milliseconds of its finished phases.
    #[serde(default)]
    pub elapsed_ms: u64,
}

/// A field that is there is `Some`, even when it holds `null`.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The state of an episode; everything a screen or a resume needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// What does not change.
    pub rules: EpisodeRules,
    /// Rows by iteration.
    pub iterations: Shared<Iteration>,
    /// The skill forest as of the last plan or check.
    pub forest: SkillForest,
    /// Work in hand or next; `None` when finished.
    pub work: Option<Work>,
    /// Whether `work` was started and has not ended.
    pub running: bool,
    /// How far to go.
    pub pace: Pace,
    /// Why nothing runs, when nothing runs.
    pub halt: Option<Halt>,
    /// Failures of the work in hand so far.
    pub failures: u32,
    /// The last failure's message while it is being retried.
    pub last_failure: Option<String>,
    /// Best iteration by validation, once every iteration is done.
    pub selected: Option<u32>,
    /// A stop was asked for and the running phase is still going.
    pub stopping: bool,
    /// The limit that ended the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Actions a person chose for the next plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<Vec<SkillAction>>,
    /// The forest before the last plan, as long as a person may still act in place of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_plan: Option<SkillForest>,
}

impl Episode {
    /// A fresh episode that waits for a command.
    pub fn new(rules: EpisodeRules) -> Self {
        let work = Work { iteration: 0, round: 0, phase: Phase::Evaluate, split: Some(Split::Validation) };
        Self {
            rules,
            iterations: [Iteration::default()].into_iter().collect(),
            forest: SkillForest::default(),
            work: Some(work),
            running: false,
            pace: Pace::Hold,
            halt: Some(Halt::Asked),
            failures: 0,
            last_failure: None,
            selected: None,
            stopping: false,
            limit: None,
            acting: None,
            before_plan: None,
        }
    }

    /// Accepted data over the whole run.
    pub fn accepted(&self) -> u32 {
        self.iterations.iter().map(|i| i.accepted).sum()
    }

    /// Whether every phase is done.
    pub fn finished(&self) -> bool {
        self.work.is_none()
    }

    /// The last iteration that has a validation score.
    pub fn latest_report(&self) -> Option<&Report> {
        self.iterations.iter().rev().find_map(|i| i.validation.as_ref())
    }

    /// The training behind iteration `n`: its own, or the last one before it. `None` is the base student.
    pub fn training_at(&self, n: u32) -> Option<&TrainingOutcome> {
        self.iterations.iter().take(n as usize + 1).rev().find_map(|i| i.training.as_ref()?.as_ref())
    }

    /// Takes an event in and says what must be done.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Opened => self.opened(),
            Event::Commanded { command } => self.commanded(command),
            Event::Reviewed { counts, .. } => self.reviewed(&counts),
            Event::Completed { fact, elapsed_ms } => self.completed(fact, elapsed_ms),
            Event::Failed { message, transient, progressed } => {
                self.failures = if progressed { 0 } else { self.failures };
                self.failed(message, transient)
            }
            Event::NoRoom { message } if self.running => self.halt(Halt::NoRoom { message }),
            Event::NoRoom { .. } => Vec::new(),
        }
    }

    /// A new process has nothing running, whatever the old one had: it waits for a command.
    fn opened(&mut self) -> Vec<Effect> {
        self.running = false;
        self.stopping = false;
        self.pace = Pace::Hold;
        self.failures = 0;
        if self.work.is_some() && !self.halt.as_ref().is_some_and(Halt::is_failure) {
            self.halt = Some(Halt::Asked);
        }
        Vec::new()
    }

    fn commanded(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Run => self.go(Pace::Free),
            Command::AdvancePhase => self.go(Pace::Phase),
            Command::AdvanceIteration => self.go(Pace::Iteration),
            Command::Pause => {
                self.pace = Pace::Hold;
                Vec::new()
            }
            Command::Stop if self.running => {
                self.pace = Pace::Hold;
                self.stopping = true;
                Vec::new()
            }
            Command::Stop => self.exit(),
            Command::StopNow => {
                let cancel = self.running.then_some(Effect::Cancel);
                cancel.into_iter().chain(self.exit()).collect()
            }
            Command::Gate { phase, wait: true } => {
                self.rules.gates.insert(phase);
                Vec::new()
            }
            Command::Gate { phase, wait: false } => {
                self.rules.gates.remove(&phase);
                Vec::new()
            }
            Command::Extend { budget } => self.extend(budget),
            Command::Allocate { allocations } => self.allocate(allocations),
            Command::Act { actions } => self.act(actions),
            // A review arrives as an event of its own; a remark is kept by the journal.
            Command::Review { .. } | Command::Note { .. } => Vec::new(),
        }
    }

    fn exit(&mut self) -> Vec<Effect> {
        self.running = false;
        self.stopping = false;
        self.pace = Pace::Hold;
        self.halt = Some(if self.finished() { Halt::Finished } else { Halt::Stopped });
        vec![Effect::Exit]
    }

    /// A command to move: passes the gate it stands at, forgets a failure.
    fn go(&mut self, pace: Pace) -> Vec<Effect> {
        if self.finished() {
            return Vec::new();
        }
        self.pace = pace;
        self.stopping = false;
        if self.running {
            return Vec::new();
        }
        self.failures = 0;
        self.last_failure = None;
        self.start(0)
    }

    fn start(&mut self, delay_ms: u64) -> Vec<Effect> {
        let Some(work) = self.work else { return Vec::new() };
        self.running = true;
        self.halt = None;
        vec![Effect::Perform { work, delay_ms }]
    }

    fn halt(&mut self, why: Halt) -> Vec<Effect> {
        self.running = false;
        if self.stopping {
            let keep = why.is_failure().then_some(why);
            let effects = self.exit();
            self.halt = keep.or_else(|| self.halt.take());
            return effects;
        }
        self.pace = Pace::Hold;
        self.halt = Some(why);
        Vec::new()
    }

    fn failed(&mut self, message: String, transient: bool) -> Vec<Effect> {
        if !self.running {
            return Vec::new();
        }
        self.failures += 1;
        if transient && self.failures <= self.rules.retries && !self.stopping {
            self.last_failure = Some(message);
            // 1 s, 2 s, 4 s ... up to a minute.
            return self.start(1000 << (self.failures - 1).min(6));
        }
        self.halt(Halt::Failure { message })
    }

    fn completed(&mut self, fact: Fact, elapsed_ms: u64) -> Vec<Effect> {
        let Some(done) = self.work.filter(|_| self.running) else { return Vec::new() };
        self.running = false;
        self.failures = 0;
        self.last_failure = None;
        self.record(done, fact, elapsed_ms);
        self.work = self.after(done);
        let Some(next) = self.work else { return self.halt(Halt::Finished) };
        let iteration_over = next.iteration != done.iteration && done.phase == Phase::Evaluate;
        let hold = match self.pace {
            Pace::Hold | Pace::Phase => true,
            Pace::Iteration => iteration_over,
            Pace::Free => false,
        };
        if hold || self.stopping {
            return self.halt(Halt::Asked);
        }
        if self.rules.gates.contains(&next.phase) {
            return self.halt(Halt::Gate { phase: next.phase });
        }
        self.start(0)
    }

    fn record(&mut self, done: Work, fact: Fact, elapsed_ms: u64) {
        let index = done.iteration as usize;
        while self.iterations.len() <= index {
            self.iterations.push(Iteration::default());
        }
        let row = &mut self.iterations[index];
        row.elapsed_ms += elapsed_ms;
        row.tokens += tokens(&fact);
        match fact {
            Fact::Evaluated { report, .. } if report.split == Split::Test => row.test = Some(report),
            Fact::Evaluated { report, .. } => {
                self.forest.record_accuracy(|skill| report.skill(skill).map(|s| s.accuracy.mean));
                row.validation = Some(report);
            }
            Fact::Planned { plan, forest, .. } => {
                row.plans.push(plan);
                self.before_plan = Some(self.forest.clone());
                self.forest.change(&forest);
                self.acting = None;
            }
            Fact::Generated { count, .. } => {
                row.generated += count;
                self.before_plan = None;
            }
            Fact::Checked { accepted, rejected, forest, failed, .. } => {
                row.accepted += accepted;
                row.rejected += rejected;
                for (check, count) in failed {
                    *row.failed.entry(check).or_default() += count;
                }
                self.forest.change(&forest);
            }
            Fact::Trained { outcome } => row.training = Some(outcome),
        }
    }

    /// The work that follows `done`, or `None` at the end.
    fn after(&mut self, done: Work) -> Option<Work> {
        let same = |phase| Some(Work { phase, split: None, ..done });
        match done.phase {
            Phase::Plan => same(Phase::Generate),
            Phase::Generate => same(Phase::Check),
            Phase::Check if done.round + 1 < self.rules.rounds && self.spent().is_none() => {
                Some(Work { round: done.round + 1, phase: Phase::Plan, split: None, ..done })
            }
            Phase::Check => same(Phase::Train),
            Phase::Train => Some(evaluation(done.iteration, Split::Validation)),
            Phase::Evaluate => self.after_evaluation(done),
        }
    }

    fn after_evaluation(&mut self, done: Work) -> Option<Work> {
        let validated = done.split == Some(Split::Validation);
        if validated && self.rules.test_every_iteration {
            return Some(evaluation(done.iteration, Split::Test));
        }
        if self.selected.is_none() {
            self.limit = self.reached();
            if self.limit.is_none() {
                return Some(Work { iteration: self.last() + 1, round: 0, phase: Phase::Plan, split: None });
            }
        }
        let best = self.best();
        let selected = *self.selected.get_or_insert(best);
        let untested = |n: &u32| self.iterations[*n as usize].test.is_none();
        [0, selected].into_iter().find(untested).map(|n| evaluation(n, Split::Test))
    }

    /// The first of the iterations with the highest validation accuracy: the one to select if it ended now.
    pub fn best(&self) -> u32 {
        let mut best = (0, f64::NEG_INFINITY);
        for (n, iteration) in self.iterations.iter().enumerate() {
            let mean = iteration.validation.as_ref().map_or(f64::NEG_INFINITY, |r| r.overall.mean);
            if mean > best.1 {
                best = (n as u32, mean);
            }
        }
        best.0
    }

    /// The newest iteration.
    fn last(&self) -> u32 {
        self.iterations.len() as u32 - 1
    }
}

/// Tokens of all models behind a fact.
fn tokens(fact: &Fact) -> u64 {
    match fact {
        Fact::Evaluated { report, teacher_tokens } => report.tokens + teacher_tokens,
        Fact::Planned { teacher_tokens, .. }
        | Fact::Generated { teacher_tokens, .. }
        | Fact::Checked { teacher_tokens, .. } => *teacher_tokens,
        Fact::Trained { outcome } => outcome.as_ref().map_or(0, |o| o.tokens),
    }
}

fn evaluation(iteration: u32, split: Split) -> Work {
    Work { iteration, round: 0, phase: Phase::Evaluate, split: Some(split) }
}
