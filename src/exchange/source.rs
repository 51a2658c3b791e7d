//! A run as the source of an export: the one place that knows how the run database is read.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::error::ExchangeError;
use super::record::{Answered, CurvePoint, Kind, Record, anonymous, timeless};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Episode, Event};
use crate::gym::instance::{ImageRef, Split};
use crate::gym::ulid::Ulid;
use crate::store::{At, CallFilter, DataFilter, Patience, Reader, read_artifact};

/// Which training data are exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this verdict.
    pub verdict: Option<Verdict>,
    /// Only these iterations; all without any.
    pub iterations: Vec<RangeInclusive<u32>>,
    /// Only these skills; all without any.
    pub skills: Vec<String>,
}

impl Filter {
    fn keeps(&self, judged: &JudgedDatum) -> bool {
        let iteration = judged.datum.provenance.iteration;
        self.verdict.is_none_or(|verdict| verdict == judged.verdict)
            && (self.iterations.is_empty() || self.iterations.iter().any(|range| range.contains(&iteration)))
            && (self.skills.is_empty() || self.skills.contains(&judged.datum.skill))
    }
}

/// Takes one record with its ULID.
pub(super) type Visit<'a, T> = &'a mut dyn FnMut(Ulid, T) -> Result<(), ExchangeError>;

/// An open run.
#[derive(Debug)]
pub(super) struct Source {
    folder: PathBuf,
    reader: Reader,
    seed: u64,
}

impl Source {
    pub(super) fn open(folder: &Path) -> Result<Self, ExchangeError> {
        let reader = Reader::open(folder)?;
        let seed = reader.record()?.seed;
        Ok(Self { folder: folder.to_owned(), reader, seed })
    }

