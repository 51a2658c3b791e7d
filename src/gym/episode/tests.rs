//! Table tests of the state machine.

use std::collections::BTreeMap;

use super::*;
use crate::gym::budget::Plateau;
use crate::gym::skill_forest::{ActionError, ForestChange};
use crate::gym::statistics::Estimate;

fn rules(iterations: u32) -> EpisodeRules {
    EpisodeRules {
        environment: EnvironmentKind::SkillTree,
        budget: Budget { iterations, ..Budget::default() },
        rounds: 1,
        test_every_iteration: false,
        gates: BTreeSet::new(),
        retries: 2,
    }
}

/// The fact that completes `work`; validation accuracy comes from the table, 10 data are accepted a round.
fn fact(work: Work, accuracies: &BTreeMap<u32, f64>) -> Fact {
    let forest = ForestChange::default();
    match work.phase {
        Phase::Evaluate => {
            let mean = accuracies.get(&work.iteration).copied().unwrap_or(0.5);
            let overall = Estimate { mean, low: 0.0, high: 1.0, n: 10 };
            let split = work.split.unwrap();
            let report = Report {
                iteration: work.iteration,
                split,
                overall,
                skills: Vec::new(),
                slices: Vec::new(),
                tokens: 0,
            };
            Fact::Evaluated { report, teacher_tokens: 0 }
        }
        Phase::Plan => {
            let (iteration, round) = (work.iteration, work.round);
            let plan = Plan {
                iteration,
                round,
                policy: "test".into(),
                actions: Vec::new(),
                allocations: Vec::new(),
                edited: false,
            };
            Fact::Planned { plan, forest, teacher_tokens: 0 }
        }
        Phase::Generate => Fact::Generated { count: 11, teacher_tokens: 0 },
        Phase::Check => Fact::Checked {
            accepted: 10,
            rejected: 1,
            forest,
            failed: [("duplicate".to_owned(), 1)].into(),
            teacher_tokens: 0,
        },
        Phase::Train => Fact::Trained { outcome: None },
    }
}

fn word(work: Work) -> String {
    let split = work.split.map_or(String::new(), |s| format!("-{}", s.as_str()));
    format!("{}.{}:{}{split}", work.iteration, work.round, work.phase.as_str())
}

/// Performs effects until the machine holds; returns the works in order.
fn drive(episode: &mut Episode, mut effects: Vec<Effect>, accuracies: &[(u32, f64)]) -> Vec<String> {
    let accuracies = accuracies.iter().copied().collect();
    let mut done = Vec::new();
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        done.push(word(work));
        effects = episode.handle(Event::completed(fact(work, &accuracies)));
    }
    done
}

fn command(episode: &mut Episode, command: Command) -> Vec<Effect> {
    episode.handle(Event::Commanded { command })
}

const ONE_ITERATION: [&str; 5] =
    ["1.0:plan", "1.0:generate", "1.0:check", "1.0:train", "1.0:evaluate-validation"];

#[test]
fn a_whole_episode_in_order() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[(0, 0.4), (1, 0.6)]);
    let mut expected = vec!["0.0:evaluate-validation"];
    expected.extend(ONE_ITERATION);
    expected.extend(["0.0:evaluate-test", "1.0:evaluate-test"]);
    assert_eq!(works, expected);
    assert_eq!((episode.selected, &episode.halt), (Some(1), &Some(Halt::Finished)));
    assert_eq!((episode.accepted(), episode.iterations[1].rejected), (10, 1));
    assert_eq!(episode.iterations[1].failed["duplicate"], 1);
}

#[test]
fn iteration_0_can_be_selected_and_is_tested_once() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[(0, 0.6), (1, 0.6)]);
    assert_eq!(works.last().unwrap(), "0.0:evaluate-test");
    assert_eq!(episode.selected, Some(0));
}

#[test]
fn test_every_iteration_adds_evaluations() {
    let mut episode = Episode::new(EpisodeRules { test_every_iteration: true, ..rules(1) });
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[]);
    let tests: Vec<_> = works.iter().filter(|w| w.ends_with("test")).collect();
    assert_eq!(tests, ["0.0:evaluate-test", "1.0:evaluate-test"]);
}

#[test]
fn rounds_accumulate_before_training() {
    let mut episode = Episode::new(EpisodeRules { rounds: 2, ..rules(1) });
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[]);
    assert_eq!(
        works[1..8],
        ["1.0:plan", "1.0:generate", "1.0:check", "1.1:plan", "1.1:generate", "1.1:check", "1.1:train"]
    );
    assert_eq!(episode.iterations[1].plans.len(), 2);
}

#[test]
fn the_data_budget_is_cumulative() {
    let mut with_limit = rules(9);
    with_limit.budget.training_data = Some(20);
    let mut episode = Episode::new(with_limit);
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[]);
    assert_eq!((episode.iterations.len(), episode.accepted()), (3, 20));
}

