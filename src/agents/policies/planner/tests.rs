//! The planner with a teacher by heart.

use super::super::tests::Heart;
use super::*;
use crate::gym::report::UNSORTED;
use crate::gym::skill_forest::{SkillForest, SkillTree};
use crate::prompts::tests::recorded;

fn tree() -> SkillTree {
    let mut forest = SkillForest::new(["Algebra"]);
    let explore = Action::Explore { new_subskills: 2, data_per_subskill: 10 };
    forest.apply("Algebra", &explore, &["lines".into(), "roots".into()]).unwrap();
    forest.trees[0].history.push(SkillExperience {
        iteration: 1,
        action: explore,
        accuracy_before: 0.4,
        accuracy_after: Some(0.5),
        produced: 20,
    });
    forest.trees.remove(0)
}

fn plan(policy: &Planner, tree: &SkillTree, heart: &mut Heart<'_>) -> Action {
    let state = State::SkillTree(vec![SkillState { tree, accuracy: 0.5, questions: 40, unexplored: 9 }]);
    let context = PlanContext { iteration: 2, round: 0, seed: 1 };
    let Decision::Actions(mut actions) = policy.plan(&state, context, heart).unwrap() else { panic!() };
    actions.remove(0).action
}

#[test]
fn a_skill_without_a_history_is_explored_without_a_question() {
    let mut heart = Heart::new(&|_, _| String::new());
    let empty = SkillForest::new(["Algebra"]).trees.remove(0);
    let action = plan(&Planner::default(), &empty, &mut heart);
    assert_eq!(action, Action::Explore { new_subskills: 5, data_per_subskill: 10 });
    assert!(heart.asked.is_empty());
}

#[test]
fn unreadable_answers_are_asked_again_and_given_up_at_last() {
    let good = r#"{"reasoning": "", "action_type": "exploit", "data_allocation_delta": [{"subskill": "lines", "delta": 99}, {"subskill": "unknown", "delta": 5}]}"#;
    let rule = |n: usize, _: &Question| if n < 2 { "no".to_owned() } else { good.to_owned() };
    let mut heart = Heart::new(&rule);
    let action = plan(&Planner::default(), &tree(), &mut heart);
    let deltas = [("lines".to_owned(), 20), ("roots".to_owned(), -10)].into();
    assert_eq!(action, Action::Exploit { deltas });
    assert_eq!((heart.asked.len(), heart.malformed.len()), (3, 2));
    assert_eq!(heart.asked[0].request.sampling, Sampling::Greedy);
    assert_ne!(heart.asked[1].request.sampling, heart.asked[2].request.sampling);
    let mut deaf = Heart::new(&|_, _| "{".to_owned());
    let kept = [("lines".to_owned(), 0), ("roots".to_owned(), 0)].into();
    assert_eq!(plan(&Planner::default(), &tree(), &mut deaf), Action::Exploit { deltas: kept });
    assert_eq!(deaf.asked.len(), 8);
}

#[test]
fn both_views_tell_what_they_are_for() {
    let told = |view| {
        let mut heart = Heart::new(&|_, _| "{".to_owned());
        plan(&Planner { view, attempts: 1, ..Planner::default() }, &tree(), &mut heart);
        heart.asked[0].request.prompt.clone()
    };
    let reward = told(View::Reward);
    assert!(reward.contains("50.0 %") && reward.contains("reward 10.0"), "{reward}");
    let training = told(View::Training);
    assert!(training.contains("lines: 10 data now") && training.contains("not known"), "{training}");
}

#[test]
fn a_skill_without_a_name_is_not_called_by_its_placeholder() {
    let unnamed = SkillTree { skill: UNSORTED.to_owned(), ..tree() };
    for view in [View::Reward, View::Training] {
        let mut heart = Heart::new(&|_, _| "{".to_owned());
        plan(&Planner { view, attempts: 1, ..Planner::default() }, &unnamed, &mut heart);
        let asked = &heart.asked[0].request.prompt;
        assert!(asked.contains("for one skill that has no name. ") && !asked.contains(UNSORTED), "{asked}");
    }
}

#[test]
fn the_recorded_answers() {
    let (tree, limits) = (tree(), Limits { new_subskills: 5, data: 30 });
    let state = SkillState { tree: &tree, accuracy: 0.5, questions: 40, unexplored: 9 };
    for answer in recorded("planner") {
        let read = read(&answer.reply, &state, limits);
        let summary = match &read {
            Ok(Action::Explore { new_subskills, data_per_subskill }) => {
                format!("explore {new_subskills} {data_per_subskill}")
            }
            Ok(Action::Exploit { deltas }) => format!("exploit {deltas:?}"),
            Err(reason) => format!("refused: {reason}"),
        };
        assert_eq!(summary, answer.expected, "{}", answer.name);
    }
}
