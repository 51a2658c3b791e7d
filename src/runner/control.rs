//! The control socket: commands in, acknowledgements and live progress out.
//!
//! Each client has two threads of its own and a bounded queue. One that does not read is dropped when the queue
//! is full or a write has waited too long; nobody else notices. Only processes of this user are heard.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use crate::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT, FrameError};
use crate::runner::driver::Mail;
use crate::runner::live::LiveBoard;
use crate::store::Request;

/// A client that does not read for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client that does not say hello for so long is dropped.
const HELLO: Duration = Duration::from_secs(5);
/// Least time between two live frames to a client.
const LIVE_INTERVAL: Duration = Duration::from_millis(150);
/// A live frame is sent at least so often, which is how a client that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Acknowledgements that wait for a client at most.
const QUEUE: usize = 256;
/// How long the end of the process waits for answers to be written.
const SETTLING: Duration = Duration::from_secs(1);
/// Clients at a time.
const CLIENTS: usize = 64;

/// Binds the socket; one that was left behind is replaced. The caller holds the run's lock and has verified
/// the folder. The name appears only when the socket can be entered by this user alone.
///
/// # Errors
/// When the system refuses.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let temporary = path.with_extension(std::process::id().to_string());
    let _ = std::fs::remove_file(&temporary);
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let bound = UnixListener::bind(&temporary);
    rustix::process::umask(before);
    let listener = bound?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&temporary, path)?;
    Ok(listener)
}

/// What is owed to the clients.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<AtomicUsize>);