#[test]
fn advance_phase_and_iteration_hold_where_they_should() {
    let mut episode = Episode::new(rules(2));
    let effects = command(&mut episode, Command::AdvancePhase);
    assert_eq!(drive(&mut episode, effects, &[]), ["0.0:evaluate-validation"]);
    assert_eq!(episode.halt, Some(Halt::Asked));
    let effects = command(&mut episode, Command::AdvanceIteration);
    assert_eq!(drive(&mut episode, effects, &[]), ONE_ITERATION);
    let effects = command(&mut episode, Command::AdvancePhase);
    assert_eq!(drive(&mut episode, effects, &[]), ["2.0:plan"]);
}

#[test]
fn pause_lets_the_running_phase_end() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::Run);
    assert_eq!(effects.len(), 1);
    assert_eq!(command(&mut episode, Command::Pause), []);
    assert!(episode.running);
    assert_eq!(drive(&mut episode, effects, &[]), ["0.0:evaluate-validation"]);
    assert!(!episode.running);
}

#[test]
fn a_gate_holds_before_its_phase_and_is_passed_by_a_command() {
    let mut episode = Episode::new(EpisodeRules { gates: [Phase::Train].into(), ..rules(1) });
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[]);
    assert_eq!(works.last().unwrap(), "1.0:check");
    assert_eq!(episode.halt, Some(Halt::Gate { phase: Phase::Train }));
    let effects = command(&mut episode, Command::Run);
    assert_eq!(drive(&mut episode, effects, &[])[0], "1.0:train");
}

#[test]
fn a_transient_failure_is_retried_with_back_off_then_pauses_with_its_cause() {
    let mut episode = Episode::new(rules(1));
    command(&mut episode, Command::Run);
    let fail = |episode: &mut Episode| {
        episode.handle(Event::Failed { message: "worker died".into(), transient: true, progressed: false })
    };
    let delay = |effects: &[Effect]| match effects {
        [Effect::Perform { delay_ms, .. }] => *delay_ms,
        _ => panic!("{effects:?}"),
    };
    assert_eq!(delay(&fail(&mut episode)), 1000);
    assert_eq!(delay(&fail(&mut episode)), 2000);
    assert_eq!(fail(&mut episode), []);
    assert_eq!(episode.halt, Some(Halt::Failure { message: "worker died".into() }));
    assert_eq!(delay(&command(&mut episode, Command::Run)), 0);
}

#[test]
fn work_that_gets_on_is_not_given_up() {
    let mut episode = Episode::new(rules(1));
    command(&mut episode, Command::Run);
    for progressed in [false, false, true, false, true, true, false] {
        let message = "worker died".to_owned();
        let effects = episode.handle(Event::Failed { message, transient: true, progressed });
        let [Effect::Perform { delay_ms, .. }] = effects[..] else { panic!("{effects:?}") };
        assert_eq!(delay_ms == 1000, progressed || episode.failures == 1);
    }
    let message = "worker died".to_owned();
    assert_eq!(episode.handle(Event::Failed { message, transient: true, progressed: false }), []);
}

#[test]
fn a_fatal_failure_is_not_retried() {
    let mut episode = Episode::new(rules(1));
    command(&mut episode, Command::Run);
    let event =
        Event::Failed { message: "weights are truncated".into(), transient: false, progressed: false };
    assert_eq!(episode.handle(event), []);
    assert!(matches!(episode.halt, Some(Halt::Failure { .. })));
}

#[test]
fn stop_waits_for_the_phase_and_stop_now_does_not() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::Run);
    assert_eq!(command(&mut episode, Command::Stop), []);
    let Effect::Perform { work, .. } = effects[0] else { panic!() };
    let after = episode.handle(Event::completed(fact(work, &BTreeMap::new())));
    assert_eq!((after, &episode.halt), (vec![Effect::Exit], &Some(Halt::Stopped)));

    let mut episode = Episode::new(rules(1));
    command(&mut episode, Command::Run);
    assert_eq!(command(&mut episode, Command::StopNow), [Effect::Cancel, Effect::Exit]);
}

#[test]
fn a_killed_process_repeats_the_work_in_hand() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::AdvancePhase);
    drive(&mut episode, effects, &[]);
    command(&mut episode, Command::Run);
    assert_eq!(episode.handle(Event::Opened), []);
    assert!(!episode.running);
    let effects = command(&mut episode, Command::Run);
    assert_eq!(drive(&mut episode, effects, &[])[..5], ONE_ITERATION);
}

#[test]
fn stale_events_change_nothing() {
    let mut episode = Episode::new(rules(1));
    let before = episode.clone();
    assert_eq!(
        episode.handle(Event::Failed { message: "late".into(), transient: true, progressed: false }),
        []
    );
    assert_eq!(episode.handle(Event::completed(Fact::Generated { count: 1, teacher_tokens: 0 })), []);
    assert_eq!(episode, before);
}

