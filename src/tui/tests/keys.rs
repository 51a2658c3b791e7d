//! What keys and messages do to the state.

use super::*;
use crate::gym::datum::Verdict;
use crate::gym::episode::Command;
use crate::gym::ports::Ledger as _;
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
    // What another terminal sees comes from the database alone.
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    // The runner commits before it answers, and a look at the database may fall between the two.
    player.command(Command::Pause);
    desk.settle();
    assert_eq!(transition(&desk.app).unwrap(), "pause asked, waits for the end of train (sent)");
    desk.tell(Message::Link(LinkEvent::Acknowledged { id: 1 }));
    assert_eq!(desk.app.asked, None, "nothing else is committed, and the answer is enough");
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
    let before = desk.app.listed();
    desk.settle();
    let after = desk.app.listed();
    assert!(after > before + 100, "more rows than are loaded came above it: {before}, {after}");
    assert_eq!(desk.app.samples.selected, 4 + after - before);
    assert_eq!(desk.app.selected_sample().unwrap().id(), id);
    assert_eq!(desk.app.notice, None);
}

/// A run at the gate before training with its accepted data listed, and the player that reviews them.
fn accepted() -> (tempfile::TempDir, Desk, Player) {
    let (folder, mut desk) = scene("checked", (120, 40));
    desk.press("4a");
    let player = Player::open_as(&folder.path().join("run"), &desk);
    (folder, desk, player)
}

/// What a runner does with the review that a key asked for.
fn reviewed(desk: &mut Desk, player: &mut Player, keys: &str) -> String {
    let effects = sent(desk, keys);
    let Some(Effect::Send { id, command }) = effects.first().cloned() else { panic!("{effects:?}") };
    let Command::Review { selection, edit } = command else { panic!("{command:?}") };
    let of = selection.ids.iter().next().unwrap().clone();
    player.review(selection, edit);
    desk.settle();
    desk.tell(Message::Link(LinkEvent::Acknowledged { id }));
    of
}

#[test]
fn the_sample_that_is_read_stays_when_it_leaves_the_list() {
    for row in ["", "jjj"] {
        let (_folder, mut desk, mut player) = accepted();
        desk.press(row);
        let next = desk.app.samples.page.as_ref().unwrap().sample(desk.app.samples.selected + 1);
        let next = next.unwrap().id().to_owned();
        desk.press("<Enter>");
        let id = desk.app.selected_datum().unwrap().datum.id.clone();
        assert_eq!(reviewed(&mut desk, &mut player, "-"), id);
        let judged = desk.app.selected_datum().unwrap();
        assert_eq!((judged.datum.id.as_str(), judged.verdict), (id.as_str(), Verdict::Rejected));
        let said = desk.app.notice.clone().unwrap();
        assert!(said.contains(&format!("{id} is rejected now and left its place")), "{said}");
        assert!(desk.text().contains("not in the list now"));
        // The same key again means the same sample, not the next one.
        assert_eq!(reviewed(&mut desk, &mut player, "u"), id);
        assert_eq!(desk.app.selected_datum().unwrap().verdict, Verdict::Accepted);
        assert_eq!(desk.app.samples.kept, None, "it is back in its place");
        reviewed(&mut desk, &mut player, "-");
        desk.press("]");
        assert_eq!(desk.app.selected_datum().unwrap().datum.id, next, "the next one took its place");
        assert!(!desk.text().contains("not in the list now"));
    }
}

#[test]
fn outside_reading_a_person_is_told_that_another_sample_is_selected() {
    let (_folder, mut desk, mut player) = accepted();
    desk.press("jjj");
    let id = reviewed(&mut desk, &mut player, "-");
    assert_ne!(desk.app.selected_datum().unwrap().datum.id, id);
    let said = desk.app.notice.clone().unwrap();
    assert_eq!(said, format!("{id} left this list; another sample is selected"));
}

