//! What a worker hosts, and how it answers a request.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Halt, merged};
use crate::gym::ports::{Allowance, ChatRequest, Device, PortError, Serving, Trainer, TrainingOrder};
use crate::models::{Aside, LocalStudent};
use crate::protocol::frame::FrameError;
use crate::protocol::worker::{Reply, Request};
use crate::training::Control;

/// Makes a student for a device, served so.
pub type StudentHost = Box<dyn FnMut(Device, Serving) -> Result<Box<dyn LocalStudent>, PortError>>;
/// Makes a trainer that can be stopped.
pub type TrainerHost = Box<dyn FnMut(Arc<Control>) -> Result<Box<dyn Trainer>, PortError>>;

/// The makers of what this process can host.
pub struct Hosts {
    /// Called at the first load.
    pub student: StudentHost,
    /// Called at every training.
    pub trainer: TrainerHost,
}

/// Writes one reply to the runner.
pub(super) type Speak<'a> = dyn FnMut(&Reply) -> Result<(), FrameError> + 'a;

/// Writes what is said beside the replies, from any thread.
pub(super) type Beside = Arc<dyn Fn(&Reply) + Send + Sync>;

pub(super) struct Hosted {
    hosts: Hosts,
    beside: Beside,
    student: Option<(Device, Serving, Box<dyn LocalStudent>)>,
}

impl Hosted {
    pub(super) fn new(hosts: Hosts, beside: Beside) -> Self {
        Self { hosts, beside, student: None }
    }

