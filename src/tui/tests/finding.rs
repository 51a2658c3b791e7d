//! Finding samples: the filter, the values of a field, order, flags, jumps, and reviews of what was found.

use super::*;
use crate::gym::datum::Verdict;
use crate::gym::ports::Ledger as _;
use crate::gym::review::{DataSelection, DatumEdit};
use crate::gym::teacher_call::CallOutcome;
use crate::tui::app::List;
use crate::tui::facets::Facet;
use crate::tui::facts::{Listing, Order, Sample};
use crate::tui::filter::Field;
use crate::tui::layout::Pane;
use crate::tui::overlay::Menu;

fn at(name: &str) -> (tempfile::TempDir, Desk) {
    let (folder, mut desk) = scene(name, (120, 40));
    desk.press("4");
    (folder, desk)
}

/// The data in sight.
fn data(desk: &Desk) -> Vec<crate::gym::datum::JudgedDatum> {
    let page = desk.app.samples.page.as_ref().unwrap();
    let datum = |sample: &Sample| match sample {
        Sample::Datum(judged) => Some((**judged).clone()),
        _ => None,
    };
    page.samples.iter().filter_map(datum).collect()
}

fn total(desk: &Desk) -> usize {
    desk.app.listed()
}

#[test]
fn every_field_of_the_filter_holds_in_the_list() {
    let (_folder, mut desk) = at("checked");
    let all = total(&desk);
    desk.press("/verdict:rejected");
    let rejected = total(&desk);
    assert!(rejected > 0 && rejected < all, "the list follows while a person writes: {rejected} of {all}");
    desk.press(" iter:>1 skill:division<Enter>");
    assert_eq!(desk.app.overlay, None);
    assert!(total(&desk) > 0 && total(&desk) < rejected);
    for judged in data(&desk) {
        let from = (judged.verdict, judged.datum.skill.as_str(), judged.datum.provenance.iteration);
        assert_eq!(from, (Verdict::Rejected, "division", 2));
    }
    assert!(desk.text().contains("skill:division iter:>=2 verdict:rejected"), "{}", desk.text());
    desk.press("/<Ctrl-u><Enter>");
    assert_eq!(total(&desk), all);
    desk.press("/text:\"increase and decrease\"<Enter>");
    assert!(total(&desk) > 0);
    assert!(data(&desk).iter().all(|judged| judged.datum.subskill == "increase and decrease"));
    desk.press("/<Ctrl-u>failed:duplicate iter:1..1<Enter>");
    let failed = data(&desk);
    assert!(!failed.is_empty());
    assert!(failed.iter().all(|d| d.checks.iter().any(|c| c.check == "duplicate" && !c.passed)));
}

#[test]
fn fields_of_predictions_reviews_rounds_and_engines_hold_too() {
    let (folder, mut desk) = at("checked");
    let all = total(&desk);
    let count = |desk: &mut Desk, filter: &str| {
        desk.press(&format!("4/<Ctrl-u>{filter}<Enter>"));
        assert_eq!(desk.app.overlay, None, "{filter}: {:?}", desk.app.notice);
        total(desk)
    };
    assert_eq!(count(&mut desk, "engine:procedural"), all);
    assert_eq!(count(&mut desk, "engine:nobody"), 0);
    assert_eq!(count(&mut desk, "round:0"), all);
    assert_eq!(count(&mut desk, "round:1"), 0);
    assert_eq!(count(&mut desk, "reviewed:true"), 0);
    count(&mut desk, "");
    let id = desk.app.selected_datum().unwrap().datum.id.clone();
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.review(DataSelection::one(&id), DatumEdit::Accept);
    desk.settle();
    assert_eq!(count(&mut desk, "reviewed:true"), 1);
    assert_eq!(data(&desk)[0].datum.id, id);
    assert_eq!(count(&mut desk, "reviewed:false"), all - 1);
    // Answers that became right or wrong since iteration 0, by the answers themselves.
    let changed = count(&mut desk, "changed:0");
    assert_eq!(desk.app.samples.list, List::Predictions);
    let reader = crate::store::Reader::open(&folder.path().join("run")).unwrap();
    let pairs = reader.paired(Split::Validation, 0, 1).unwrap();
    assert_eq!(changed, pairs.iter().filter(|(_, before, after)| before != after).count());
    assert!(changed > 0);
    player.store.put_teacher_calls(&[super::domains::call(CallOutcome::Used)]).unwrap();
    desk.settle();
    assert_eq!((count(&mut desk, "prompt:problems@1"), desk.app.samples.list), (1, List::Calls));
    assert_eq!(count(&mut desk, "prompt:other@1"), 0);
    assert!(desk.text().contains("Nothing matches"));
}

