//! Discoveries with a teacher by heart.

use std::sync::Arc;

use super::super::{Labelled, SkillsError, WrittenSkills};
use super::*;
use crate::gym::ports::SkillDiscovery;
use crate::prompts::tests::recorded;
use crate::skills::tests::Heart;
use crate::tasks::arithmetic::ArithmeticTask;

fn task() -> Arc<dyn Task> {
    Arc::new(ArithmeticTask::new(2, 1, 64))
}

/// Labels by the first word of the question, two categories that leave out what begins with "what".
fn rule(n: usize, question: &Question) -> String {
    let asked = question.request.prompt.split("Question: ").nth(1).unwrap_or_default();
    let word: String = asked.chars().take_while(|c| c.is_alphabetic()).collect();
    match question.prompt.split('@').next() {
        Some("label") => format!(r#"{{"name": "{word} Problems", "reason": "so"}}"#),
        Some("aggregate") => r#"{"categories": [
            {"descriptive_name": "Commands", "skills": ["calculate_problems", "add_problems", "subtract_problems"]},
            {"descriptive_name": "Stories", "skills": ["there_problems"]}]}"#
            .to_owned(),
        Some("aggregate_short") => "1. Commands: calculate_problems, add_problems\n2. Stories: there_problems\nDone.".to_owned(),
        Some("choose") if n.is_multiple_of(2) => r#"{"reason": "", "name": "stories"}"#.to_owned(),
        _ => r#"{"reason": "", "name": "Riddles"}"#.to_owned(),
    }
}

#[test]
fn every_question_gets_a_category_or_none_after_three_refusals() {
    let task = task();
    let mut heart = Heart::new(&rule);
    let found = Discovery { categories: 2, ..Discovery::default() }.run(task.as_ref(), &mut heart).unwrap();
    assert_eq!(found.skills.len(), 24);
    let names: BTreeSet<&str> = found.skills.values().map(String::as_str).collect();
    assert!(names.is_subset(&["Commands", "Stories", UNSORTED].into()), "{names:?}");
    assert!(names.contains("Commands") && names.contains("Stories"), "{names:?}");
    let prompts = |name: &str| heart.asked.iter().filter(|q| q.prompt.starts_with(name)).count();
    assert_eq!((prompts("label@"), prompts("aggregate@")), (24, 1));
    let corrected = heart.asked.iter().filter(|q| q.request.prompt.contains("- Riddles")).count();
    assert!(corrected > 0 && heart.malformed.len() >= corrected);
    // The labels of the record lead to the same categories without a question of stage 1.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skills.json");
    found.record.write(&path).unwrap();
    assert_eq!(DiscoveredSkills::read(&path).unwrap(), found.record);
    let mut again = Heart::new(&rule);
    let discovery = Discovery { labels: Some(path), short: true, ..Discovery::default() };
    discovery.run(task.as_ref(), &mut again).unwrap();
    assert!(again.asked.iter().all(|q| !q.prompt.starts_with("label@")));
    assert!(again.asked[0].prompt.starts_with("aggregate_short@") && again.asked[0].request.schema.is_none());
}

/// A discovery in a large benchmark names a thousand skills, and the question about them has to fit.
#[test]
fn names_for_which_there_is_no_room_are_not_shown_and_their_questions_are_chosen_for() {
    let task = task();
    let count =
        |heart: &Heart<'_>, name: &str| heart.asked.iter().filter(|q| q.prompt.starts_with(name)).count();
    let mut whole = Heart::new(&rule);
    Discovery::default().run(task.as_ref(), &mut whole).unwrap();
    let short = Discovery { shown_characters: "there_problems".len() as u32, ..Discovery::default() };
    let mut heart = Heart::new(&rule);
    let found = short.run(task.as_ref(), &mut heart).unwrap();
    let asked = |heart: &Heart<'_>| -> String {
        heart.asked.iter().find(|q| q.prompt.starts_with("aggregate@")).unwrap().request.prompt.clone()
    };
    assert!(asked(&whole).matches("_problems\n").count() > 3, "{}", asked(&whole));
    assert_eq!(asked(&heart).matches("_problems\n").count(), 1, "{}", asked(&heart));
    assert_eq!((found.skills.len(), count(&heart, "label@")), (24, 24));
    assert!(count(&heart, "choose@") >= count(&whole, "choose@"));
}

#[test]
fn a_labelled_task_changes_its_skills_once_they_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("skills.json");
    let discovery = Discovery { assign: [Split::Test].into(), ..Discovery::default() };
    let labelled = Labelled::discovered(task(), discovery, record.clone());
    assert!(!labelled.found());
    labelled.discover(&mut Heart::new(&rule)).unwrap();
    assert!(labelled.found() && record.is_file());
    assert!(labelled.skills().contains(&"Commands".to_owned()), "{:?}", labelled.skills());
    let skill = |split: Split| labelled.instances(split)[0].skill.clone().unwrap();
    assert_ne!(skill(Split::Test), UNSORTED);
    assert_eq!(skill(Split::Pool), UNSORTED);
    labelled.discover(&mut Heart::new(&|_, _| panic!("asked again"))).unwrap();
}

