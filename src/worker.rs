//! The loop of a worker process: one model or trainer behind a socket; and [`placement`], the plan of where
//! workers go.
//!
//! Owns the conversation with the runner and the end of the process: when the runner's end of the socket
//! closes, the process ends at once, also in the middle of a generation. Decides nothing: which model
//! and which trainer are hosted is handed in by `cli`.

mod core;
mod hosts;
mod merged;
pub mod placement;
mod stream;

use std::io;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub use core::Core;
pub use hosts::{Hosts, StudentHost, TrainerHost};
pub use stream::runner_stream;

use crate::protocol::frame::{self, FrameError};
use crate::protocol::worker::{Reply, Request};
use crate::training::Control;
use hosts::Hosted;

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input is not the runner's socket.
    #[error("a worker is started by a run, not by hand: its standard input is not a socket ({0})")]
    NotASocket(io::Error),
    /// The connection to the runner broke.
    #[error("the connection to the runner broke: {0}")]
    Stream(#[from] FrameError),
    /// The system refused something.
    #[error("the worker could not start: {0}")]
    System(#[from] io::Error),
}

/// Serves the runner at the other end of `stream` until it closes; then the process ends.
///
/// # Errors
/// When the connection breaks or the system refuses a thread.
pub fn serve(stream: &UnixStream, hosts: Hosts) -> Result<(), WorkerError> {
    let requests = listen(stream.try_clone()?)?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let write =
        move |reply: &Reply| frame::write(&mut *writer.lock().unwrap_or_else(PoisonError::into_inner), reply);
    let beside = write.clone();
    // A stream that broke is noticed with the next answer.
    let mut hosted = Hosted::new(hosts, Arc::new(move |reply: &Reply| drop(beside(reply))));
    write(&Reply::Ready { pid: process::id(), version: env!("CARGO_PKG_VERSION").to_owned() })?;
    for (request, halt) in requests {
        hosted.handle(request, &halt, &mut |reply| write(reply))?;
    }
    Ok(())
}

/// The runner's word that nobody waits any more for one request.
#[derive(Debug, Clone, Default)]
struct Halt {
    over: Arc<AtomicBool>,
    training: Arc<Control>,
}

impl Halt {
    fn call(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.training.stop();
    }

    fn is_called(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Reads requests on a thread of their own, so that a stop, and the runner's end, are noticed while a model works.
fn listen(mut stream: UnixStream) -> io::Result<Receiver<(Request, Halt)>> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("runner".to_owned()).spawn(move || {
        let mut halt = Halt::default();
        loop {
            match frame::read::<Request>(&mut stream, frame::WORKER_LIMIT) {
                Ok(Some(Request::Stop)) => halt.call(),
                Ok(Some(request)) => {
                    halt = Halt::default();
                    if sender.send((request, halt.clone())).is_err() {
                        return;
                    }
                }
                // An end with something unread on the runner's side is told as a broken connection.
                Ok(None) | Err(FrameError::Io(_)) => process::exit(0),
                Err(error) => {
                    tracing::error!(%error, "the runner cannot be understood");
                    process::exit(1);
                }
            }
        }
    })?;
    Ok(receiver)
}
