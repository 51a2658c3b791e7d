//! The plan of every query that grows with a run: a search by key, never a scan, never a sort.

use super::super::index::{SELECT_POSTING, SELECT_TERM, SELECT_VALUES, Shelf};
use super::super::listing::{SELECT_DIRECTORY, SELECT_HITS, SELECT_HITS_BACK, select_block};
use super::super::reader::SELECT_INSTANCES;
use super::super::shelves::{
    SELECT_CALL_PLACE, SELECT_DATUM_PLACE, SELECT_IDS, SELECT_INSTANCE, SELECT_LAST_CALL, select_one,
};
use super::super::{DATABASE, journal, snapshot};
use super::fresh;

#[test]
fn no_query_scans_or_sorts() {
    let (folder, store) = fresh();
    drop(store);
    let connection = rusqlite::Connection::open(folder.path().join(DATABASE)).unwrap();
    let fixed = [
        SELECT_TERM,
        SELECT_POSTING,
        SELECT_VALUES,
        SELECT_DIRECTORY,
        SELECT_HITS,
        SELECT_HITS_BACK,
        SELECT_INSTANCE,
        SELECT_INSTANCES,
        SELECT_IDS,
        SELECT_CALL_PLACE,
        SELECT_DATUM_PLACE,
        SELECT_LAST_CALL,
        journal::SELECT_EVENTS,
        journal::SELECT_LAST_EVENT,
        journal::SELECT_CURVE,
        journal::SELECT_BEGAN,
        journal::SELECT_POINT,
        journal::SELECT_REQUEST,
        snapshot::DELETE_BLOCKS,
        snapshot::DELETE_TREES,
    ];
    let mut queries = fixed.map(str::to_owned).to_vec();
    for shelf in [Shelf::Datum, Shelf::Prediction, Shelf::TeacherCall] {
        queries.extend([select_one(shelf), select_block(shelf)]);
    }
    for sql in queries {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for n in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(n, "1").unwrap();
        }
        let mut rows = statement.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get::<_, String>(3).unwrap());
        }
        for line in &plan {
            // A full-text index calls every use of it a scan; its number says that words and range are used.
            let searched = line.starts_with("SEARCH") || line.ends_with(":M1><");
            assert!(searched && !line.contains("TEMP B-TREE"), "{sql}\n{plan:?}");
        }
    }
}
