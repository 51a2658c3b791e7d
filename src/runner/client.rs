//! The other end of the control socket, for commands that are not a screen.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{lock, machine};
use crate::gym::episode::Command;
use crate::protocol::control::{ClientFrame, Live, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT, FrameError};

/// How long a runner may take to say hello or to journal a command.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a command did not reach the runner.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("nobody listens at {0}")]
    NoRunner(PathBuf),
    /// Somebody else's process listens there.
    #[error("{0} is served by a process of another user, which was not spoken to; remove the file")]
    Stranger(PathBuf),
    /// The runner refused the connection.
    #[error("{0}")]
    Refused(String),
    /// The run cannot obey now.
    #[error("{0}")]
    Rejected(String),
    /// The runner took the command and ended before it journalled it.
    #[error("the run's process ended before it took note of the command; its log says why")]
    Unheard,
    /// The connection failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// What a runner said about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Version of its program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Name of its run.
    pub run: String,
}

/// A connection to a runner.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    greeting: Greeting,
}

/// The socket of the runner that holds the run whose database lies in `live`: the one it wrote down, because
/// its environment may have been another one. Empty when none did.
pub fn socket_of(live: &Path) -> PathBuf {
    let named = lock::holder(live).and_then(|holder| holder.socket);
    named.filter(|path| looks_like_one(path)).unwrap_or_default()
}

/// Whether a path has the name of a control socket. The file that names it may come from anybody.
fn looks_like_one(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sock"));
    path.is_absolute()
        && name.is_some_and(|name| name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A stream to the runner of the run whose database lies in `live`, when one of this user's listens.
pub fn stream(live: &Path) -> Option<UnixStream> {
    open(&socket_of(live)).ok()
}

fn open(socket: &Path) -> Result<UnixStream, ClientError> {
    let stream = UnixStream::connect(socket).map_err(|_| ClientError::NoRunner(socket.to_owned()))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(std::io::Error::from);
    let peer = peer.map_err(FrameError::from)?;
    if peer.uid != rustix::process::getuid() && !peer.uid.is_root() {
        return Err(ClientError::Stranger(socket.to_owned()));
    }
    Ok(stream)
}

/// A name that no other client of this machine has.
pub fn fresh_name() -> String {
    format!("client-{}-{}-{}", machine::host(), std::process::id(), machine::now_ms())
}

impl Client {
    /// Connects to a socket of this user and exchanges greetings. `name` is the client's own, see
    /// [`fresh_name`].
    ///
    /// # Errors
    /// When nobody of this user listens there, or the runner speaks another protocol or has another run.
    pub fn connect(socket: &Path, run: Option<&str>, name: &str) -> Result<Self, ClientError> {
        let mut stream = open(socket)?;
        let timed = stream.set_read_timeout(Some(PATIENCE)).and(stream.set_write_timeout(Some(PATIENCE)));
        timed.map_err(FrameError::from)?;
        frame::write(&mut stream, &ClientFrame::hello(run, name))?;
        match frame::read(&mut stream, CONTROL_LIMIT)? {
            Some(RunnerFrame::Hello { protocol: PROTOCOL, version, pid, run }) => {
                Ok(Self { stream, greeting: Greeting { version, pid, run } })
            }
            Some(RunnerFrame::Hello { protocol, version, .. }) => Err(ClientError::Refused(format!(
                "the run's process is version {version} and speaks protocol {protocol}, this program is {} \
                 and speaks {PROTOCOL}: use the program that started the run",
                env!("CARGO_PKG_VERSION")
            ))),
            Some(RunnerFrame::Refused { message }) => Err(ClientError::Refused(message)),
            _ => Err(ClientError::NoRunner(socket.to_owned())),
        }
    }

    /// What the runner said about itself.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Sends a command and waits until it is journalled. The same `id` of the same client is carried out once.
    ///
    /// # Errors
    /// When the connection ends first.
    pub fn command(&mut self, id: u64, command: Command) -> Result<(), ClientError> {
        frame::write(&mut self.stream, &ClientFrame::Command { id, command })?;
        while let Some(received) = frame::read(&mut self.stream, CONTROL_LIMIT)? {
            match received {
                RunnerFrame::Acknowledged { id: told } if told == id => return Ok(()),
                RunnerFrame::Rejected { id: told, message } if told == id => {
                    return Err(ClientError::Rejected(message));
                }
                RunnerFrame::Refused { message } => return Err(ClientError::Refused(message)),
                _ => {}
            }
        }
        Err(ClientError::Unheard)
    }

    /// Live progress as it comes; the channel ends with the runner.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn live(mut self) -> std::io::Result<Receiver<Live>> {
        let (sender, receiver) = channel();
        self.stream.set_read_timeout(None)?;
        std::thread::Builder::new().name("live".to_owned()).spawn(move || {
            while let Ok(Some(received)) = frame::read(&mut self.stream, CONTROL_LIMIT) {
                if let RunnerFrame::Live { live } = received
                    && sender.send(live).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(receiver)
    }
}

/// Sends one command over a connection of its own and waits until it is journalled.
///
/// # Errors
/// As [`Client::connect`] and [`Client::command`].
pub fn command(socket: &Path, command: Command) -> Result<(), ClientError> {
    Client::connect(socket, None, &fresh_name())?.command(1, command)
}
