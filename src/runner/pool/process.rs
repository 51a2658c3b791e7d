//! One worker process: its socket, its reader thread and its end.

use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::SIGKILL;
use signal_hook::low_level::signal_name;

use super::launch::WorkerCommand;
use super::log::Log;
use super::roster::Roster;
use crate::gym::ports::{Device, PortError};
use crate::protocol::frame;
use crate::protocol::worker::{Reply, Request, Role};

/// What is heard of a worker.
#[derive(Debug)]
pub(super) enum Event {
    /// It said something.
    Reply(Reply),
    /// Its end of the socket closed; with what could not be understood, if that was the reason.
    Gone(Option<String>),
}

/// A worker process; ends with this value.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    id: u64,
    role: Role,
    name: String,
    roster: Roster,
    stream: UnixStream,
    log: Log,
}

impl WorkerProcess {
    /// Starts a worker; what it says goes to `events` under its number in the roster.
    pub(super) fn start(
        command: &WorkerCommand,
        (role, devices, threads): (Role, &[Device], u32),
        name: &str,
        roster: &Roster,
        events: &Sender<(u64, Event)>,
    ) -> Result<Self, PortError> {
        roster.admit(role.as_str())?;
        let failed = |error: std::io::Error| {
            let program = command.program.display();
            PortError::transient(format!("{name}: the worker could not be started from {program}: {error}"))
        };
        let (log, file) = Log::open(&command.log_folder, name).map_err(|error| {
            PortError::fatal(format!("{}: no log can be written: {error}", command.log_folder.display()))
        })?;
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let child = command.spawn(role, devices, threads, theirs, &file).map_err(failed)?;
        // A training is worth a moment: it saves where it stands.
        let farewell = (role == Role::Trainer).then(|| ours.try_clone()).transpose().map_err(failed)?;
        let gpus = devices.iter().filter_map(|device| command.gpu(*device)).collect();
        let id = roster.enter(name, gpus, child, farewell)?;
        let process = Self { id, role, name: name.to_owned(), roster: roster.clone(), stream: ours, log };
        let mut stream = process.stream.try_clone().map_err(failed)?;
        let events = events.clone();
        thread::Builder::new()
            .name(format!("read {name}"))
            .spawn(move || {
                loop {
                    let (event, last) = match frame::read(&mut stream, frame::WORKER_LIMIT) {
                        Ok(Some(reply)) => (Event::Reply(reply), false),
                        Ok(None) | Err(frame::FrameError::Io(_)) => (Event::Gone(None), true),
                        Err(error) => (Event::Gone(Some(error.to_string())), true),
                    };
                    if events.send((id, event)).is_err() || last {
                        return;
                    }
                }
            })
            .map_err(failed)?;
        Ok(process)
    }

    /// Its number in the roster.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks for something; `state` is what the worker does from now on.
    pub(super) fn ask(&mut self, request: &Request, state: &str) -> Result<(), PortError> {
        self.note(state);
        // A broken pipe is told by the reader thread, with the reason.
        match frame::write(&mut self.stream, request) {
            Ok(()) | Err(frame::FrameError::Io(_)) => Ok(()),
            Err(error) => Err(PortError::fatal(format!("{}: a request cannot be sent: {error}", self.name))),
        }
    }

    /// Says that nobody waits any more for what was asked last.
    pub(super) fn stop(&mut self) {
        self.note("ending");
        // One that cannot be told has ended, or is ended later.
        let _ = frame::write(&mut self.stream, &Request::Stop);
    }

    /// Notes what the worker is writing.
    pub(super) fn wrote(&self, text: &str) {
        self.roster.wrote(self.id, text);
    }

    /// Notes what the worker does.
    pub(super) fn note(&self, state: &str) {
        self.roster.note(self.id, state);
    }

    /// Notes what it said about how it answers.
    pub(super) fn remark(&self, notes: &[String]) {
        self.roster.remark(self.id, notes);
        for note in notes {
            tracing::warn!(worker = self.name, note);
        }
    }

    /// An error of another program version at the other end.
    pub(super) fn check_version(&self, version: &str) -> Result<(), PortError> {
        let ours = env!("CARGO_PKG_VERSION");
        if version == ours {
            return Ok(());
        }
        Err(PortError::fatal(format!(
            "{}: the worker is version {version}, this run is version {ours}: the program was replaced while \
             the run was going. Restart the run",
            self.name
        )))
    }

    /// Ends the process and says what became of it.
    pub(super) fn obituary(self, why: Option<&str>) -> PortError {
        let status = self.roster.end(self.id);
        if self.roster.is_cancelled() {
            return PortError::cancelled();
        }
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let log = self.log.path().display();
        let words = match self.log.last_words() {
            Ok(lines) if !lines.is_empty() => format!("The last lines of {log}:\n  {}", lines.join("\n  ")),
            _ => format!("It left nothing in {log}"),
        };
        let message = format!("{}: the worker ended: {}{why}. {words}", self.name, ending(status));
        self.roster.ended(self.role.as_str(), message.clone());
        PortError::transient(message)
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.roster.end(self.id);
    }
}

fn ending(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "it cannot be said how".to_owned() };
    let named = |signal| match signal_name(signal) {
        Some(name) => format!("{name}, signal {signal}"),
        None => format!("signal {signal}"),
    };
    match (status.signal(), status.code()) {
        (Some(SIGKILL), _) => {
            format!("killed by {}; as a rule the system was out of memory", named(SIGKILL))
        }
        (Some(signal), _) => format!("killed by {}", named(signal)),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => status.to_string(),
    }
}
