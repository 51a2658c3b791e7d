//! What keys and messages do to the state.

use super::*;
use crate::gym::datum::Verdict;
use crate::gym::episode::Command;
use crate::tui::action::{ACTIONS, Context};
use crate::tui::app::{Asked, List, Stage};
use crate::tui::facts::{Listing, Sample};
use crate::tui::layout::Pane;
use crate::tui::status::{State, transition};
use crate::tui::update::Exit;

fn sent(desk: &mut Desk, keys: &str) -> Vec<Effect> {
    desk.effects.clear();
    desk.press(keys);
    std::mem::take(&mut desk.effects)
}

#[test]
fn keys_become_commands_when_a_runner_is_there() {
    let table = [
        ("r", Command::Run),
        ("i", Command::AdvanceIteration),
        ("n", Command::AdvancePhase),
        ("p", Command::Pause),
        ("s", Command::Stop),
    ];
    for (key, command) in table {
        let (_folder, mut desk) = scene("training", (120, 40));
        assert_eq!(sent(&mut desk, key), [Effect::Send { id: 1, command: command.clone() }], "{key}");
        assert_eq!(desk.app.asked, Some(Asked { id: 1, command, stage: Stage::Sent }));
    }
}

#[test]
fn without_a_runner_one_is_started_or_the_person_is_told() {
    let (_folder, mut desk) = scene("gone", (120, 40));
    assert_eq!(sent(&mut desk, "p"), []);
    assert!(desk.app.notice.as_ref().unwrap().contains("no runner"));
    assert_eq!(sent(&mut desk, "n"), [Effect::Start { id: 1, command: Command::AdvancePhase }]);
    assert_eq!(transition(&desk.app).unwrap(), "starting a runner, then: one phase");
    assert_eq!(sent(&mut desk, "r"), []);
    desk.tell(Message::Link(LinkEvent::StartFailed { message: "no space".into() }));
    assert_eq!(desk.app.notice.as_deref(), Some("the runner could not be started: no space"));
    assert_eq!(desk.app.asked, None);
    assert_eq!(sent(&mut desk, "q"), [Effect::Quit(Exit::NoRunner)]);
}

#[test]
fn a_command_shows_at_once_and_until_its_effect_is_seen() {
    let (folder, mut desk) = scene("training", (120, 40));
    assert_eq!(transition(&desk.app), None);
    desk.press("p");
    assert_eq!(transition(&desk.app).unwrap(), "pause asked, waits for the end of train (sent)");
    desk.tell(Message::Link(LinkEvent::Acknowledged { id: 1 }));
    assert_eq!(transition(&desk.app).unwrap(), "pause asked, waits for the end of train");
    // What another terminal sees comes from the database alone.
    let mut player = Player {
        store: crate::store::Store::open(&folder.path().join("run")).unwrap(),
        episode: desk.app.facts.clone().unwrap().episode,
    };
    player.command(Command::Pause);
    desk.settle();
    assert_eq!(desk.app.asked, None);
    assert_eq!(transition(&desk.app).unwrap(), "pause asked, waits for the end of train");
    player.finish(work(2, Phase::Train, None));
    desk.settle();
    assert_eq!(transition(&desk.app), None);
    assert!(matches!(State::of(&desk.app), State::Paused(w) if w.phase == Phase::Evaluate));
}

