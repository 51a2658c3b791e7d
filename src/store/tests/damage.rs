//! Damaged files: either the run reads as it was, or a message names the file.

use std::fs;
use std::path::Path;

use super::super::*;
use super::*;

/// Everything that can be read of a run.
#[derive(Debug, PartialEq)]
struct Everything {
    record: RunRecord,
    episode: Episode,
    journal: Vec<JournalEntry>,
    timings: Vec<PhaseTiming>,
    curve: Vec<TrainingProgress>,
    data: Vec<JudgedDatum>,
    predictions: Vec<Prediction>,
    answers: Vec<(u32, Prediction)>,
    pairs: Vec<(String, bool, bool)>,
    calls: Vec<TeacherCall>,
    lists: Vec<(Count, Vec<String>)>,
}

fn read(reader: &Reader) -> Result<Everything, StoreError> {
    let (mut data, mut predictions) = (Vec::new(), Vec::new());
    reader.each_datum(&DataFilter::default(), |judged| data.push(judged))?;
    for iteration in [0, 1] {
        reader.each_prediction(iteration, Split::Validation, |prediction| predictions.push(prediction))?;
    }
    let rejected = DataFilter { verdict: Some(Verdict::Rejected), ..DataFilter::default() };
    let odd =
        DataFilter { skill: Some("odd".into()), verdict: Some(Verdict::Accepted), ..DataFilter::default() };
    let mut lists = Vec::new();
    for filter in [DataFilter::default(), rejected, odd] {
        let page = reader.data(&filter, At::Position(0), 1000, Patience::default())?;
        let ids = page.rows.into_iter().map(|(_, judged)| judged.datum.id).collect();
        lists.push((reader.count_data(&filter, Patience::default())?, ids));
    }
    let calls = reader.teacher_calls(&CallFilter::default(), At::Position(0), 100, Patience::default())?;
    Ok(Everything {
        record: reader.record()?,
        episode: reader.episode()?,
        journal: reader.journal(1000)?,
        timings: reader.timings()?,
        curve: reader.training_curve(1)?,
        data,
        predictions,
        answers: reader.answers(Split::Validation, "v1")?,
        pairs: reader.paired(Split::Validation, 0, 1)?,
        calls: calls.rows.into_iter().map(|(_, call)| call).collect(),
        lists,
    })
}

/// A run with something in every table. Half of it is in the file, half in the log beside it.
fn written() -> (tempfile::TempDir, Store) {
    let (folder, mut store) = fresh();
    let fill = |store: &mut Store, iteration: u32| {
        let mut episode = store.replay().unwrap();
        for event in [Event::Opened, Event::Commanded { command: Command::AdvancePhase }] {
            let effects = episode.handle(event.clone());
            store.append(&event, &episode).unwrap();
            for effect in effects {
                if let Effect::Perform { work, .. } = effect {
                    store.begin(work).unwrap();
                    store.end(work).unwrap();
                }
            }
        }
        let answers: Vec<_> = (0..6).map(|n| prediction(n, n <= iteration * 3)).collect();
        store.put_predictions(iteration, Split::Validation, &answers).unwrap();
        let data: Vec<_> = (0..40)
            .map(|n| {
                let mut judged = datum(n, if n % 7 == 0 { Verdict::Rejected } else { Verdict::Accepted });
                judged.datum.id = format!("i{iteration:03}-r0-{n:05}");
                judged.datum.instruction = format!("How much is {n} and {n}? ").repeat(8);
                judged
            })
            .collect();
        store.put_data(iteration, 0, &data).unwrap();
        store.put_teacher_calls(&[call(iteration, iteration, false)]).unwrap();
        for step in 1..=3 {
            let point = TrainingProgress {
                step,
                steps: 3,
                loss: 0.5,
                learning_rate: 1e-3,
                tokens_per_second: 9.0,
                seconds_left: 3.0,
                held_out_loss: None,
            };
            store.put_training_progress(1, point).unwrap();
        }
    };
    fill(&mut store, 0);
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    fill(&mut store, 1);
    (folder, store)
}

const FILES: [&str; 3] = ["run.db", "run.db-wal", "run.db-shm"];

