//! The drawing thread: takes messages in, carries effects out, draws when it is time.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::app::App;
use super::errands;
use super::input::Input;
use super::link::Order;
use super::mailbox::{Mail, Mailbox};
use super::memory::Memory;
use super::pacer::Pacer;
use super::runs::Runs;
use super::screen::{Cost, Frames, open_terminal, size};
use super::session::{self, Job, Session};
use super::source::Wanted;
use super::update::{self, Effect, Exit, Message, Urgency};
use super::view::view;
use super::{Options, TuiError, input, link, source};
use crate::faults;
use crate::gym::datum::Wording;
use crate::probes::Sampler;
use crate::store::Reader;

/// Messages taken in before the clock is looked at again, so that a flood cannot keep a frame from being drawn.
const BATCH: usize = 256;

/// Whatever wakes the drawing thread.
enum Wake {
    Message(Message),
    Input(Input),
    Job(Job),
    /// A text for the clipboard of the terminal.
    Clipboard(String),
}

impl Mail for Wake {
    fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Message(new), Self::Message(old)) => new.replaces(old),
            (Self::Job(Job::Resized), Self::Job(Job::Resized)) => true,
            _ => false,
        }
    }
}

type Wakes = Mailbox<Wake>;

pub(super) fn run(options: Options) -> Result<Exit, TuiError> {
    Reader::open(&options.run_folder)?;
    let kind = std::env::var("TERM").unwrap_or_default();
    if kind.is_empty() || kind == "dumb" {
        return Err(TuiError::Dumb(kind.into()));
    }
    let terminal = open_terminal().map_err(TuiError::NoTerminal)?;
    let size = size(&terminal).map_err(TuiError::NoTerminal)?;
    let keys = terminal.try_clone()?;
    let wakes = Wakes::new();
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    // Before the session, so that the sender of the session is the last one to go.
    let (continued, continues) = channel();
    let session = Session::begin(options.log.as_deref(), continued)?;
    let forward = wakes.clone();
    spawn("jobs", move || continues.iter().for_each(|job| forward.post(Wake::Job(job))))?;
    let frame_log = options.frame_log.as_ref().and_then(|path| File::create(path).ok());
    let (app, outlets, pacer, reader) = start(options, (size, keys), &wakes, &stop)?;
    let begun = Instant::now();
    let mut desk = Desk { app, outlets, pacer, frames: Frames::new(terminal, size), frame_log, begun };
    let exit = desk.serve(&wakes);
    drop(session);
    drop(stop);
    if let Ok(Exit::Open(_)) = exit {
        // It would take keys that are meant for the next screen. It has nothing to say that is not known here.
        let _ = reader.join();
    }
    exit
}

