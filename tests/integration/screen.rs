//! The terminal interface in a pseudo-terminal, as a person meets it.

use dataenvgym::gym::datum::Verdict;
use dataenvgym::gym::episode::{Episode, Halt, Phase};
use dataenvgym::store::{At, DataFilter, Patience, Reader};

use crate::home::{Home, episode, wait_for};
use crate::terminal::Screen;

pub fn started(home: &Home, latency_ms: u32, iterations: u32) -> std::path::PathBuf {
    let config = home.scripted(latency_ms, iterations);
    home.stdout(&["run", "--config", &config]);
    home.run_folder("scripted")
}

#[test]
fn a_person_looks_steps_and_leaves_and_the_run_goes_on() {
    let home = Home::new();
    let folder = started(&home, 4, 60);
    let mut screen = Screen::open(&home, &["attach", "scripted"], (120, 40));
    for words in ["1 Skills", "2 Iterations", "3 Machine", "4 Samples", "two_step", "runner"] {
        screen.wait(words);
    }
    screen.press("?");
    screen.wait("advance one phase");
    screen.press("\u{1b}");
    wait_for("the end of the help", || (!screen.text().contains("advance one phase (")).then_some(()));
    screen.press("p");
    wait_for("the pause", || episode(&folder).filter(|e| !e.running));
    screen.wait("paused");
    let before = episode(&folder).unwrap().work;
    screen.press("n");
    wait_for("one phase", || episode(&folder).filter(|e| !e.running && e.work != before));
    screen.press("r");
    wait_for("the run", || episode(&folder).filter(|e| e.running));
    screen.press("q");
    screen.wait("background");
    screen.press("\r");
    screen.restored();
    assert!(screen.text().contains("goes on in the background"), "{}", screen.text());
    let then = episode(&folder).unwrap().iterations.len();
    wait_for("progress without a client", || (episode(&folder)?.iterations.len() > then).then_some(()));
}

#[test]
fn the_program_alone_opens_the_quick_start_and_it_works_at_once() {
    let home = Home::new();
    let scripted = [("DATAENVGYM_STUDENT__MODEL", "scripted"), ("DATAENVGYM_EPISODE__ITERATIONS", "1")];
    let mut screen = Screen::open_with(&home, &[], (120, 40), &scripted);
    for words in ["quickstart", "1 Skills", "2 Iterations", "student scripted"] {
        screen.wait(words);
    }
    let folder = home.run_folder("quickstart");
    wait_for("the first score", || episode(&folder)?.latest_report().map(drop));
    screen.wait("all skills");
    wait_for("the end", || episode(&folder).filter(|e| e.halt == Some(Halt::Finished)));
    screen.wait("finished");
    screen.press("q\r");
    screen.restored();
    screen.wait("ended with 0");
}

#[test]
fn another_run_is_opened_from_the_list_and_no_connection_is_left_behind() {
    let home = Home::new();
    let folder = started(&home, 4, 200);
    let mut screen = Screen::open(&home, &["attach", "scripted"], (120, 40));
    screen.wait("· runner ");
    let runner = dataenvgym::runner::lock::holder(&folder).unwrap().pid;
    let sockets = || {
        let files = std::fs::read_dir(format!("/proc/{runner}/fd")).unwrap().flatten();
        let of = |file: std::fs::DirEntry| std::fs::read_link(file.path()).ok();
        files.filter_map(of).filter(|to| to.to_string_lossy().starts_with("socket:")).count()
    };
    let before = sockets();
    for _ in 0..10 {
        screen.press("R");
        // What is left of a help half wiped away is no list yet.
        let listed = |shown: &str| shown.contains(" Runs ") && shown.contains("● scripted");
        wait_for("the list", || listed(&screen.text()).then_some(()));
        screen.press("\r");
        wait_for("the other screen", || (!screen.text().contains(" Runs ")).then_some(()));
        screen.wait("· runner ");
        // No key is lost to the reader of the screen before.
        screen.press("?");
        screen.wait("advance one phase (");
        screen.press("\u{1b}");
        wait_for("the end of the help", || (!screen.text().contains("advance one phase (")).then_some(()));
    }
    // Workers come and go, so a few more are none of the clients'.
    wait_for("the clients to be let go", || (sockets() <= before + 5).then_some(()));
    screen.press("q");
    screen.wait("background");
    screen.press("\r");
    screen.restored();
}

