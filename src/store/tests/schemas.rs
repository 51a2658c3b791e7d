//! Databases of other schemas, of other programs, and no databases at all.

use std::fs;
use std::path::Path;

use super::super::*;
use super::fresh;
use crate::gym::datum::Verdict;
use crate::gym::episode::Halt;
use crate::gym::instance::Split;
use crate::gym::ports::Ledger;

/// A copy of the run that a released program made.
fn released(schema: u32) -> tempfile::TempDir {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store/schema-{schema}"));
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture.join(DATABASE), folder.path().join(DATABASE)).unwrap();
    folder
}

#[test]
fn every_released_schema_opens_for_reading_and_writing() {
    let read = released(1);
    let reader = Reader::open(read.path()).unwrap();
    let written = released(1);
    let store = Store::open(written.path()).unwrap();
    let episode = reader.episode().unwrap();
    assert_eq!((store.replay().unwrap(), store.refold().unwrap()), (episode.clone(), episode.clone()));
    assert_eq!((episode.iterations.len(), episode.halt), (3, Some(Halt::Finished)));
    assert_eq!(reader.record().unwrap().policy, "by_error");
    assert_eq!(reader.journal(1000).unwrap().len(), 2 + reader.timings().unwrap().len());
    assert_eq!(reader.timings().unwrap()[0].phase, "evaluate");
    assert_eq!(reader.training_curve(2).unwrap().len(), 1);
    let ids: Vec<_> = store.data().unwrap().into_iter().map(|d| d.datum.id).collect();
    assert_eq!((ids.len(), ids[0].as_str(), ids[9].as_str()), (10, "i001-r0-00000", "i002-r0-00004"));
    assert_eq!(store.predictions(1, Split::Validation).unwrap().len(), 6);
    assert_eq!(reader.paired(Split::Test, 0, 2).unwrap().len(), 4);
    let filter = DataFilter {
        iteration: Some(2),
        verdict: Some(Verdict::Rejected),
        failed: Some("leakage".into()),
        source_error: Some("v3".into()),
        text: Some("3 PEARS".into()),
        ..DataFilter::default()
    };
    let page = reader.data(&filter, At::Position(0), 9, Patience::default()).unwrap();
    assert_eq!(page.rows.iter().map(|(_, d)| d.datum.id.as_str()).collect::<Vec<_>>(), ["i002-r0-00003"]);
    // What was there before is kept, and a second start changes nothing.
    assert_eq!(fs::read(read.path().join("run.db.schema-1")).unwrap().len(), 45056);
    drop((reader, store));
    assert_eq!(Store::open(written.path()).unwrap().data().unwrap().len(), 10);
}

#[test]
fn a_run_of_schema_2_goes_on_as_it_was() {
    let folder = released(2);
    let old = rusqlite::Connection::open(folder.path().join(DATABASE)).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = old.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let snapshot = texts("SELECT record FROM snapshot").remove(0);
    let iterations = texts("SELECT record FROM iteration ORDER BY number");
    let kinds = texts("SELECT json_extract(event, '$.event') FROM journal ORDER BY seq");
    let mut whole: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    whole["iterations"] = serde_json::from_str(&format!("[{}]", iterations.join(","))).unwrap();
    crate::gym::decimal::decimals(&mut whole);
    drop(old);

    let store = Store::open(folder.path()).unwrap();
    let episode = store.replay().unwrap();
    // Nothing of the old state is lost: the skill forest with its history, every report, every plan.
    assert_eq!(serde_json::to_value(&episode).unwrap(), whole);
    assert_eq!((store.refold().unwrap(), episode.halt.clone()), (episode.clone(), Some(Halt::Finished)));
    assert!(episode.forest.trees.iter().all(|tree| tree.history.len() == 4));
    let reader = Reader::open(folder.path()).unwrap();
    let journal = reader.journal(1000).unwrap();
    assert_eq!(journal.iter().map(|e| e.event.word()).collect::<Vec<_>>(), kinds);
    let asked: Vec<_> =
        journal.iter().filter_map(|e| Some((e.seq, e.request.as_ref()?.origin.as_str()))).collect();
    assert_eq!(asked, [(2, "the start"), (11, "user 0 process 10332"), (14, "the start")]);
    let ids = journal.iter().filter_map(|e| Some(&e.request.as_ref()?.id));
    assert!(ids.clone().all(|id| store.is_journalled(id).unwrap()) && ids.count() == 3);
    assert!(!store.is_journalled("somebody/1").unwrap());
    assert_eq!(store.data().unwrap().len(), 8);
    assert!(folder.path().join("run.db.schema-2").exists());
    // The old file beside it is what it was.
    let kept = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("run.db.schema-2"), kept.path().join(DATABASE)).unwrap();
    assert_eq!(Store::open(kept.path()).unwrap().replay().unwrap(), episode);
}

#[test]
fn a_damaged_journal_of_schema_2_is_not_taken_over() {
    for sql in [
        "UPDATE journal SET event = replace(event, '\"count\":4', '\"count\":5') WHERE seq = 5",
        "DELETE FROM journal WHERE seq = 7",
        "DELETE FROM journal WHERE seq = 24",
    ] {
        let folder = released(2);
        let path = folder.path().join(DATABASE);
        assert_eq!(rusqlite::Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1, "{sql}");
        let said = Store::open(folder.path()).unwrap_err().to_string();
        assert!(said.contains("run.db") && said.contains("`journal` is damaged"), "{sql}: {said}");
        let version: i64 = rusqlite::Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 2, "{sql}");
    }
}

#[test]
fn an_older_database_in_use_is_left_alone() {
    let folder = released(1);
    let other = rusqlite::Connection::open(folder.path().join(DATABASE)).unwrap();
    let _: i64 = other.query_row("SELECT count(*) FROM datum", [], |row| row.get(0)).unwrap();
    let said = Store::open(folder.path()).unwrap_err().to_string();
    assert!(said.contains("run.db") && said.contains("open elsewhere"), "{said}");
    drop(other);
    Store::open(folder.path()).unwrap();
}

fn refusals(folder: &Path) -> [String; 2] {
    [Store::open(folder).map(drop), Reader::open(folder).map(drop)].map(|result| {
        let said = result.unwrap_err().to_string();
        assert!(said.contains("run.db"), "{said}");
        said
    })
}

#[test]
fn what_is_no_run_of_ours_is_refused_with_a_remedy() {
    let (folder, store) = fresh();
    drop(store);
    let path = folder.path().join(DATABASE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Newer { found: 99, .. })));
    for said in refusals(folder.path()) {
        assert!(said.contains("use a newer program"), "{said}");
    }
    connection.pragma_update(None, "user_version", 2).unwrap();
    connection.pragma_update(None, "application_id", 7).unwrap();
    for said in refusals(folder.path()) {
        assert!(said.contains("another program"), "{said}");
    }
    drop(connection);
    for bytes in [&b""[..], b"run.db", &[0; 8192], &[0xff; 8192]] {
        fs::write(&path, bytes).unwrap();
        for said in refusals(folder.path()) {
            assert!(said.contains("start the run again"), "{said}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "a file that is refused is not touched");
    }
}
