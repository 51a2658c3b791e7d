//! Runs whose folder is shared with other machines: the live database on scratch, and what copies say.

use std::path::{Path, PathBuf};

use dataenvgym::runner::filesystem::SystemProbe;
use dataenvgym::runner::lock::LockError;
use dataenvgym::runner::machine;
use dataenvgym::runner::residence::{CLAIM, Claim, Residence, ResidenceError, Root, SCRATCH, live_of};
use dataenvgym::store::DATABASE;
use rusqlite::Connection;

/// A run on a shared file system, seen from two machines with a scratch folder each.
struct Cluster {
    home: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["shared/run", "one", "two"] {
            std::fs::create_dir_all(home.path().join(name)).unwrap();
        }
        Self { home }
    }

    fn run(&self) -> PathBuf {
        self.home.path().join("shared/run")
    }

    fn settle_at(&self, scratch: &str) -> Result<Residence, ResidenceError> {
        let probe = SystemProbe::new(vec![self.home.path().join("shared").canonicalize().unwrap()]);
        let roots = [Root { folder: self.home.path().join(scratch), chosen: true }];
        Residence::settle(&self.run(), &probe, &roots)
    }

    /// The process ends without a word, and its machine is declared gone by a person.
    fn dies(&self, residence: Residence) {
        drop(residence);
        std::fs::remove_file(self.run().join(CLAIM)).unwrap();
    }
}

