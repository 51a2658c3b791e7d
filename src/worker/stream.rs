//! The runner's socket, found as standard input.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::WorkerError;

/// Takes the runner's socket from standard input and puts the null device there, so that nothing started
/// later holds the runner's end open.
///
/// # Errors
/// [`WorkerError::NotASocket`] when the process was started by hand.
pub fn runner_stream() -> Result<UnixStream, WorkerError> {
    let input = io::stdin();
    let stream = UnixStream::from(input.as_fd().try_clone_to_owned()?);
    stream.peer_addr().map_err(WorkerError::NotASocket)?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null).map_err(io::Error::from)?;
    Ok(stream)
}
