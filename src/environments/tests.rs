//! The loop in memory, with models that are tables.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::agents::engines::Procedural;
use crate::agents::policies::ByError;
use crate::gym::budget::Budget;
use crate::gym::datum::Verdict;
use crate::gym::episode::{EpisodeRules, Halt};
use crate::gym::instance::{Content, Split};
use crate::gym::ports::{
    ChatModel, ChatReply, ChatRequest, EnvironmentKind, Ledger, PortError, ReplySink, Trainer,
    TrainingAccount, TrainingMethod, TrainingOrder, TrainingOutcome, TrainingSink,
};
use crate::gym::prediction::FinishReason;
use crate::skills::ListProposal;
use crate::tasks::arithmetic::ArithmeticTask;

mod loops;
mod progress;
mod votes;

/// Knows the answers to questions of the skills it was trained on; dies at the `fails_at`-th answer.
struct Pupil {
    task: Arc<ArithmeticTask>,
    trained: bool,
    fails_at: Option<usize>,
}

impl ChatModel for Pupil {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate().rev() {
            if self.fails_at.take_if(|n| *n == 0).is_some() {
                return Err(PortError::transient("the pupil fell asleep"));
            }
            if let Some(n) = &mut self.fails_at {
                *n -= 1;
            }
            let splits = [Split::Validation, Split::Test];
            let found = splits.into_iter().flat_map(|s| self.task.instances(s)).find(|i| {
                i.content.question() == request.prompt && (self.trained || i.skill.as_deref() == Some("add"))
            });
            let text = match found.map(|i| &i.content) {
                Some(Content::Mathematics { answer, .. }) => format!("#### {answer}"),
                _ => "I do not know".to_owned(),
            };
            if sink(index, ChatReply::new(text, 0, 4, FinishReason::Stop)).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Student for Pupil {
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        self.trained = *checkpoint != base();
        Ok(())
    }
}

/// Notes its orders.
#[derive(Default)]
struct Coach(Vec<TrainingOrder>);

impl Trainer for Coach {
    fn train(
        &mut self,
        order: &TrainingOrder,
        sink: &mut TrainingSink<'_>,
    ) -> Result<TrainingOutcome, PortError> {
        self.0.push(order.clone());
        let progress = TrainingProgress { step: 1, steps: 1, loss: 0.5, ..TrainingProgress::default() };
        if sink(progress) == ControlFlow::Break(()) {
            return Err(PortError::cancelled());
        }
        let checkpoint = Checkpoint::Full { folder: order.output.clone() };
        Ok(TrainingOutcome {
            checkpoint,
            steps: 1,
            final_loss: 0.5,
            tokens: 10,
            account: TrainingAccount::default(),
        })
    }
}

fn base() -> Checkpoint {
    Checkpoint::Full { folder: PathBuf::from("base") }
}

fn scene(task: &Arc<ArithmeticTask>, continues: bool) -> Scene {
    Scene {
        task: Arc::clone(task) as Arc<dyn Task>,
        policy: Arc::new(ByError { data: 120 }),
        proposal: Arc::new(ListProposal::of_arithmetic()),
        engine: Arc::new(Procedural),
        teacher: None,
        hidden: false,
        prompts: Arc::default(),
        verifier: None,
        discovery: None,
        checks: crate::checks::CheckSettings::default(),
        base: base(),
        training: TrainingSettings {
            method: TrainingMethod::Full,
            learning_rate: 1e-3,
            epochs: 1,
            batch_size: 8,
            warmup: 0.0,
            weight_decay: 0.0,
            clip: 1.0,
            max_length: 64,
            ..TrainingSettings::default()
        },
        continues,
        stays: crate::environments::Stays::default(),
        seed: 5,
        checkpoints: PathBuf::from("checkpoints"),
    }
}

fn rules(iterations: u32) -> EpisodeRules {
    EpisodeRules {
        environment: EnvironmentKind::SkillTree,
        budget: Budget { iterations, ..Budget::default() },
        rounds: 1,
        test_every_iteration: false,
        gates: std::collections::BTreeSet::default(),
        retries: 0,
    }
}

#[test]
fn reset_and_step_go_around_and_the_weak_skills_get_the_data() {
    let task = Arc::new(ArithmeticTask::new(4, 4, 64));
    let mut student = Pupil { task: Arc::clone(&task), trained: false, fails_at: None };
    let mut trainer = Coach::default();
    let models = Models::new(&mut student, &mut trainer);
    let mut environment = Environment::new(rules(2), scene(&task, true), models);
    let before = environment.reset().unwrap().overall;
    assert!((before.mean - 1.0 / 12.0).abs() < 1e-9 && before.n == 48);
    let after = environment.step().unwrap().overall;
    assert!((after.mean - 1.0).abs() < 1e-9);
    environment.step().unwrap();
    let episode = environment.episode();
    assert_eq!((episode.selected, &episode.halt), (Some(1), &Some(Halt::Asked)));
    let plan = &episode.iterations[1].plans[0];
    assert!(plan.allocated_to("add") < 5 && plan.allocated_to("div") > 9, "{plan:?}");
    let rewards: Vec<_> = episode
        .forest
        .tree("div")
        .unwrap()
        .history
        .iter()
        .map(crate::gym::skill_forest::SkillExperience::reward)
        .collect();
    assert_eq!(rewards, [Some(1.0), Some(0.0)]);
    let data = environment.ledger().data().unwrap();
    assert!(data.iter().all(|d| d.verdict != Verdict::Pending && d.checks.len() >= 4));
    assert_eq!(data.iter().filter(|d| d.verdict == Verdict::Accepted).count() as u32, episode.accepted());
    let accepted_in_1 = episode.iterations[1].accepted as usize;
    let total = episode.accepted() as usize;
    let orders: Vec<(usize, &Checkpoint)> = trainer.0.iter().map(|o| (o.examples.len(), &o.start)).collect();
    let first = Checkpoint::Full { folder: "checkpoints/iteration-001".into() };
    assert_eq!(orders, [(accepted_in_1, &base()), (total, &first)]);
}

#[test]
fn retraining_starts_from_the_base_every_time() {
    let task = Arc::new(ArithmeticTask::new(2, 2, 64));
    let mut student = Pupil { task: Arc::clone(&task), trained: false, fails_at: None };
    let mut trainer = Coach::default();
    let models = Models::new(&mut student, &mut trainer);
    let mut environment = Environment::new(rules(2), scene(&task, false), models);
    environment.reset().unwrap();
    environment.step().unwrap();
    environment.step().unwrap();
    assert!(trainer.0.iter().all(|o| o.start == base()) && trainer.0.len() == 2);
    assert_ne!(trainer.0[0].seed, trainer.0[1].seed);
}

#[test]
fn an_interrupted_evaluation_keeps_what_was_answered() {
    let task = Arc::new(ArithmeticTask::new(10, 1, 64));
    let mut student = Pupil { task: Arc::clone(&task), trained: false, fails_at: Some(100) };
    let mut trainer = Coach::default();
    let scene = scene(&task, true);
    let episode = crate::gym::episode::Episode::new(rules(1));
    let work = episode.work.unwrap();
    let mut ledger = MemoryLedger::default();
    let mut models = Models::new(&mut student, &mut trainer);
    let mut moments = Vec::new();
    let mut attempt = |models: &mut Models<'_>, ledger: &mut MemoryLedger| {
        perform(work, &episode, &scene, models, ledger, &mut |_, moment| moments.push(moment.done))
    };
    let error = attempt(&mut models, &mut ledger).unwrap_err();
    assert!(error.transient && error.message.contains("asleep"));
    assert_eq!(ledger.predictions(0, Split::Validation).unwrap().len(), 100);
    attempt(&mut models, &mut ledger).unwrap();
    assert_eq!(ledger.predictions(0, Split::Validation).unwrap().len(), 120);
    assert_eq!(moments.last(), Some(&120));
}