#[test]
fn a_new_evaluation_leaves_the_prediction_that_is_read_alone() {
    let (folder, mut desk) = scene("training", (120, 40));
    desk.press("4tjjjj<Enter>");
    let (id, iteration) = (desk.app.selected_sample().unwrap().id().to_owned(), desk.app.listed_iteration());
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    let evaluate = work(2, Phase::Evaluate, Some(Split::Validation));
    player.finish(work(2, Phase::Train, None));
    player.part(evaluate, 0.01);
    desk.settle();
    assert_eq!(desk.app.selected_sample().unwrap().id(), id);
    assert_eq!((desk.app.listed_iteration(), iteration), (Some(1), Some(1)));
    // Without reading the list goes with the run, and says so.
    desk.press("<Esc>");
    assert_eq!(desk.app.listed_iteration(), Some(2));
    let (folder, mut desk) = scene("training", (120, 40));
    desk.press("4tjjjj");
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    player.finish(work(2, Phase::Train, None));
    player.part(evaluate, 0.01);
    desk.settle();
    assert_eq!(desk.app.notice.as_deref(), Some("the list shows the answers of iteration 2 now"));
}

#[test]
fn what_was_made_is_counted_without_a_skill_tree() {
    use crate::gym::ports::EnvironmentKind;
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut record = script::record("flat");
    record.rules.environment = EnvironmentKind::SkillList;
    let mut player = Player::create(&run, &record);
    player.run(|w| w == work(2, Phase::Train, None));
    drop(player);
    let desk = Desk::new(&run, (200, 55));
    let facts = desk.app.facts.as_ref().unwrap();
    assert!(facts.episode.forest.trees.is_empty());
    let reader = crate::store::Reader::open(&run).unwrap();
    let mut whole = 0;
    let rows = desk.app.skill_rows();
    for row in rows.iter().skip(1) {
        let skill = row.skill.clone();
        let count = |iteration| {
            let (skill, verdict) = (skill.clone(), Some(Verdict::Accepted));
            let filter = crate::store::DataFilter { iteration, skill, verdict, ..Default::default() };
            reader.count_data(&filter, crate::store::Patience::default()).unwrap().rows as u32
        };
        assert_eq!((row.produced, row.made), (count(None), count(Some(2))), "{skill:?}");
        assert!(row.made > 0 && row.made < row.produced, "{skill:?}");
        whole += row.produced;
    }
    assert_eq!((rows[0].produced, whole), (whole, facts.episode.accepted()));
}

#[test]
fn a_subskill_shows_what_is_made_of_its_plan() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.press("1jjj<Enter>");
    let planned = desk.app.facts.as_ref().unwrap().planned.clone().unwrap().1;
    let rows = desk.app.skill_rows();
    let open: Vec<_> = rows.iter().filter(|row| row.subskill.is_some()).collect();
    assert!(!open.is_empty());
    for row in open {
        let key = (row.skill.clone().unwrap(), row.subskill.clone().unwrap());
        assert!(row.made > 0 && row.made == planned[&key], "{key:?}");
        assert!(row.made <= row.allocation.unwrap());
    }
}

#[test]
fn a_growing_curve_is_read_by_its_new_points_alone_and_stays_whole() {
    let (folder, mut desk) = scene("training", (120, 40));
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    let losses = |desk: &Desk| -> Vec<(u32, f64)> {
        desk.app.facts.as_ref().unwrap().curve.iter().map(|p| (p.step, p.loss)).collect()
    };
    let stored = || -> Vec<(u32, f64)> {
        let reader = crate::store::Reader::open(&folder.path().join("run")).unwrap();
        reader.training_curve(2).unwrap().iter().map(|p| (p.step, p.loss)).collect()
    };
    for step in 41..=60 {
        player.store.put_training_progress(2, script::progress(step)).unwrap();
        desk.settle();
    }
    assert_eq!((losses(&desk).len(), losses(&desk)), (60, stored()));
    // A training that is begun anew writes the same steps again.
    let other = crate::gym::ports::TrainingProgress { loss: 9.0, ..script::progress(1) };
    player.store.put_training_progress(2, other).unwrap();
    desk.settle();
    assert_eq!((losses(&desk)[0], losses(&desk)), ((1, 9.0), stored()));
}