fn write(folder: &Path, value: i64) {
    let connection = Connection::open(folder.join(DATABASE)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t (x)").unwrap();
    connection.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
}

fn values(folder: &Path) -> Vec<i64> {
    let connection = Connection::open(folder.join(DATABASE)).unwrap();
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_local_run_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let residence = Residence::settle(folder.path(), &SystemProbe::default(), &[]).unwrap();
    assert_eq!(residence.live(), folder.path());
    assert!(residence.notices().is_empty() && Claim::of(folder.path()).unwrap().is_none());
    assert!(matches!(
        Residence::settle(folder.path(), &SystemProbe::default(), &[]),
        Err(ResidenceError::Lock(LockError::Held(..)))
    ));
    residence.leave().unwrap();
}

#[test]
fn a_run_on_a_shared_folder_works_on_scratch_and_comes_home() {
    let cluster = Cluster::new();
    let mut residence = cluster.settle_at("one").unwrap();
    assert!(residence.live().starts_with(cluster.home.path().join("one")));
    assert!(residence.notices()[0].contains("one"), "{:?}", residence.notices());
    write(residence.live(), 1);
    assert!(!cluster.run().join(DATABASE).exists());
    residence.copy_back().unwrap();
    write(residence.live(), 2);
    assert_eq!(values(&cluster.run()), [1]);
    assert_eq!(live_of(&cluster.run()), residence.live());
    assert!(matches!(cluster.settle_at("one"), Err(ResidenceError::Lock(LockError::Held(..)))));
    // The same machine with another environment finds the same lock.
    assert!(matches!(cluster.settle_at("two"), Err(ResidenceError::Lock(LockError::Held(..)))));
    residence.leave().unwrap();
    assert_eq!(values(&cluster.run()), [1, 2]);
    assert_eq!(live_of(&cluster.run()), cluster.run());
    let header = std::fs::read(cluster.run().join(DATABASE)).unwrap();
    // Neither version says write-ahead log: a reader needs no shared memory there.
    assert_eq!(header[18..20], [1, 1]);
    let elsewhere = cluster.settle_at("two").unwrap();
    assert_eq!(values(elsewhere.live()), [1, 2]);
    assert_eq!(elsewhere.notices().len(), 1, "{:?}", elsewhere.notices());
}

#[test]
fn a_killed_process_is_continued_from_its_scratch() {
    let cluster = Cluster::new();
    let mut residence = cluster.settle_at("one").unwrap();
    write(residence.live(), 1);
    residence.copy_back().unwrap();
    write(residence.live(), 2);
    drop(residence);
    let again = cluster.settle_at("one").unwrap();
    assert_eq!(values(again.live()), [1, 2]);
    assert_eq!(values(&cluster.run()), [1, 2]);
}

#[test]
fn what_a_dead_machine_did_since_its_last_copy_is_lost_and_said() {
    let cluster = Cluster::new();
    let mut first = cluster.settle_at("one").unwrap();
    write(first.live(), 1);
    first.copy_back().unwrap();
    write(first.live(), 2);
    cluster.dies(first);
    let second = cluster.settle_at("two").unwrap();
    assert_eq!(values(second.live()), [1]);
    let said = second.notices().join("\n");
    assert!(said.contains("is lost and is done again"), "{said}");
    write(second.live(), 3);
    second.leave().unwrap();
    // The first machine comes back: its own scratch is older now.
    let third = cluster.settle_at("one").unwrap();
    assert_eq!(values(third.live()), [1, 3]);
    let said = third.notices().join("\n");
    assert!(said.contains("was not used") && !said.contains("is lost"), "{said}");
}

#[test]
fn another_machine_is_kept_out_and_told_what_to_do() {
    let cluster = Cluster::new();
    let path = cluster.run().join(CLAIM);
    let claim = Claim {
        host: "node-17".into(),
        boot: "b".into(),
        pid: 4711,
        scratch: "/scratch/x".into(),
        renewed_ms: machine::now_ms(),
    };
    std::fs::write(&path, serde_json::to_vec(&claim).unwrap()).unwrap();
    let said = cluster.settle_at("one").unwrap_err().to_string();
    for words in ["node-17", "less than a minute ago", &path.display().to_string(), "remove"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(live_of(&cluster.run()), cluster.run());
    let ahead = Claim { renewed_ms: machine::now_ms() + 86_400_000, ..claim };
    std::fs::write(&path, serde_json::to_vec(&ahead).unwrap()).unwrap();
    let said = cluster.settle_at("one").unwrap_err().to_string();
    assert!(said.contains("ahead of this machine's clock"), "{said}");
    std::fs::write(&path, "{").unwrap();
    let said = cluster.settle_at("one").unwrap_err().to_string();
    assert!(said.contains("cannot be understood") && said.contains(CLAIM), "{said}");
}

#[test]
fn a_claim_leads_nowhere_but_to_this_runs_scratch() {
    let cluster = Cluster::new();
    let precious = cluster.home.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    write(&precious, 9);
    let claim = Claim {
        host: machine::host(),
        boot: machine::boot(),
        pid: 1,
        scratch: precious.clone(),
        renewed_ms: 0,
    };
    std::fs::write(cluster.run().join(CLAIM), serde_json::to_vec(&claim).unwrap()).unwrap();
    assert_eq!(live_of(&cluster.run()), cluster.run());
    let residence = cluster.settle_at("one").unwrap();
    assert!(residence.live().starts_with(cluster.home.path().join("one")));
    assert_eq!(values(&precious), [9]);
}

#[test]
fn a_run_that_was_killed_on_a_local_disk_moves_to_a_shared_one_whole() {
    let cluster = Cluster::new();
    // Its write-ahead log is not closed.
    let writer = Connection::open(cluster.run().join(DATABASE)).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    std::mem::forget(writer);
    let residence = cluster.settle_at("one").unwrap();
    assert_eq!(values(residence.live()), [1]);
    assert_eq!(values(&cluster.run()), [1]);
    assert!(!cluster.run().join("run.db-wal").exists());
}

#[test]
fn without_a_local_folder_nothing_begins() {
    let cluster = Cluster::new();
    let shared = cluster.home.path().join("shared");
    let probe = SystemProbe::new(vec![cluster.home.path().canonicalize().unwrap()]);
    let roots = [Root { folder: shared, chosen: false }];
    let said = Residence::settle(&cluster.run(), &probe, &roots).unwrap_err().to_string();
    assert!(said.contains(SCRATCH) && said.contains("as well"), "{said}");
}
