//! The ledger: what a run remembers, and what a finished phase adds to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{PortError, TrainingOutcome, TrainingProgress};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::plan::Plan;
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;
use crate::gym::review::DataSelection;
use crate::gym::skill_forest::ForestChange;
use crate::gym::teacher_call::TeacherCall;

/// The durable memory of a run. The runner's is a database; the library's lies in memory.
pub trait Ledger {
    /// Predictions already committed for an iteration and split.
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError>;
    /// Gives the task's instances the skills that are in use, once they are found; those it knows already cost
    /// nothing. A ledger that keeps no instances does nothing.
    fn put_skills(&mut self, _instances: &[TaskInstance]) -> Result<(), PortError> {
        Ok(())
    }
    /// Commits predictions; one that exists already is replaced.
    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError>;
    /// Every datum of the run, in the order of their ids.
    fn data(&self) -> Result<Vec<JudgedDatum>, PortError>;
    /// Visits every datum of a verdict, or of any, in the order of their ids: for runs too large for
    /// [`Ledger::data`].
    fn each_datum(
        &self,
        verdict: Option<Verdict>,
        visit: &mut dyn FnMut(JudgedDatum),
    ) -> Result<(), PortError> {
        let wanted = |judged: &JudgedDatum| verdict.is_none_or(|verdict| judged.verdict == verdict);
        self.data()?.into_iter().filter(wanted).for_each(visit);
        Ok(())
    }
    /// Replaces the data of one round.
    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError>;
    /// Every datum of one round, in the order of their ids.
    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError>;
    /// The answered teacher call of this id.
    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError>;
    /// Commits teacher calls; one that exists already is replaced.
    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError>;
    /// Keeps an image and returns its reference; the same bytes are kept once.
    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError>;
    /// The data that a person's selection names, in the order of their ids.
    fn selected(&self, selection: &DataSelection) -> Result<Vec<JudgedDatum>, PortError> {
        Ok(self.data()?.into_iter().filter(|datum| selection.names(datum)).collect())
    }
    /// Appends a point of a training curve.
    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError>;
}

/// What a finished phase adds to the facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A student was evaluated.
    Evaluated {
        /// The scores.
        report: Report,
        /// Tokens of the teacher for the discovery of skills, in the first evaluation.
        #[serde(default)]
        teacher_tokens: u64,
    },
    /// A policy planned.
    Planned {
        /// What is asked for.
        plan: Plan,
        /// What the actions change in the forest.
        forest: ForestChange,
        /// Tokens of the models asked for the plan: the teacher's, and the student's sampled answers.
        #[serde(default)]
        teacher_tokens: u64,
    },
    /// The engine wrote data.
    Generated {
        /// Number of data.
        count: u32,
        /// Tokens of the teacher's questions and answers, those answered from the ledger included.
        #[serde(default)]
        teacher_tokens: u64,
    },
    /// Data were checked.
    Checked {
        /// Data that will be trained on.
        accepted: u32,
        /// Data that will not.
        rejected: u32,
        /// What the new counts change in the forest.
        forest: ForestChange,
        /// Data that failed a check, by the check's name, whether it rejects or not.
        #[serde(default)]
        failed: BTreeMap<String, u32>,
        /// Tokens of the models asked by the checks.
        #[serde(default)]
        teacher_tokens: u64,
    },
    /// The student was trained, or there was nothing to train on.
    Trained {
        /// The outcome; `None` when no data had been accepted so far.
        outcome: Option<TrainingOutcome>,
    },
}
