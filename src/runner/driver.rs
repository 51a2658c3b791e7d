//! The durable driver: feeds the episode with commands and finished work, and journals every event.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::environments::{Models, Moment, Scene, perform, review};
use crate::gym::datum::JudgedDatum;
use crate::gym::episode::{Command, Effect, Episode, Event, Work};
use crate::gym::instance::{ImageRef, Split};
use crate::gym::ports::{Fact, Ledger, PortError, Student, TextToImage, Trainer, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::teacher_call::TeacherCall;
use crate::protocol::control::WorkerStatus;
use crate::runner::live::LiveBoard;
use crate::store::{Store, StoreError};

/// What arrives at the driver.
#[derive(Debug)]
pub enum Mail {
    /// A person's command; the sender is told once it is journalled.
    Command {
        /// The command.
        command: Command,
        /// Told when it is journalled, or why it is not.
        journalled: Option<Sender<Result<(), String>>>,
    },
    /// Work ended.
    Ended {
        /// The work.
        work: Work,
        /// How long it took.
        elapsed: Duration,
        /// Its fact, or why there is none.
        result: Result<Fact, PortError>,
    },
}

/// The models of a run and how to end what they are doing.
pub struct Hands {
    /// The student.
    pub student: Box<dyn Student>,
    /// The trainer.
    pub trainer: Box<dyn Trainer>,
    /// The teacher, if there is one.
    pub teacher: Option<Box<dyn Student>>,
    /// The text-to-image model, if there is one.
    pub painter: Option<Box<dyn TextToImage>>,
    /// Ends the worker processes at once.
    pub cancel: Arc<dyn Fn() + Send + Sync>,
    /// The worker processes now.
    pub workers: Arc<dyn Fn() -> Vec<WorkerStatus> + Send + Sync>,
}

/// When the driver leaves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// When there is nothing to do without a person: how a headless run ends.
    WhenIdle,
    /// When every phase is done: a detached runner waits for a person otherwise.
    WhenFinished,
}

/// Called after every journalled event.
pub type Observer<'a> = dyn FnMut(&Event, &Episode) + 'a;

/// The store, used by the driver and the performing thread in turn.
#[derive(Clone)]
struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for SharedStore {
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError> {
        self.lock().predictions(iteration, split)
    }

    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError> {
        self.lock().put_predictions(iteration, split, new)
    }

    fn data(&self) -> Result<Vec<JudgedDatum>, PortError> {
        self.lock().data()
    }

    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError> {
        self.lock().put_data(iteration, round, data)
    }

    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError> {
        self.lock().round(iteration, round)
    }

    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError> {
        self.lock().teacher_call(id)
    }

    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError> {
        self.lock().put_teacher_calls(calls)
    }

    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError> {
        self.lock().put_image(bytes, media_type, size)
    }

    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError> {
        self.lock().put_training_progress(iteration, progress)
    }
}

