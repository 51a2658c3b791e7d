//! The durable driver: feeds the episode with commands and finished work, and journals every event.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::environments::{Models, Moment, Scene, perform, review};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::episode::{Command, Effect, Episode, Event, Work};
use crate::gym::instance::{ImageRef, Split, TaskInstance};
use crate::gym::ports::{Fact, Ledger, PortError, Student, TextToImage, Trainer, TrainingProgress};
use crate::gym::prediction::Prediction;
use crate::gym::review::DataSelection;
use crate::gym::teacher_call::{CallOutcome, TeacherCall};
use crate::protocol::control::WorkerStatus;
use crate::runner::custody::Custody;
use crate::runner::disk;
use crate::runner::live::LiveBoard;
use crate::runner::purse::Purse;
use crate::store::{Request, Store, StoreError};

/// How long the work in hand may take to commit what it has when the process is to end: longer than a trainer may take to
/// save where it stands, shorter than the process lives after a signal.
const DRAIN: Duration = Duration::from_secs(22);

/// How long the runner of a finished run waits for a person: other limits, a review, a note.
const FINISHED_WAIT: Duration = Duration::from_secs(5);

/// What arrives at the driver.
#[derive(Debug)]
pub enum Mail {
    /// A person's command; the sender is told once it is journalled.
    Command {
        /// The command.
        command: Command,
        /// Who asked and by which id, where it can be asked for twice.
        request: Option<Request>,
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
    /// The verifier, if there is one.
    pub verifier: Option<Box<dyn Student>>,
    /// The text-to-image model, if there is one.
    pub painter: Option<Box<dyn TextToImage>>,
    /// Ends the worker processes at once.
    pub cancel: Arc<dyn Fn() + Send + Sync>,
    /// The worker processes now.
    pub workers: Arc<dyn Fn() -> Vec<WorkerStatus> + Send + Sync>,
    /// What endpoints are paid from.
    pub purse: Purse,
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
struct SharedStore {
    store: Arc<Mutex<Store>>,
    /// Whether new answers were committed since the work in hand began.
    progressed: Arc<AtomicBool>,
}

impl SharedStore {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, new_answers: bool) {
        self.progressed.fetch_or(new_answers, Ordering::Relaxed);
    }
}

impl Ledger for SharedStore {
    fn predictions(&self, iteration: u32, split: Split) -> Result<Vec<Prediction>, PortError> {
        self.lock().predictions(iteration, split)
    }

    fn put_skills(&mut self, instances: &[TaskInstance]) -> Result<(), PortError> {
        self.lock().put_skills(instances)
    }

    fn put_predictions(&mut self, iteration: u32, split: Split, new: &[Prediction]) -> Result<(), PortError> {
        self.lock().put_predictions(iteration, split, new)?;
        self.note(!new.is_empty());
        Ok(())
    }

    fn data(&self) -> Result<Vec<JudgedDatum>, PortError> {
        self.lock().data()
    }

    fn each_datum(
        &self,
        verdict: Option<Verdict>,
        visit: &mut dyn FnMut(JudgedDatum),
    ) -> Result<(), PortError> {
        self.lock().each_datum(verdict, visit)
    }

    fn put_data(&mut self, iteration: u32, round: u32, data: &[JudgedDatum]) -> Result<(), PortError> {
        self.lock().put_data(iteration, round, data)
    }

    fn selected(&self, selection: &DataSelection) -> Result<Vec<JudgedDatum>, PortError> {
        self.lock().selected(selection)
    }

    fn round(&self, iteration: u32, round: u32) -> Result<Vec<JudgedDatum>, PortError> {
        self.lock().round(iteration, round)
    }

    fn teacher_call(&self, id: &str) -> Result<Option<TeacherCall>, PortError> {
        self.lock().teacher_call(id)
    }

    fn put_teacher_calls(&mut self, calls: &[TeacherCall]) -> Result<(), PortError> {
        self.lock().put_teacher_calls(calls)?;
        // A call that turned out malformed is put again in every try.
        self.note(calls.iter().any(|call| call.outcome == CallOutcome::Used));
        Ok(())
    }

    fn put_image(&mut self, bytes: &[u8], media_type: &str, size: (u32, u32)) -> Result<ImageRef, PortError> {
        self.lock().put_image(bytes, media_type, size)
    }

    fn put_training_progress(&mut self, iteration: u32, progress: TrainingProgress) -> Result<(), PortError> {
        self.lock().put_training_progress(iteration, progress)
    }
}

/// What the driver is put in charge of.
pub struct Charge<'a> {
    /// The run's database.
    pub store: Store,
    /// The parts of the run.
    pub scene: &'a Scene,
    /// Its models.
    pub hands: Hands,
    /// Its room and its copies.
    pub custody: &'a mut Custody,
}

