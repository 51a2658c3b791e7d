//! A person takes part: gates, plan, data, limits, notes.

use super::*;
use crate::gym::budget::Budget;
use crate::gym::plan::Action;
use crate::gym::review::{DataSelection, DatumEdit};
use crate::tui::app::Stage;
use crate::tui::overlay::Menu;
use crate::tui::runs::{Changes, Finding, Level, RunRow, RunsNews, RunsOrder, Setting};
use crate::tui::status::transition;
use crate::tui::update::Exit;

/// The commands that keys sent.
fn sent(desk: &mut Desk, keys: &str) -> Vec<Command> {
    desk.effects.clear();
    desk.press(keys);
    let commands = |effect| match effect {
        Effect::Send { command, .. } | Effect::Start { command, .. } => Some(command),
        _ => None,
    };
    std::mem::take(&mut desk.effects).into_iter().filter_map(commands).collect()
}

fn at(name: &str) -> (tempfile::TempDir, Desk) {
    scene(name, (120, 40))
}

#[test]
fn gates_are_set_and_taken_away_in_a_list() {
    let (folder, mut desk) = at("evaluating");
    assert_eq!(sent(&mut desk, "2bjj<Enter>"), [Command::Gate { phase: Phase::Generate, wait: true }]);
    assert!(transition(&desk.app).unwrap().contains("a gate before generate"));
    assert!(desk.text().contains("[ ] before generate"), "it is set when the run says so");
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.command(Command::Gate { phase: Phase::Generate, wait: true });
    desk.tell(Message::Link(LinkEvent::Acknowledged { id: 1 }));
    desk.settle();
    assert!(desk.text().contains("[x] before generate"));
    assert_eq!(sent(&mut desk, " "), [Command::Gate { phase: Phase::Generate, wait: false }]);
    desk.press("<Esc>");
    assert!(desk.text().contains("[gate] generate"));
}

#[test]
fn numbers_of_the_plan_are_typed_and_changed() {
    let (_folder, mut desk) = at("planned");
    assert!(desk.text().contains("the run waits for you"));
    desk.press("1e");
    let Some(Overlay::Plan(plan)) = &desk.app.overlay else { panic!("{:?}", desk.app.notice) };
    let before: Vec<u32> = plan.amounts.iter().map(|a| a.field.count()).collect();
    let commands = sent(&mut desk, "j25k++j<Enter>");
    let [Command::Allocate { allocations }] = &commands[..] else { panic!("{commands:?}") };
    let counts: Vec<u32> = allocations.iter().map(|a| a.count).collect();
    assert_eq!((counts[0], counts[1], &counts[2..]), (before[0] + 2, 25, &before[2..]));
    assert_eq!(desk.app.overlay, None);
    // The runner says no: nothing that was typed is lost.
    let id = desk.app.asked.as_ref().unwrap().id;
    desk.tell(Message::Link(LinkEvent::Rejected { id, message: "too late".into() }));
    let Some(Overlay::Plan(plan)) = &desk.app.overlay else { panic!() };
    assert_eq!(plan.amounts[1].field.count(), 25);
    assert!(desk.text().contains("refused: too late"));
}

#[test]
fn a_person_acts_in_place_of_the_policy() {
    let (folder, mut desk) = at("planned");
    // Explore for the first skill, exploit for the second.
    let commands = sent(&mut desk, "P<Tab> j3j7<End>");
    assert_eq!(commands, []);
    desk.press("gG");
    let Some(Overlay::Plan(plan)) = &mut desk.app.overlay else { panic!("{:?}", desk.app.notice) };
    plan.select(3);
    let commands = sent(&mut desk, "  j12<Enter>");
    let [Command::Act { actions }] = &commands[..] else { panic!("{commands:?} {:?}", desk.app.notice) };
    assert_eq!(actions[0].skill, "addition");
    assert_eq!(actions[0].action, Action::Explore { new_subskills: 3, data_per_subskill: 7 });
    let Action::Exploit { deltas } = &actions[1].action else { panic!() };
    let known = desk.app.facts.as_ref().unwrap().episode.before_plan.as_ref().unwrap();
    let tree = known.tree(&actions[1].skill).unwrap();
    let first = &tree.subskills[0];
    assert_eq!(deltas[&first.name] + i64::from(first.allocation), 12);
    let actions = actions.clone();
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.command(Command::Act { actions });
    desk.tell(Message::Link(LinkEvent::Acknowledged { id: 1 }));
    desk.settle();
    assert!(desk.text().contains("The next plan is yours: explore addition"), "{}", desk.text());
}

