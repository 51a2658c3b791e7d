//! The other end of the control socket, for commands that are not a screen.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::gym::episode::Command;
use crate::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT, FrameError};

/// Why a command did not reach the runner.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the run has no running process")]
    NoRunner,
    /// The runner refused the connection.
    #[error("{0}")]
    Refused(String),
    /// The run cannot obey now.
    #[error("{0}")]
    Rejected(String),
    /// The connection failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Sends one command and waits until it is journalled.
pub fn command(socket: &Path, command: Command) -> Result<(), ClientError> {
    let mut stream = UnixStream::connect(socket).map_err(|_| ClientError::NoRunner)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(FrameError::from)?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    frame::write(&mut stream, &ClientFrame::Hello { protocol: PROTOCOL, version })?;
    let id = 1;
    let mut command = Some(command);
    while let Some(received) = frame::read(&mut stream, CONTROL_LIMIT)? {
        match received {
            RunnerFrame::Hello { .. } => {
                if let Some(command) = command.take() {
                    frame::write(&mut stream, &ClientFrame::Command { id, command })?;
                }
            }
            RunnerFrame::Rejected { id: 1, message } => return Err(ClientError::Rejected(message)),
            RunnerFrame::Refused { message } => return Err(ClientError::Refused(message)),
            RunnerFrame::Acknowledged { id: 1 } => return Ok(()),
            _ => {}
        }
    }
    Err(ClientError::NoRunner)
}