#[test]
fn leaving_asks_and_the_default_keeps_the_run_going() {
    let (_folder, mut desk) = scene("training", (120, 40));
    for (keys, expected) in [
        ("q<Enter>", vec![Effect::Quit(Exit::Detached)]),
        ("qd", vec![Effect::Quit(Exit::Detached)]),
        ("qq", vec![Effect::Quit(Exit::Detached)]),
        ("qc", vec![]),
        ("q<Esc>", vec![]),
        ("qjjj<Enter>", vec![]),
        ("qk<Enter>", vec![]),
    ] {
        assert_eq!(sent(&mut desk, keys), expected, "{keys}");
        desk.app.overlay = None;
    }
    assert_eq!(sent(&mut desk, "qj<Enter>"), [Effect::Send { id: 1, command: Command::Stop }]);
    desk.tell(Message::Link(LinkEvent::Acknowledged { id: 1 }));
    assert_eq!(desk.effects, [Effect::Quit(Exit::Stopping)]);

    let (_folder, mut desk) = scene("training", (120, 40));
    assert_eq!(sent(&mut desk, "qx"), [Effect::Send { id: 1, command: Command::StopNow }]);
    desk.tell(Message::Link(LinkEvent::Absent));
    assert_eq!(desk.effects[0], Effect::Quit(Exit::Stopping));
}

#[test]
fn focus_zoom_and_overlays() {
    let (_folder, mut desk) = scene("training", (120, 40));
    assert_eq!(desk.app.focus, Pane::Iterations);
    for (keys, pane) in [("<Tab>", Pane::Machine), ("<BackTab><BackTab>", Pane::Skills), ("4", Pane::Samples)]
    {
        desk.press(keys);
        assert_eq!(desk.app.focus, pane);
    }
    desk.press("z");
    assert!(desk.app.zoom && desk.app.places().panes.len() == 1);
    desk.press("?");
    assert_eq!(desk.app.context(), Context::Line);
    let scroll = |desk: &Desk| match &desk.app.overlay {
        Some(Overlay::Help { scroll, .. }) => *scroll,
        other => panic!("{other:?}"),
    };
    desk.press("<PageDown><Down><Up>");
    let page = scroll(&desk);
    assert!(page > 5);
    desk.press("<Up>");
    assert_eq!(scroll(&desk), page - 1);
    desk.press("pause");
    assert_eq!(scroll(&desk), 0);
    assert!(desk.text().contains("pause after the running phase") && !desk.text().contains("colour theme"));
    desk.press("<Esc>");
    assert!(desk.text().contains("type a word or a key"), "the first Esc empties the search");
    desk.press("<Esc><Esc>");
    assert_eq!((desk.app.overlay.clone(), desk.app.hint), (None, false));
}

#[test]
fn help_names_every_key() {
    let (_folder, mut desk) = scene("fresh", (120, 40));
    desk.tell(Message::Resize(120, 260));
    desk.press("?");
    let shown = desk.text();
    for entry in ACTIONS {
        let keys = desk.app.keymap.named(entry);
        assert!(shown.contains(&keys), "{keys}");
        let first_words: String = entry.description.chars().take(20).collect();
        assert!(shown.contains(&first_words), "{first_words}");
    }
}

#[test]
fn the_tree_opens_and_samples_follow_the_skill() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.press("1jjj");
    assert_eq!(desk.app.skill.0.as_deref(), Some("multiplication"));
    let all_of_it = |desk: &Desk| {
        let page = desk.app.samples.page.as_ref().unwrap();
        let skill = |s: &Sample| matches!(s, Sample::Datum(d) if d.datum.skill == "multiplication");
        page.samples.iter().all(skill)
    };
    assert!(all_of_it(&desk) && desk.app.samples.page.as_ref().unwrap().total > 10);
    let closed = desk.app.skill_rows().len();
    desk.press("<Enter>");
    assert_eq!(desk.app.skill_rows().len(), closed + 2);
    desk.press("jj");
    assert_eq!(desk.app.skill.1.as_deref(), Some("two by two digits"));
    desk.press("h");
    assert_eq!((desk.app.skill_rows().len(), desk.app.skill.1.clone()), (closed, None));
    desk.press("f");
    assert!(!all_of_it(&desk));
    desk.press("G");
    assert_eq!(desk.app.skill.0.as_deref(), Some("word problems"));
    desk.press("g<Enter>");
    assert_eq!(desk.app.skill, (None, None));
}

