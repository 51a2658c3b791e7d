//! What the screen knows of the run: committed facts, and the window of samples in sight.

use std::collections::BTreeMap;

use super::app::List;
use super::filter::Field;
use super::picture::Picture;
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::Episode;
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::ports::TrainingProgress;
use crate::gym::prediction::Prediction;
use crate::gym::statistics::Estimate;
use crate::gym::teacher_call::TeacherCall;
use crate::store::{
    COUNTED_HITS, CallFilter, DataFilter, PhaseTiming, PredictionFilter, RunRecord, ScoredPrediction,
};

/// The committed state of the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) record: RunRecord,
    pub(crate) episode: Episode,
    pub(crate) timings: Vec<PhaseTiming>,
    /// Paired gain on the test split between iteration 0 and the selected one, once the run is finished.
    pub(crate) gain: Option<Estimate>,
    /// The curve of the newest training.
    pub(crate) curve: Vec<TrainingProgress>,
    /// Accepted data by iteration and skill, where no skill tree counts them.
    pub(crate) accepted: Accepted,
    /// The iteration of the newest plan, and the accepted data of its subskills by skill and subskill.
    pub(crate) planned: Option<(u32, BySubskill)>,
}

/// Accepted data by skill and subskill.
pub(crate) type BySubskill = BTreeMap<(String, String), u32>;

/// Accepted data by iteration, then by skill.
pub(crate) type Accepted = BTreeMap<u32, BTreeMap<String, u32>>;

/// What models were asked besides the student's evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) calls: u64,
    /// Of questions and answers together.
    pub(crate) tokens: u64,
}

/// What the phases of an iteration asked, by round and word of the phase.
pub(crate) type PhaseCalls = BTreeMap<(u32, &'static str), Asked>;

/// Which samples are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listing {
    Training(DataFilter),
    Predictions(PredictionFilter),
    Calls(CallFilter),
    /// These samples, whatever else holds: of an instance its answers in every iteration.
    Picked {
        list: List,
        split: Split,
        ids: Vec<String>,
    },
}

impl Listing {
    /// Whether records must be read to know which belong to it.
    pub(crate) fn read(&self) -> bool {
        match self {
            Self::Predictions(filter) => filter.text.is_some() || filter.subskill.is_some(),
            Self::Calls(filter) => filter.text.is_some(),
            Self::Training(_) | Self::Picked { .. } => false,
        }
    }
}

/// In which order samples are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Newest iteration first, then as they were made.
    Newest,
    /// The other way round.
    Oldest,
    /// By the values of a field, within each newest first.
    By(Field),
}

impl Order {
    /// The next one that a list has.
    pub(crate) fn next(self, list: List) -> Self {
        let all = Self::of(list);
        let at = all.iter().position(|order| *order == self).map_or(0, |n| n + 1);
        all[at % all.len()]
    }

    /// The orders of a list.
    pub(crate) fn of(list: List) -> &'static [Self] {
        match list {
            List::Training => &[
                Self::Newest,
                Self::Oldest,
                Self::By(Field::Skill),
                Self::By(Field::Subskill),
                Self::By(Field::Verdict),
                Self::By(Field::Engine),
            ],
            List::Predictions => {
                &[Self::Newest, Self::Oldest, Self::By(Field::Skill), Self::By(Field::Correct)]
            }
            List::Calls => &[Self::Newest, Self::Oldest, Self::By(Field::Prompt), Self::By(Field::Malformed)],
        }
    }

    /// In a few words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Newest => "newest first".into(),
            Self::Oldest => "oldest first".into(),
            Self::By(field) => format!("by {}", field.name()),
        }
    }
}

/// What the screen wants to see of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) listing: Listing,
    pub(crate) order: Order,
    /// First row of the window.
    pub(crate) offset: usize,
    /// Rows of the window.
    pub(crate) limit: usize,
    /// Row whose answers of all iterations are wanted.
    pub(crate) selected: usize,
    /// Id of the sample that is read: it is wanted also when it is in none of these rows.
    pub(crate) held: Option<String>,
}

/// One row of the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sample {
    Datum(Box<JudgedDatum>),
    Prediction(Box<ScoredPrediction>),
    Call(Box<TeacherCall>),
}

impl Sample {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Datum(judged) => &judged.datum.id,
            Self::Prediction(scored) => &scored.instance.id,
            Self::Call(call) => &call.id,
        }
    }

    /// The instances whose answers belong beside this sample: its own, or the errors that led to it.
    pub(crate) fn related(&self) -> Vec<(Split, String)> {
        match self {
            Self::Prediction(scored) => vec![(scored.instance.split, scored.instance.id.clone())],
            Self::Datum(judged) => {
                let errors = &judged.datum.provenance.source_errors;
                errors.iter().take(3).map(|id| (Split::Validation, id.clone())).collect()
            }
            Self::Call(_) => Vec::new(),
        }
    }

    /// The images that belong to this sample.
    pub(crate) fn images(&self) -> &[ImageRef] {
        match self {
            Self::Prediction(scored) => scored.instance.content.images(),
            Self::Datum(judged) => &judged.datum.images,
            Self::Call(_) => &[],
        }
    }
}

/// Every iteration's answer to one instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answers {
    pub(crate) instance_id: String,
    /// What was asked, where the sample itself does not say it.
    pub(crate) instance: Option<TaskInstance>,
    pub(crate) by_iteration: Vec<(u32, Prediction)>,
}

/// A window of samples, in answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    pub(crate) listing: Listing,
    /// The order that was asked for; a search with too many hits to count has them as they come.
    pub(crate) order: Order,
    pub(crate) offset: usize,
    /// Rows that were asked for.
    pub(crate) limit: usize,
    /// Rows in the whole list.
    pub(crate) total: usize,
    /// Whether there are no more: a search is counted up to 10,000.
    pub(crate) exact: bool,
    pub(crate) samples: Vec<Sample>,
    /// The sample that is read as it is now, where it is in none of these rows.
    pub(crate) held: Option<Sample>,
    pub(crate) behind: Behind,
}

/// What stands behind the selected sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Behind {
    pub(crate) answers: Vec<Answers>,
    /// The teacher call that wrote it.
    pub(crate) call: Option<TeacherCall>,
    /// Its images, or why one cannot be shown.
    pub(crate) pictures: Vec<Result<Picture, String>>,
}

impl Page {
    /// Whether the search behind it has records left to read.
    pub(crate) fn growing(&self) -> bool {
        self.listing.read() && !self.exact && (self.total as u64) < COUNTED_HITS
    }

    pub(crate) fn sample(&self, index: usize) -> Option<&Sample> {
        self.samples.get(index.checked_sub(self.offset)?)
    }

    /// The row of a sample among those loaded.
    pub(crate) fn row_of(&self, id: &str) -> Option<usize> {
        Some(self.offset + self.samples.iter().position(|sample| sample.id() == id)?)
    }
}
