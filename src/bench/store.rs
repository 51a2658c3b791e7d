//! The store at the size of a long run: insertion, pages, search, resume, a second process that reads.

mod lists;
mod processes;
mod rows;

use std::path::Path;

pub use processes::{hold, read, resume};

use super::scratch::Scratch;
use super::{BenchError, Figure, Sink, Times};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Command, Effect, Episode, Event, Phase, Work};
use crate::gym::instance::Split;
use crate::gym::ports::{Fact, Ledger};
use crate::gym::skill_forest::ForestChange;
use crate::store::{Reader, Store};

/// Data of one iteration.
const ROUND: usize = 10_000;

/// Measures a store of `rows` training data. `program` is this program, which is started again as a client and
/// as a runner.
///
/// # Errors
/// When the temporary folder has no room or the store fails.
pub fn run(rows: usize, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let folder = Scratch::new()?;
    let path = folder.path().join("run");
    let mut take = |figure: &str, value: f64, unit: &'static str, conditions: &str| {
        sink(Figure::new(format!("store.{figure}"), value, unit, conditions));
    };
    let mut store = create(&path, rows)?;
    let client = processes::Client::start(program, &path)?;
    let mut times = Filling::default();
    fill(&mut store, rows, &mut times)?;
    let reading = client.end()?;
    let bytes = size(&path);
    take("rows", rows as f64, "rows", "training data in rounds of 10,000, each a transaction of its own");
    let rate = times.rows as f64 / times.put.sum() * 1000.0;
    take(
        "insert_rows_per_s",
        rate,
        "rows/s",
        "all indexes, search and hashes; a second process reads meanwhile",
    );
    let rate = times.judged as f64 / times.judge.sum() * 1000.0;
    take(
        "judge_rows_per_s",
        rate,
        "rows/s",
        "a round of pending data replaced by the same data with verdicts",
    );
    take(
        "prediction_rows_per_s",
        times.predicted as f64 / times.predict.sum() * 1000.0,
        "rows/s",
        "64 per commit",
    );
    take("bytes_per_row", bytes as f64 / rows as f64, "bytes", "the whole database");
    for (name, value) in &reading {
        take(
            &format!("reading_while_writing.{name}"),
            *value,
            "",
            "second process: episode, count, page of 60",
        );
    }
    take(
        "append_ms_p50",
        times.append.quantile(0.5),
        "ms",
        "an event and the episode after it, synchronised",
    );
    take(
        "append_ms_p99",
        times.append.quantile(0.99),
        "ms",
        "an event and the episode after it, synchronised",
    );
    drop(store);
    let reader = Reader::open(&path)?;
    lists::measure(&reader, rows, &mut take)?;
    let mut all = Times::default();
    let mut seen = 0_u64;
    all.take(|| reader.each_datum(&crate::store::DataFilter::default(), |_| seen += 1))?;
    take(
        "read_all_rows_per_s",
        seen as f64 / all.sum() * 1000.0,
        "rows/s",
        "every datum, verified, in order",
    );
    drop(reader);
    let clean = processes::resumed(program, &path, false)?;
    take("resume_ms", clean, "ms", "process start to running phase, after a clean end");
    let unclean = processes::resumed(program, &path, true)?;
    take(
        "resume_after_kill_ms",
        unclean,
        "ms",
        "process start to running phase, after a kill; the check of the file goes on beside it",
    );
    long_journal(&mut take)
}

/// Makes the run of this bench up in a folder, for benches that look at one.
///
/// # Errors
/// When there is no room or the store fails.
pub(super) fn make_up(path: &Path, rows: usize) -> Result<(), BenchError> {
    fill(&mut create(path, rows)?, rows, &mut Filling::default())
}

fn create(path: &Path, rows: usize) -> Result<Store, BenchError> {
    Ok(Store::create(path, &rows::record(rows.div_ceil(ROUND)), &rows::all_instances())?)
}

/// Times of writing.
#[derive(Default)]
struct Filling {
    put: Times,
    rows: usize,
    judge: Times,
    judged: usize,
    predict: Times,
    predicted: usize,
    append: Times,
}

/// Plays an episode with as many iterations as the rows need.
fn fill(store: &mut Store, rows: usize, times: &mut Filling) -> Result<(), BenchError> {
    let mut episode = store.replay()?;
    let take = |store: &mut Store, times: &mut Filling, event: Event, episode: &mut Episode| {
        let effects = episode.handle(event.clone());
        times.append.take(|| store.append(&event, episode)).map(|()| effects)
    };
    take(store, times, Event::Opened, &mut episode)?;
    let mut effects = take(store, times, Event::Commanded { command: Command::Run }, &mut episode)?;
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        store.begin(work)?;
        let fact = perform(store, rows, work, &episode, times)?;
        store.end(work)?;
        effects = take(store, times, Event::completed(fact), &mut episode)?;
    }
    Ok(())
}