/// Drives the run until it is told to exit or has a reason to leave, and returns the last state.
///
/// # Errors
/// When the journal cannot be written, also not after room was made.
pub fn drive(
    charge: Charge<'_>,
    (sender, mail): (Sender<Mail>, Receiver<Mail>),
    board: &LiveBoard,
    leave: Leave,
    observer: &mut Observer<'_>,
) -> Result<Episode, StoreError> {
    let Charge { store, scene, hands, custody } = charge;
    let mut episode = store.replay()?;
    let store = SharedStore { store: Arc::new(Mutex::new(store)), progressed: Arc::default() };
    let Hands { cancel, workers, .. } = &hands;
    let (cancel, workers, purse) = (Arc::clone(cancel), Arc::clone(workers), hands.purse.clone());
    board.paid(purse.spending());
    let mut performer = Performer::start(&store, scene, hands, sender, board);
    let mut next = Some(Event::Opened);
    loop {
        let (mut asked, mut changed) = (None, Vec::new());
        let event = match next.take() {
            Some(event) => event,
            None => match receive(&mail, episode.finished()) {
                Ok(Mail::Command { command, request, journalled }) => {
                    let known = request.as_ref().map(|r| store.lock().is_journalled(&r.id)).transpose()?;
                    if known == Some(true) {
                        tracing::info!(?request, ?command, "a repeated request");
                        answer(journalled, Ok(()));
                        continue;
                    }
                    match commanded(&episode, &store, command) {
                        Ok((event, data)) => {
                            changed = data;
                            asked = Some((request, journalled));
                            event
                        }
                        Err(message) => {
                            tracing::info!(message, "a command was refused");
                            answer(journalled, Err(message));
                            continue;
                        }
                    }
                }
                Ok(Mail::Ended { work, elapsed, result }) => {
                    performer.ended();
                    purse.save();
                    // Work that was abandoned has no say any more.
                    if !episode.running || episode.work != Some(work) {
                        continue;
                    }
                    ended(&store, work, elapsed, result)
                }
                Err(_) => {
                    cancel();
                    return Ok(episode);
                }
            },
        };
        let event = without_room_it_pauses(event);
        let origin = asked.as_ref().and_then(|(request, _)| Some(request.as_ref()?.origin.as_str()));
        tracing::info!(event = event.word(), work = ?episode.work, origin, "journal");
        if let Event::Failed { message, .. } | Event::NoRoom { message } = &event {
            tracing::warn!(message, "a phase failed");
        }
        let effects = episode.handle(event.clone());
        let request = asked.as_ref().and_then(|(request, _)| request.as_ref());
        let journal = || match &event {
            Event::Reviewed { .. } => store.lock().append_review(&event, &episode, &changed, request),
            _ => store.lock().append_asked(&event, &episode, request),
        };
        match journal() {
            Err(error) if error.is_disk_full() => {
                custody.make_room();
                journal()?;
            }
            journalled => journalled?,
        }
        if let Some((_, journalled)) = asked {
            answer(journalled, Ok(()));
        }
        if matches!(event, Event::Completed { .. }) {
            custody.after();
        }
        observer(&event, &episode);
        for effect in effects {
            match effect {
                Effect::Perform { work, delay_ms } => match custody.before() {
                    Ok(()) => {
                        limit(&purse, &episode);
                        performer.perform(work, &episode, Duration::from_millis(delay_ms));
                    }
                    Err(PortError { message, transient, .. }) => {
                        next = Some(Event::Failed { message, transient, progressed: false });
                    }
                },
                Effect::Cancel => cancel(),
                Effect::Exit => {
                    cancel();
                    performer.drain(&mail);
                    return Ok(episode);
                }
            }
        }
        if !episode.running {
            board.rest(workers());
            let ended = !matches!(event, Event::Opened | Event::Commanded { .. } | Event::Reviewed { .. });
            let over = episode.finished() && (ended || leave == Leave::WhenIdle);
            if over || (leave == Leave::WhenIdle && event != Event::Opened) {
                cancel();
                return Ok(episode);
            }
        }
    }
}

/// Sets what endpoints may be paid in the next phase.
fn limit(purse: &Purse, episode: &Episode) {
    let budget = &episode.rules.budget;
    let spent: u64 = episode.iterations.iter().map(|iteration| iteration.tokens).sum();
    purse.limit(budget.money, budget.tokens.map(|tokens| tokens.saturating_sub(spent)));
}