impl Answers {
    /// Waits until every command that was taken is answered, but not for ever: a client may have gone. To be called
    /// before the process ends, or the answer to the command that ended it is lost.
    pub fn settle(&self) {
        let until = Instant::now() + SETTLING;
        while self.0.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn owe(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn paid(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Accepts clients of the run called `run` until the process ends.
///
/// # Errors
/// When the system refuses a thread.
pub fn serve(
    listener: UnixListener,
    run: String,
    mail: Sender<Mail>,
    board: LiveBoard,
) -> std::io::Result<Answers> {
    let answers = Answers::default();
    let attendant = Attendant { run, mail, board, present: Arc::default(), answers: answers.clone() };
    let accept = move || {
        for stream in listener.incoming() {
            let attendant = attendant.clone();
            let attended = stream.and_then(|stream| {
                let attend = move || attendant.attend(stream);
                std::thread::Builder::new().name("client".to_owned()).spawn(attend)
            });
            if let Err(error) = attended {
                tracing::warn!(%error, "a client could not be accepted");
                // Out of files or threads: others may leave meanwhile.
                std::thread::sleep(LIVE_INTERVAL);
            }
        }
    };
    std::thread::Builder::new().name("control".to_owned()).spawn(accept)?;
    Ok(answers)
}

/// What every client's thread knows.
#[derive(Clone)]
struct Attendant {
    run: String,
    mail: Sender<Mail>,
    board: LiveBoard,
    present: Arc<AtomicUsize>,
    answers: Answers,
}

impl Attendant {
    fn attend(self, stream: UnixStream) {
        let others = self.present.fetch_add(1, Ordering::Relaxed);
        match self.converse(stream, others) {
            Ok(()) => tracing::debug!("a client left"),
            Err(error) => tracing::info!(%error, "a client was dropped"),
        }
        self.present.fetch_sub(1, Ordering::Relaxed);
    }

    fn converse(&self, mut stream: UnixStream, others: usize) -> Result<(), FrameError> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(std::io::Error::from)?;
        let me = rustix::process::getuid();
        if peer.uid != me && !peer.uid.is_root() {
            tracing::warn!(user = peer.uid.as_raw(), "a process of another user was turned away");
            return Ok(());
        }
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(HELLO))?;
        let client = match self.greeted(frame::read(&mut stream, CONTROL_LIMIT), others) {
            Ok(client) => client,
            Err(message) => {
                tracing::info!(message, "a client was refused");
                return frame::write(&mut stream, &RunnerFrame::Refused { message });
            }
        };
        stream.set_read_timeout(None)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (pid, run) = (std::process::id(), self.run.clone());
        frame::write(&mut stream, &RunnerFrame::Hello { protocol: PROTOCOL, version, pid, run })?;
        let origin = format!("user {} process {}", peer.uid.as_raw(), peer.pid.as_raw_nonzero());
        let (queue, outbox) = sync_channel(QUEUE);
        let (outgoing, board, answers) = (stream.try_clone()?, self.board.clone(), self.answers.clone());
        std::thread::Builder::new().name("client out".to_owned()).spawn(move || {
            if speak(&outgoing, &outbox, &board, &answers).is_err() {
                // The reading thread ends with the stream.
                let _ = outgoing.shutdown(std::net::Shutdown::Both);
            }
        })?;
        while let Some(received) = frame::read(&mut stream, CONTROL_LIMIT)? {
            let ClientFrame::Command { id, command } = received else { continue };
            let (told, journalled) = channel();
            let id_in_run = (!client.is_empty()).then(|| format!("{client}/{id}"));
            let request = id_in_run.map(|id| Request { id, origin: origin.clone() });
            self.answers.owe();
            if self.mail.send(Mail::Command { command, request, journalled: Some(told) }).is_err() {
                self.answers.paid();
                break;
            }
            // The driver drops the sender when it ends without journalling.
            let answer = match journalled.recv() {
                Ok(Ok(())) => RunnerFrame::Acknowledged { id },
                Ok(Err(message)) => RunnerFrame::Rejected { id, message },
                Err(_) => {
                    self.answers.paid();
                    continue;
                }
            };
            if queue.try_send(answer).is_err() {
                self.answers.paid();
                let _ = stream.shutdown(std::net::Shutdown::Both);
                let slow = std::io::Error::new(std::io::ErrorKind::TimedOut, "the client does not read");
                return Err(slow.into());
            }
        }
        Ok(())
    }

    /// The client's name, or why it is refused.
    fn greeted(
        &self,
        first: Result<Option<ClientFrame>, FrameError>,
        others: usize,
    ) -> Result<String, String> {
        let ours = env!("CARGO_PKG_VERSION");
        match first {
            Ok(Some(ClientFrame::Hello { protocol: PROTOCOL, run, client, .. })) => match run {
                Some(run) if run != self.run => {
                    Err(format!("this is the process of run `{}`, not of `{run}`", self.run))
                }
                _ if others >= CLIENTS => {
                    Err(format!("{CLIENTS} clients look at this run already; close one of them"))
                }
                _ => Ok(client),
            },
            Ok(Some(ClientFrame::Hello { protocol, version, .. })) => Err(format!(
                "the run's process is version {ours} and speaks protocol {PROTOCOL}, this program is {version} \
                 and speaks {protocol}: use the program that started the run, or stop the run with it and \
                 resume with this one"
            )),
            Ok(_) => Err("the first frame must be a greeting".to_owned()),
            Err(error) => Err(format!("the greeting was not understood: {error}")),
        }
    }
}

/// Writes what waits, and live progress in between, until nobody can ask any more.
fn speak(
    mut stream: &UnixStream,
    outbox: &Receiver<RunnerFrame>,
    board: &LiveBoard,
    answers: &Answers,
) -> Result<(), FrameError> {
    let mut shown = (u64::MAX, Instant::now());
    loop {
        match outbox.recv_timeout(LIVE_INTERVAL) {
            Ok(answer) => {
                let written = frame::write(&mut stream, &answer);
                answers.paid();
                written?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                let (version, live) = board.wait(u64::MAX, Duration::ZERO);
                if version != shown.0 || shown.1.elapsed() >= HEARTBEAT {
                    shown = (version, Instant::now());
                    frame::write(&mut stream, &RunnerFrame::Live { live })?;
                }
            }
        }
    }
}