/// Starts every thread that feeds the screen.
fn start(
    options: Options,
    (size, terminal): ((u16, u16), File),
    wake: &Wakes,
    stop: &Stop,
) -> Result<(App, Outlets, Pacer, JoinHandle<()>), TuiError> {
    let post = |wake: Wakes| move |message| wake.post(Wake::Message(message));
    let (queries, asked) = channel();
    let (folder, send) = (options.run_folder.clone(), post(wake.clone()));
    spawn("source", move || source::run(folder, &asked, send))?;
    let (orders, inbox) = link::orders();
    let (own, send) = (orders.clone(), post(wake.clone()));
    let (connect, resume) = (options.connect, options.resume);
    let ended = Arc::clone(&stop.0);
    spawn("link", move || link::run(&connect, &resume, &(own, inbox), &ended, &send))?;
    let (keys, flag, held) = (wake.clone(), Arc::clone(&stop.0), input::Hold::default());
    let pause = held.clone();
    let reader =
        spawn("keys", move || input::run(terminal, &flag, &pause, |input| keys.post(Wake::Input(input))))?;
    let send = post(wake.clone());
    let sampler = Sampler::start(move |snapshot| send(Message::Machine(Box::new(snapshot))))?;
    let own_theme = options.look.own_theme;
    let mut app = App::new(size, options.look);
    let memory = options.memory.map(|path| (path.clone(), Memory::read(&path)));
    if let Some((_, memory)) = &memory {
        app.recall(memory.clone(), own_theme);
    }
    let (runs, run_folder, wake) = (options.runs, options.run_folder, wake.clone());
    let stale = Arc::default();
    let outlets = Outlets { queries, stale, orders, sampler, runs, run_folder, memory, held, wake };
    Ok((app, outlets, Pacer::new(options.remote), reader))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, TuiError> {
    Ok(thread::Builder::new().name(name.into()).spawn(work)?)
}

/// Tells the other threads to end when it goes.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where effects go.
struct Outlets {
    queries: Sender<Wanted>,
    /// Tells the query on its way that another one is wanted.
    stale: Arc<AtomicBool>,
    orders: Sender<Order>,
    sampler: Sampler,
    runs: Arc<dyn Runs>,
    run_folder: PathBuf,
    /// What is remembered: the file, and what this screen last knew of it.
    memory: Option<(PathBuf, Memory)>,
    /// Keeps the keys from being read while another program has the terminal.
    held: input::Hold,
    wake: Wakes,
}

impl Drop for Outlets {
    fn drop(&mut self) {
        // A thread that is gone is what this asks for.
        let _ = self.orders.send(Order::Close);
    }
}

struct Desk {
    app: App,
    outlets: Outlets,
    pacer: Pacer,
    frames: Frames<File>,
    frame_log: Option<File>,
    begun: Instant,
}

impl Desk {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn serve(&mut self, wakes: &Wakes) -> Result<Exit, TuiError> {
        self.pacer.want(Urgency::Urgent);
        loop {
            let wait = self.pacer.wait(self.now()).map(Duration::from_millis);
            for wake in wakes.take(wait, BATCH) {
                if let Some(exit) = self.take_in(wake)? {
                    return Ok(exit);
                }
            }
            if self.pacer.wait(self.now()) == Some(0) {
                self.draw()?;
            }
        }
    }

    fn take_in(&mut self, wake: Wake) -> Result<Option<Exit>, TuiError> {
        let message = match wake {
            Wake::Message(message) => message,
            Wake::Input(Input::Key(key)) => Message::Key(key),
            Wake::Input(Input::Paste(text)) => Message::Pasted(text),
            Wake::Input(Input::Focus(focused)) => {
                self.pacer.focus(focused);
                return Ok(None);
            }
            Wake::Input(Input::Ended(error)) => return Err(error.into()),
            Wake::Clipboard(text) => {
                self.frames.copy(&text)?;
                return Ok(None);
            }
            Wake::Job(Job::Stop) => {
                self.suspend()?;
                return Ok(None);
            }
            Wake::Job(Job::Continued) => {
                self.come_back()?;
                return Ok(None);
            }
            Wake::Job(Job::Resized) => {
                let (width, height) = self.frames.resize()?;
                Message::Resize(width, height)
            }
        };
        let urgency = update::urgency(&self.app, &message);
        self.pacer.want(urgency);
        for effect in update::update(&mut self.app, message) {
            if let Some(exit) = self.carry_out(effect, urgency == Urgency::Urgent)? {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    /// A thread that is gone has said so, or the screen is ending: a failed send is nothing new. `asked` says that a
    /// person waits for it.
    fn carry_out(&mut self, effect: Effect, asked: bool) -> Result<Option<Exit>, TuiError> {
        match effect {
            Effect::Send { id, command } => drop(self.outlets.orders.send(Order::Send { id, command })),
            Effect::Start { id, command } => drop(self.outlets.orders.send(Order::Start { id, command })),
            Effect::Load(query) => {
                let stale = std::mem::take(&mut self.outlets.stale);
                stale.store(true, Ordering::Relaxed);
                let stale = Arc::clone(&self.outlets.stale);
                drop(self.outlets.queries.send(Wanted::Samples { query, asked, stale }));
            }
            Effect::Facet(list, field) => drop(self.outlets.queries.send(Wanted::Facet(list, field))),
            Effect::Values(list, fields) => drop(self.outlets.queries.send(Wanted::Values(list, fields))),
            Effect::Calls(iteration) => drop(self.outlets.queries.send(Wanted::Calls(iteration))),
            Effect::Ids(list) => drop(self.outlets.queries.send(Wanted::Ids(list))),
            Effect::FollowJournal(on) => drop(self.outlets.queries.send(Wanted::Journal(on))),
            Effect::Look => drop(self.outlets.queries.send(Wanted::Facts)),
            Effect::Export(files) => {
                let folder = self.outlets.run_folder.clone();
                self.aside("export", move |wake| {
                    wake.post(Wake::Message(Message::Exported(errands::export(&folder, &files))));
                })?;
            }
            Effect::Copy(text) => {
                let folder = self.outlets.run_folder.clone();
                self.aside("copy", move |wake| {
                    let copied = errands::copied(&text);
                    if !errands::copy_by_tmux(copied) {
                        wake.post(Wake::Clipboard(copied.to_owned()));
                    }
                    wake.post(Wake::Message(Message::Copied(errands::keep(&folder, &text))));
                })?;
            }
            Effect::Runs(order) => {
                let runs = Arc::clone(&self.outlets.runs);
                self.aside("runs", move |wake| {
                    wake.post(Wake::Message(Message::Runs(order.carry_out(runs.as_ref()))));
                })?;
            }
            Effect::Write { id, wording } => {
                let result = self.write(&id, &wording)?;
                return self.take_in(Wake::Message(Message::Written { id, result }));
            }
            Effect::Watch(on) => self.outlets.sampler.watch(on),
            Effect::Remember(memory) => {
                if let Some((path, known)) = &mut self.outlets.memory {
                    if let Err(error) = Memory::read(path).changed(known, &memory).write(path) {
                        tracing::warn!("what was chosen on the screen is not kept: {error}");
                    }
                    *known = *memory;
                }
            }
            Effect::Suspend => self.suspend()?,
            Effect::Quit(exit) => return Ok(Some(exit)),
        }
        Ok(None)
    }

    /// Does something on a thread of its own, because it may take seconds; what came of it is news.
    fn aside(&self, name: &str, work: impl FnOnce(Wakes) + Send + 'static) -> Result<(), TuiError> {
        let wake = self.outlets.wake.clone();
        spawn(name, move || work(wake)).map(drop)
    }

    /// Lends the terminal to the person's own editor.
    fn write(&mut self, id: &str, wording: &Wording) -> Result<Result<Option<Wording>, String>, TuiError> {
        let terminal = open_terminal()?;
        let held = self.outlets.held.hold();
        session::lend();
        let result = errands::write(&terminal, id, wording);
        session::take_back();
        drop(held);
        self.come_back()?;
        Ok(result)
    }

    /// Stops this process until the shell continues it.
    fn suspend(&mut self) -> Result<(), TuiError> {
        session::leave();
        session::stop();
        self.come_back()
    }

    fn come_back(&mut self) -> Result<(), TuiError> {
        session::enter()?;
        self.app.size = self.frames.resize()?;
        self.pacer.want(Urgency::Urgent);
        Ok(())
    }

    fn draw(&mut self) -> Result<(), TuiError> {
        let app = &self.app;
        let cost = self.frames.draw(|buffer| view(app, buffer))?;
        self.pacer.drawn(self.now(), cost.map(|cost| cost.write.as_millis() as u64));
        if let Some(cost) = cost {
            self.note(cost);
            faults::drawn();
        }
        Ok(())
    }

    /// One line per frame in the frame log; a log that cannot be written is no reason to end.
    fn note(&mut self, cost: Cost) {
        let at = self.now();
        if let Some(log) = &mut self.frame_log {
            let (draw, write) = (cost.draw.as_micros(), cost.write.as_micros());
            let line = format!(
                "{{\"at_ms\":{at},\"bytes\":{},\"draw_us\":{draw},\"write_us\":{write}}}\n",
                cost.bytes
            );
            let _ = log.write_all(line.as_bytes());
        }
    }
}