#[test]
fn the_last_word_matches_as_a_beginning() {
    let (_folder, mut desk) = at("checked");
    desk.press("/remainder<Enter>");
    let whole = total(&desk);
    assert!(whole > 0);
    desk.press("/<Ctrl-u>remai");
    assert_eq!(total(&desk), whole, "the list follows every letter");
    desk.press("x");
    assert_eq!(total(&desk), 0);
    desk.press("<Backspace><Enter>");
    assert_eq!(total(&desk), whole, "and stays as it is");
    desk.press("/<Ctrl-u>text:\"remai \"");
    assert_eq!(total(&desk), 0, "a space ends the word");
    desk.press("<Ctrl-u>remainder iter:2");
    let part = total(&desk);
    assert!(part > 0 && part < whole);
}

#[test]
fn a_query_that_is_not_wanted_any_more_ends_without_an_answer() {
    let (_folder, mut desk) = at("checked");
    let query = desk.app.query().unwrap();
    let stale = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    desk.source.ask(query.clone(), true, stale);
    assert_eq!(desk.source.look().unwrap().len(), 0);
    // Who waited for the first answer waits for the second one, whoever asked for that.
    desk.source.ask(query, false, std::sync::Arc::default());
    let news = desk.source.look().unwrap();
    assert!(matches!(&news[..], [Message::Page { asked: true, page }] if page.total > 0), "{news:?}");
}

#[test]
fn values_are_counted_again_when_the_list_became_another_one() {
    let (folder, mut desk) = scene("training", (120, 40));
    desk.press("4tF");
    let evaluate = work(2, Phase::Evaluate, Some(Split::Validation));
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.finish(work(2, Phase::Train, None));
    player.part(evaluate, 0.5);
    desk.settle();
    let Some(Overlay::Facets { facet: Some(facet), .. }) = &desk.app.overlay else { panic!() };
    assert_eq!(facet.listing, desk.app.listing());
    assert_eq!(facet.values.iter().map(|(_, count)| count).sum::<u64>(), 300);
    // An answer about the list before is no answer.
    let old = Facet { listing: Listing::Calls(crate::store::CallFilter::default()), ..facet.clone() };
    if let Some(Overlay::Facets { facet, .. }) = &mut desk.app.overlay {
        *facet = None;
    }
    desk.tell(Message::Facet(Box::new(old)));
    let Some(Overlay::Facets { facet: Some(facet), .. }) = &desk.app.overlay else {
        panic!("it counts for ever")
    };
    assert_eq!(facet.listing, desk.app.listing());
}

#[test]
fn a_call_leads_to_the_data_it_was_made_for() {
    let (folder, mut desk) = at("checked");
    let facts = desk.app.facts.as_ref().unwrap();
    let asked = facts.episode.iterations[2].plans[0].allocations[3].clone();
    // It says that it was made for the allocation of that number.
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.store.put_teacher_calls(&[super::domains::call(CallOutcome::Used)]).unwrap();
    desk.settle();
    desk.press("ttJj<Enter>");
    assert_eq!(desk.app.samples.list, List::Training);
    assert!(total(&desk) > 0);
    for judged in data(&desk) {
        let datum = judged.datum;
        assert_eq!((datum.skill, datum.subskill), (asked.skill.clone(), asked.subskill.clone()));
        assert_eq!(datum.provenance.iteration, 2);
    }
    desk.press("<Backspace>");
    assert_eq!(desk.app.samples.list, List::Calls);
}