#[test]
fn a_killed_client_changes_nothing_in_the_run() {
    let home = Home::new();
    let folder = started(&home, 3, 2);
    let screen = Screen::open(&home, &["attach", "scripted"], (80, 24));
    screen.wait("2 Iterations");
    screen.signal(rustix::process::Signal::KILL);
    let finished = || episode(&folder).filter(|e| e.halt == Some(Halt::Finished));
    let episode = wait_for("the end of the run", finished);
    assert_eq!(episode.iterations.len(), 3);
}

#[test]
fn the_terminal_is_restored_after_a_signal() {
    let home = Home::new();
    started(&home, 4, 60);
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut screen = Screen::open(&home, &["attach", "scripted"], (80, 24));
        screen.wait("2 Iterations");
        screen.signal(signal);
        screen.restored();
    }
}

#[test]
fn a_stopped_run_is_shown_and_resumed_by_a_key() {
    let home = Home::new();
    let folder = started(&home, 0, 2);
    wait_for("the end", || episode(&folder).filter(|e| e.halt == Some(Halt::Finished)));
    let mut screen = Screen::open(&home, &["attach"], (200, 55));
    screen.wait("finished");
    screen.wait("gain");
    screen.press("q");
    screen.press("\r");
    screen.restored();
    let long = started_again(&home);
    let mut screen = Screen::open(&home, &["attach", "again"], (100, 30));
    screen.wait("2 Iterations");
    assert!(!episode(&long).unwrap().running);
    screen.press("n");
    wait_for("a phase by a fresh runner", || episode(&long)?.iterations[0].validation.clone());
}

#[test]
fn a_person_drives_a_run_through_its_gates() {
    let home = Home::new();
    let config = home.scripted(15, 20);
    home.stdout(&["run", "--config", &config, "--name", "driven"]);
    let folder = home.run_folder("driven");
    let editor = home.path("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i 's/^Add .*/What is one and one?/; s/^What .*/What is one and one?/; s/^Calculate .*/What is one and one?/' \"$1\"\n").unwrap();
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let environment = [("EDITOR", editor.to_str().unwrap())];
    let mut screen = Screen::open_with(&home, &["attach", "driven"], (120, 40), &environment);
    screen.wait("2 Iterations");
    screen.wait("· runner ");
    screen.press("p");
    wait_for("the pause", || episode(&folder).filter(|e| !e.running));
    // A gate before generate; the list stays open, so that what it leads to is seen in it.
    screen.press("b");
    screen.wait("before generate");
    screen.press("ggjj\r");
    wait_for("the gate", || episode(&folder).filter(|e| e.rules.gates.contains(&Phase::Generate)));
    screen.wait("[x] before generate");
    screen.press("jj\r");
    wait_for("the other gate", || episode(&folder).filter(|e| e.rules.gates.contains(&Phase::Train)));
    screen.wait("[x] before train");
    screen.press("q");
    screen.press("r");
    let at = |phase| move |e: &Episode| !e.running && e.work.is_some_and(|w| w.phase == phase);
    let reached = || episode(&folder).filter(at(Phase::Generate));
    let planned = wait_for("the gate before generate", reached);
    // Typed numbers reach the plan.
    screen.wait("the run waits for you");
    screen.press("P");
    screen.wait("data in all");
    screen.press("17\r");
    let edited = wait_for("another plan", || {
        let e = episode(&folder)?;
        e.iterations.last()?.plans.last().filter(|p| p.edited).cloned()
    });
    assert_eq!(edited.allocations[0].count, 17);
    assert_ne!(planned.iterations.last().unwrap().plans[0].allocations[0].count, 17);
    screen.press("r");
    wait_for("the gate before train", || episode(&folder).filter(at(Phase::Train)));
    screen.wait("accepts a datum");
    // The first datum is reworded in the person's editor, the second rejected.
    screen.press("4E");
    let reader = Reader::open(&folder).unwrap();
    let data = || reader.data(&DataFilter::default(), At::Position(0), 2, Patience::default()).unwrap().rows;
    wait_for("other words", || data()[0].1.review.as_ref()?.original.clone());
    assert_eq!(data()[0].1.datum.instruction, "What is one and one?");
    screen.wait("your review");
    screen.press("j-");
    wait_for("the rejection", || data()[1].1.review.as_ref()?.verdict.filter(|v| *v == Verdict::Rejected));
    screen.press("Nseen by a person\r");
    screen.press("L");
    screen.wait("note: seen by a person");
    screen.press("q");
    // An order that cannot be carried out is refused, and said so.
    screen.press("P");
    screen.wait("before its data are generated");
    screen.press("q");
    screen.wait("background");
    screen.press("\r");
    screen.restored();
}

