//! The link thread against a runner that is played.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::gym::episode::Command;
use crate::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT};
use crate::tui::link::{self, Order};

/// The streams a runner would accept, one per connection; none means that there is no runner.
type Door = Arc<Mutex<Vec<UnixStream>>>;

struct Talk {
    door: Door,
    orders: Sender<Order>,
    heard: Receiver<Message>,
    stop: Arc<AtomicBool>,
}

impl Talk {
    fn begin(resume: impl Fn(&Door) -> Result<(), String> + Send + 'static) -> Self {
        let door = Door::default();
        let (orders, inbox) = link::orders();
        let (tell, heard) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (own, asked, started, ended) =
            (orders.clone(), Arc::clone(&door), Arc::clone(&door), Arc::clone(&stop));
        std::thread::spawn(move || {
            let connect: crate::tui::Connect = Box::new(move || asked.lock().unwrap().pop());
            let resume: crate::tui::Resume = Box::new(move || resume(&started));
            link::run(&connect, &resume, &(own, inbox), &ended, &move |message| drop(tell.send(message)));
        });
        Self { door, orders, heard, stop }
    }

    fn next(&self) -> LinkEvent {
        match self.heard.recv_timeout(Duration::from_secs(10)).unwrap() {
            Message::Link(event) => event,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A runner's end of a new connection.
fn open(door: &Door) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    door.lock().unwrap().push(theirs);
    ours
}

fn say(stream: &mut UnixStream, frame: &RunnerFrame) {
    frame::write(stream, frame).unwrap();
}

fn hello(protocol: u32) -> RunnerFrame {
    RunnerFrame::Hello { protocol, version: "0".into(), pid: 7, run: String::new() }
}

fn hear(stream: &mut UnixStream) -> ClientFrame {
    frame::read(stream, CONTROL_LIMIT).unwrap().unwrap()
}

#[test]
fn a_runner_is_found_told_and_lost() {
    let talk = Talk::begin(|_| Err("not asked".into()));
    assert!(matches!(talk.next(), LinkEvent::Absent));
    let mut runner = open(&talk.door);
    assert!(matches!(hear(&mut runner), ClientFrame::Hello { protocol: PROTOCOL, .. }));
    say(&mut runner, &hello(PROTOCOL));
    assert!(matches!(talk.next(), LinkEvent::Connected { pid: 7 }));
    talk.orders.send(Order::Send { id: 3, command: Command::Pause }).unwrap();
    assert_eq!(hear(&mut runner), ClientFrame::Command { id: 3, command: Command::Pause });
    say(&mut runner, &RunnerFrame::Acknowledged { id: 3 });
    assert!(matches!(talk.next(), LinkEvent::Acknowledged { id: 3 }));
    say(&mut runner, &RunnerFrame::Live { live: Live::default() });
    assert!(matches!(talk.next(), LinkEvent::Live(_)));
    drop(runner);
    assert!(matches!(talk.next(), LinkEvent::Absent));
    let mut runner = open(&talk.door);
    hear(&mut runner);
    say(&mut runner, &hello(PROTOCOL));
    assert!(matches!(talk.next(), LinkEvent::Connected { .. }));
}

#[test]
fn a_screen_that_closes_hangs_up() {
    use std::io::Read;
    let talk = Talk::begin(|_| Err("not asked".into()));
    assert!(matches!(talk.next(), LinkEvent::Absent));
    let mut runner = open(&talk.door);
    hear(&mut runner);
    say(&mut runner, &hello(PROTOCOL));
    assert!(matches!(talk.next(), LinkEvent::Connected { .. }));
    runner.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    talk.orders.send(Order::Close).unwrap();
    // The thread that listened had an end of its own, and would have held it for ever.
    assert_eq!(runner.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_command_waits_for_the_runner_that_is_started_for_it() {
    let (tell, started) = channel();
    let talk = Talk::begin(move |door| {
        tell.send(open(door)).unwrap();
        Ok(())
    });
    assert!(matches!(talk.next(), LinkEvent::Absent));
    talk.orders.send(Order::Start { id: 1, command: Command::Run }).unwrap();
    let mut runner = started.recv_timeout(Duration::from_secs(10)).unwrap();
    hear(&mut runner);
    say(&mut runner, &hello(PROTOCOL));
    assert!(matches!(talk.next(), LinkEvent::Connected { .. }));
    assert_eq!(hear(&mut runner), ClientFrame::Command { id: 1, command: Command::Run });
}

#[test]
fn a_runner_that_cannot_start_or_speaks_otherwise_is_reported() {
    let talk = Talk::begin(|_| Err("no space".into()));
    assert!(matches!(talk.next(), LinkEvent::Absent));
    talk.orders.send(Order::Start { id: 1, command: Command::Run }).unwrap();
    assert!(matches!(talk.next(), LinkEvent::StartFailed { message } if message == "no space"));
    let mut runner = open(&talk.door);
    hear(&mut runner);
    say(&mut runner, &hello(PROTOCOL + 1));
    assert!(matches!(talk.next(), LinkEvent::Refused { message } if message.contains("protocol")));
    let mut runner = open(&talk.door);
    hear(&mut runner);
    say(&mut runner, &RunnerFrame::Refused { message: "another user".into() });
    assert!(matches!(talk.next(), LinkEvent::Refused { message } if message == "another user"));
}