/// Drives the run until it is told to exit or has a reason to leave, and returns the last state.
pub fn drive(
    store: Store,
    scene: &Scene,
    hands: Hands,
    (sender, mail): (Sender<Mail>, Receiver<Mail>),
    board: &LiveBoard,
    leave: Leave,
    observer: &mut Observer<'_>,
) -> Result<Episode, StoreError> {
    let mut episode = store.replay()?;
    let store = SharedStore(Arc::new(Mutex::new(store)));
    let Hands { cancel, workers, .. } = &hands;
    let (cancel, workers) = (Arc::clone(cancel), Arc::clone(workers));
    let jobs = start_performer(&store, scene, hands, sender, board);
    let mut next = Some(Event::Opened);
    loop {
        let (mut journalled, mut changed) = (None, Vec::new());
        let event = match next.take() {
            Some(event) => event,
            None => match mail.recv() {
                Ok(Mail::Command { command, journalled: told }) => {
                    journalled = told;
                    match commanded(&episode, &store, command) {
                        Ok((event, data)) => {
                            changed = data;
                            event
                        }
                        Err(message) => {
                            tracing::info!(message, "a command was refused");
                            // A client that has gone away needs no answer.
                            let _ = journalled.map(|told| told.send(Err(message)));
                            continue;
                        }
                    }
                }
                Ok(Mail::Ended { work, elapsed, result }) => {
                    // Work that was abandoned has no say any more.
                    if !episode.running || episode.work != Some(work) {
                        continue;
                    }
                    ended(&store, work, elapsed, result)?
                }
                Err(_) => return Ok(episode),
            },
        };
        tracing::info!(event = event.word(), work = ?episode.work, "journal");
        if let Event::Failed { message, .. } = &event {
            tracing::warn!(message, "a phase failed");
        }
        let effects = episode.handle(event.clone());
        match &event {
            Event::Reviewed { .. } => store.lock().append_review(&event, &episode, &changed)?,
            _ => store.lock().append(&event, &episode)?,
        }
        if let Some(told) = journalled {
            // A client that has gone away needs no answer.
            let _ = told.send(Ok(()));
        }
        observer(&event, &episode);
        for effect in effects {
            match effect {
                Effect::Perform { work, delay_ms } => {
                    // The performer lives as long as the driver.
                    let _ = jobs.send((work, episode.clone(), Duration::from_millis(delay_ms)));
                }
                Effect::Cancel => cancel(),
                Effect::Exit => {
                    cancel();
                    return Ok(episode);
                }
            }
        }
        if !episode.running {
            board.rest(workers());
            if episode.finished() || (leave == Leave::WhenIdle && event != Event::Opened) {
                cancel();
                return Ok(episode);
            }
        }
    }
}

/// The event of a command, with the data that a review changes.
fn commanded(
    episode: &Episode,
    store: &SharedStore,
    command: Command,
) -> Result<(Event, Vec<JudgedDatum>), String> {
    episode.allows(&command).map_err(|refusal| refusal.to_string())?;
    match command {
        Command::Review { selection, edit } => review(store, selection, edit).map_err(|e| e.message),
        command => Ok((Event::Commanded { command }, Vec::new())),
    }
}

fn ended(
    store: &SharedStore,
    work: Work,
    elapsed: Duration,
    result: Result<Fact, PortError>,
) -> Result<Event, StoreError> {
    match result {
        Ok(fact) => {
            store.lock().end(work)?;
            Ok(Event::Completed { fact, elapsed_ms: elapsed.as_millis() as u64 })
        }
        Err(error) => Ok(Event::Failed { message: error.message, transient: error.transient }),
    }
}

type Job = (Work, Episode, Duration);

/// The thread that does the work, one at a time.
fn start_performer(
    store: &SharedStore,
    scene: &Scene,
    hands: Hands,
    mail: Sender<Mail>,
    board: &LiveBoard,
) -> Sender<Job> {
    let (jobs, inbox) = channel::<Job>();
    let (mut store, scene, board) = (store.clone(), scene.clone(), board.clone());
    let Hands { mut student, mut trainer, mut teacher, mut painter, workers, .. } = hands;
    std::thread::spawn(move || {
        while let Ok((work, episode, delay)) = inbox.recv() {
            std::thread::sleep(delay);
            board.begin(work);
            let began = Instant::now();
            let begun = store.lock().begin(work);
            let mut models = Models {
                student: student.as_mut(),
                trainer: trainer.as_mut(),
                teacher: teacher.as_mut().map(|teacher| &mut **teacher as &mut dyn Student),
                painter: painter.as_mut().map(|painter| &mut **painter as &mut dyn TextToImage),
            };
            let mut watch = |_: Work, moment: Moment| board.note(moment, workers());
            let result = match begun {
                Ok(()) => perform(work, &episode, &scene, &mut models, &mut store, &mut watch),
                Err(error) => Err(error.into()),
            };
            if mail.send(Mail::Ended { work, elapsed: began.elapsed(), result }).is_err() {
                return;
            }
        }
    });
    jobs
}

/// Folder of a run's checkpoints.
pub fn checkpoints(folder: &Path) -> std::path::PathBuf {
    folder.join("checkpoints")
}