    /// Answers one request; a failure or a panic below becomes [`Reply::Failed`], and the student is
    /// given up then, because nobody knows its state.
    pub(super) fn handle(
        &mut self,
        request: Request,
        halt: &Halt,
        speak: &mut Speak<'_>,
    ) -> Result<(), FrameError> {
        let mut broken = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut say = |reply: &Reply| match speak(reply) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            };
            match request {
                Request::Load { checkpoint, device, serving } => {
                    let student = self.student(device, serving)?;
                    merged::refresh(student, &checkpoint, device)?;
                    Ok(Reply::Loaded {
                        in_flight: student.in_flight(),
                        batch_test: student.batch_test(),
                        notes: student.notes(),
                    })
                }
                Request::Answer { requests, allowance } => self.answer(requests, allowance, halt, &mut say),
                Request::Train { order } => self.train(&order, halt, &mut say),
                // The listening thread keeps it to itself.
                Request::Stop => Ok(Reply::Done),
            }
        }));
        if let Some(error) = broken {
            return Err(error);
        }
        if let (Ok(_), Some((_, _, student))) = (&outcome, self.student.as_mut()) {
            student.unbilled().into_iter().try_for_each(|served| speak(&Reply::Paid { served }))?;
        }
        let last = match outcome {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                self.student = None;
                Reply::Failed { error }
            }
            Err(panic) => {
                self.student = None;
                Reply::Failed { error: PortError::transient(panicked(panic.as_ref())) }
            }
        };
        speak(&last)
    }

    fn student(&mut self, device: Device, serving: Serving) -> Result<&mut dyn LocalStudent, PortError> {
        let fits = self.student.as_ref().is_some_and(|held| (held.0, held.1) == (device, serving));
        if !fits {
            self.student = None;
            self.student = Some((device, serving, (self.hosts.student)(device, serving)?));
        }
        match &mut self.student {
            Some((_, _, student)) => Ok(student.as_mut()),
            None => Err(unloaded()),
        }
    }

    fn answer(
        &mut self,
        requests: Vec<(usize, ChatRequest)>,
        allowance: Allowance,
        halt: &Halt,
        say: &mut dyn FnMut(&Reply) -> ControlFlow<()>,
    ) -> Result<Reply, PortError> {
        let (_, _, student) = self.student.as_mut().ok_or_else(unloaded)?;
        student.allow(allowance);
        let (indices, requests): (Vec<usize>, Vec<ChatRequest>) = requests.into_iter().unzip();
        let (beside, places) = (Arc::clone(&self.beside), indices.clone());
        student.attend(Aside::new(Arc::clone(&halt.over), move |index, text| {
            if let Some(index) = places.get(index).copied() {
                beside(&Reply::Piece { index, text });
            }
        }));
        student.answer(&requests, &mut |index, reply| {
            say(&Reply::Answered { index: indices[index], reply })?;
            if halt.is_called() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(Reply::Done)
    }

    fn train(
        &mut self,
        order: &TrainingOrder,
        halt: &Halt,
        say: &mut dyn FnMut(&Reply) -> ControlFlow<()>,
    ) -> Result<Reply, PortError> {
        let mut trainer = (self.hosts.trainer)(Arc::clone(&halt.training))?;
        let outcome = trainer.train(order, &mut |progress| {
            say(&Reply::Progress { progress })?;
            if halt.is_called() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(Reply::Trained { outcome })
    }
}

fn unloaded() -> PortError {
    PortError::transient("the worker was asked before a model was loaded")
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "no message",
    };
    format!("a library panicked in the worker: {text}. Its log says more")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::gym::ports::{Checkpoint, Sampling, TrainingOutcome, TrainingSink};
    use crate::models::scripted::{Script, ScriptedStudent};

    struct Fragile;

    impl Trainer for Fragile {
        fn train(
            &mut self,
            _: &TrainingOrder,
            _: &mut TrainingSink<'_>,
        ) -> Result<TrainingOutcome, PortError> {
            panic!("a matrix went missing")
        }
    }

    fn hosted() -> Hosted {
        hosting(Script::default(), Arc::new(|_| {}))
    }

    fn hosting(script: Script, beside: Beside) -> Hosted {
        let hosts = Hosts {
            student: Box::new(move |_, _| Ok(Box::new(ScriptedStudent::new(script.clone())?))),
            trainer: Box::new(|_| Ok(Box::new(Fragile))),
        };
        Hosted::new(hosts, beside)
    }

    fn ask(hosted: &mut Hosted, request: Request) -> Vec<Reply> {
        heard(hosted, request, &Halt::default(), 0)
    }

    /// The replies to a request of which nobody waits any more after so many; 0 for never.
    fn heard(hosted: &mut Hosted, request: Request, halt: &Halt, patience: usize) -> Vec<Reply> {
        let mut replies = vec![];
        hosted
            .handle(request, halt, &mut |reply| {
                replies.push(reply.clone());
                if replies.len() == patience {
                    halt.call();
                }
                Ok(())
            })
            .unwrap();
        replies
    }

    fn question(index: usize) -> (usize, ChatRequest) {
        (index, ChatRequest::text(format!("p{index}"), Sampling::Greedy, 9))
    }

    fn answer(requests: Vec<(usize, ChatRequest)>) -> Request {
        Request::Answer { requests, allowance: Allowance::default() }
    }

    #[test]
    fn answers_come_under_the_indices_asked_for() {
        let mut hosted = hosted();
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::Full { folder: folder.path().to_owned() };
        let loaded =
            ask(&mut hosted, Request::Load { checkpoint, device: Device::Cpu, serving: Serving::default() });
        assert_eq!(loaded, [Reply::Loaded { in_flight: 1, batch_test: None, notes: vec![] }]);
        let replies = ask(&mut hosted, answer(vec![question(7), question(3)]));
        let indices: Vec<_> = replies
            .iter()
            .map(|reply| match reply {
                Reply::Answered { index, .. } => Some(*index),
                _ => None,
            })
            .collect();
        assert_eq!(indices, [Some(7), Some(3), None]);
        assert_eq!(replies[2], Reply::Done);
    }

    #[test]
    fn what_nobody_waits_for_any_more_ends_without_the_worker() {
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&pieces);
        let mut hosted = hosting(
            Script { skill: 1.0, ..Script::default() },
            Arc::new(move |reply| told.lock().unwrap().push(reply.clone())),
        );
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::Full { folder: folder.path().to_owned() };
        ask(&mut hosted, Request::Load { checkpoint, device: Device::Cpu, serving: Serving::default() });
        let all = || answer((4..24).map(question).collect());
        let replies = heard(&mut hosted, all(), &Halt::default(), 3);
        assert_eq!((replies.len(), &replies[3]), (4, &Reply::Done));
        // The next request has a word of its own.
        assert_eq!(ask(&mut hosted, all()).len(), 21);
        let pieces = pieces.lock().unwrap();
        assert_eq!(pieces[0], Reply::Piece { index: 4, text: "p".into() }, "half of what is answered");
    }

    #[test]
    fn a_question_before_a_load_and_a_panic_are_failures_and_not_the_end() {
        let mut hosted = hosted();
        let failed = |replies: &[Reply], text: &str| matches!(replies, [Reply::Failed { error }] if error.transient && error.message.contains(text));
        assert!(failed(&ask(&mut hosted, answer(vec![question(0)])), "before"));
        let order = serde_json::from_value(serde_json::json!({
            "start": {"form": "full", "folder": "x"}, "examples": [], "seed": 1, "output": "y",
            "settings": {"method": "full", "learning_rate": 0.1, "epochs": 1, "batch_size": 1,
                         "warmup": 0.0, "weight_decay": 0.0, "clip": 1.0, "max_length": 8}
        }))
        .unwrap();
        assert!(failed(&ask(&mut hosted, Request::Train { order }), "a matrix went missing"));
    }
}
