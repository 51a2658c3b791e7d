//! The reference's traces: data per call of one skill whose engine always delivers, subskills without end.

use super::*;
use crate::gym::ports::PlanContext;
use crate::gym::skill_forest::{SkillExperience, SkillForest};
use std::collections::BTreeMap;

/// The forest after `calls` calls, and the data of each call. The accuracy after call `n` is `accuracy(n)`.
pub(super) fn simulate(
    policy: &dyn Policy,
    calls: u32,
    accuracy: impl Fn(u32) -> f64,
) -> (SkillForest, Vec<u32>) {
    let mut forest = SkillForest::new(["s"]);
    let mut trace = Vec::new();
    for iteration in 1..=calls {
        let tree = forest.trees[0].clone();
        let before = accuracy(iteration - 1);
        let state = State::SkillTree(vec![SkillState { tree: &tree, accuracy: before, unexplored: 99 }]);
        let context = PlanContext { iteration, round: 0, seed: u64::from(iteration) };
        let Decision::Actions(mut actions) = policy.plan(&state, context).unwrap() else { panic!() };
        let action = actions.remove(0).action;
        let names: Vec<String> = match &action {
            Action::Explore { new_subskills, .. } => {
                (0..*new_subskills).map(|n| format!("{iteration}-{n}")).collect()
            }
            Action::Exploit { .. } => Vec::new(),
        };
        forest.apply("s", &action, &names).unwrap();
        let (accuracy_before, accuracy_after) = (before, Some(accuracy(iteration)));
        let experience = SkillExperience { iteration, action, accuracy_before, accuracy_after, produced: 0 };
        forest.trees[0].history.push(experience);
        let counts: BTreeMap<(String, String), u32> =
            forest.allocations().iter().map(|a| ((a.skill.clone(), a.subskill.clone()), a.count)).collect();
        trace.push(counts.values().sum());
        forest.record_produced(&counts);
    }
    (forest, trace)
}

/// What a policy is by its configuration.
fn configured(toml: &str) -> Arc<dyn Policy> {
    toml::from_str::<PolicyChoice>(toml).unwrap().build()
}

#[test]
fn the_verified_traces() {
    let rows: &[(&str, &[u32])] = &[
        (
            "kind = 'alternating'\nexplore = { new_subskills = 2, data_per_subskill = 30 }\nmax_data_per_skill = 200",
            &[60, 0, 60, 0, 60, 0, 60, 0, 0, 0],
        ),
        (
            "kind = 'alternating'\nexplore = { new_subskills = 2, data_per_subskill = 30 }\nmax_data_per_skill = 200
             first = { new_subskills = 2, data_per_subskill = 10 }",
            &[20, 0, 60, 0, 60, 0, 60, 0, 0, 0],
        ),
        (
            "kind = 'fill_balanced'\nexplore = { new_subskills = 1, data_per_subskill = 1 }
             max_subskills = 3\nmax_data_per_subskill = 15\nmax_allocation_per_subskill = 5",
            &[1, 0, 1, 0, 1, 15, 15, 12, 0, 0],
        ),
        (
            "kind = 'fill_balanced'\nexplore = { new_subskills = 1, data_per_subskill = 1 }
             max_subskills = 3\nmax_data_per_subskill = 20\nmax_allocation_per_subskill = 6",
            &[1, 0, 1, 0, 1, 18, 18, 18, 3, 0, 0],
        ),
        (
            "kind = 'fill_balanced'\nexplore = { new_subskills = 2, data_per_subskill = 10 }
             max_subskills = 5\nmax_data_per_subskill = 40\nmax_allocation_per_subskill = 15",
            &[20, 0, 20, 0, 20, 90, 90, 0, 0],
        ),
    ];
    for (configuration, expected) in rows {
        let policy = configured(configuration);
        let (_, trace) = simulate(policy.as_ref(), expected.len() as u32, |_| 0.5);
        assert_eq!(trace, *expected, "{configuration}");
    }
}

#[test]
fn alternation_over_many_steps() {
    let policy = configured(
        "kind = 'alternating'\nexplore = { new_subskills = 3, data_per_subskill = 7 }\nmax_data_per_skill = 0",
    );
    for calls in 1..=14 {
        let (forest, _) = simulate(policy.as_ref(), calls, |_| 0.5);
        let active = forest.allocations().len();
        let expected = if calls % 2 == 1 { 3 } else { 0 };
        assert_eq!(active, expected, "call {calls}");
        let kinds: Vec<&str> = forest.trees[0].history.iter().map(|e| e.action.kind()).collect();
        assert!(kinds.windows(2).all(|pair| pair[0] != pair[1]), "{kinds:?}");
    }
}

#[test]
fn a_cap_that_is_a_multiple_of_the_explore_size_is_kept() {
    let policy = configured(
        "kind = 'alternating'\nexplore = { new_subskills = 2, data_per_subskill = 10 }\nmax_data_per_skill = 60",
    );
    let (_, trace) = simulate(policy.as_ref(), 20, |_| 0.5);
    assert_eq!(trace.iter().sum::<u32>(), 60);
}

#[test]
fn the_balanced_fill_reaches_its_aim() {
    for (subskills, data, allocation) in [(1, 15, 5), (3, 15, 5), (3, 20, 6)] {
        let policy = FillBalanced {
            explore: Explore { new_subskills: 1, data_per_subskill: 1 },
            max_subskills: subskills,
            max_data_per_subskill: data,
            max_allocation_per_subskill: allocation,
        };
        let (forest, _) = simulate(&policy, 50, |_| 0.5);
        let made: Vec<u32> = forest.trees[0].subskills.iter().map(|s| s.produced).collect();
        assert_eq!(made, vec![data; subskills as usize]);
    }
}

#[test]
fn a_policy_says_where_it_does_not_fit() {
    let context = PlanContext { iteration: 1, round: 0, seed: 0 };
    let state = State::OpenEnded(Vec::new());
    let policy = Fixed { explore: Explore { new_subskills: 1, data_per_subskill: 1 } };
    let error = policy.plan(&state, context).unwrap_err().message;
    assert!(
        error.contains("`fixed`") && error.contains("open_ended") && error.contains("skill_tree"),
        "{error}"
    );
}
