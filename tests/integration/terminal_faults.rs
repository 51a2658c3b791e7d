//! What may happen to a terminal: the client leaves it sane, and the run goes on.

use std::time::{Duration, Instant};

use dataenvgym::gym::episode::Halt;
use dataenvgym::store::{Reader, RunRecord, Store};
use rustix::process::Signal;

use crate::home::{Home, episode, wait_for};
use crate::screen::started;
use crate::terminal::{Screen, told_only_what_is_known};

/// Iterations a run has, to see that it goes on.
fn iterations(folder: &std::path::Path) -> usize {
    episode(folder).map_or(0, |episode| episode.iterations.len())
}

fn goes_on(folder: &std::path::Path) {
    let then = iterations(folder);
    wait_for("progress without a client", || (iterations(folder) > then).then_some(()));
}

/// Leaves, whatever is open. Keys that are read together are still single keys.
fn leave(screen: &mut Screen) {
    screen.press("\u{1b}\u{1b}q");
    screen.wait("background");
    screen.press("\r");
    screen.restored();
}

fn gone(pid: u32) -> Option<()> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that ended and was not yet asked for its end is gone too.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, None | Some("Z")).then_some(())
}

/// A person who closes a terminal leaves nothing behind.
fn gone_within(limit: Duration, pid: u32) {
    let began = Instant::now();
    wait_for("the end of the client", || gone(pid));
    let took = began.elapsed();
    assert!(took < limit, "the client was there for {took:?}");
}

#[test]
fn a_panic_gives_the_terminal_back_and_says_what_happened() {
    let home = Home::new();
    let folder = started(&home, 4, 60);
    let environment = [("DATAENVGYM_FAULT_FRAME", "5")];
    let mut screen = Screen::open_with(&home, &["attach", "scripted"], (80, 24), &environment);
    screen.restored();
    assert!(screen.text().contains("frame 5 was to fail"), "{}", screen.text());
    assert!(screen.text().contains("ended with 101"), "{}", screen.text());
    goes_on(&folder);
}

#[test]
fn signals_and_a_dead_line_end_the_client_and_nothing_else() {
    let home = Home::new();
    let folder = started(&home, 4, 200);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let mut screen = Screen::open(&home, &["attach", "scripted"], (80, 24));
        screen.wait("2 Iterations");
        let client = screen.program();
        screen.signal(signal);
        gone_within(Duration::from_secs(1), client);
        screen.restored();
        screen.wait(&format!("ended with {code}"));
    }
    let mut screen = Screen::open(&home, &["attach", "scripted"], (80, 24));
    screen.wait("2 Iterations");
    let client = screen.program();
    screen.hang_up();
    gone_within(Duration::from_secs(1), client);
    // Whoever ignores hang-ups when the client starts does not make it immortal.
    let mut screen = Screen::open_deaf(&home, &["attach", "scripted"], (80, 24));
    screen.wait("2 Iterations");
    let client = screen.program();
    screen.hang_up();
    // No signal says so: the client looks at its terminal twice a second, and gives it some time to come back to life.
    gone_within(Duration::from_secs(2), client);
    goes_on(&folder);
}

#[test]
fn a_stopped_client_gives_the_terminal_to_the_shell_and_comes_back() {
    let home = Home::new();
    let folder = started(&home, 4, 200);
    let mut screen = Screen::open_as_job(&home, &["attach", "scripted"], (80, 24));
    screen.wait("2 Iterations");
    screen.press("\u{1a}");
    screen.wait("stopped with 147");
    screen.as_before();
    goes_on(&folder);
    screen.press("\n");
    screen.wait("· runner ");
    assert!(screen.shown().screen().alternate_screen());
    screen.press("?");
    screen.wait("advance one phase");
    screen.press("\u{1b}");
    wait_for("the end of the help", || (!screen.text().contains("advance one phase (")).then_some(()));
    leave(&mut screen);
}

#[test]
fn a_client_that_was_stopped_by_force_comes_back_with_its_keys() {
    let home = Home::new();
    started(&home, 4, 200);
    let mut screen = Screen::open_as_job(&home, &["attach", "scripted"], (80, 24));
    screen.wait("· runner ");
    // Nobody gave the terminal back, so the shell did it its own way.
    screen.signal(Signal::STOP);
    screen.wait("stopped with 147");
    screen.cook();
    screen.press("\n");
    wait_for("raw mode", || screen.is_raw().then_some(()));
    screen.press("q");
    screen.wait("background");
    screen.press("\r");
    screen.wait("ended with 0");
}

#[test]
fn keys_that_come_with_a_new_size_are_not_lost() {
    let home = Home::new();
    started(&home, 4, 200);
    let mut screen = Screen::open(&home, &["attach", "scripted"], (100, 30));
    screen.wait("· runner ");
    for n in 0..60_u16 {
        screen.resize((100 - n % 2, 30));
        screen.press("?");
        screen.wait("advance one phase (");
        screen.press("\u{1b}");
        screen.resize((100, 30 + n % 2));
        wait_for("the end of the help", || (!screen.text().contains("advance one phase (")).then_some(()));
    }
    leave(&mut screen);
}

