//! Table tests of the state machine.

use std::collections::BTreeMap;

use super::*;
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
    let forest = SkillForest::default();
    match work.phase {
        Phase::Evaluate => {
            let mean = accuracies.get(&work.iteration).copied().unwrap_or(0.5);
            let overall = Estimate { mean, low: 0.0, high: 1.0, n: 10 };
            let split = work.split.unwrap();
            let report = Report { iteration: work.iteration, split, overall, skills: Vec::new(), tokens: 0 };
            Fact::Evaluated { report }
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
            Fact::Planned { plan, forest }
        }
        Phase::Generate => Fact::Generated { count: 11, teacher_tokens: 0 },
        Phase::Check => Fact::Checked { accepted: 10, rejected: 1, forest },
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
        episode.handle(Event::Failed { message: "worker died".into(), transient: true })
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
fn a_fatal_failure_is_not_retried() {
    let mut episode = Episode::new(rules(1));
    command(&mut episode, Command::Run);
    let event = Event::Failed { message: "weights are truncated".into(), transient: false };
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
    assert_eq!(episode.handle(Event::Failed { message: "late".into(), transient: true }), []);
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