#[test]
fn a_plan_that_cannot_be_changed_says_when_it_can() {
    let (_folder, mut desk) = at("training");
    assert_eq!(sent(&mut desk, "P"), []);
    assert!(desk.app.notice.as_ref().unwrap().contains("train is running"), "{:?}", desk.app.notice);
    let (_folder, mut desk) = at("finished");
    desk.press("P");
    assert!(desk.app.notice.as_ref().unwrap().contains("every phase is done"));
    let (_folder, mut desk) = at("planned");
    assert_eq!(sent(&mut desk, "P<Enter>"), []);
    assert!(
        desk.app.notice.as_ref().unwrap().contains("no number was changed") && desk.app.overlay.is_some()
    );
    desk.press("<Esc>");
    assert_eq!(desk.app.overlay, None);
}

#[test]
fn data_are_judged_with_one_key_and_in_bulk() {
    let (_folder, mut desk) = at("checked");
    desk.press("4jj");
    let id = desk.app.selected_datum().unwrap().datum.id.clone();
    let one = |edit| Command::Review { selection: DataSelection::one(&id), edit };
    assert_eq!(sent(&mut desk, "-"), [one(DatumEdit::Reject)]);
    assert_eq!(sent(&mut desk, "+"), [one(DatumEdit::Accept)]);
    assert_eq!(sent(&mut desk, "u"), [], "there is nothing to restore");
    assert_eq!(sent(&mut desk, "modd<Enter>"), [one(DatumEdit::Note { text: "odd".into() })]);
    // Everything the filter names: the accepted data of one skill.
    desk.press("1jjj4a");
    let listed = desk.app.listed();
    desk.press("B");
    assert!(desk.text().contains(&format!("All {listed} listed data")), "{}", desk.text());
    let commands = sent(&mut desk, "j<Enter>");
    let [Command::Review { selection, edit: DatumEdit::Reject }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(selection.skill.as_deref(), Some("multiplication"));
    assert_eq!((selection.verdict, selection.ids.len()), (Some(crate::gym::datum::Verdict::Accepted), 0));
    // Predictions cannot be judged, and nothing while the data are in use.
    assert_eq!(sent(&mut desk, "t+"), []);
    let (_folder, mut desk) = at("training");
    assert_eq!(sent(&mut desk, "4+"), []);
    assert!(desk.app.notice.as_ref().unwrap().contains("train is running"));
}

#[test]
fn words_are_changed_on_the_screen_or_elsewhere() {
    let (_folder, mut desk) = at("checked");
    desk.press("4<Enter>e");
    let Some(Overlay::Draft(draft)) = &desk.app.overlay else { panic!() };
    let (id, before) = (draft.id.clone(), draft.wording());
    assert_eq!(sent(&mut desk, "Please: <Tab><Ctrl-x>").len(), 1);
    let asked = desk.app.asked.clone().unwrap();
    let Command::Review { edit: DatumEdit::Reword { wording }, .. } = asked.command else { panic!() };
    assert_eq!(wording.instruction, format!("Please: {}", before.instruction));
    assert_eq!(wording.response, before.response);
    // Throwing words away takes a second key.
    desk.press("eXX<Esc>");
    assert!(desk.text().contains("Throw your words away?"));
    desk.press("<Esc>");
    assert!(matches!(desk.app.overlay, Some(Overlay::Draft(_))));
    desk.press("<Esc><Enter>");
    assert_eq!(desk.app.overlay, None);
    desk.press("e<Esc>");
    assert_eq!(desk.app.overlay, None, "nothing to throw away");
    desk.effects.clear();
    desk.press("E");
    assert_eq!(desk.effects, [Effect::Write { id: id.clone(), wording: before.clone() }]);
    let changed = crate::gym::datum::Wording { response: "#### 1".into(), ..before };
    desk.effects.clear();
    desk.tell(Message::Written { id: id.clone(), result: Ok(Some(changed)) });
    assert!(matches!(&desk.effects[..], [Effect::Send { command: Command::Review { .. }, .. }]));
    desk.tell(Message::Written { id, result: Err("line 4: no part `x`".into()) });
    assert!(desk.text().contains("line 4"));
}

#[test]
fn words_survive_an_editor_that_is_left_and_a_refusal() {
    let (_folder, mut desk) = at("checked");
    let draft = |desk: &Desk| match &desk.app.overlay {
        Some(Overlay::Draft(draft)) => draft.clone(),
        other => panic!("{other:?}"),
    };
    desk.press("4eMine: ");
    let mine = draft(&desk);
    desk.effects.clear();
    desk.press("<Ctrl-e>");
    assert_eq!(desk.effects, [Effect::Write { id: mine.id.clone(), wording: mine.wording() }]);
    desk.tell(Message::Written { id: mine.id.clone(), result: Ok(None) });
    assert_eq!(draft(&desk), mine, "left without saving: the draft is as it was");
    desk.tell(Message::Written { id: mine.id.clone(), result: Err("line 4: no part `x`".into()) });
    assert_eq!(draft(&desk), mine);
    // What the editor wrote comes back when the run has gone on meanwhile.
    let new = crate::gym::datum::Wording { response: "#### 1".into(), ..mine.wording() };
    desk.effects.clear();
    desk.tell(Message::Written { id: mine.id.clone(), result: Ok(Some(new.clone())) });
    let [Effect::Send { id, .. }] = desk.effects[..] else { panic!("{:?}", desk.effects) };
    assert_eq!(desk.app.overlay, None);
    desk.tell(Message::Link(LinkEvent::Rejected { id, message: "train is running".into() }));
    assert_eq!(draft(&desk).wording(), new);
    // The same without a draft, and when the run is known to have gone on.
    desk.press("<Esc><Enter>");
    assert_eq!(desk.app.overlay, None);
    let facts = desk.app.facts.as_mut().unwrap();
    facts.episode.running = true;
    desk.tell(Message::Written { id: mine.id, result: Ok(Some(new.clone())) });
    assert_eq!(draft(&desk).wording(), new);
    assert!(desk.app.notice.is_some());
}

#[test]
fn a_refused_form_waits_until_nothing_else_is_open() {
    let (_folder, mut desk) = at("checked");
    desk.press("Nfirst<Enter>");
    let first = desk.app.asked.as_ref().unwrap().id;
    desk.press("Nsecond<Enter>");
    let second = desk.app.asked.as_ref().unwrap().id;
    desk.press("?");
    for id in [first, second] {
        desk.tell(Message::Link(LinkEvent::Rejected { id, message: "not now".into() }));
    }
    assert!(matches!(desk.app.overlay, Some(Overlay::Help { .. })));
    let line = |desk: &Desk| match &desk.app.overlay {
        Some(Overlay::Prompt { line, .. }) => line.text().to_owned(),
        other => panic!("{other:?}"),
    };
    desk.press("<Esc>");
    assert_eq!(line(&desk), "second");
    desk.press("<Esc>");
    assert_eq!(line(&desk), "first");
    desk.press("<Esc>");
    assert_eq!(desk.app.overlay, None);
    // A runner that cannot be started or that is gone keeps no words either.
    let (_folder, mut desk) = scene("gone", (120, 40));
    desk.press("Nhello<Enter>");
    desk.tell(Message::Link(LinkEvent::StartFailed { message: "no space".into() }));
    assert_eq!(line(&desk), "hello");
}

#[test]
fn news_of_runs_open_nothing_over_what_a_person_writes() {
    let (_folder, mut desk) = at("checked");
    desk.press("R");
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("older")])));
    desk.press("dk<Enter><Esc>4ewords");
    let open = desk.app.overlay.clone();
    desk.effects.clear();
    desk.tell(Message::Runs(RunsNews::Deleted("older".into(), Ok(()))));
    let settled = RunsNews::Settings { configuration: "quickstart".into(), settings: Ok(settings()) };
    desk.tell(Message::Runs(settled));
    desk.tell(Message::Runs(RunsNews::Created(Ok("/runs/new".into()))));
    assert_eq!((desk.app.overlay.clone(), &desk.effects[..]), (open, &[][..]));
    assert!(desk.app.notice.as_ref().unwrap().contains("/runs/new"));
}

