//! What whoever watches is told while models are asked.

use super::*;
use crate::agents::engines::{Taught, TaughtSettings};
use crate::gym::episode::{Command, Effect, Episode, Event, Phase};

/// Writes as many exercises as a prompt asks for, solves everything to nought, and falls asleep after so many
/// answers.
pub(super) struct Author {
    pub(super) answers: usize,
}

impl ChatModel for Author {
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        for (index, request) in requests.iter().enumerate() {
            if self.answers == 0 {
                return Err(PortError::transient("the author fell asleep"));
            }
            self.answers -= 1;
            let wanted = request.prompt.split("Write ").nth(1).and_then(|text| text.split(' ').next());
            let text = match wanted.and_then(|count| count.parse::<u32>().ok()) {
                Some(count) => {
                    let seed = format!("{:?}", request.sampling);
                    let entry = |n| serde_json::json!({"question": format!("{seed}, {n}?"), "answer": "0"});
                    serde_json::json!({"data": (0..=count).map(entry).collect::<Vec<_>>()}).to_string()
                }
                None => r#"{"reasoning": "", "answer": "0"}"#.to_owned(),
            };
            if sink(index, ChatReply::new(text, 10, 10, FinishReason::Stop)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Student for Author {
    fn refresh(&mut self, _: &Checkpoint) -> Result<(), PortError> {
        Ok(())
    }
}

#[test]
fn generation_counts_data_and_a_check_counts_answers_while_they_come() {
    let task = Arc::new(ArithmeticTask::new(2, 1, 64));
    let settings = TaughtSettings { data_per_question: 4, ..TaughtSettings::default() };
    let scene = Scene {
        policy: Arc::new(crate::agents::policies::Uniform { data: 120 }),
        engine: Arc::new(Taught::new(settings, Arc::clone(&task) as Arc<dyn Task>)),
        teacher: Some(TeacherSource { name: "author".into(), checkpoint: base() }),
        checks: crate::checks::CheckSettings {
            filter: std::collections::BTreeSet::new(),
            votes: 2,
            known_samples: 1,
            ..crate::checks::CheckSettings::default()
        },
        ..scene(&task, true)
    };
    let mut student = Pupil { task: Arc::clone(&task), trained: false, fails_at: None };
    let (mut trainer, mut ledger) = (Coach::default(), MemoryLedger::default());
    let mut episode = Episode::new(EpisodeRules { environment: EnvironmentKind::SkillList, ..rules(1) });
    let mut seen: Vec<(Phase, Moment)> = Vec::new();
    // The author falls asleep in the middle of the generation and of the check, and is woken up.
    let mut naps = vec![7, 30, usize::MAX];
    let mut author = Author { answers: naps.remove(0) };
    let mut effects = episode.handle(Event::Commanded { command: Command::Run });
    while let Some(Effect::Perform { work, .. }) = effects.pop() {
        if work.phase == Phase::Train {
            break;
        }
        let fact = loop {
            let mut models = Models { teacher: Some(&mut author), ..Models::new(&mut student, &mut trainer) };
            let mut watch = |work: crate::gym::episode::Work, moment| seen.push((work.phase, moment));
            match perform(work, &episode, &scene, &mut models, &mut ledger, &mut watch) {
                Ok(fact) => break fact,
                Err(_) => author.answers = naps.remove(0),
            }
        };
        effects = episode.handle(Event::completed(fact));
    }
    let of = |phase: Phase| -> Vec<Moment> {
        seen.iter().filter(|(of, _)| *of == phase).map(|(_, moment)| *moment).collect()
    };
    let done = |moments: &[Moment]| -> Vec<u64> { moments.iter().map(|moment| moment.done).collect() };
    // 12 skills with 10 data each: portions of 4, 4 and 2, and what an answer holds too much is not counted.
    let generated = of(Phase::Generate);
    assert!(generated.iter().all(|moment| moment.total == 120 && !moment.asking));
    assert_eq!(done(&generated[..8]), [0, 4, 8, 10, 14, 18, 20, 24], "{generated:?}");
    // After the nap it goes on from what is there, tokens included.
    assert_eq!((generated[8].done, generated[8].tokens), (24, 140));
    assert_eq!(generated.last().map(|moment| (moment.done, moment.tokens)), Some((120, 36 * 20)));
    let checked = of(Phase::Check);
    assert!(checked.iter().all(|moment| moment.asking && moment.done <= moment.total));
    assert_eq!(checked[0].total, 240);
    assert_eq!(checked.last().map(|moment| (moment.done, moment.total)), Some((360, 360)));
    let woken = checked.windows(2).find(|pair| pair[1].done == pair[0].done).unwrap();
    assert!(woken[1].done > 0 && woken[1].tokens == woken[0].tokens, "{woken:?}");
}
