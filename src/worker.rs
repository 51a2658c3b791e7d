//! The loop of a worker process: one model or trainer behind a socket; and [`placement`], the plan of where
//! workers go.
//!
//! Owns the conversation with the runner and the end of the process: when the runner's end of the socket
//! closes, the process ends at once, also in the middle of a generation. Decides nothing: which model
//! and which trainer are hosted is handed in by `cli`.

mod core;
mod hosts;
pub mod placement;
mod stream;

use std::io;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

pub use core::Core;
pub use hosts::{Hosts, StudentHost, TrainerHost};
pub use stream::runner_stream;

use crate::protocol::frame::{self, FrameError};
use crate::protocol::worker::{Reply, Request};
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
    let mut hosted = Hosted::new(hosts);
    let mut writer = stream;
    frame::write(
        &mut writer,
        &Reply::Ready { pid: process::id(), version: env!("CARGO_PKG_VERSION").to_owned() },
    )?;
    for request in requests {
        hosted.handle(request, &mut |reply| frame::write(&mut writer, reply))?;
    }
    Ok(())
}

/// Reads requests on a thread of their own, so that the runner's end is noticed while a model works.
fn listen(mut stream: UnixStream) -> io::Result<Receiver<Request>> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("runner".to_owned()).spawn(move || {
        loop {
            match frame::read::<Request>(&mut stream, frame::WORKER_LIMIT) {
                Ok(Some(request)) => {
                    if sender.send(request).is_err() {
                        return;
                    }
                }
                Ok(None) => process::exit(0),
                Err(error) => {
                    tracing::error!(%error, "the runner cannot be understood");
                    process::exit(1);
                }
            }
        }
    })?;
    Ok(receiver)
}