#[test]
fn a_storm_of_sizes_down_to_one_cell_ends_in_a_whole_screen() {
    let home = Home::new();
    let folder = started(&home, 4, 200);
    let mut screen = Screen::open(&home, &["attach", "scripted"], (120, 40));
    screen.wait("· runner ");
    for n in 0..400_u16 {
        screen.resize((2 + n * 37 % 199, 2 + n * 23 % 59));
        if n % 7 == 0 {
            screen.press("\t");
        }
    }
    for size in [(20, 5), (2, 2), (1, 1), (1, 50), (300, 1)] {
        screen.resize(size);
        screen.press("1j4j?\u{1b}");
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    screen.resize((100, 30));
    screen.wait("1 Skills");
    let width = |row: &String| row.trim_end().chars().count();
    let rows = || screen.shown().screen().rows(0, 100).collect::<Vec<_>>();
    wait_for("the whole width", || rows().iter().any(|row| width(row) == 100).then_some(()));
    leave(&mut screen);
    goes_on(&folder);
}

#[test]
fn the_smallest_terminals_do_no_harm() {
    let home = Home::new();
    let folder = started(&home, 0, 1);
    wait_for("the end", || episode(&folder).filter(|e| e.halt == Some(Halt::Finished)));
    for size in [(20, 5), (10, 2), (2, 1), (1, 1)] {
        let mut screen = Screen::open(&home, &["attach", "scripted"], size);
        wait_for("a frame", || find(&screen.bytes(), b"\x1b[?2026l").then_some(()));
        screen.press("1jj\r4jj\r");
        screen.resize((80, 24));
        screen.press("q");
        screen.restored();
        screen.wait("ended with 0");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_terminal_that_cannot_do_it_and_no_terminal_are_named() {
    let home = Home::new();
    started(&home, 0, 1);
    for term in ["dumb", ""] {
        let mut screen = Screen::open_with(&home, &["attach", "scripted"], (80, 24), &[("TERM", term)]);
        screen.restored();
        let text = screen.text();
        assert!(text.contains("TERM") && text.contains("attach --text"), "{text}");
        assert!(!find(&screen.bytes(), b"\x1b["), "{:?}", screen.bytes());
    }
}

/// A folder of a run may come from anywhere, and so may the name in it.
#[test]
fn the_name_in_a_foreign_run_steers_no_terminal() {
    let home = Home::new();
    started(&home, 0, 1);
    let own = Reader::open(&home.run_folder("scripted")).unwrap().record().unwrap();
    let name = "odd\u{1b}]0;title\u{7}\u{202e}".to_owned();
    let folder = home.run_folder("odd");
    std::fs::create_dir_all(&folder).unwrap();
    drop(Store::create(&folder, &RunRecord { name, ..own }, &[]).unwrap());
    for arguments in [&["attach", "--text", "odd"][..], &["wait", "odd"], &["runs"]] {
        let output = home.output(arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("odd\u{241b}]0;title"), "{arguments:?}: {said}");
        assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{arguments:?}: {said:?}");
    }
    let mut screen = Screen::open(&home, &["attach", "odd"], (120, 40));
    screen.wait("no runner");
    screen.press("q");
    screen.restored();
    assert!(screen.text().contains("run `odd\u{241b}]0;title"), "{}", screen.text());
    told_only_what_is_known(&screen.bytes());
}

/// What copies a text may hang; the screen does not wait for it.
#[test]
fn a_clipboard_that_hangs_holds_nothing_up() {
    let home = Home::new();
    started(&home, 4, 200);
    let folder = home.path("slow");
    std::fs::create_dir_all(&folder).unwrap();
    let tmux = folder.join("tmux");
    std::fs::write(&tmux, "#!/bin/sh\necho asked > \"$0.asked\"\nexec sleep 20\n").unwrap();
    std::fs::set_permissions(&tmux, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let environment = [("TMUX", "/tmp/none,1,0"), ("PATH", path.as_str())];
    let mut screen = Screen::open_with(&home, &["attach", "scripted"], (120, 40), &environment);
    screen.wait("· runner ");
    screen.press("4t");
    screen.wait("the student's response");
    screen.press("y");
    wait_for("the copy", || folder.join("tmux.asked").exists().then_some(()));
    let began = Instant::now();
    screen.press("?");
    screen.wait("advance one phase (");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    screen.press("\u{1b}");
    wait_for("the end of the help", || (!screen.text().contains("advance one phase (")).then_some(()));
    leave(&mut screen);
}

#[test]
fn the_terminal_is_asked_nothing_and_told_only_what_is_known() {
    let home = Home::new();
    started(&home, 4, 60);
    let mut screen = Screen::open(&home, &["attach", "scripted"], (120, 40));
    screen.wait("· runner ");
    // Getting and losing the focus and a resize are where others ask.
    for keys in ["1jjk\r", "\u{1b}[O", "\u{1b}[I", "4j\r", "\u{1b}", "?", "\u{1b}", "T", "\u{1b}", "C", "q"] {
        screen.press(keys);
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    screen.resize((90, 25));
    screen.wait("1 Skills");
    leave(&mut screen);
    told_only_what_is_known(&screen.bytes());
}
