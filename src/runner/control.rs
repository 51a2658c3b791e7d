//! The control socket: commands in, acknowledgements and live progress out.
//!
//! Each client has threads of its own; a slow or silent one blocks nobody else.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use crate::protocol::frame::{self, CONTROL_LIMIT, FrameError};
use crate::runner::driver::Mail;
use crate::runner::live::LiveBoard;

/// A client that does not read for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Least time between two live frames to a client.
const LIVE_INTERVAL: Duration = Duration::from_millis(150);
/// Sent at least so often, which is how a client that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Binds the socket; a stale one is replaced. The caller holds the run's lock. The name appears only when
/// the socket can be entered by this user alone.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let temporary = path.with_extension(format!("{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary)?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&temporary, path)?;
    Ok(listener)
}

/// Accepts clients until the process ends.
pub fn serve(listener: UnixListener, mail: Sender<Mail>, board: LiveBoard) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mail, board) = (mail.clone(), board.clone());
            match stream {
                Ok(stream) => drop(std::thread::spawn(move || {
                    if let Err(error) = attend(stream, &mail, &board) {
                        tracing::info!(%error, "a client left");
                    }
                })),
                Err(error) => tracing::warn!(%error, "a client could not be accepted"),
            }
        }
    });
}

fn attend(mut stream: UnixStream, mail: &Sender<Mail>, board: &LiveBoard) -> Result<(), FrameError> {
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(std::io::Error::from)?;
    let me = rustix::process::getuid();
    if peer.uid != me && !peer.uid.is_root() {
        return Ok(());
    }
    stream.set_write_timeout(Some(PATIENCE))?;
    let version = env!("CARGO_PKG_VERSION");
    match frame::read(&mut stream, CONTROL_LIMIT)? {
        Some(ClientFrame::Hello { protocol: PROTOCOL, .. }) => {}
        Some(ClientFrame::Hello { version: theirs, .. }) => {
            let message = format!(
                "the run's process is version {version}, this program is {theirs}: stop the run with the \
                 old program, or use it to attach"
            );
            return frame::write(&mut stream, &RunnerFrame::Refused { message });
        }
        _ => return Ok(()),
    }
    let hello =
        RunnerFrame::Hello { protocol: PROTOCOL, version: version.to_owned(), pid: std::process::id() };
    frame::write(&mut stream, &hello)?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let live_writer = Arc::clone(&writer);
    let live_board = board.clone();
    std::thread::spawn(move || broadcast(&live_writer, &live_board));
    while let Some(received) = frame::read(&mut stream, CONTROL_LIMIT)? {
        let ClientFrame::Command { id, command } = received else { continue };
        let (told, journalled) = channel();
        if mail.send(Mail::Command { command, journalled: Some(told) }).is_err() {
            break;
        }
        // The driver drops the sender when it ends without journalling.
        match journalled.recv() {
            Ok(Ok(())) => send(&writer, &RunnerFrame::Acknowledged { id })?,
            Ok(Err(message)) => send(&writer, &RunnerFrame::Rejected { id, message })?,
            Err(_) => {}
        }
    }
    Ok(())
}

fn broadcast(writer: &Mutex<UnixStream>, board: &LiveBoard) {
    let mut seen = u64::MAX;
    loop {
        let (version, live) = board.wait(seen, HEARTBEAT);
        seen = version;
        if send(writer, &RunnerFrame::Live { live }).is_err() {
            return;
        }
        std::thread::sleep(LIVE_INTERVAL);
    }
}

fn send(writer: &Mutex<UnixStream>, frame: &RunnerFrame) -> Result<(), FrameError> {
    let mut stream = writer.lock().unwrap_or_else(PoisonError::into_inner);
    frame::write(&mut *stream, frame)
}
