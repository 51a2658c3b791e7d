//! What analyses need of one run, read once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::gym::datum::Verdict;
use crate::gym::episode::Episode;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::leakage::HeldOut;
use crate::gym::prediction::Prediction;
use crate::gym::report::UNSORTED;
use crate::store::{DataFilter, Reader, RunRecord, StoreError};

/// A test question with the answers of the untrained and of the selected student.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The question and the truth.
    pub instance: TaskInstance,
    /// The untrained student's answer.
    pub before: Prediction,
    /// The selected student's answer.
    pub after: Prediction,
}

impl Answered {
    /// Skill of the question.
    pub fn skill(&self) -> &str {
        self.instance.skill.as_deref().unwrap_or(UNSORTED)
    }

    /// What paired statistics take: key, correct before, correct after.
    pub fn pair(&self) -> (&str, bool, bool) {
        (&self.instance.key, self.before.correct, self.after.correct)
    }
}

/// Training data on the way from the plan to the training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCounts {
    /// Asked for by the plans.
    pub specified: u64,
    /// Written by the engine.
    pub produced: u64,
    /// Accepted, by the checks or by a person.
    pub accepted: u64,
}

/// What the accepted data share with the questions the student is measured on, counted anew from the
/// database, whatever the checks said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaks {
    /// Accepted data looked at.
    pub data: u64,
    /// Validation and test questions they were held against.
    pub held_out: u64,
    /// Data with the leakage key of a held-out question: for arithmetic, the same numbers in any order.
    pub same_key: u64,
    /// Data with the words of a held-out question.
    pub same_words: u64,
    /// Data with four fifths of their passages of eight words in one held-out question.
    #[serde(default)]
    pub same_passages: u64,
}

/// A world's own answer to a question as written; `None` where the question has none there.
pub type World = fn(&str) -> Option<String>;

/// What the embedded world says of labels: it reads every question anew, whoever wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The world's own answer.
    pub right: u64,
    /// Another answer.
    pub wrong: u64,
    /// Answers to questions that have none there.
    pub unanswerable: u64,
}

impl Labels {
    fn count(&mut self, truth: Option<String>, answer: Option<&str>) {
        let place = match truth {
            None => &mut self.unanswerable,
            Some(truth) if answer == Some(truth.as_str()) => &mut self.right,
            Some(_) => &mut self.wrong,
        };
        *place += 1;
    }

    fn share(self, part: u64) -> f64 {
        part as f64 / (self.right + self.wrong + self.unanswerable).max(1) as f64
    }

    /// Share of the labels that are not right, in `0..=1`.
    pub fn not_right(self) -> f64 {
        self.share(self.wrong + self.unanswerable)
    }

    /// Share of the labels of questions without an answer, in `0..=1`.
    pub fn unanswerable(self) -> f64 {
        self.share(self.unanswerable)
    }
}

impl Add for Labels {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
            unanswerable: self.unanswerable + other.unanswerable,
        }
    }
}

/// A run as analyses see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// What was fixed at its creation.
    pub record: RunRecord,
    /// Its last state.
    pub episode: Episode,
    /// The test questions in order; empty as long as the test was not measured.
    pub test: Vec<Answered>,
    /// Training data by skill.
    pub data: BTreeMap<String, DataCounts>,
    /// Data and held-out questions.
    pub leaks: Leaks,
    /// The labels of accepted data, where the run's task is the embedded world.
    pub labels: Option<Labels>,
    /// Milliseconds by phase, finished attempts only.
    pub phases: BTreeMap<String, u64>,
}

impl RunFacts {
    /// Reads a run. Costs a pass over its data and its test answers. `world` judges the labels of accepted data, where
    /// the run's task has one.
    ///
    /// # Errors
    /// What the store says of a database that cannot be read.
    pub fn read(reader: &Reader, world: Option<World>) -> Result<Self, StoreError> {
        let (record, episode) = (reader.record()?, reader.episode()?);
        let mut held_out = HeldOut::default();
        let mut test = Vec::new();
        for split in [Split::Validation, Split::Test] {
            reader.each_instance(split, |instance| {
                held_out.add(&instance);
                if split == Split::Test {
                    test.push(instance);
                }
            })?;
        }
        let mut leaks = Leaks { held_out: u64::from(held_out.count()), ..Leaks::default() };
        let mut labels = world.map(|_| Labels::default());
        let mut data: BTreeMap<String, DataCounts> = BTreeMap::new();
        for allocation in episode.iterations.iter().flat_map(|i| &i.plans).flat_map(|plan| &plan.allocations)
        {
            data.entry(allocation.skill.clone()).or_default().specified += u64::from(allocation.count);
        }
        reader.each_datum(&DataFilter::default(), |judged| {
            let accepted = judged.verdict == Verdict::Accepted;
            let datum = judged.datum;
            if accepted {
                let (question, no_image) = (datum.question(), datum.images.is_empty());
                if let (Some(labels), Some(world)) = (&mut labels, world) {
                    labels.count(world(question), datum.answer.as_deref());
                }
                leaks.data += 1;
                leaks.same_key += u64::from(held_out.key(&datum.key));
                leaks.same_words += u64::from(no_image && held_out.words(question));
                leaks.same_passages += u64::from(no_image && held_out.mostly(question));
            }
            let counts = data.entry(datum.skill).or_default();
            counts.produced += 1;
            counts.accepted += u64::from(accepted);
        })?;
        let mut phases: BTreeMap<String, u64> = BTreeMap::new();
        for timing in reader.timings()? {
            // A clock that was set back makes a phase look short, never negative.
            let elapsed = timing.ended_ms.map_or(0, |ended| (ended - timing.began_ms).max(0));
            *phases.entry(timing.phase).or_default() += elapsed.unsigned_abs();
        }
        let test = answered(reader, test, episode.selected)?;
        Ok(Self { record, episode, test, data, leaks, labels, phases })
    }

    /// The iteration whose student counts; `None` while the run is not finished.
    pub fn selected(&self) -> Option<u32> {
        self.episode.selected
    }

    /// Counts over all skills.
    pub fn data_in_all(&self) -> DataCounts {
        self.data.values().fold(DataCounts::default(), |sum, one| DataCounts {
            specified: sum.specified + one.specified,
            produced: sum.produced + one.produced,
            accepted: sum.accepted + one.accepted,
        })
    }
}

/// The test questions that both students answered.
fn answered(
    reader: &Reader,
    test: Vec<TaskInstance>,
    selected: Option<u32>,
) -> Result<Vec<Answered>, StoreError> {
    let Some(selected) = selected else { return Ok(Vec::new()) };
    let answers = |iteration| {
        let mut found: HashMap<String, Prediction> = HashMap::new();
        reader.each_prediction(iteration, Split::Test, |prediction| {
            found.insert(prediction.instance_id.clone(), prediction);
        })?;
        Ok::<_, StoreError>(found)
    };
    let mut before = answers(0)?;
    let mut after = if selected == 0 { before.clone() } else { answers(selected)? };
    let both = |instance: TaskInstance| {
        let (before, after) = (before.remove(&instance.id)?, after.remove(&instance.id)?);
        Some(Answered { instance, before, after })
    };
    Ok(test.into_iter().filter_map(both).collect())
}