#[test]
fn replaying_the_events_rebuilds_the_state() {
    let mut live = Episode::new(rules(2));
    let mut journal = vec![Event::Opened, Event::Commanded { command: Command::Run }];
    let mut effects: Vec<Effect> = journal.clone().into_iter().flat_map(|e| live.handle(e)).collect();
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        let event = Event::completed(fact(work, &BTreeMap::from([(2, 0.9)])));
        journal.push(event.clone());
        effects = live.handle(event);
    }
    let text = serde_json::to_string(&journal).unwrap();
    let journal: Vec<Event> = serde_json::from_str(&text).unwrap();
    let mut replayed = Episode::new(rules(2));
    for event in journal {
        replayed.handle(event);
    }
    assert_eq!(replayed, live);
    assert_eq!(live.selected, Some(2));
}

#[test]
fn every_limit_ends_the_run_and_says_so() {
    let limited = |change: fn(&mut Budget)| {
        let mut rules = rules(9);
        change(&mut rules.budget);
        let mut episode = Episode::new(rules);
        let mut effects = command(&mut episode, Command::Run);
        let accuracies: BTreeMap<u32, f64> = [(0, 0.1), (1, 0.3), (2, 0.35), (3, 0.34), (4, 0.35)].into();
        while let Some(Effect::Perform { work, .. }) = effects.pop() {
            let fact = match fact(work, &accuracies) {
                Fact::Generated { count, .. } => Fact::Generated { count, teacher_tokens: 70 },
                fact => fact,
            };
            effects = episode.handle(Event::Completed { fact, elapsed_ms: 10 });
        }
        (episode.iterations.len() as u32 - 1, episode.limit.unwrap())
    };
    assert_eq!(limited(|_| ()), (9, Limit::Iterations));
    assert_eq!(limited(|b| b.training_data = Some(25)), (3, Limit::TrainingData));
    assert_eq!(limited(|b| b.tokens = Some(140)), (2, Limit::Tokens));
    assert_eq!(limited(|b| b.time_ms = Some(120)), (3, Limit::Time));
    assert_eq!(limited(|b| b.plateau = Some(Plateau { patience: 2, gain: 0.0 })), (4, Limit::Plateau));
    assert_eq!(limited(|b| b.plateau = Some(Plateau { patience: 1, gain: 0.1 })), (2, Limit::Plateau));
}

#[test]
fn a_finished_run_goes_on_when_its_limits_allow_it() {
    let mut episode = Episode::new(rules(1));
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[(0, 0.4), (1, 0.6), (2, 0.7)]);
    assert_eq!(episode.allows(&Command::Run), Err(Refusal::Finished));
    let extend = |iterations| Command::Extend { budget: Budget { iterations, ..Budget::default() } };
    assert!(matches!(episode.allows(&extend(1)), Err(Refusal::Spent(_))));
    assert_eq!(episode.allows(&extend(2)), Ok(()));
    command(&mut episode, extend(2));
    assert_eq!((episode.selected, &episode.halt), (None, &Some(Halt::Asked)));
    let effects = command(&mut episode, Command::Run);
    let works = drive(&mut episode, effects, &[(2, 0.7)]);
    assert_eq!((works[0].as_str(), works.last().unwrap().as_str()), ("2.0:plan", "2.0:evaluate-test"));
    assert_eq!(episode.selected, Some(2));
}

#[test]
fn gates_come_and_go_while_the_run_lasts() {
    let mut episode = Episode::new(rules(2));
    command(&mut episode, Command::Gate { phase: Phase::Check, wait: true });
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[]);
    assert_eq!(episode.halt, Some(Halt::Gate { phase: Phase::Check }));
    command(&mut episode, Command::Gate { phase: Phase::Check, wait: false });
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[]);
    assert_eq!(episode.halt, Some(Halt::Finished));
}

/// An episode at the gate between plan and generate, with a forest of one skill and two subskills.
fn planned() -> Episode {
    let mut episode = Episode::new(EpisodeRules { gates: [Phase::Generate].into(), ..rules(1) });
    let mut effects = command(&mut episode, Command::Run);
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        let mut fact = fact(work, &BTreeMap::new());
        match &mut fact {
            Fact::Evaluated { report, .. } => {
                let (skill, accuracy, subskills) = ("s".into(), report.overall, BTreeMap::new());
                report.skills.push(crate::gym::report::SkillReport { skill, accuracy, subskills });
            }
            Fact::Planned { plan, forest, .. } => {
                let mut after = SkillForest::new(["s"]);
                let explore = crate::gym::plan::Action::Explore { new_subskills: 2, data_per_subskill: 5 };
                after.apply("s", &explore, &["a".into(), "b".into()]).unwrap();
                plan.allocations = after.allocations();
                *forest = episode.forest.change_to(&after);
            }
            _ => {}
        }
        effects = episode.handle(Event::completed(fact));
    }
    assert_eq!(episode.halt, Some(Halt::Gate { phase: Phase::Generate }));
    episode
}

