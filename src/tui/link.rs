//! The thread that talks to the runner: finds it, sends commands, passes on what it says.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::update::{LinkEvent, Message};
use super::{Connect, Resume};
use crate::gym::episode::Command;
use crate::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT};

/// Time between two attempts to find a runner.
const ATTEMPT: Duration = Duration::from_secs(1);
/// While a runner is being started it is looked for more often.
const EAGER: Duration = Duration::from_millis(100);
/// How long a new runner may take until it answers.
const START: Duration = Duration::from_secs(30);
/// How long a runner may take to take a frame in, or to say hello.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the link is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Send {
        id: u64,
        command: Command,
    },
    /// Start a runner first.
    Start {
        id: u64,
        command: Command,
    },
    /// The stream of that number ended.
    Ended {
        stream: u64,
    },
    /// The screen closed.
    Close,
}

/// Talks until told to stop.
pub(super) fn run(
    connect: &Connect,
    resume: &Resume,
    orders: &(Sender<Order>, Receiver<Order>),
    stop: &AtomicBool,
    send: &(impl Fn(Message) + Clone + Send + 'static),
) {
    let mut link = Link { stream: None, number: 0, waiting: None, known_absent: false };
    while !stop.load(Ordering::Relaxed) {
        if link.stream.is_none() {
            link.attempt(connect, &orders.0, send);
        }
        match orders.1.recv_timeout(if link.waiting.is_some() { EAGER } else { ATTEMPT }) {
            Ok(Order::Send { id, command }) => link.send(id, command),
            Ok(Order::Start { id, command }) => link.start(resume, id, command, send),
            Ok(Order::Ended { stream }) if stream == link.number => link.lost(),
            Ok(Order::Ended { .. }) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Link {
    stream: Option<UnixStream>,
    number: u64,
    /// A command that waits for a runner, and until when.
    waiting: Option<(u64, Command, Instant)>,
    known_absent: bool,
}

impl Link {
    fn attempt(
        &mut self,
        connect: &Connect,
        orders: &Sender<Order>,
        send: &(impl Fn(Message) + Clone + Send + 'static),
    ) {
        let Some(stream) = connect() else { return self.absent(send) };
        match greet(stream) {
            Ok((stream, pid)) => {
                self.known_absent = false;
                self.number += 1;
                self.listen(&stream, orders.clone(), send.clone());
                self.stream = Some(stream);
                send(Message::Link(LinkEvent::Connected { pid }));
                if let Some((id, command, _)) = self.waiting.take() {
                    self.send(id, command);
                }
            }
            Err(Greeting::Refused(message)) => {
                self.waiting = None;
                send(Message::Link(LinkEvent::Refused { message }));
            }
            Err(Greeting::Failed) => self.absent(send),
        }
    }

    /// Nobody is there; said once. A command that waits too long is given up.
    fn absent(&mut self, send: &impl Fn(Message)) {
        if !self.known_absent {
            self.known_absent = true;
            send(Message::Link(LinkEvent::Absent));
        }
        if self.waiting.as_ref().is_some_and(|(_, _, until)| Instant::now() > *until) {
            self.waiting = None;
            let message = format!("it did not answer within {} s; its log says why", START.as_secs());
            send(Message::Link(LinkEvent::StartFailed { message }));
        }
    }

    fn listen(&self, stream: &UnixStream, orders: Sender<Order>, send: impl Fn(Message) + Send + 'static) {
        let Ok(mut stream) = stream.try_clone() else { return };
        let number = self.number;
        let listen = move || {
            while let Ok(Some(frame)) = frame::read::<RunnerFrame>(&mut stream, CONTROL_LIMIT) {
                match frame {
                    RunnerFrame::Acknowledged { id } => send(Message::Link(LinkEvent::Acknowledged { id })),
                    RunnerFrame::Rejected { id, message } => {
                        send(Message::Link(LinkEvent::Rejected { id, message }));
                    }
                    RunnerFrame::Live { live } => send(Message::Link(LinkEvent::Live(Box::new(live)))),
                    RunnerFrame::Refused { message } => send(Message::Link(LinkEvent::Refused { message })),
                    RunnerFrame::Hello { .. } => {}
                }
            }
            // A link thread that is gone needs no news.
            let _ = orders.send(Order::Ended { stream: number });
        };
        // Without the thread nothing is heard, and the next failed command ends the connection.
        let _ = thread::Builder::new().name("link reader".into()).spawn(listen);
    }

    fn send(&mut self, id: u64, command: Command) {
        let frame = ClientFrame::Command { id, command };
        let sent = self.stream.as_mut().is_some_and(|stream| frame::write(stream, &frame).is_ok());
        if !sent {
            self.lost();
        }
    }

    fn start(&mut self, resume: &Resume, id: u64, command: Command, send: &impl Fn(Message)) {
        if self.stream.is_some() {
            return self.send(id, command);
        }
        match resume() {
            Ok(()) => self.waiting = Some((id, command, Instant::now() + START)),
            Err(message) => send(Message::Link(LinkEvent::StartFailed { message })),
        }
    }

    /// The connection is gone, which need not mean the runner is: it drops a client that does not read, as one
    /// does that was stopped. The next attempt follows at once and says which of the two it is.
    fn lost(&mut self) {
        if let Some(stream) = self.stream.take() {
            // The reader ends with it; one that ended already is fine.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        self.known_absent = false;
    }
}

/// The reader of the stream has an end of its own, so that the runner would count this client for ever.
impl Drop for Link {
    fn drop(&mut self) {
        self.lost();
    }
}

enum Greeting {
    Refused(String),
    Failed,
}

/// Hello and hello back; returns the runner's process id.
fn greet(mut stream: UnixStream) -> Result<(UnixStream, u32), Greeting> {
    let timed = stream.set_write_timeout(Some(PATIENCE)).and(stream.set_read_timeout(Some(PATIENCE)));
    timed.map_err(|_| Greeting::Failed)?;
    let hello = ClientFrame::hello(None, &client_name());
    frame::write(&mut stream, &hello).map_err(|_| Greeting::Failed)?;
    match frame::read::<RunnerFrame>(&mut stream, CONTROL_LIMIT) {
        Ok(Some(RunnerFrame::Hello { protocol: PROTOCOL, pid, .. })) => {
            stream.set_read_timeout(None).map_err(|_| Greeting::Failed)?;
            Ok((stream, pid))
        }
        Ok(Some(RunnerFrame::Hello { protocol, version, .. })) => Err(Greeting::Refused(format!(
            "it is version {version} with protocol {protocol}, this screen speaks {PROTOCOL}; use the same version"
        ))),
        Ok(Some(RunnerFrame::Refused { message })) => Err(Greeting::Refused(message)),
        _ => Err(Greeting::Failed),
    }
}

/// A name that no other connection has: ids of commands count from the start in every one of them.
fn client_name() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("screen-{}-{since}", std::process::id())
}

/// The channel of orders.
pub(super) fn orders() -> (Sender<Order>, Receiver<Order>) {
    channel()
}