#[test]
fn the_journal_is_read_again_only_when_it_grew() {
    let (folder, mut desk) = scene("training", (120, 40));
    desk.press("L");
    let mut player = Player::open_as(&folder.path().join("run"), &desk);
    player.store.put_training_progress(2, script::progress(41)).unwrap();
    let news = desk.source.look().unwrap();
    assert!(!news.iter().any(|message| matches!(message, Message::Journal(_))), "{}", news.len());
    player.command(Command::Note { text: "seen".into() });
    let news = desk.source.look().unwrap();
    assert!(news.iter().any(|message| matches!(message, Message::Journal(_))));
}

#[test]
fn escape_hides_the_hint_where_the_screen_begins() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    assert!(desk.app.hint && desk.text().contains("Esc hides"));
    desk.press("k<Esc>");
    assert_eq!((desk.app.iteration, desk.app.hint), (None, true), "first back to the newest iteration");
    desk.press("<Esc>");
    assert!(!desk.app.hint && !desk.text().contains("Esc hides"));
}

#[test]
fn suspend_and_stop_now_are_in_reach() {
    let (_folder, mut desk) = scene("training", (120, 40));
    assert_eq!(sent(&mut desk, "<Ctrl-z>"), [Effect::Suspend]);
    assert_eq!(sent(&mut desk, ":stop now<Enter>"), [Effect::Send { id: 1, command: Command::StopNow }]);
    assert!(transition(&desk.app).unwrap().contains("train is abandoned"));
}

#[test]
fn a_refused_stop_does_not_close_the_screen_later() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.press("qs");
    desk.tell(Message::Link(LinkEvent::Rejected { id: 1, message: "not now".into() }));
    desk.effects.clear();
    desk.tell(Message::Link(LinkEvent::Absent));
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Quit(_))), "{:?}", desk.effects);
}

struct Piece(Message);

impl crate::tui::mailbox::Mail for Piece {
    fn replaces(&self, older: &Self) -> bool {
        self.0.replaces(&older.0)
    }
}

#[test]
fn what_nobody_asked_for_is_drawn_lazily() {
    use crate::tui::update::{Urgency, urgency};
    let (_folder, mut desk) = scene("checked", (120, 40));
    let page = desk.app.samples.page.clone().unwrap();
    let page = |asked| Message::Page { page: Box::new(page.clone()), asked };
    assert_eq!(urgency(&desk.app, &page(true)), Urgency::Urgent);
    assert_eq!(urgency(&desk.app, &page(false)), Urgency::Lazy);
    assert!(page(true).replaces(&page(false)) && page(false).replaces(&page(false)));
    assert!(!page(false).replaces(&page(true)), "the answer to a key is not put off");
    assert_eq!(urgency(&desk.app, &Message::Journal(Vec::new())), Urgency::Urgent);
    desk.press("L");
    assert_eq!(urgency(&desk.app, &Message::Journal(Vec::new())), Urgency::Lazy);
    let mailbox = crate::tui::mailbox::Mailbox::new();
    (0..100).for_each(|n| mailbox.post(Piece(page(n == 7))));
    assert_eq!(mailbox.take(None, 100).len(), 2);
}

#[test]
fn a_resume_changes_neither_rates_nor_the_time_that_is_left() {
    let (_folder, mut desk) = scene("evaluating", (120, 40));
    let evaluate = work(1, Phase::Evaluate, Some(Split::Validation));
    let mut live = live(evaluate, 240, 600);
    live.before = 180;
    desk.tell(Message::Link(LinkEvent::Live(Box::new(live))));
    // 60 answers in 31 s, and 360 are left.
    let shown = desk.text();
    assert!(shown.contains("31 s, about 3 min 06 s left") && shown.contains("1.9 answers/s"), "{shown}");
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