fn allocation(subskill: &str, count: u32) -> crate::gym::plan::Allocation {
    crate::gym::plan::Allocation { skill: "s".into(), subskill: subskill.into(), count, shown: Vec::new() }
}

#[test]
fn a_person_changes_the_plan_at_its_gate() {
    let mut episode = planned();
    let wrong = Command::Allocate { allocations: vec![allocation("c", 1)] };
    assert!(matches!(episode.allows(&wrong), Err(Refusal::Action(ActionError::UnknownSubskill { .. }))));
    let twice = Command::Allocate { allocations: vec![allocation("a", 1), allocation("a", 2)] };
    assert!(matches!(episode.allows(&twice), Err(Refusal::Action(ActionError::DuplicateSubskill { .. }))));
    let right = Command::Allocate { allocations: vec![allocation("b", 9)] };
    assert_eq!(episode.allows(&right), Ok(()));
    command(&mut episode, right.clone());
    let plan = &episode.iterations[1].plans[0];
    assert_eq!((plan.allocations.as_slice(), plan.edited), (&[allocation("b", 9)][..], true));
    assert_eq!(episode.forest.allocations(), plan.allocations);
    command(&mut episode, Command::Run);
    assert_eq!(episode.allows(&right), Err(Refusal::Running("generate")));
}

#[test]
fn a_person_acts_in_place_of_the_policy() {
    let mut episode = planned();
    let act = |skill: &str, new_subskills| {
        let action = crate::gym::plan::Action::Explore { new_subskills, data_per_subskill: 1 };
        Command::Act { actions: vec![SkillAction { skill: skill.into(), action }] }
    };
    assert!(matches!(episode.allows(&act("t", 1)), Err(Refusal::Action(ActionError::UnknownSkill(_)))));
    assert_eq!(episode.allows(&act("s", 1)), Ok(()));
    command(&mut episode, act("s", 1));
    assert_eq!(episode.work.unwrap().phase, Phase::Plan);
    assert!(episode.acting.is_some() && episode.iterations[1].plans.is_empty());
    assert_eq!(episode.forest, SkillForest::default());
    let list = EpisodeRules { environment: EnvironmentKind::SkillList, ..rules(1) };
    let mut other = planned();
    other.rules = list;
    assert_eq!(other.allows(&act("s", 1)), Err(Refusal::NoForest));
}

#[test]
fn a_review_corrects_the_counts_of_checked_rounds_only() {
    let mut episode = Episode::new(EpisodeRules { gates: [Phase::Check, Phase::Train].into(), ..rules(1) });
    let review = |accepted| Event::Reviewed {
        selection: DataSelection::default(),
        edit: DatumEdit::Accept,
        data: 1,
        counts: vec![ReviewCount {
            iteration: 1,
            round: 0,
            skill: "s".into(),
            subskill: "a".into(),
            accepted,
            rejected: -accepted,
        }],
    };
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[]);
    episode.handle(review(1));
    assert_eq!(episode.iterations[1].accepted, 0);
    let effects = command(&mut episode, Command::Run);
    drive(&mut episode, effects, &[]);
    episode.handle(review(1));
    assert_eq!((episode.iterations[1].accepted, episode.iterations[1].rejected), (11, 0));
    let asked = Command::Review { selection: DataSelection::default(), edit: DatumEdit::Reject };
    assert_eq!(episode.allows(&asked), Ok(()));
    command(&mut episode, Command::Run);
    assert_eq!(episode.allows(&asked), Err(Refusal::Running("train")));
}

#[test]
fn a_full_disk_holds_the_run_until_a_person_says_go() {
    let mut episode = Episode::new(rules(1));
    let message = "/x has 1 MiB left".to_owned();
    assert_eq!(episode.handle(Event::NoRoom { message: message.clone() }), []);
    assert_eq!(episode.halt, Some(Halt::Asked));
    let effects = command(&mut episode, Command::Run);
    assert_eq!(effects.len(), 1);
    assert_eq!(episode.handle(Event::NoRoom { message: message.clone() }), []);
    assert_eq!(
        (episode.running, episode.halt.as_ref().and_then(Halt::message)),
        (false, Some("/x has 1 MiB left"))
    );
    // It is still the reason when another process takes the run.
    episode.handle(Event::Opened);
    assert_eq!(episode.halt, Some(Halt::NoRoom { message }));
    assert_eq!(command(&mut episode, Command::Run), effects);
    assert_eq!(episode.halt, None);
}