#[test]
fn a_run_of_the_list_is_resumed_in_place() {
    let (_folder, mut desk) = at("finished");
    desk.press("R");
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("a"), run("b")])));
    desk.effects.clear();
    desk.press("jr");
    let order = RunsOrder::Resume { name: "b".into(), folder: "/runs/b".into() };
    assert_eq!(desk.effects, [Effect::Runs(order)]);
    desk.effects.clear();
    desk.tell(Message::Runs(RunsNews::Resumed { name: "b".into(), result: Ok("works now".into()) }));
    assert_eq!(desk.effects, [Effect::Runs(RunsOrder::List)]);
    assert_eq!(desk.app.notice.as_deref(), Some("run b works now"));
    assert!(matches!(&desk.app.overlay, Some(Overlay::Menu { menu: Menu::Runs { .. }, choice: 1 })));
}

#[test]
fn limits_and_notes() {
    let (_folder, mut desk) = at("finished");
    let commands = sent(&mut desk, "x+++j5000<Enter>");
    let [Command::Extend { budget }] = &commands[..] else { panic!("{commands:?} {:?}", desk.app.notice) };
    assert_eq!(*budget, Budget { iterations: 6, training_data: Some(5000), ..Budget::default() });
    let (_folder, mut desk) = at("finished");
    assert_eq!(sent(&mut desk, "x-<Enter>"), [], "limits that are reached already");
    assert!(desk.app.notice.as_ref().unwrap().contains("reached these limits already"));
    assert!(matches!(desk.app.overlay, Some(Overlay::Limits(_))));
    desk.press("<Esc>");
    assert_eq!(sent(&mut desk, "Nlooks good<Enter>"), [Command::Note { text: "looks good".into() }]);
    assert_eq!(sent(&mut desk, "N  <Enter>"), []);
}