/// The next letter. On a finished run only a person's command can come, and not for long.
fn receive(mail: &Receiver<Mail>, finished: bool) -> Result<Mail, RecvTimeoutError> {
    if finished { mail.recv_timeout(FINISHED_WAIT) } else { Ok(mail.recv()?) }
}

fn answer(journalled: Option<Sender<Result<(), String>>>, outcome: Result<(), String>) {
    if let Some(told) = journalled {
        // A client that has gone away needs no answer.
        let _ = told.send(outcome);
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

/// The event after work ended, with its end noted.
fn ended(store: &SharedStore, work: Work, elapsed: Duration, result: Result<Fact, PortError>) -> Event {
    let noted = result.and_then(|fact| {
        store.lock().end(work)?;
        Ok(fact)
    });
    match noted {
        Ok(fact) => Event::Completed { fact, elapsed_ms: elapsed.as_millis() as u64 },
        Err(error) => {
            let progressed = store.progressed.load(Ordering::Relaxed);
            Event::Failed { message: error.message, transient: error.transient, progressed }
        }
    }
}

/// A full disk is never tried again at once: only a person can make room.
fn without_room_it_pauses(event: Event) -> Event {
    match event {
        Event::Failed { message, .. } if disk::speaks_of_full_disk(&message) => {
            Event::NoRoom { message: disk::explained(&message) }
        }
        other => other,
    }
}

type Job = (Work, Episode, Duration);

/// The thread that does the work, one at a time.
struct Performer {
    jobs: Sender<Job>,
    /// Jobs whose end was not heard yet.
    open: usize,
    leaving: Arc<AtomicBool>,
}

impl Performer {
    fn start(
        store: &SharedStore,
        scene: &Scene,
        hands: Hands,
        mail: Sender<Mail>,
        board: &LiveBoard,
    ) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (mut store, scene, board) = (store.clone(), scene.clone(), board.clone());
        let Hands {
            mut student, mut trainer, mut teacher, mut verifier, mut painter, workers, purse, ..
        } = hands;
        for model in [Some(&mut student), teacher.as_mut(), verifier.as_mut()].into_iter().flatten() {
            let (board, workers) = (board.clone(), Arc::clone(&workers));
            model.listen(Box::new(move |_, _| board.wrote(workers())));
        }
        let leaving = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&leaving);
        std::thread::spawn(move || {
            while let Ok((work, episode, delay)) = inbox.recv() {
                let mut began = Instant::now();
                let result = if slept(delay, &left) {
                    board.begin(work);
                    began = Instant::now();
                    store.progressed.store(false, Ordering::Relaxed);
                    let begun = store.lock().begin(work);
                    let mut models = Models {
                        student: student.as_mut(),
                        trainer: trainer.as_mut(),
                        teacher: teacher.as_mut().map(|teacher| &mut **teacher as &mut dyn Student),
                        verifier: verifier.as_mut().map(|verifier| &mut **verifier as &mut dyn Student),
                        painter: painter.as_mut().map(|painter| &mut **painter as &mut dyn TextToImage),
                    };
                    let mut watch = |_: Work, moment: Moment| {
                        board.note(moment, workers());
                        board.paid(purse.spending());
                    };
                    match begun {
                        Ok(()) => perform(work, &episode, &scene, &mut models, &mut store, &mut watch),
                        Err(error) => Err(error.into()),
                    }
                } else {
                    Err(PortError::cancelled())
                };
                if mail.send(Mail::Ended { work, elapsed: began.elapsed(), result }).is_err() {
                    return;
                }
            }
        });
        Self { jobs, open: 0, leaving }
    }

    fn perform(&mut self, work: Work, episode: &Episode, delay: Duration) {
        // The thread lives as long as the driver.
        if self.jobs.send((work, episode.clone(), delay)).is_ok() {
            self.open += 1;
        }
    }

    fn ended(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// After a cancellation: waits until the work in hand has committed what it has, but not for ever.
    fn drain(&mut self, mail: &Receiver<Mail>) {
        self.leaving.store(true, Ordering::Relaxed);
        let until = Instant::now() + DRAIN;
        while self.open > 0 {
            match mail.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Mail::Ended { .. }) => self.ended(),
                Ok(Mail::Command { .. }) => {}
                Err(_) => {
                    tracing::warn!("the phase in hand did not end in time; it is repeated on resume");
                    return;
                }
            }
        }
    }
}

/// Waits, and says whether the wait was over before the end of the process was asked for.
fn slept(delay: Duration, leaving: &AtomicBool) -> bool {
    let until = Instant::now() + delay;
    while !leaving.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    false
}

/// Folder of a run's checkpoints.
pub fn checkpoints(folder: &Path) -> std::path::PathBuf {
    folder.join("checkpoints")
}