#[test]
fn a_teacher_that_cannot_group_is_an_error_that_says_what_to_do() {
    let deaf = |_: usize, question: &Question| {
        if question.prompt.starts_with("label@") { r#"{"name": "x"}"#.to_owned() } else { String::new() }
    };
    let mut heart = Heart::new(&deaf);
    let error = Discovery::default().run(task().as_ref(), &mut heart).unwrap_err();
    assert!(error.message.contains("group 1 skills") && error.message.contains("written"), "{error}");
    assert_eq!(heart.malformed.len(), 3);
}

#[test]
fn the_file_of_the_reference_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skills.json");
    let category = r#"{"category_id": 1, "descriptive_name": "Algebra", "skills": ["equations"]}"#;
    let text = format!(
        r#"{{"labeled_instructions": [{{"instance_id": "a", "instruction": "x?", "skill": {{"name": "equations", "reason_for_skill": null}}}}],
            "skill_categories": [{category}], "instance_id_to_skill_category": {{"a": {category}}}}}"#
    );
    std::fs::write(&path, text).unwrap();
    let read = DiscoveredSkills::read(&path).unwrap();
    assert_eq!(read.skills(), [("a".to_owned(), "Algebra".to_owned())].into());
    let missing = Labelled::given(task(), &read.skills(), &path).err().unwrap().to_string();
    assert!(missing.contains("24 of 24") && missing.contains("arithmetic-validation-00000"), "{missing}");
    std::fs::write(&path, "{").unwrap();
    assert!(DiscoveredSkills::read(&path).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn written_skills_go_by_id_then_gold_then_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skills.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write(
        "[[skill]]\nname = 'Chosen'\ninstances = ['arithmetic-validation-00001']\n\
         [[skill]]\nname = 'Sums'\ngold = ['add']\nsubskills = ['small', 'large']\n\
         [[skill]]\nname = 'Means'\nwords = ['average', 'mean of']\n",
    );
    let (task, written) = (task(), WrittenSkills::read(&path).unwrap());
    let skills = written.skills(task.as_ref(), &path).unwrap();
    assert_eq!(skills["arithmetic-validation-00000"], "Sums");
    assert_eq!(skills["arithmetic-validation-00001"], "Chosen");
    assert_eq!(skills["arithmetic-validation-00023"], "Means");
    assert!(skills.values().any(|skill| skill == UNSORTED));
    assert_eq!(written.subskills(), [("Sums".to_owned(), vec!["small".to_owned(), "large".to_owned()])]);
    let said = |text: &str| -> String {
        write(text);
        let read = WrittenSkills::read(&path);
        let error = read.and_then(|w| w.skills(task.as_ref(), &path).map(|_| ()));
        error.map_err(|e: SkillsError| e.to_string()).unwrap_err()
    };
    assert!(said("[[skill]]\nname = 'a'\nword = []").contains("line 3"));
    assert!(said("[[skill]]\nname = 'a'\n[[skill]]\nname = 'a'").contains("twice"));
    assert!(said("[[skill]]\nname = 'a'\ninstances = ['zzz']").contains("`zzz`"));
}

#[test]
fn the_recorded_answers() {
    let join = |categories: Vec<Category>| {
        let one = |c: &Category| format!("{}: {}", c.descriptive_name, c.skills.join(", "));
        categories.iter().map(one).collect::<Vec<_>>().join(" | ")
    };
    for answer in recorded("label") {
        let read = reading::label(&answer.reply).map(|label| label.name);
        assert_eq!(crate::prompts::tests::summary(read), answer.expected, "label, {}", answer.name);
    }
    for answer in recorded("aggregate") {
        let read = reading::categories(&answer.reply).map(join);
        assert_eq!(crate::prompts::tests::summary(read), answer.expected, "aggregate, {}", answer.name);
    }
    for answer in recorded("aggregate_short") {
        let read = reading::lines(&answer.reply).map(join);
        assert_eq!(crate::prompts::tests::summary(read), answer.expected, "aggregate_short, {}", answer.name);
    }
    for answer in recorded("choose") {
        let names = ["Algebra", "Number Theory"];
        let read = reading::choice(&answer.reply, &names).map(|n| names[n].to_owned()).map_err(|r| r.reason);
        assert_eq!(crate::prompts::tests::summary(read), answer.expected, "choose, {}", answer.name);
    }
}