    /// The episode as of the last event.
    pub(super) fn episode(&self) -> Result<Episode, ExchangeError> {
        Ok(self.reader.episode()?)
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The bytes of an image of the run.
    pub(super) fn image(&self, image: &ImageRef) -> Result<Vec<u8>, ExchangeError> {
        Ok(read_artifact(&self.folder, image)?)
    }

    /// Visits the data that the filter keeps, in the order of iterations and ids. A datum has the same ULID
    /// whatever the filter is, also after it was imported.
    pub(super) fn each_datum(
        &self,
        filter: &Filter,
        visit: Visit<'_, JudgedDatum>,
    ) -> Result<(), ExchangeError> {
        let mut counts: HashMap<(u32, u32), u32> = HashMap::new();
        stopped(|stop| {
            self.reader.each_datum(&DataFilter::default(), |judged| {
                let from = &judged.datum.provenance;
                let count = counts.entry((from.iteration, from.round)).or_default();
                // What was imported under a ULID keeps it.
                let ulid = judged.datum.id.parse().unwrap_or_else(|_| {
                    self.ulid("datum", from.iteration, from.round, *count, &judged.datum.id)
                });
                *count += 1;
                if filter.keeps(&judged) {
                    stop(visit(ulid, judged));
                }
            })
        })
    }

    /// Visits the records of a kind; training data are visited by [`Source::each_datum`].
    pub(super) fn each_record(&self, kind: Kind, visit: Visit<'_, Record>) -> Result<(), ExchangeError> {
        let episode = self.reader.episode()?;
        match kind {
            Kind::Data => Ok(()),
            Kind::Run => {
                let run = anonymous(self.reader.record()?);
                visit(self.ulid("run", 0, 0, 0, ""), Record::Run(run))
            }
            Kind::Instances => SPLITS.into_iter().try_for_each(|split| self.instances(split, visit)),
            Kind::Predictions => iterations(&episode).try_for_each(|iteration| {
                SPLITS.into_iter().try_for_each(|split| self.predictions(iteration, split, visit))
            }),
            Kind::TeacherCalls => {
                let (mut count, mut at) = (0, At::Position(0));
                loop {
                    let page =
                        self.reader.teacher_calls(&CallFilter::default(), at, PAGE, Patience::default())?;
                    let Some((last, _)) = page.rows.last() else { return Ok(()) };
                    at = At::After(*last);
                    for (_, call) in page.rows {
                        let context = &call.context;
                        let ulid = self.ulid("call", context.iteration, context.round, count, &call.id);
                        count += 1;
                        visit(ulid, Record::TeacherCall(call))?;
                    }
                }
            }
            Kind::Training => iterations(&episode).try_for_each(|iteration| self.curve(iteration, visit)),
            Kind::Journal => self.journal(visit),
            Kind::Reports => iterations(&episode).zip(&episode.iterations).try_for_each(|(n, row)| {
                [&row.validation, &row.test].into_iter().flatten().try_for_each(|report| {
                    let ulid = self.ulid("report", n, 0, 0, report.split.as_str());
                    visit(ulid, Record::Report(report.clone()))
                })
            }),
            Kind::Plans => episode.iterations.iter().flat_map(|row| &row.plans).try_for_each(|plan| {
                let ulid = self.ulid("plan", plan.iteration, plan.round, 0, "");
                visit(ulid, Record::Plan(plan.clone()))
            }),
        }
    }

    fn instances(&self, split: Split, visit: Visit<'_, Record>) -> Result<(), ExchangeError> {
        let mut count = 0;
        stopped(|stop| {
            self.reader.each_instance(split, |instance| {
                let ulid = self.ulid(split.as_str(), 0, 0, count, &instance.id);
                count += 1;
                stop(visit(ulid, Record::Instance(instance)));
            })
        })
    }

    /// Visits the predictions of an evaluation.
    pub(super) fn predictions(
        &self,
        iteration: u32,
        split: Split,
        visit: Visit<'_, Record>,
    ) -> Result<(), ExchangeError> {
        let mut count = 0;
        stopped(|stop| {
            self.reader.each_prediction(iteration, split, |prediction| {
                let key = format!("{}/{}", split.as_str(), prediction.instance_id);
                let ulid = self.ulid("prediction", iteration, 0, count, &key);
                count += 1;
                stop(visit(ulid, Record::Prediction(Answered { iteration, split, prediction })));
            })
        })
    }

    fn curve(&self, iteration: u32, visit: Visit<'_, Record>) -> Result<(), ExchangeError> {
        self.reader.training_curve(iteration)?.into_iter().try_for_each(|mut progress| {
            let ulid = self.ulid("training", iteration, 0, progress.step, "");
            // Measured, so never twice the same.
            progress.tokens_per_second = 0.0;
            visit(ulid, Record::Training(CurvePoint { iteration, progress }))
        })
    }

    /// Every event of the journal with the episode after it.
    pub(super) fn replay(&self, mut visit: impl FnMut(&Event, &Episode)) -> Result<(), ExchangeError> {
        let mut episode = Episode::new(self.reader.record()?.rules);
        for entry in self.reader.journal(i64::MAX as usize)? {
            episode.handle(entry.event.clone());
            visit(&entry.event, &episode);
        }
        Ok(())
    }

    fn journal(&self, visit: Visit<'_, Record>) -> Result<(), ExchangeError> {
        let entries = self.reader.journal(i64::MAX as usize)?;
        entries.into_iter().zip(0_u32..).try_for_each(|(entry, n)| {
            let ulid = self.ulid("event", 0, 0, n, "");
            visit(ulid, Record::Event(timeless(entry.event, &self.folder)))
        })
    }

    /// 14 bits of iteration, 10 of round and 24 of index order the records of a run.
    pub(super) fn ulid(&self, kind: &str, iteration: u32, round: u32, index: u32, key: &str) -> Ulid {
        let bits = |number: u32, width: u32| u64::from(number.min((1 << width) - 1));
        let order = bits(iteration, 14) << 34 | bits(round, 10) << 24 | bits(index, 24);
        // Beyond the bits the records share their order, so the index goes into the key.
        Ulid::derived(self.seed, order, &format!("{kind}/{iteration}/{round}/{index}/{key}"))
    }
}

/// Teacher calls read at a time.
const PAGE: usize = 500;
const SPLITS: [Split; 3] = [Split::Validation, Split::Test, Split::Pool];

fn iterations(episode: &Episode) -> std::ops::Range<u32> {
    0..episode.iterations.len() as u32
}

/// Walks a list of the database whose visitor cannot fail, and keeps the first failure of ours.
fn stopped<E: Into<ExchangeError>>(
    walk: impl FnOnce(&mut dyn FnMut(Result<(), ExchangeError>)) -> Result<(), E>,
) -> Result<(), ExchangeError> {
    let mut failure = None;
    let walked = walk(&mut |result| {
        if let Err(error) = result {
            failure.get_or_insert(error);
        }
    });
    failure.map_or(walked.map_err(Into::into), Err)
}
