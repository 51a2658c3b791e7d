//! Who solves data anew, and what that decides.

use super::progress::Author;
use super::*;
use crate::agents::engines::{Taught, TaughtSettings};
use crate::checks::{AGREEMENT, CheckSettings};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::{Command, Effect, Episode, Event, Phase};
use crate::prompts::{PromptSet, Prompts};

/// Solves everything to the same, and falls asleep once after so many answers.
struct Solver {
    says: &'static str,
    sleeps: Option<usize>,
    solved: Vec<String>,
}

impl Solver {
    fn new(says: &'static str, sleeps: Option<usize>) -> Self {
        Self { says, sleeps, solved: Vec::new() }
    }
}

impl ChatModel for Solver {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate() {
            if self.sleeps.take_if(|after| *after == self.solved.len()).is_some() {
                return Err(PortError::transient("the solver fell asleep"));
            }
            self.solved.push(request.prompt.clone());
            let text = serde_json::json!({"reasoning": "", "answer": self.says}).to_string();
            if sink(index, ChatReply::new(text, 10, 10, FinishReason::Stop)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Student for Solver {
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        assert_eq!(*checkpoint, Checkpoint::Full { folder: PathBuf::from("solver") });
        Ok(())
    }
}

/// The judged data of one round, two votes each, with as many tokens of teacher or verifier in a phase.
fn judged(mut solver: Option<&mut Solver>, most: Option<u64>) -> Result<Vec<JudgedDatum>, PortError> {
    let task = Arc::new(ArithmeticTask::new(1, 1, 64));
    let scene = Scene {
        policy: Arc::new(crate::agents::policies::Uniform { data: 24 }),
        engine: Arc::new(Taught::new(TaughtSettings::default(), Arc::clone(&task) as Arc<dyn Task>)),
        teacher: Some(TeacherSource { name: "author".into(), checkpoint: base() }),
        verifier: solver.as_ref().map(|_| Verifier {
            source: TeacherSource {
                name: "solver".into(),
                checkpoint: Checkpoint::Full { folder: PathBuf::from("solver") },
            },
            prompts: Arc::new(Prompts::of(PromptSet::Compact)),
        }),
        checks: CheckSettings { filter: [AGREEMENT.to_owned()].into(), votes: 2, ..CheckSettings::default() },
        ..scene(&task, true)
    };
    let mut student = Pupil { task, trained: false, fails_at: None };
    let (mut trainer, mut ledger) = (Coach::default(), MemoryLedger::default());
    let mut author = Author { answers: usize::MAX };
    let mut rules = EpisodeRules { environment: EnvironmentKind::SkillList, ..rules(1) };
    rules.budget.phase_tokens = most;
    let mut episode = Episode::new(rules);
    let mut effects = episode.handle(Event::Commanded { command: Command::Run });
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        if work.phase == Phase::Train {
            break;
        }
        let fact = loop {
            let mut models = Models {
                student: &mut student,
                trainer: &mut trainer,
                teacher: Some(&mut author),
                verifier: solver.as_mut().map(|solver| &mut **solver as &mut dyn Student),
                painter: None,
            };
            match perform(work, &episode, &scene, &mut models, &mut ledger, &mut |_, _| {}) {
                Ok(fact) => break fact,
                Err(error) if error.transient => {}
                Err(error) => return Err(error),
            }
        };
        effects = episode.handle(Event::completed(fact));
    }
    ledger.data()
}

/// Verdict and reason of every vote.
fn verdicts(data: &[JudgedDatum]) -> Vec<(Verdict, &str)> {
    let vote =
        |judged: &'_ JudgedDatum| judged.checks.iter().position(|check| check.check == AGREEMENT).unwrap();
    data.iter().map(|judged| (judged.verdict, judged.checks[vote(judged)].reason.as_str())).collect()
}

#[test]
fn a_verifier_votes_in_the_place_of_the_teacher_with_prompts_of_its_own() {
    let by_teacher = judged(None, None).unwrap();
    let agreed = (Verdict::Accepted, "2 of 2 solutions come to the claimed answer");
    assert_eq!(verdicts(&by_teacher), vec![agreed; 24]);
    let mut doubter = Solver::new("1", None);
    let doubted = judged(Some(&mut doubter), None).unwrap();
    let refused = (Verdict::Rejected, "0 of 2 solutions come to the claimed answer");
    assert_eq!(verdicts(&doubted), vec![refused; 24]);
    assert_eq!(doubter.solved.len(), 48);
    assert!(doubter.solved.iter().all(|asked| asked.starts_with("solve: ")), "{:?}", doubter.solved[0]);
}

#[test]
fn a_verifier_that_breaks_off_goes_on_where_it_was_and_is_held_to_the_budget_of_its_phase() {
    let whole = judged(Some(&mut Solver::new("0", None)), None).unwrap();
    let mut sleeper = Solver::new("0", Some(7));
    assert_eq!(judged(Some(&mut sleeper), None).unwrap(), whole);
    assert_eq!(sleeper.solved.len(), 48, "no vote is asked for twice");
    // The author's 12 answers are 240 tokens, and the votes 960.
    let mut dear = Solver::new("0", None);
    let error = judged(Some(&mut dear), Some(500)).unwrap_err();
    assert!(error.message.contains("the verifier's 500 tokens"), "{}", error.message);
    assert_eq!(dear.solved.len(), 25);
}