#[test]
fn a_finished_run_goes_on_with_other_limits() {
    let home = Home::new();
    let folder = started(&home, 0, 1);
    wait_for("the end", || episode(&folder).filter(|e| e.halt == Some(Halt::Finished)));
    let mut screen = Screen::open(&home, &["attach", "scripted"], (120, 40));
    screen.wait("all iterations are done");
    screen.press("x");
    screen.wait("When the run ends");
    screen.press("2\r");
    wait_for("other limits", || episode(&folder).filter(|e| e.rules.budget.iterations == 2));
    screen.wait("aused");
    screen.press("r");
    wait_for("the new end", || episode(&folder).filter(|e| e.finished() && e.iterations.len() == 3));
}

#[test]
fn without_colour_no_colour_is_sent_and_a_bad_key_file_is_named() {
    let home = Home::new();
    started(&home, 0, 1);
    let mut screen = Screen::open_with(&home, &["attach", "scripted"], (80, 24), &[("NO_COLOR", "1")]);
    screen.wait("validation");
    screen.press("1");
    screen.wait("all skills");
    let colours = |screen: &Screen| {
        let shown = screen.shown();
        let cell =
            |n: u16| shown.screen().cell(n / 80, n % 80).map(|c| (c.fgcolor(), c.bgcolor(), c.inverse()));
        (0..80 * 24).filter_map(cell).collect::<Vec<_>>()
    };
    let plain = vt100::Color::Default;
    assert!(colours(&screen).iter().all(|(fg, bg, _)| *fg == plain && *bg == plain));
    assert!(colours(&screen).iter().any(|(_, _, inverse)| *inverse), "the selection can be seen");
    screen.press("q");
    screen.press("\r");
    let settings = home.path("settings/dataenvgym");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(settings.join("keymap.toml"), "[everywhere]\nzoom = 'q'\n").unwrap();
    let environment = [("XDG_CONFIG_HOME", home.path("settings"))];
    let environment = environment.each_ref().map(|(name, path)| (*name, path.to_str().unwrap()));
    let screen = Screen::open_with(&home, &["attach", "scripted"], (120, 40), &environment);
    screen.wait("keymap.toml, line 2: `q` would mean both");
}

/// A run that was made and stopped before its first phase ended.
fn started_again(home: &Home) -> std::path::PathBuf {
    let config = home.scripted(10, 3);
    home.stdout(&["run", "--config", &config, "--name", "again"]);
    home.stdout(&["stop", "--now", "again"]);
    let folder = home.run_folder("again");
    wait_for("the end of its process", || {
        (!dataenvgym::runner::lock::RunLock::is_held(&folder)).then_some(())
    });
    folder
}