fn copy(from: &Path, to: &Path) {
    for name in FILES {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Reads a damaged copy as a client and as a runner would.
fn judge(folder: &Path, original: &Everything, what: &str) -> bool {
    let client = Reader::open(folder).and_then(|reader| read(&reader));
    let runner = Store::open(folder).and_then(|mut store| {
        store.checked()?;
        let (record, episode) = (store.record()?, store.replay()?);
        let data = store.data().map_err(|e| e.message);
        let data =
            data.map_err(|said| StoreError::Damaged { path: folder.into(), table: "datum", message: said })?;
        Ok((record, episode, data))
    });
    match &client {
        Ok(found) => {
            let rest =
                |e: &Everything| (e.timings.clone(), e.curve.clone(), e.answers.clone(), e.pairs.clone());
            assert_eq!(rest(found), rest(original), "{what}");
            assert!(found == original, "{what}: a client read something else");
        }
        Err(error) => assert!(error.to_string().contains("run.db"), "{what}: {error}"),
    }
    match &runner {
        Ok((record, episode, data)) => {
            let same = (record, episode, data) == (&original.record, &original.episode, &original.data);
            assert!(same, "{what}: a runner read something else");
        }
        Err(error) => assert!(error.to_string().contains("run.db"), "{what}: {error}"),
    }
    client.is_err() || runner.is_err()
}

/// How many places are tried; the variable asks for more than a test has time for.
fn places(length: usize) -> impl Iterator<Item = usize> {
    let wanted = std::env::var("STORE_DAMAGE").ok().and_then(|n| n.parse().ok()).unwrap_or(150_usize);
    (0..wanted.min(length)).map(move |n| n * length / wanted.min(length))
}

#[test]
fn a_changed_byte_is_found_or_changes_nothing() {
    let (folder, store) = written();
    let original = read(&Reader::open(folder.path()).unwrap()).unwrap();
    assert_eq!((original.data.len(), original.curve.len(), original.pairs.len()), (80, 3, 6));
    let scratch = tempfile::tempdir().unwrap();
    let mut found = 0;
    for name in &FILES[..2] {
        let length = fs::metadata(folder.path().join(name)).unwrap().len() as usize;
        for (n, at) in places(length).enumerate() {
            copy(folder.path(), scratch.path());
            let path = scratch.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= [0x01, 0x80, 0xff, 0x10][n % 4];
            fs::write(&path, bytes).unwrap();
            found += usize::from(judge(scratch.path(), &original, &format!("{name}, byte {at}")));
        }
    }
    assert!(found > 50, "{found} changes were found");
    drop(store);
}

#[test]
fn a_cut_file_is_found() {
    let (folder, store) = written();
    let original = read(&Reader::open(folder.path()).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for name in &FILES[..2] {
        let length = fs::metadata(folder.path().join(name)).unwrap().len() as usize;
        for at in places(length).step_by(3) {
            copy(folder.path(), scratch.path());
            let path = scratch.path().join(name);
            fs::write(&path, &fs::read(&path).unwrap()[..at]).unwrap();
            judge(scratch.path(), &original, &format!("{name} cut to {at}"));
        }
    }
    drop(store);
}

#[test]
fn a_log_can_be_given_up_behind_its_damage() {
    let (folder, store) = written();
    let log = folder.path().join(FILES[1]);
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let copied = tempfile::tempdir().unwrap();
    copy(folder.path(), copied.path());
    drop(store);
    let log = copied.path().join(FILES[1]);
    fs::write(&log, &bytes).unwrap();
    let said = match Store::open(copied.path()) {
        Err(StoreError::Log { keep, path }) => {
            assert_eq!(path, log);
            fs::File::options().write(true).open(&log).unwrap().set_len(keep).unwrap();
            StoreError::Log { keep, path }.to_string()
        }
        other => panic!("{other:?}"),
    };
    assert!(said.contains("run.db-wal") && said.contains("truncate -s"), "{said}");
    fs::remove_file(copied.path().join(FILES[2])).unwrap();
    Store::open(copied.path()).unwrap().replay().unwrap();
}