#[test]
fn the_details_of_an_iteration_say_what_each_phase_asked() {
    let (folder, mut desk) = at("checked");
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    let call = |n: u32| crate::gym::teacher_call::TeacherCall {
        id: format!("call-{n}"),
        ..super::domains::call(CallOutcome::Used)
    };
    // More than are read at once.
    player.store.put_teacher_calls(&(0..300).map(call).collect::<Vec<_>>()).unwrap();
    desk.settle();
    desk.press("2<Enter>");
    assert!(desk.text().contains("300 calls of models, 17.4k tokens"), "{}", desk.text());
    // Those that come later are added when it is opened again.
    player.store.put_teacher_calls(&[call(300)]).unwrap();
    desk.settle();
    desk.press("<Esc><Enter>");
    assert!(desk.text().contains("301 calls of models, 17.5k tokens"), "{}", desk.text());
}

#[test]
fn one_line_serves_all_lists_and_leads_to_one_that_has_its_fields() {
    let (_folder, mut desk) = at("checked");
    desk.press("/skill:division correct:false iter:>0 verdict:rejected text:\"remainder\"");
    assert!(desk.text().contains("this list has no correct"), "{}", desk.text());
    desk.press("<Enter>");
    assert_eq!(desk.app.samples.list, List::Training);
    assert!(total(&desk) > 0);
    desk.press("t");
    assert_eq!(total(&desk), 0, "no question and no answer has that word");
    desk.press("/<Ctrl-u>skill:division correct:false iter:>0 verdict:rejected<Enter>");
    assert_eq!(desk.app.samples.list, List::Predictions);
    let page = desk.app.samples.page.as_ref().unwrap();
    assert!(page.total > 0);
    for sample in &page.samples {
        let Sample::Prediction(scored) = sample else { panic!("{sample:?}") };
        assert_eq!((scored.prediction.correct, scored.instance.skill.as_deref()), (false, Some("division")));
    }
    let (_folder, mut desk) = at("checked");
    desk.press("/correct:true<Enter>");
    assert_eq!(desk.app.samples.list, List::Predictions, "no other list has that field");
}

#[test]
fn a_mistake_is_shown_where_it_is_and_changes_nothing() {
    let (_folder, mut desk) = at("checked");
    let all = total(&desk);
    desk.press("/verdict:wrong");
    let shown = desk.text();
    assert!(shown.contains("^^^^^ `verdict` takes accepted, rejected or pending"), "{shown}");
    let line = shown.lines().find(|line| line.contains("/ verdict:wrong")).unwrap();
    let marks = shown.lines().find(|line| line.contains("^^^^^")).unwrap();
    assert_eq!(line.find("wrong"), marks.find('^'), "{line}\n{marks}");
    assert_eq!(total(&desk), all);
    desk.press("<Enter>");
    assert!(matches!(desk.app.overlay, Some(Overlay::Filter { .. })), "it can be mended");
    desk.press("<Ctrl-u>verdict:acc<Tab>");
    assert!(desk.text().contains("/ verdict:accepted"));
    assert!(total(&desk) < all);
    desk.press("<Esc>");
    assert_eq!((total(&desk), desk.app.overlay.is_none()), (all, true), "what was there comes back");
    desk.press("/skill:di<Tab><Enter>");
    assert_eq!(desk.app.samples.filter.skill.as_deref(), Some("division"));
    desk.press("/<Ctrl-u>skill:divison<Enter>");
    assert!(desk.app.notice.as_ref().unwrap().contains("did you mean `division`"));
}