#[test]
fn filters_go_round_and_the_list_starts_anew() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.press("4jjj");
    assert_eq!(desk.app.samples.selected, 3);
    let total = |desk: &Desk| desk.app.samples.page.as_ref().unwrap().total;
    let all = total(&desk);
    desk.press("a");
    assert_eq!((desk.app.samples.filter.verdict, desk.app.samples.selected), (Some(Verdict::Accepted), 0));
    let accepted = total(&desk);
    desk.press("a");
    assert_eq!((desk.app.samples.filter.verdict, accepted + total(&desk)), (Some(Verdict::Rejected), all));
    desk.press("att");
    assert_eq!((desk.app.samples.list, total(&desk)), (List::Calls, 0));
    desk.press("tt");
    assert_eq!((desk.app.samples.list, total(&desk)), (List::Predictions, 600));
    desk.press("a");
    assert_eq!(desk.app.samples.filter.correct, Some(false));
    desk.press("v");
    let Listing::Predictions(filter) = desk.app.listing() else { panic!() };
    assert_eq!((filter.split, filter.iteration), (Split::Test, 0));
}

#[test]
fn a_chosen_iteration_is_what_all_panes_are_about() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    assert_eq!((desk.app.iteration, desk.app.shown_iteration()), (None, 2));
    desk.press("k");
    assert_eq!((desk.app.iteration, desk.app.shown_report().unwrap().iteration), (Some(1), 1));
    let Listing::Training(filter) = desk.app.listing() else { panic!() };
    assert_eq!(filter.iteration, Some(1));
    assert!(desk.app.skill_rows()[0].since_first.unwrap() > 0.0);
    desk.press("g");
    assert_eq!(desk.app.skill_rows()[0].since_first, None);
    desk.press("G");
    assert_eq!((desk.app.iteration, desk.app.shown_iteration()), (Some(3), 3));
    desk.press("<Esc>");
    assert_eq!(desk.app.iteration, None);
}

#[test]
fn reading_scrolls_within_bounds_and_goes_on_to_the_next() {
    let (_folder, mut desk) = scene("training", (80, 24));
    desk.press("4<Enter>");
    assert!(desk.app.samples.reading);
    desk.press("kGG");
    let end = desk.app.samples.scroll;
    desk.press("j");
    assert_eq!(desk.app.samples.scroll, end);
    desk.press("]");
    assert_eq!((desk.app.samples.selected, desk.app.samples.scroll), (1, 0));
    desk.press("[[");
    assert_eq!(desk.app.samples.selected, 0);
    desk.press("<Esc>");
    assert!(!desk.app.samples.reading);
}

#[test]
fn the_selection_stays_with_its_sample_when_newer_rows_come() {
    let (folder, mut desk) = scene("training", (120, 40));
    desk.press("4jjjj");
    let id = desk.app.selected_sample().unwrap().id().to_owned();
    let mut player = Player::open(&folder.path().join("run"));
    player.run(|w| w == work(3, Phase::Check, None));
    desk.settle();
    desk.press("k");
    desk.press("j");
    assert!(desk.app.samples.page.as_ref().unwrap().total > 600);
    let now = desk.app.selected_sample().map(|s| s.id().to_owned());
    assert!(now.is_none_or(|now| now == id || desk.app.samples.selected == 4));
}

#[test]
fn the_machine_is_measured_only_while_something_runs_or_somebody_looks() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    assert!(!desk.effects.contains(&Effect::Watch(true)));
    assert_eq!(sent(&mut desk, "3"), [Effect::Watch(true)]);
    assert_eq!(sent(&mut desk, "2"), [Effect::Watch(false)]);
    let (_folder, desk) = scene("training", (120, 40));
    assert_eq!(desk.effects, [Effect::Watch(true)]);
}

#[test]
fn a_finished_run_says_what_was_gained() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    assert!(desk.app.facts.as_ref().unwrap().gain.unwrap().mean > 0.05);
    assert_eq!(sent(&mut desk, "r"), []);
    assert!(desk.app.notice.as_ref().unwrap().contains("every phase is done"));
}