fn perform(
    store: &mut Store,
    rows: usize,
    work: Work,
    episode: &Episode,
    times: &mut Filling,
) -> Result<Fact, BenchError> {
    let first = (work.iteration.max(1) as usize - 1) * ROUND;
    let size = ROUND.min(rows.saturating_sub(first));
    Ok(match work.phase {
        Phase::Evaluate => {
            let split = work.split.unwrap_or(Split::Validation);
            let (instances, answers) = rows::answers(work.iteration, split);
            for chunk in answers.chunks(64) {
                times.predict.take(|| store.put_predictions(work.iteration, split, chunk))?;
            }
            times.predicted += answers.len();
            rows::report(work.iteration, split, &instances, &answers)
        }
        Phase::Plan => rows::plan(work.iteration, &episode.forest),
        // Every tenth round is written as a run writes it: pending first.
        Phase::Generate if work.iteration % 10 == 1 => {
            let data: Vec<JudgedDatum> = rows::data(work.iteration, size);
            let pending: Vec<_> = data.into_iter().map(|judged| JudgedDatum::pending(judged.datum)).collect();
            times.put.take(|| store.put_data(work.iteration, 0, &pending))?;
            times.rows += size;
            Fact::Generated { count: size as u32, teacher_tokens: 0 }
        }
        Phase::Generate => Fact::Generated { count: size as u32, teacher_tokens: 0 },
        Phase::Check => {
            let data = rows::data(work.iteration, size);
            if work.iteration % 10 == 1 {
                times.judge.take(|| store.put_data(work.iteration, 0, &data))?;
                times.judged += size;
            } else {
                times.put.take(|| store.put_data(work.iteration, 0, &data))?;
                times.rows += size;
            }
            let accepted = data.iter().filter(|judged| judged.verdict == Verdict::Accepted).count() as u32;
            let rejected = size as u32 - accepted;
            Fact::Checked {
                accepted,
                rejected,
                forest: ForestChange::default(),
                failed: std::collections::BTreeMap::new(),
                teacher_tokens: 0,
            }
        }
        Phase::Train => Fact::Trained { outcome: None },
    })
}

/// What an event costs when a thousand iterations came before it.
fn long_journal(take: &mut lists::Take<'_>) -> Result<(), BenchError> {
    const ITERATIONS: usize = 1000;
    let folder = Scratch::new()?;
    let mut store = Store::create(folder.path(), &rows::record(ITERATIONS), &[])?;
    let mut episode = store.replay()?;
    let mut late = Times::default();
    let mut effects = Vec::new();
    for event in [Event::Opened, Event::Commanded { command: Command::Run }] {
        effects = episode.handle(event.clone());
        store.append(&event, &episode)?;
    }
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        let fact = match work.phase {
            Phase::Evaluate => {
                let split = work.split.unwrap_or(Split::Validation);
                let (instances, answers) = rows::answers(work.iteration, split);
                rows::report(work.iteration, split, &instances, &answers)
            }
            Phase::Plan => rows::plan(work.iteration, &episode.forest),
            Phase::Generate => Fact::Generated { count: 0, teacher_tokens: 0 },
            Phase::Check => Fact::Checked {
                accepted: 0,
                rejected: 0,
                forest: ForestChange::default(),
                failed: std::collections::BTreeMap::new(),
                teacher_tokens: 0,
            },
            Phase::Train => Fact::Trained { outcome: None },
        };
        let event = Event::completed(fact);
        effects = episode.handle(event.clone());
        if work.iteration as usize + 20 > ITERATIONS {
            late.take(|| store.append(&event, &episode))?;
        } else {
            store.append(&event, &episode)?;
        }
    }
    let conditions = "after 1,000 iterations of 12 skills with 5 subskills each";
    take("journal1000.append_ms_p50", late.quantile(0.5), "ms", conditions);
    take("journal1000.append_ms_p99", late.quantile(0.99), "ms", conditions);
    let bytes = size(folder.path()) as f64 / 1e6;
    drop(store);
    let (mut open, mut replay, mut refold) = (Times::default(), Times::default(), Times::default());
    let store = open.take(|| Store::open(folder.path()))?;
    let replayed = replay.take(|| store.replay())?;
    let refolded = refold.take(|| store.refold())?;
    let reader = Reader::open(folder.path())?;
    let (mut first, mut again) = (Times::default(), Times::default());
    first.take(|| reader.episode())?;
    again.take(|| reader.episode())?;
    take("journal1000.replay_ms", open.sum() + replay.sum(), "ms", conditions);
    take("journal1000.refold_ms", refold.sum(), "ms", conditions);
    take("journal1000.episode_first_ms", first.sum(), "ms", conditions);
    take("journal1000.episode_again_ms", again.sum(), "ms", conditions);
    take("journal1000.megabytes", bytes, "MB", conditions);
    let differing = f64::from(u8::from(replayed != refolded || replayed != episode));
    take("journal1000.differing_episodes", differing, "", "replayed, folded from the journal, and as it was");
    Ok(())
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