#[test]
fn what_endpoints_lack_and_were_paid_is_in_sight_also_at_rest() {
    let (_folder, mut desk) = at("finished");
    let mut live = live(work(2, Phase::Evaluate, None), 3, 40);
    live.workers[0].notes = vec!["pupil: no seed".into()];
    live.spending.add("pupil", 12, 3456, 0.25);
    live.work = None;
    desk.tell(Message::Link(LinkEvent::Live(Box::new(live))));
    let text = desk.text();
    for words in ["pupil: no seed", "12 answers, 3456 tokens, 0.2500 paid"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_a_worker_is_writing_stands_behind_it_escaped() {
    let (_folder, mut desk) = scene("evaluating", (120, 40));
    let mut live = live(work(2, Phase::Evaluate, None), 3, 40);
    live.workers[0].text = "so many words before the\n\u{1b}[2Jend: 42".into();
    desk.tell(Message::Link(LinkEvent::Live(Box::new(live))));
    let text = desk.text();
    assert!(text.contains("end: 42"), "{text}");
    assert!(!text.contains("so many words") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn without_a_runner_a_command_starts_one() {
    let (_folder, mut desk) = scene("gone", (120, 40));
    desk.press("Nhello<Enter>");
    assert!(matches!(&desk.effects[..], [.., Effect::Start { command: Command::Note { .. }, .. }]));
    assert_eq!(desk.app.asked.as_ref().unwrap().stage, Stage::Starting);
    desk.tell(Message::Link(LinkEvent::StartFailed { message: "no space".into() }));
    assert_eq!(desk.app.asked, None);
}

#[test]
fn a_command_before_the_run_was_read_goes_to_the_runner() {
    let (_folder, mut desk) = at("training");
    desk.app.facts = None;
    assert_eq!(sent(&mut desk, "p"), [Command::Pause]);
    assert_eq!(sent(&mut desk, "x"), []);
    assert!(desk.app.notice.as_ref().unwrap().contains("has not been read yet"));
}

#[test]
fn the_log_tells_what_happened() {
    let (folder, mut desk) = at("checked");
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.command(Command::Note { text: "a remark \u{1b}[2J".into() });
    desk.press("L");
    let shown = desk.text();
    assert!(shown.contains("note: a remark ␛[2J") && shown.contains("checked:"), "{shown}");
    player.command(Command::Note { text: "another".into() });
    desk.settle();
    assert!(desk.text().contains("note: another"), "it follows");
    desk.press("<Esc>");
    assert_eq!(desk.app.journal, None);
}

#[test]
fn themes_are_seen_while_they_are_chosen() {
    let (_folder, mut desk) = at("training");
    desk.press("Tjj");
    assert_eq!(desk.app.theme().name(), "light");
    desk.press("<Esc>");
    assert_eq!(desk.app.theme().name(), "terminal");
    desk.press("Tj<Enter>");
    assert_eq!(desk.app.theme().name(), "dark");
}

#[test]
fn the_palette_does_what_its_keys_do() {
    let (_folder, mut desk) = at("training");
    assert_eq!(sent(&mut desk, ":paus<Enter>"), [Command::Pause]);
    desk.press(":zoom<Enter>");
    assert!(desk.app.zoom);
    desk.press(":nosuchthing<Enter>");
    assert_eq!(desk.app.overlay, None);
    desk.press("4:filter<Enter>");
    assert!(desk.app.samples.filter.verdict.is_some());
}

#[test]
fn charts_turn_and_are_exported() {
    let (_folder, mut desk) = at("finished");
    desk.press("C");
    assert!(desk.text().contains("Accuracy by iteration"));
    desk.press("<Tab>j");
    assert!(desk.text().contains("Accuracy in subtraction by iteration"));
    desk.effects.clear();
    desk.press("w");
    let [Effect::Export(files)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
    assert!(files.iter().any(|f| f.name == "accuracy.svg") && files.iter().any(|f| f.name == "loss.csv"));
    assert_eq!(files.len(), 2 * (1 + 12 + 2));
    let curve = |files: &[crate::tui::charts::Exported]| {
        files.iter().find(|f| f.name == "loss.csv").unwrap().text.lines().count()
    };
    assert_eq!(curve(files), 81);
    // What is seen is written.
    desk.press("<Tab>r");
    assert!(desk.text().contains("the newest 50 of 80 steps"), "{}", desk.text());
    desk.effects.clear();
    desk.press("w");
    let [Effect::Export(files)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
    assert_eq!(curve(files), 51);
    desk.press("r");
    assert!(desk.text().contains("all 80 steps"));
    let (_folder, mut desk) = at("fresh");
    desk.press("Cw");
    assert!(desk.app.notice.as_ref().unwrap().contains("nothing to write yet"));
}

#[test]
fn the_newest_iterations_of_a_long_run_have_a_chart_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = script::record("long");
    record.rules.budget.iterations = 12;
    record.rules.environment = crate::gym::ports::EnvironmentKind::SkillList;
    let mut player = Player::create(&folder.path().join("run"), &record);
    player.run(|w| w.iteration == 12 && w.phase == Phase::Plan);
    drop(player);
    let mut desk = Desk::new(&folder.path().join("run"), (120, 40));
    let rows = |desk: &mut Desk| {
        desk.effects.clear();
        desk.press("w");
        let [Effect::Export(files)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
        files.iter().find(|file| file.name == "accuracy.csv").unwrap().text.lines().count() - 1
    };
    desk.press("C");
    // Iteration 0 and eleven more.
    assert_eq!(rows(&mut desk), 12);
    desk.press("r");
    assert!(desk.text().contains("the newest 10 of 12"), "{}", desk.text());
    assert_eq!(rows(&mut desk), 10);
}

fn run(name: &str) -> RunRow {
    RunRow {
        name: name.into(),
        folder: format!("/runs/{name}").into(),
        database: format!("/runs/{name}").into(),
        state: "stopped".into(),
        iterations: 3,
        accuracy: None,
        age_ms: 90_000,
    }
}

fn settings() -> Vec<Setting> {
    let setting = |key, about, value: &str, choices: &[&str]| {
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        Setting { key, about, value: value.into(), choices }
    };
    vec![
        setting("name", "name of the run and of its folder", "quickstart", &[]),
        setting("environment.kind", "what the agent sees", "skill_tree", &["open_ended", "skill_tree"]),
        setting("policy.data", "data asked for in each plan", "400", &[]),
    ]
}

#[test]
fn runs_are_compared_on_what_they_have_in_common() {
    let (folder, mut desk) = at("finished");
    let other = folder.path().join("other");
    drop(Player::create(&other, &script::record("untrained")));
    let mut player = Player::open(&other);
    player.run(|w| w.iteration == 1);
    drop(player);
    let named = |name: &str, at: &std::path::Path| RunRow { database: at.into(), ..run(name) };
    let rows = vec![named("first-run", &folder.path().join("run")), named("untrained", &other)];
    desk.press("R");
    desk.tell(Message::Runs(RunsNews::Listed(rows)));
    desk.effects.clear();
    desk.press("jmkm");
    desk.press("c");
    let [Effect::Runs(order)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
    // The test split is measured in the end, and the other run did not come so far.
    let news = order.clone().carry_out(&crate::tui::NoRuns);
    desk.tell(Message::Runs(news));
    let shown = desk.text();
    assert!(shown.contains("run `untrained` has no test scores yet"), "{shown}");
    desk.effects.clear();
    desk.press("v");
    let [Effect::Runs(order)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
    let news = order.clone().carry_out(&crate::tui::NoRuns);
    let RunsNews::Compared { result: Ok(comparison), .. } = &news else { panic!("{news:?}") };
    let named: Vec<_> = comparison.runs.iter().map(|side| (side.run.as_str(), side.iteration)).collect();
    assert_eq!(named, [("untrained", 0), ("first-run", 2)]);
    let trained = &comparison.runs[1];
    // The finished run's own answers before training are those of the other run.
    let reader = crate::store::Reader::open(&folder.path().join("run")).unwrap();
    let pairs = reader.paired(Split::Validation, 0, 2).unwrap();
    let gain = crate::gym::statistics::paired_gain(pairs.iter().map(|(key, a, b)| (key.as_str(), *a, *b)));
    let found = trained.against_first.as_ref().map(|d| d.difference);
    assert_eq!((comparison.common, found), (600, gain));
    let skills: f64 = trained.skills.values().map(|e| e.mean).sum::<f64>() / 12.0;
    assert!((skills - trained.accuracy.mean).abs() < 1e-9);
    desk.tell(Message::Runs(news));
    assert!(desk.text().contains("600 questions were answered by all of them"), "{}", desk.text());
    desk.effects.clear();
    desk.press("w");
    let [Effect::Export(files)] = &desk.effects[..] else { panic!("{:?}", desk.effects) };
    // One line per run over all skills, and one for each of the twelve.
    assert_eq!((files[0].name.as_str(), files[0].text.lines().count()), ("comparison-validation.csv", 27));
    assert!(files[1].name == "comparison-validation.svg" && files[1].text.contains("first-run"));
    desk.press("v");
    assert!(matches!(desk.effects.last(), Some(Effect::Runs(RunsOrder::Compare { split: Split::Test, .. }))));
}

#[test]
fn panes_are_hidden_shown_and_remembered() {
    let (_folder, mut desk) = at("training");
    desk.press("3");
    desk.effects.clear();
    desk.press("H");
    let remembered = desk.effects.iter().find_map(|effect| match effect {
        Effect::Remember(memory) => Some(memory.clone()),
        _ => None,
    });
    assert!(remembered.as_ref().unwrap().hidden.contains(&3));
    assert_eq!(desk.app.places().panes.len(), 3);
    assert!(!desk.text().contains("3 Machine"));
    desk.press("<Tab><Tab><Tab><Tab>");
    assert_ne!(desk.app.focus, crate::tui::layout::Pane::Machine, "a hidden pane is passed over");
    desk.press("3");
    assert!(desk.text().contains("3 Machine"));
    desk.press("HHHH");
    assert!(desk.app.notice.as_ref().unwrap().contains("the last pane"));
    let (_folder, mut desk) = at("training");
    desk.app.recall(*remembered.unwrap(), false);
    assert_eq!(desk.app.places().panes.len(), 3);
}

#[test]
fn what_the_machine_lacks_is_said_with_a_remedy() {
    let (_folder, mut desk) = at("finished");
    desk.effects.clear();
    desk.press("D");
    assert_eq!(desk.effects, [Effect::Runs(RunsOrder::Doctor)]);
    let finding = Finding {
        check: "gpu".into(),
        level: Level::Warn,
        found: "no GPU".into(),
        remedy: "nothing to do without one".into(),
    };
    desk.tell(Message::Runs(RunsNews::Doctor(vec![finding])));
    let shown = desk.text();
    assert!(shown.contains("1 to know about") && shown.contains("-> nothing to do"), "{shown}");
    desk.press("<Esc>");
    assert_eq!(desk.app.overlay, None);
}

#[test]
fn runs_are_opened_made_and_deleted_after_a_question() {
    let (_folder, mut desk) = at("finished");
    desk.effects.clear();
    desk.press("R");
    assert_eq!(desk.effects, [Effect::Runs(RunsOrder::List)]);
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("newer"), run("first-run"), run("older")])));
    assert!(
        matches!(&desk.app.overlay, Some(Overlay::Menu { menu: Menu::Runs { .. }, choice: 1 })),
        "the one in sight"
    );
    desk.effects.clear();
    desk.press("jd");
    assert!(desk.text().contains("Delete run older?"));
    desk.press("<Enter>");
    assert_eq!(desk.effects, [Effect::Runs(RunsOrder::List)], "keeping it is the default");
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("older")])));
    desk.effects.clear();
    desk.press("dk<Enter>");
    assert_eq!(desk.effects, [Effect::Runs(RunsOrder::Delete("older".into()))]);
    desk.tell(Message::Runs(RunsNews::Deleted("older".into(), Err("it has a runner".into()))));
    assert!(desk.text().contains("it has a runner"));
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("older")])));
    desk.effects.clear();
    desk.press("n");
    desk.tell(Message::Runs(RunsNews::Ready(vec![("quickstart".into(), "The quick start".into())])));
    assert!(desk.text().contains("The quick start"));
    desk.press("<Enter>");
    assert_eq!(desk.effects[1], Effect::Runs(RunsOrder::Settings("quickstart".into())));
    let (configuration, settings) = ("quickstart".to_owned(), Ok(settings()));
    desk.effects.clear();
    desk.tell(Message::Runs(RunsNews::Settings { configuration, settings }));
    let check =
        |changes: Changes| Effect::Runs(RunsOrder::Check { configuration: "quickstart".into(), changes });
    assert_eq!(desk.effects, [check(Vec::new())]);
    desk.effects.clear();
    desk.press("-x");
    let named = vec![("name".to_owned(), "quickstart-x".to_owned())];
    assert_eq!(desk.effects[1], check(named.clone()));
    desk.tell(Message::Runs(RunsNews::Checked { changes: Vec::new(), result: Ok(()) }));
    assert!(desk.text().contains("checking the configuration"), "the answer was about other values");
    desk.tell(Message::Runs(RunsNews::Checked { changes: named, result: Err("no `quickstart-x`".into()) }));
    assert!(desk.text().contains("no `quickstart-x`"));
    desk.effects.clear();
    desk.press("<Enter>");
    assert_eq!(desk.effects, [], "a configuration with a mistake makes no run");
    desk.press("<Backspace><Backspace><Down><Tab>");
    let changes = vec![("environment.kind".to_owned(), "open_ended".to_owned())];
    assert_eq!(desk.effects.last(), Some(&check(changes.clone())));
    desk.tell(Message::Runs(RunsNews::Checked { changes: changes.clone(), result: Ok(()) }));
    desk.effects.clear();
    desk.press("<Enter><Enter>");
    let configuration = "quickstart".to_owned();
    assert_eq!(
        desk.effects,
        [Effect::Runs(RunsOrder::Create { configuration, changes })],
        "one run, not two"
    );
    assert!(desk.text().contains("being made already"));
    desk.tell(Message::Runs(RunsNews::Created(Ok("/runs/quickstart".into()))));
    assert_eq!(desk.effects[1], Effect::Quit(Exit::Open("/runs/quickstart".into())));
    let (_folder, mut desk) = at("finished");
    desk.press("R");
    desk.tell(Message::Runs(RunsNews::Listed(vec![run("a"), run("b")])));
    desk.effects.clear();
    desk.press("j<Enter>");
    assert_eq!(desk.effects, [Effect::Quit(Exit::Open("/runs/b".into()))]);
}
