//! Disks that are full, folders that are read-only, folders that other machines see: with the real program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataenvgym::gym::episode::Halt;
use dataenvgym::runner::lock::{self, RunLock};
use dataenvgym::runner::residence::{CLAIM, Claim};
use dataenvgym::store::DATABASE;

use crate::faults::{current_phase, unharmed};
use crate::home::{Home, episode, outcome, text, wait_for};

/// A small file system in memory; gone with this value.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount; the reason is printed.
    fn mount(at: PathBuf, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: a small disk cannot be mounted by this user");
        None
    }

    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        // It is busy as long as the last worker of a run that is over has its log open.
        wait_for("the remount", || {
            let remounted = Command::new("mount").args(["-o", &option]).arg(&self.0).output().unwrap();
            remounted.status.success().then_some(())
        });
    }

    /// Takes all room, also while others write.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let file = std::fs::File::create(&path).unwrap();
        let mut end = 0;
        for step in [1 << 20, 1 << 16, 1 << 12] {
            while rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end, step).is_ok() {
                end += step;
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn below_the_floor_no_phase_begins_and_the_run_waits_for_room() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    let expected = unharmed(&home, &config);
    let Some(disk) = Disk::mount(home.path("runs"), 64) else { return };
    let output = home.output(&["run", "--config", &config, "--headless", "--name", "small"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(75), "{out}\n{}", text(&output.stderr));
    for words in
        ["paused: disk full", home.run_folder("small").to_str().unwrap(), "256 MiB", "free some space"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(home.stdout(&["runs"]).contains("disk full"));
    assert_eq!(home.output(&["wait", "small"]).status.code(), Some(75));
    disk.remount("size=600m");
    home.stdout(&["run", "--name", "small", "--headless"]);
    assert_eq!(outcome(&home.run_folder("small")), expected);
}

#[test]
fn a_disk_that_runs_full_pauses_the_run_and_loses_nothing() {
    let home = Home::new();
    let config = home.scripted(2, 3);
    let expected = unharmed(&home, &config);
    let Some(disk) = Disk::mount(home.path("runs"), 48) else { return };
    let run =
        |arguments: &[&str]| home.command(arguments).env("DATAENVGYM_MIN_FREE_MIB", "0").output().unwrap();
    assert!(run(&["run", "--config", &config, "--name", "full"]).status.success());
    let folder = home.run_folder("full");
    wait_for("the ballast", || folder.join("ballast").exists().then_some(()));
    wait_for("an evaluation", || current_phase(&folder));
    let filler = disk.fill();
    let paused = wait_for("the pause", || episode(&folder).filter(|e| !e.running && e.halt.is_some()));
    let Some(Halt::NoRoom { message }) = &paused.halt else { panic!("{:?}", paused.halt) };
    assert!(message.contains("free some space") && message.contains("resume"), "{message}");
    let looked = text(&run(&["attach", "--text", "full"]).stdout);
    assert!(looked.contains("disk full") && looked.contains("free some space"), "{looked}");
    assert!(!folder.join("ballast").exists());
    // The process is there and waits.
    assert!(RunLock::is_held(&folder));
    assert_eq!(run(&["wait", "full"]).status.code(), Some(75));
    assert!(text(&run(&["runs"]).stdout).contains("disk full"));
    std::fs::remove_file(filler).unwrap();
    let resumed = run(&["run", "--name", "full"]);
    assert!(text(&resumed.stdout).contains("goes on in the background"), "{}", text(&resumed.stderr));
    assert_eq!(run(&["wait", "full"]).status.code(), Some(0));
    assert_eq!(outcome(&folder), expected);
}

#[test]
fn a_full_disk_at_the_start_is_named_with_the_remedy() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    let Some(disk) = Disk::mount(home.path("runs"), 8) else { return };
    let filler = disk.fill();
    let output = home.output(&["run", "--config", &config, "--headless"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains(home.path("runs").to_str().unwrap()), "{said}");
    assert!(said.contains("free some space") && !said.contains("panicked"), "{said}");
    std::fs::remove_file(filler).unwrap();
    // The name was not used up by a run that never came to be.
    let output = home
        .command(&["run", "--config", &config, "--headless"])
        .env("DATAENVGYM_MIN_FREE_MIB", "0")
        .output();
    assert!(output.unwrap().status.success());
}

#[test]
fn a_read_only_folder_is_named_with_the_remedy() {
    let home = Home::new();
    let Some(disk) = Disk::mount(home.path("runs"), 64) else { return };
    let config = home.scripted(0, 1);
    let made = home
        .command(&["run", "--config", &config, "--headless"])
        .env("DATAENVGYM_MIN_FREE_MIB", "0")
        .output();
    assert!(made.unwrap().status.success());
    disk.remount("ro");
    let again = ["run", "--name", "scripted", "--headless"];
    let new = ["run", "--config", &config, "--name", "new"];
    for arguments in [&again[..], &new[..], &["delete", "--yes", "scripted"][..]] {
        let output = home.output(arguments);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("Read-only file system"), "{arguments:?}: {said}");
        assert!(said.contains(home.path("runs").to_str().unwrap()), "{arguments:?}: {said}");
        assert!(said.contains("--runs-dir") && !said.contains("panicked"), "{arguments:?}: {said}");
    }
    // Looking says either what is there, or what keeps it from looking and where.
    let list = home.stdout(&["runs"]);
    assert!(list.contains("finished") || list.contains("unreadable"), "{list}");
    let looked = home.output(&["attach", "--text", "scripted"]);
    let said = text(&looked.stdout) + &text(&looked.stderr);
    assert!(said.contains("selected by validation") || said.contains("--runs-dir"), "{said}");
}

/// The program on a home whose runs lie on a file system that other machines see.
fn shared(home: &Home, arguments: &[&str]) -> Command {
    std::fs::create_dir_all(home.path("scratch")).unwrap();
    std::fs::create_dir_all(home.path("runs")).unwrap();
    let mut command = home.command(arguments);
    command.env("DATAENVGYM_NETWORK_FOLDERS", home.path("runs").canonicalize().unwrap());
    command.env("DATAENVGYM_SCRATCH", home.path("scratch"));
    command
}

fn scratch_of(folder: &Path) -> Option<PathBuf> {
    Some(Claim::of(folder).ok()??.scratch)
}

#[test]
fn a_run_on_a_shared_folder_works_on_scratch_and_survives_a_kill() {
    let home = Home::new();
    let config = home.scripted(2, 2);
    let expected = unharmed(&home, &config);
    let arguments = ["run", "--config", &config, "--headless", "--name", "shared"];
    let command = &mut shared(&home, &arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let folder = home.run_folder("shared");
    let scratch = wait_for("the claim", || {
        let scratch = scratch_of(&folder)?;
        episode(&scratch).filter(|e| e.iterations.len() > 1)?;
        Some(scratch)
    });
    assert!(
        scratch.starts_with(home.path("scratch").canonicalize().unwrap())
            || scratch.starts_with(home.path("scratch"))
    );
    assert!(RunLock::is_held(&scratch) && !folder.join("run.db-wal").exists());
    // The list finds the live state without being told where it is.
    assert!(home.stdout(&["runs"]).contains("running"));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = shared(&home, &["run", "--headless", "--name", "shared"]).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("works in") && !said.contains("is lost"), "{said}");
    assert!(!folder.join(CLAIM).exists());
    assert_eq!(outcome(&folder), expected);
}

/// Every copy of a run, killed just before and just after it gets its name.
#[test]
fn a_shared_run_killed_at_each_of_its_copies_comes_to_the_same_end() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    let expected = unharmed(&home, &config);
    let mut killed = 0;
    for point in ["copies.rename.before", "copies.rename.after"] {
        for n in 1.. {
            let name = format!("{}-{n}", point.replace('.', "-"));
            let arguments = ["run", "--config", &config, "--headless", "--name", &name];
            let mut harmed = shared(&home, &arguments);
            let output = harmed.env("DATAENVGYM_FAULT", format!("{point}:{n}")).output().unwrap();
            if output.status.success() {
                break;
            }
            killed += 1;
            let output = shared(&home, &arguments).output().unwrap();
            assert!(output.status.success(), "{point} {n}: {}", text(&output.stderr));
            assert_eq!(outcome(&home.run_folder(&name)), expected, "{point} {n}");
        }
    }
    // Making, opening, one per phase and the last one.
    assert!(killed >= 2 * 9, "{killed}");
}