#[test]
fn values_of_a_field_are_counted_among_what_is_listed() {
    let (_folder, mut desk) = at("checked");
    desk.press("/iter:2<Enter>");
    let all = total(&desk) as u64;
    desk.press("F");
    let facet = |desk: &Desk| match &desk.app.overlay {
        Some(Overlay::Facets { facet: Some(facet), .. }) => facet.clone(),
        other => panic!("{other:?}"),
    };
    let skills = facet(&desk);
    assert_eq!((skills.field, skills.exact), (Field::Skill, true));
    assert_eq!(skills.values.iter().map(|(_, count)| count).sum::<u64>(), all);
    assert!(skills.values.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    desk.press("<Tab><Tab>");
    let verdicts = facet(&desk);
    assert_eq!(verdicts.field, Field::Verdict);
    assert_eq!(verdicts.values[0].0, "accepted");
    desk.press("j<Enter>");
    assert_eq!(desk.app.samples.filter.verdict, Some(Verdict::Rejected));
    assert_eq!(total(&desk) as u64, verdicts.values[1].1);
}

#[test]
fn lists_are_sorted_and_every_row_is_there_once() {
    let (_folder, mut desk) = at("checked");
    desk.press("/iter:1<Enter>");
    let ids = |desk: &mut Desk| {
        let mut found = Vec::new();
        desk.press("g");
        for n in 0..total(desk) {
            found.push(desk.app.selected_sample().unwrap_or_else(|| panic!("row {n}")).id().to_owned());
            desk.press("j");
        }
        found
    };
    let newest = ids(&mut desk);
    desk.press("o");
    assert_eq!(desk.app.samples.order, Order::Oldest);
    let mut oldest = ids(&mut desk);
    oldest.reverse();
    assert_eq!(oldest, newest);
    for order in [Field::Skill, Field::Subskill, Field::Verdict] {
        desk.press("o");
        assert_eq!(desk.app.samples.order, Order::By(order));
        let sorted = ids(&mut desk);
        let (mut a, mut b) = (sorted.clone(), newest.clone());
        assert_ne!(a, b);
        a.sort();
        b.sort();
        assert_eq!(a, b);
    }
    desk.press("g");
    let verdicts: Vec<_> = data(&desk).iter().map(|d| d.verdict).collect();
    assert!(verdicts.iter().all(|v| *v == Verdict::Accepted), "accepted ones come first");
}

#[test]
fn a_sorted_list_stays_whole_when_it_becomes_another_one() {
    let (_folder, mut desk) = at("checked");
    desk.press("*jj*ooo");
    assert_eq!(desk.app.samples.order, Order::By(Field::Subskill));
    // Samples that were picked one by one are listed as they are.
    desk.press("/flagged:true<Enter>");
    assert_eq!(total(&desk), 2);
    assert!(desk.text().contains("not sorted"), "{}", desk.text());
    desk.press("o");
    assert_eq!((desk.app.samples.order, total(&desk)), (Order::Newest, 2));
    desk.press("/<Ctrl-u><Enter>oooo");
    assert_eq!(desk.app.samples.order, Order::By(Field::Verdict));
    // A filter that leads to a list without verdicts.
    desk.press("/correct:true<Enter>");
    assert_eq!((desk.app.samples.list, desk.app.samples.order), (List::Predictions, Order::Newest));
    assert!(total(&desk) > 0);
    // And a key that does.
    let (_folder, mut desk) = at("checked");
    desk.press("oooov");
    assert_eq!((desk.app.samples.list, desk.app.samples.order), (List::Predictions, Order::Newest));
}

#[test]
fn a_jump_out_of_a_sorted_list_shows_its_target_and_comes_back_to_the_order() {
    let (_folder, mut desk) = at("checked");
    desk.press("ooo");
    let sorted = Order::By(Field::Subskill);
    while desk.app.selected_datum().unwrap().datum.provenance.source_errors.is_empty() {
        desk.press("j");
    }
    let here = desk.app.selected_sample().unwrap().id().to_owned();
    desk.press("Jj<Enter>");
    assert_eq!((desk.app.samples.list, desk.app.samples.order), (List::Predictions, Order::Newest));
    assert_eq!(total(&desk), 2);
    desk.press("<Backspace>");
    assert_eq!((desk.app.samples.list, desk.app.samples.order), (List::Training, sorted));
    assert_eq!(desk.app.selected_sample().unwrap().id(), here);
}

#[test]
fn sorting_by_skill_keeps_what_has_none_at_the_end() {
    use crate::store::{PredictionFilter, Store};
    let folder = tempfile::tempdir().unwrap();
    let mut instances = script::instances(Split::Validation);
    instances.truncate(6);
    instances[0].skill = None;
    instances[1].skill = Some(String::new());
    let mut store = Store::create(folder.path(), &script::record("bare"), &instances).unwrap();
    let answer = |instance: &crate::gym::instance::TaskInstance| crate::gym::prediction::Prediction {
        instance_id: instance.id.clone(),
        response: "1".into(),
        answer: None,
        correct: false,
        tokens: 1,
        finish: crate::gym::prediction::FinishReason::Stop,
    };
    let answers: Vec<_> = instances.iter().map(answer).collect();
    store.put_predictions(0, Split::Validation, &answers).unwrap();
    let listing = Listing::Predictions(PredictionFilter::all(0, Split::Validation));
    let query = crate::tui::facts::Query {
        listing,
        order: Order::By(Field::Skill),
        offset: 0,
        limit: 10,
        selected: 0,
        held: None,
    };
    let mut source = Source::new(folder.path().into());
    source.ask(query, true, std::sync::Arc::default());
    let news = source.look().unwrap();
    let page = news.into_iter().find_map(|message| match message {
        Message::Page { page, .. } => Some(page),
        _ => None,
    });
    let page = page.unwrap();
    let mut last: Vec<&str> = page.samples[4..].iter().map(Sample::id).collect();
    last.sort_unstable();
    assert_eq!((page.total, page.samples.len()), (6, 6));
    assert_eq!(last, [instances[0].id.as_str(), instances[1].id.as_str()]);
}

#[test]
fn words_and_subskills_are_found_in_predictions_and_calls_too() {
    let (folder, mut desk) = at("checked");
    desk.press("t");
    let all = total(&desk);
    let answers = |desk: &Desk| {
        let page = desk.app.samples.page.as_ref().unwrap();
        page.samples
            .iter()
            .map(|sample| match sample {
                Sample::Prediction(scored) => scored.clone(),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    desk.press("/DIVISION bare numb<Enter>");
    assert_eq!(desk.app.samples.list, List::Predictions, "no other list was asked for");
    assert!(total(&desk) > 0 && total(&desk) < all);
    assert!(answers(&desk).iter().all(|scored| scored.instance.content.question().contains("division")));
    desk.press("/<Ctrl-u>subskill:\"with remainder\"<Enter>");
    assert!(total(&desk) > 0 && total(&desk) < all);
    assert!(answers(&desk).iter().all(|s| s.instance.subskill.as_deref() == Some("with remainder")));
    // What the field can be is proposed and counted.
    desk.press("/<Ctrl-u>subskill:squ<Tab>");
    assert!(desk.text().contains("/ subskill:squares"), "{}", desk.text());
    desk.press("<Ctrl-u><Enter>F<Tab>");
    let Some(Overlay::Facets { facet: Some(facet), .. }) = &desk.app.overlay else { panic!() };
    assert_eq!(facet.field, Field::Subskill);
    // A machine that is busy counts a part of them.
    let counted: u64 = facet.values.iter().map(|(_, count)| count).sum();
    assert!(counted > 0 && (!facet.exact || counted == all as u64));
    desk.press("<Esc>t");
    let mut player = script::Player::open_as(&folder.path().join("run"), &desk);
    player.store.put_teacher_calls(&[super::domains::call(CallOutcome::Used)]).unwrap();
    desk.settle();
    desk.press("/about sums<Enter>");
    assert_eq!((desk.app.samples.list, total(&desk)), (List::Calls, 1), "of the question");
    desk.press("/<Ctrl-u>3 4 what<Enter>");
    assert_eq!(total(&desk), 1, "of the reply");
    desk.press("/<Ctrl-u>nowhere<Enter>");
    assert_eq!((desk.app.samples.list, total(&desk)), (List::Calls, 0));
}

#[test]
fn a_search_that_has_found_nothing_yet_says_so_and_ends_at_an_error() {
    let (_folder, mut desk) = at("checked");
    desk.press("tt");
    assert_eq!(desk.app.samples.list, List::Calls);
    desk.press("/nowhere<Enter>");
    assert!(desk.text().contains("Nothing matches."), "{}", desk.text());
    let page = desk.app.samples.page.as_mut().unwrap();
    page.exact = false;
    let text = desk.text();
    assert!(text.contains("Searching; nothing found so far.") && !text.contains("Nothing"), "{text}");
    let mut source = Source::searching_for(desk.app.samples.page.clone().unwrap());
    assert!(source.searching() && source.look().is_err());
    source.give_up();
    assert!(!source.searching());
}

#[test]
fn what_names_samples_stands_beside_no_words() {
    for line in ["flagged:true remainder", "remainder id:i001-r0-00003", "flagged:true text:remainder"] {
        let mistake = crate::tui::filter::read(line).unwrap_err();
        assert!(line[mistake.at.clone()].ends_with("remainder"), "{line}: {mistake:?}");
    }
}

#[test]
fn a_filter_that_leads_to_another_list_says_so() {
    let (_folder, mut desk) = at("checked");
    desk.press("t/verdict:rejected<Enter>");
    assert_eq!(desk.app.samples.list, List::Training);
    let notice = desk.app.notice.clone().unwrap();
    assert_eq!(notice, "predictions have no verdict: these are the training data");
}

#[test]
fn flags_stay_and_can_be_listed_and_judged() {
    let (_folder, mut desk) = at("checked");
    desk.press("*jj*");
    let flagged: Vec<String> = desk.app.samples.flags.iter().cloned().collect();
    assert_eq!(flagged.len(), 2);
    desk.press("/flagged:true<Enter>");
    assert_eq!(total(&desk), 2);
    desk.press("B");
    let Some(Overlay::Menu { menu: Menu::Bulk { selection, count }, .. }) = &desk.app.overlay else {
        panic!("{:?}", desk.app.notice)
    };
    assert_eq!((*count, selection.ids.iter().cloned().collect::<Vec<_>>()), (2, flagged));
    desk.press("<Esc>*");
    assert_eq!(total(&desk), 1);
}

#[test]
fn a_new_run_with_the_name_of_a_deleted_one_has_none_of_its_flags() {
    let flags = |created_ms, memory: Option<crate::tui::memory::Memory>, keys: &str| {
        let folder = tempfile::tempdir().unwrap();
        let record = crate::store::RunRecord { created_ms, ..script::record("first-run") };
        let mut player = Player::create(folder.path(), &record);
        player.run(|work| work == super::work(1, Phase::Check, None));
        let mut app = App::new((120, 40), Look::default());
        app.recall(memory.unwrap_or_default(), false);
        let mut desk = Desk { app, source: Source::new(folder.path().into()), effects: Vec::new() };
        desk.settle();
        desk.press(keys);
        (desk.app.samples.flags.len(), desk.app.memory())
    };
    let (count, memory) = flags(1, None, "4*");
    assert_eq!(count, 1);
    assert_eq!(flags(1, Some(memory.clone()), "").0, 1, "the same run");
    let (count, both) = flags(2, Some(memory), "");
    assert_eq!((count, both.flags.len()), (0, 1), "another one; what is remembered of the first stays");
}

#[test]
fn what_a_search_found_can_be_judged_as_a_whole() {
    let (_folder, mut desk) = at("checked");
    desk.press("/remainder iter:2<Enter>");
    let found = total(&desk);
    assert!(found > 1);
    desk.effects.clear();
    desk.press("Bj<Enter>");
    let sent = desk.effects.iter().find_map(|effect| match effect {
        Effect::Send { command: Command::Review { selection, edit: DatumEdit::Reject }, .. } => {
            Some(selection)
        }
        _ => None,
    });
    let DataSelection { ids, .. } = sent.unwrap();
    assert_eq!(ids.len(), found);
}

#[test]
fn jumps_lead_to_what_belongs_together_and_back() {
    let (_folder, mut desk) = at("checked");
    // Every fourth datum was written after an error.
    let source = data(&desk)[4].datum.provenance.source_errors[0].clone();
    desk.press("jjjjJ");
    let Some(Overlay::Menu { menu: Menu::Jump { targets }, .. }) = &desk.app.overlay else { panic!() };
    assert_eq!(targets.len(), 2);
    desk.press("j<Enter>");
    let Listing::Picked { list: List::Predictions, ids, .. } = desk.app.listing() else { panic!() };
    assert_eq!(ids, std::slice::from_ref(&source));
    assert_eq!(total(&desk), 2, "its answers after iterations 0 and 1");
    desk.press("J");
    desk.press("jj<Enter>");
    assert_eq!(desk.app.samples.filter.error.as_ref(), Some(&source));
    assert!(total(&desk) > 0);
    assert!(data(&desk).iter().all(|d| d.datum.provenance.source_errors.contains(&source)));
    desk.press("<Backspace><Backspace>");
    assert_eq!((desk.app.samples.list, desk.app.samples.selected), (List::Training, 4));
    desk.press("J<Enter>");
    assert_eq!(desk.app.focus, Pane::Skills);
    assert!(desk.app.skill.0.is_some());
}
