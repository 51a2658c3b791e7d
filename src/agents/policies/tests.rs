//! The reference's traces: data per call of one skill whose engine always delivers, subskills without end.

use super::*;
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::ports::{PassRate, PlanAids, PlanContext, Question, Rendered, Teacher};
use crate::gym::skill_forest::{SkillExperience, SkillForest};
use crate::gym::teacher_call::TeacherCall;
pub(crate) use crate::skills::tests::Heart;
use std::collections::BTreeMap;

/// Aids with pass rates and nobody to ask.
#[derive(Default)]
pub(super) struct Alone {
    pub(super) rates: Vec<PassRate>,
    pub(super) pool: Vec<TaskInstance>,
}

impl Teacher for Alone {
    fn render(&self, _: &str, _: &serde_json::Value) -> Result<Rendered, PortError> {
        Err(PortError::fatal("nobody to ask"))
    }

    fn ask(&mut self, _: Vec<Question>) -> Result<Vec<TeacherCall>, PortError> {
        Err(PortError::fatal("nobody to ask"))
    }

    fn malformed(&mut self, _: &TeacherCall, _: String) -> Result<(), PortError> {
        Ok(())
    }
}

impl PlanAids for Alone {
    fn pass_rates(&mut self, _: u32) -> Result<Vec<PassRate>, PortError> {
        Ok(self.rates.clone())
    }

    fn pool(&self) -> &[TaskInstance] {
        &self.pool
    }

    fn training_accuracy(&self) -> Result<BTreeMap<(String, String), f64>, PortError> {
        Ok(BTreeMap::new())
    }
}

impl PlanAids for Heart<'_> {
    fn pass_rates(&mut self, _: u32) -> Result<Vec<PassRate>, PortError> {
        Ok(Vec::new())
    }

    fn training_accuracy(&self) -> Result<BTreeMap<(String, String), f64>, PortError> {
        Ok(BTreeMap::new())
    }
}

/// So many questions of a skill.
pub(crate) fn instances(skill: &str, count: u32) -> Vec<TaskInstance> {
    let instance = |n: u32| TaskInstance {
        id: format!("{skill}-{n}"),
        task: "t".into(),
        split: Split::Validation,
        skill: Some(skill.into()),
        subskill: None,
        facets: BTreeMap::new(),
        key: n.to_string(),
        content: Content::Mathematics {
            question: n.to_string(),
            options: Vec::new(),
            answer: n.to_string(),
            solution: None,
        },
    };
    (0..count).map(instance).collect()
}

/// Pass rates of one question per entry, with so many right of `answers`.
pub(super) fn rates(right: &[(&str, u32)], answers: u32) -> Vec<PassRate> {
    let rate = |(n, (skill, right)): (usize, &(&str, u32))| PassRate {
        instance: format!("{skill}-{n}"),
        skill: (*skill).to_owned(),
        right: *right,
        answers,
    };
    right.iter().enumerate().map(rate).collect()
}

/// A simulated student: the accuracy of each skill rises towards its ceiling with the data it gets.
pub(super) struct Learner {
    accuracy: f64,
    ceiling: f64,
}

impl Learner {
    /// Six skills as good as they get, and one that is weak and can learn.
    pub(super) const ONE_CAN_LEARN: [Self; 6] = [
        Self { accuracy: 0.9, ceiling: 0.9 },
        Self { accuracy: 0.95, ceiling: 0.95 },
        Self { accuracy: 0.9, ceiling: 0.9 },
        Self { accuracy: 0.3, ceiling: 0.9 },
        Self { accuracy: 0.95, ceiling: 0.95 },
        Self { accuracy: 1.0, ceiling: 1.0 },
    ];

    /// The place of the weak one.
    pub(super) const WEAK: usize = 3;
}

/// Lets a policy teach the student in the skill tree; the data each skill got in all.
pub(super) fn learn(policy: &dyn Policy, skills: &[Learner], iterations: u32) -> Vec<u32> {
    let names: Vec<String> = (0..skills.len()).map(|n| format!("skill-{n}")).collect();
    let mut forest = SkillForest::new(names.iter().map(String::as_str));
    let mut accuracies: Vec<f64> = skills.iter().map(|s| s.accuracy).collect();
    for iteration in 1..=iterations {
        let before = accuracies.clone();
        let skill = |(tree, &accuracy)| SkillState { tree, accuracy, questions: 40, unexplored: 2 };
        let state = State::SkillTree(forest.trees.iter().zip(&before).map(skill).collect());
        let sampled: Vec<(&str, u32)> =
            names.iter().zip(&before).map(|(n, a)| (n.as_str(), (a * 20.0) as u32)).collect();
        let mut aids = Alone { rates: rates(&sampled, 20), ..Alone::default() };
        let context = PlanContext { iteration, round: 0, seed: u64::from(iteration) };
        let Decision::Actions(actions) = policy.plan(&state, context, &mut aids).unwrap() else { panic!() };
        for (place, SkillAction { skill, action }) in actions.into_iter().enumerate() {
            let proposed: &[String] = match action {
                Action::Explore { .. } => &["a".to_owned(), "b".to_owned()],
                Action::Exploit { .. } => &[],
            };
            forest.apply(&skill, &action, proposed).unwrap();
            let produced = forest.trees[place].allocated();
            let room = skills[place].ceiling - accuracies[place];
            accuracies[place] += room * (1.0 - (-f64::from(produced) / 300.0).exp());
            forest.trees[place].history.push(SkillExperience {
                iteration,
                action,
                accuracy_before: before[place],
                accuracy_after: Some(accuracies[place]),
                produced,
            });
        }
    }
    forest.trees.iter().map(|tree| tree.history.iter().map(|e| e.produced).sum()).collect()
}

#[test]
fn a_policy_that_looks_finds_the_weak_skill_sooner_than_one_that_does_not() {
    let share = |policy: &dyn Policy| {
        let given = learn(policy, &Learner::ONE_CAN_LEARN, 12);
        f64::from(given[Learner::WEAK]) / f64::from(given.iter().sum::<u32>())
    };
    let blind = share(&Uniform { data: 120 });
    let looking: [&dyn Policy; 6] = [
        &ByError { data: 120 },
        &Trend { data: 120, ..Trend::default() },
        &Ucb { data: 120, skills: 2, ..Ucb::default() },
        &Thompson { data: 120, skills: 2, ..Thompson::default() },
        &LowPassRate { data: 120, ..LowPassRate::default() },
        &PassRateBand { data: 120, ..PassRateBand::default() },
    ];
    for policy in looking {
        assert!(share(policy) > 1.3 * blind, "{}: {} against {blind}", policy.name(), share(policy));
    }
}

#[test]
fn every_choice_is_read_back_from_its_name_alone() {
    for choice in PolicyChoice::all() {
        let policy = choice.build();
        let read: PolicyChoice = toml::from_str(&format!("kind = '{}'", policy.name())).unwrap();
        assert_eq!(read, choice);
        assert!(!policy.about().is_empty() && !policy.environments().is_empty());
    }
}

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
        let state = State::SkillTree(vec![SkillState {
            tree: &tree,
            accuracy: before,
            questions: 40,
            unexplored: 99,
        }]);
        let context = PlanContext { iteration, round: 0, seed: u64::from(iteration) };
        let Decision::Actions(mut actions) = policy.plan(&state, context, &mut Alone::default()).unwrap()
        else {
            panic!()
        };
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
    let error = policy.plan(&state, context, &mut Alone::default()).unwrap_err().message;
    assert!(
        error.contains("`fixed`") && error.contains("open_ended") && error.contains("skill_tree"),
        "{error}"
    );
}