#[test]
fn a_shared_run_killed_at_any_moment_comes_to_the_same_end() {
    let home = Home::new();
    let config = home.scripted(1, 2);
    let expected = unharmed(&home, &config);
    for (n, after) in (0..8_u64).map(|n| (n, 20 + 70 * n)) {
        let name = format!("killed-{n}");
        let arguments = ["run", "--config", &config, "--headless", "--name", &name];
        let command = &mut shared(&home, &arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = shared(&home, &arguments).output().unwrap();
        assert!(output.status.success(), "after {after} ms: {}", text(&output.stderr));
        assert_eq!(outcome(&home.run_folder(&name)), expected, "killed after {after} ms");
    }
}

#[test]
fn a_node_that_died_costs_what_it_did_since_the_last_copy_and_no_more() {
    let home = Home::new();
    let config = home.scripted(2, 2);
    let expected = unharmed(&home, &config);
    let arguments = ["run", "--config", &config, "--name", "moved"];
    assert!(shared(&home, &arguments).output().unwrap().status.success());
    let folder = home.run_folder("moved");
    let scratch = scratch_of(&folder).unwrap();
    wait_for("a second iteration", || episode(&scratch).filter(|e| e.iterations.len() > 1));
    crate::faults::kill(lock::holder(&scratch).unwrap().pid);
    wait_for("its end", || (!RunLock::is_held(&scratch)).then_some(()));
    // The node is gone with its disk, and its claim says another name than this machine's.
    std::fs::remove_dir_all(home.path("scratch")).unwrap();
    let claim = Claim { host: "node-17".into(), ..Claim::of(&folder).unwrap().unwrap() };
    std::fs::write(folder.join(CLAIM), serde_json::to_vec(&claim).unwrap()).unwrap();
    let resume = ["run", "--headless", "--name", "moved"];
    let refused = shared(&home, &resume).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("node-17") && said.contains(CLAIM), "{said}");
    assert!(home.stdout(&["runs"]).contains("on node-17"));
    let said = text(&home.output(&["stop", "moved"]).stderr);
    assert!(said.contains("node-17: stop it there"), "{said}");
    std::fs::remove_file(folder.join(CLAIM)).unwrap();
    let output = shared(&home, &resume).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("is lost and is done again"), "{said}");
    assert_eq!(outcome(&folder), expected);
    assert!(shared(&home, &["delete", "--yes", "moved"]).output().unwrap().status.success());
    assert!(!folder.exists() && !scratch.join(DATABASE).exists());
}

#[test]
fn without_local_scratch_the_run_is_refused_with_the_remedy() {
    let home = Home::new();
    let config = home.scripted(0, 1);
    let mut command = shared(&home, &["run", "--config", &config, "--headless"]);
    let output = command.env("DATAENVGYM_SCRATCH", home.path("runs")).output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("Set DATAENVGYM_SCRATCH"), "{said}");
}
