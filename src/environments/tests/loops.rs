//! The acceptance items of the reference that concern loops (system specification, section 12, items 6 and 9).

use super::*;
use crate::agents::policies::{Alternating, Explore};
use crate::gym::plan::Action;

fn alternating() -> Arc<Alternating> {
    let explore = Explore { new_subskills: 1, data_per_subskill: 5 };
    Arc::new(Alternating { explore, first: None, max_data_per_skill: 0 })
}

/// Runs to the end of `iterations` and hands the environment and the trainer's orders over.
fn whole(iterations: u32, rounds: u32, look: impl FnOnce(&Environment<'_>)) -> Vec<TrainingOrder> {
    let task = Arc::new(ArithmeticTask::new(2, 1, 64));
    let mut student = Pupil { task: Arc::clone(&task), trained: false, fails_at: None };
    let mut trainer = Coach::default();
    let models = Models::new(&mut student, &mut trainer);
    let scene = Scene { policy: alternating(), ..scene(&task, false) };
    let rules = EpisodeRules { rounds, ..rules(iterations) };
    let mut environment = Environment::new(rules, scene, models);
    environment.reset().unwrap();
    for _ in 0..iterations {
        environment.step().unwrap();
    }
    look(&environment);
    trainer.0
}

#[test]
fn every_call_leaves_one_experience_per_skill_and_its_own_data() {
    whole(2, 1, |environment| {
        let episode = environment.episode();
        assert_eq!(episode.forest.trees.len(), 12);
        for tree in &episode.forest.trees {
            let kinds: Vec<&str> = tree.history.iter().map(|e| e.action.kind()).collect();
            assert_eq!(kinds, ["explore", "exploit"], "{}", tree.skill);
            let report = |n: usize| episode.iterations[n].validation.as_ref().unwrap();
            let accuracy = |n: usize| report(n).skill(&tree.skill).unwrap().accuracy.mean;
            for (n, experience) in tree.history.iter().enumerate() {
                assert_eq!(experience.reward(), Some(accuracy(n + 1) - accuracy(n)));
            }
        }
        let data = environment.ledger().data().unwrap();
        assert!(data.iter().all(|d| d.datum.provenance.iteration == 1), "the exploit asks for nothing");
        assert!(matches!(episode.forest.trees[0].history[1].action, Action::Exploit { .. }));
    });
}

#[test]
fn rounds_accumulate_and_train_once() {
    let (cycles, rounds) = (3, 4);
    let mut calls = 0;
    let mut evaluations = 0;
    let orders = whole(cycles, rounds, |environment| {
        let episode = environment.episode();
        calls = episode.iterations.iter().map(|i| i.plans.len()).sum();
        evaluations = episode.iterations.iter().filter(|i| i.validation.is_some()).count();
        // Explore and nothing, in turn: two rounds of four ask for data, until nothing is left to explore.
        assert_eq!(environment.ledger().round(1, 1).unwrap().len(), 0);
        assert_eq!(environment.ledger().round(1, 2).unwrap().len(), 60);
    });
    assert_eq!((calls, evaluations, orders.len()), ((cycles * rounds) as usize, cycles as usize + 1, 3));
    let sizes: Vec<usize> = orders.iter().map(|order| order.examples.len()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] <= pair[1]), "{sizes:?}");
    assert!(orders.iter().all(|order| order.start == base()));
}
